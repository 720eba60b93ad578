"""Classifiers without prior knowledge: tuned, stopped and averaged over the same inner folds as the networks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from scipy.special import expit, softmax
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kpnn.doings import counted
from kpnn.evaluation.scores import ALL_CLASSES
from kpnn.stopping import stop_if_asked
from kpnn.training.data import LabelledCells
from kpnn.training.fitting import cross_entropies
from kpnn.training.inner_folds import Split

PENALTY_STRENGTHS = tuple(float(c) for c in np.logspace(-5, 1, 7))
"""Inverse penalties C that logistic regression is tuned over."""

LEARNING_RATES = (0.03, 0.1, 0.3)
"""Learning rates that gradient boosting is tuned over."""


_DENSE_FROM = 0.4
"""Share of stored entries above which products with a dense matrix are faster than with a sparse one."""


@dataclass(frozen=True, eq=False)
class BaselineFit:
    """A baseline's held-out predictions.

    Attributes:
        probabilities: sigmoid (of classes that exclude each other: softmax) of the mean logit over inner folds, shape
            (n_held_out, n_outputs).
        of_members: probabilities by the classifier of each inner fold, each shape (n_held_out, n_outputs).
        hyperparameters: chosen on the inner folds, per output where there are several questions.
        n_parameters: coefficients and intercepts (logistic regression) or leaves (boosting; the mean over inner folds)
            of one classifier, over all outputs.
        trials: one row per candidate and output: `trial`, `output`, the candidate, `value` (mean inner log loss),
            `state`. A single classifier of all classes is listed as the output `all classes`.
    """

    probabilities: np.ndarray
    of_members: list[np.ndarray]
    hyperparameters: dict[str, Any]
    n_parameters: int
    trials: pd.DataFrame


@dataclass(frozen=True, eq=False)
class _Question:
    """What one classifier answers: whether a cell is of an output's class, or of which class it is.

    Attributes:
        name: of the output, or `all classes`.
        columns: outputs whose logits it gives.
        expression: of all cells.
        labels: of all cells, shape (n_cells, len(columns)).
    """

    name: str
    columns: list[int]
    expression: csr_matrix
    labels: np.ndarray

    @property
    def classes(self) -> np.ndarray:
        """The class of each cell, a whole number, shape (n_cells,)."""
        return self.labels[:, 0].astype(int) if len(self.columns) == 1 else self.labels.argmax(axis=1)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """The classifiers of one hyperparameter value, one per inner fold, for one question."""

    value: float
    loss: float
    classifiers: list[Any]


def fit_baseline(
    name: str, cells: LabelledCells, inner: Sequence[Split], held_out: np.ndarray, seed: int
) -> BaselineFit:
    """Fits a baseline on each inner fold and predicts the held-out cells by the mean of the logits.

    The hyperparameter is the one with the lowest mean log loss over the inner folds, as for the networks.

    Args:
        name: `logistic` (L2 logistic regression on standardized genes; multinomial of classes that exclude each other)
            or `gradient_boosting` (histogram-based).
        cells: all labelled cells.
        inner: (train, validate) pairs of positions within the outer training part.
        held_out: positions of the cells to predict.
        seed: of the boosting's subsampling.
    """
    values = PENALTY_STRENGTHS if name == "logistic" else LEARNING_RATES
    parameter = "C" if name == "logistic" else "learning_rate"
    shape = (len(inner), len(held_out), len(cells.outputs))
    logits, chosen, sizes, rows = np.zeros(shape), {}, [], []
    read = _as_read(name, cells.expression[held_out])
    for question in _questions(cells):
        candidates = _candidates(name, values, question, inner, seed)
        best = min(candidates, key=lambda one: one.loss)
        for k, classifier in enumerate(best.classifiers):
            logits[k][:, question.columns] = _logits(classifier, read, len(question.columns))
        several = not cells.one_of_k and len(cells.outputs) > 1
        chosen[f"{parameter}_{question.name}" if several else parameter] = best.value
        sizes.append(np.mean([_size(classifier) for classifier in best.classifiers]))
        rows += [
            {"trial": i, "output": question.name, parameter: one.value, "value": one.loss, "state": "complete"}
            for i, one in enumerate(candidates)
        ]
    mean, of_members = (softmax(z, axis=-1) if cells.one_of_k else expit(z) for z in (logits.mean(axis=0), logits))
    return BaselineFit(mean, list(of_members), chosen, round(sum(sizes)), pd.DataFrame(rows))


def _questions(cells: LabelledCells) -> list[_Question]:
    """One question of classes that exclude each other, else one for each output."""
    places = list(range(len(cells.outputs)))
    if cells.one_of_k:
        return [_Question(ALL_CLASSES, places, cells.expression, cells.labels)]
    return [_Question(cells.outputs[j], [j], cells.expression, cells.labels[:, [j]]) for j in places]


def _candidates(
    name: str, values: Sequence[float], question: _Question, inner: Sequence[Split], seed: int
) -> list[_Candidate]:
    """One candidate for each value of the hyperparameter."""
    one_of_k = len(question.columns) > 1
    X, y = _as_read(name, question.expression), question.classes
    classifiers: list[list[Any]] = []
    losses = np.zeros((len(inner), len(values)))
    with counted(inner, f"{name}: inner fold") as each:
        for k, (train, validate) in enumerate(each):
            path = _logistic_path if name == "logistic" else _boosting_path
            fitted = path(values, X[train], y[train], seed)
            for place, classifier in enumerate(fitted):
                probabilities = classifier.predict_proba(X[validate])[:, 0 if one_of_k else 1 :]
                found = cross_entropies(probabilities, question.labels[validate], one_of_k=one_of_k)
                losses[k, place] = found.mean()
            classifiers.append(fitted)
    return [
        _Candidate(value, float(losses[:, place].mean()), [fitted[place] for fitted in classifiers])
        for place, value in enumerate(values)
    ]


def _logistic_path(penalties: Sequence[float], X: Any, y: np.ndarray, seed: int) -> list[Any]:  # noqa: ARG001
    """One regression for each inverse penalty."""
    # Centring would densify; the intercept takes its place.
    scaler = StandardScaler(with_mean=False).fit(X)
    scaled: Any = scaler.transform(X)
    # Each starts at 0: from the end of a stronger penalty's they stop as early as that one did, which is too early.
    fitted = _fitted((LogisticRegression(C=c, solver="lbfgs", max_iter=2000) for c in penalties), scaled, y)
    return [make_pipeline(scaler, regression) for regression in fitted]


def _boosting_path(learning_rates: Sequence[float], X: Any, y: np.ndarray, seed: int) -> list[Any]:
    unfitted = (
        HistGradientBoostingClassifier(
            learning_rate=rate, max_iter=100, max_features=0.1, early_stopping=False, random_state=seed
        )
        for rate in learning_rates
    )
    return _fitted(unfitted, X, y)


def _fitted(classifiers: Iterable[Any], X: Any, y: np.ndarray) -> list[Any]:
    """Fits one after the other; of large studies each takes minutes, in which nothing stops it."""
    fitted = []
    for classifier in classifiers:
        stop_if_asked()
        fitted.append(classifier.fit(X, y))
    return fitted


def _logits(classifier: Any, read: Any, n_columns: int) -> np.ndarray:
    """Logits of each class, shape (n_cells, n_columns); of two classes scikit-learn gives those of the second alone."""
    found = classifier.decision_function(read)
    if found.ndim == 2:
        return found
    return found[:, None] if n_columns == 1 else np.column_stack([np.zeros(len(found)), found])


def _as_read(name: str, X: csr_matrix) -> Any:
    """Expression as a classifier reads it: boosting dense; logistic regression dense where few entries are 0."""
    dense = name != "logistic" or X.nnz > _DENSE_FROM * X.shape[0] * X.shape[1]
    return X.toarray() if dense else X


def _size(fitted: Any) -> int:
    if isinstance(fitted, HistGradientBoostingClassifier):
        return int(sum(tree.get_n_leaf_nodes() for stage in fitted._predictors for tree in stage))
    regression = fitted[-1]
    return int(regression.coef_.size + regression.intercept_.size)
