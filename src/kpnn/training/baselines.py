"""Classifiers without prior knowledge: tuned, stopped and averaged over the same inner folds as the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
        probabilities: sigmoid of the mean logit over inner folds, shape (n_held_out, n_outputs).
        of_members: probabilities by the classifier of each inner fold, each shape (n_held_out, n_outputs).
        hyperparameters: chosen on the inner folds, per output where there are several.
        n_parameters: coefficients and intercepts (logistic regression) or leaves (boosting; the mean over inner folds)
            of one classifier, over all outputs.
        trials: one row per candidate and output: `trial`, `output`, the candidate, `value` (mean inner log loss),
            `state`.
    """

    probabilities: np.ndarray
    of_members: list[np.ndarray]
    hyperparameters: dict[str, Any]
    n_parameters: int
    trials: pd.DataFrame


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A hyperparameter's classifiers, one per inner fold, for one output."""

    value: float
    loss: float
    classifiers: list[Any]


def fit_baseline(
    name: str, cells: LabelledCells, inner: Sequence[Split], held_out: np.ndarray, seed: int
) -> BaselineFit:
    """Fits a baseline on each inner fold and predicts the held-out cells by the mean of the logits.

    The hyperparameter is the one with the lowest mean log loss over the inner folds, as for the networks.

    Args:
        name: `logistic` (L2 logistic regression on standardized genes) or `gradient_boosting` (histogram-based).
        cells: all labelled cells.
        inner: (train, validate) pairs of positions within the outer training part.
        held_out: positions of the cells to predict.
        seed: of the boosting's subsampling.
    """
    values = PENALTY_STRENGTHS if name == "logistic" else LEARNING_RATES
    parameter = "C" if name == "logistic" else "learning_rate"
    shape = (len(inner), len(held_out), len(cells.outputs))
    logits, chosen, sizes, rows = np.zeros(shape), {}, [], []
    for j, output in enumerate(cells.outputs):
        candidates = [_candidate(name, value, cells, j, inner, seed) for value in values]
        best = min(candidates, key=lambda one: one.loss)
        for k, classifier in enumerate(best.classifiers):
            logits[k, :, j] = classifier.decision_function(_as_read(name, cells.expression[held_out]))
        chosen[parameter if len(cells.outputs) == 1 else f"{parameter}_{output}"] = best.value
        sizes.append(np.mean([_size(classifier) for classifier in best.classifiers]))
        rows += [
            {"trial": i, "output": output, parameter: one.value, "value": one.loss, "state": "complete"}
            for i, one in enumerate(candidates)
        ]
    return BaselineFit(expit(logits.mean(axis=0)), list(expit(logits)), chosen, round(sum(sizes)), pd.DataFrame(rows))


def _candidate(
    name: str, value: float, cells: LabelledCells, output: int, inner: Sequence[Split], seed: int
) -> _Candidate:
    X, y = cells.expression, cells.labels[:, output]
    classifiers, losses = [], []
    for train, validate in inner:
        classifier = _untrained(name, value, seed).fit(_as_read(name, X[train]), y[train].astype(int))
        probabilities = classifier.predict_proba(_as_read(name, X[validate]))[:, 1:]
        classifiers.append(classifier)
        losses.append(cross_entropies(probabilities, y[validate][:, None]).mean())
    return _Candidate(value, float(np.mean(losses)), classifiers)


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
