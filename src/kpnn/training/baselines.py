"""Classifiers without prior knowledge: tuned, stopped and averaged over the same inner folds as the networks."""

from __future__ import annotations

from collections.abc import Sequence
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

from kpnn.evaluation.scores import ALL_CLASSES
from kpnn.training.data import LabelledCells
from kpnn.training.fitting import cross_entropies
from kpnn.training.inner_folds import Split

PENALTY_STRENGTHS = tuple(float(c) for c in np.logspace(-5, 1, 7))
"""Inverse penalties C that logistic regression is tuned over."""

LEARNING_RATES = (0.03, 0.1, 0.3)
"""Learning rates that gradient boosting is tuned over."""


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
        candidates = [_candidate(name, value, question, inner, seed) for value in values]
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


def _candidate(name: str, value: float, question: _Question, inner: Sequence[Split], seed: int) -> _Candidate:
    X, y, one_of_k = question.expression, question.classes, len(question.columns) > 1
    classifiers, losses = [], []
    for train, validate in inner:
        classifier = _untrained(name, value, seed).fit(_as_read(name, X[train]), y[train])
        probabilities = classifier.predict_proba(_as_read(name, X[validate]))[:, 0 if one_of_k else 1 :]
        classifiers.append(classifier)
        losses.append(cross_entropies(probabilities, question.labels[validate], one_of_k=one_of_k).mean())
    return _Candidate(value, float(np.mean(losses)), classifiers)


def _logits(classifier: Any, read: Any, n_columns: int) -> np.ndarray:
    """Logits of each class, shape (n_cells, n_columns); of two classes scikit-learn gives those of the second alone."""
    found = classifier.decision_function(read)
    if found.ndim == 2:
        return found
    return found[:, None] if n_columns == 1 else np.column_stack([np.zeros(len(found)), found])


def _untrained(name: str, value: float, seed: int) -> Any:
    if name == "logistic":
        return make_pipeline(
            # Centring would densify; the intercept takes its place.
            StandardScaler(with_mean=False),
            LogisticRegression(C=value, solver="lbfgs", max_iter=2000),
        )
    return HistGradientBoostingClassifier(
        learning_rate=value, max_iter=100, max_features=0.1, early_stopping=False, random_state=seed
    )


def _as_read(name: str, X: csr_matrix) -> Any:
    return X if name == "logistic" else X.toarray()


def _size(fitted: Any) -> int:
    if isinstance(fitted, HistGradientBoostingClassifier):
        return int(sum(tree.get_n_leaf_nodes() for stage in fitted._predictors for tree in stage))
    regression = fitted[-1]
    return int(regression.coef_.size + regression.intercept_.size)
