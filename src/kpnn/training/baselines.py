"""Classifiers without prior knowledge, tuned and scored on the same splits as the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kpnn.training.data import LabelledCells

PENALTY_STRENGTHS = tuple(float(c) for c in np.logspace(-4, 2, 7))
"""Inverse penalties C that logistic regression is tuned over."""

LEARNING_RATES = (0.03, 0.1, 0.3)
"""Learning rates that gradient boosting is tuned over."""


class _Classifier(Protocol):
    def fit(self, X: Any, y: np.ndarray) -> Any: ...

    def predict_proba(self, X: Any) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class BaselineFit:
    """A baseline's held-out predictions.

    Attributes:
        probabilities: shape (n_held_out, n_outputs).
        hyperparameters: chosen on the inner splits, per output where there are several.
        n_parameters: coefficients and intercepts (logistic regression) or leaves (boosting), over all outputs.
        trials: one row per candidate and output: `trial`, `output`, the candidate, `value` (inner log loss), `state`.
    """

    probabilities: np.ndarray
    hyperparameters: dict[str, Any]
    n_parameters: int
    trials: pd.DataFrame


def fit_baseline(
    name: str,
    cells: LabelledCells,
    training: np.ndarray,
    held_out: np.ndarray,
    inner: Sequence[tuple[np.ndarray, np.ndarray]],
    seed: int,
) -> BaselineFit:
    """Tunes a baseline on inner splits, refits it on the training part, predicts the held-out cells.

    Args:
        name: `logistic` (L2 logistic regression on standardized genes) or `gradient_boosting` (histogram-based).
        cells: all labelled cells.
        training: positions of the outer training part.
        held_out: positions of the cells to predict.
        inner: (train, validate) pairs of positions within the training part.
        seed: of the boosting's subsampling.
    """
    candidates = PENALTY_STRENGTHS if name == "logistic" else LEARNING_RATES
    parameter = "C" if name == "logistic" else "learning_rate"
    probabilities = np.zeros((len(held_out), len(cells.outputs)))
    chosen: dict[str, Any] = {}
    n_parameters, rows = 0, []
    X = cells.expression
    for j, output in enumerate(cells.outputs):
        y = cells.labels[:, j].astype(int)
        losses = [np.mean([_inner_loss(name, c, X, y, split, seed) for split in inner]) for c in candidates]
        best = candidates[int(np.argmin(losses))]
        fitted = _fitted(name, best, X[training], y[training], seed)
        probabilities[:, j] = fitted.predict_proba(_as_read(name, X[held_out]))[:, 1]
        chosen[parameter if len(cells.outputs) == 1 else f"{parameter}_{output}"] = best
        n_parameters += _size(fitted)
        rows += [
            {"trial": i, "output": output, parameter: c, "value": loss, "state": "complete"}
            for i, (c, loss) in enumerate(zip(candidates, losses, strict=True))
        ]
    return BaselineFit(probabilities, chosen, n_parameters, pd.DataFrame(rows))


def _inner_loss(
    name: str, candidate: float, X: csr_matrix, y: np.ndarray, split: tuple[np.ndarray, np.ndarray], seed: int
) -> float:
    train, validate = split
    fitted = _fitted(name, candidate, X[train], y[train], seed)
    return float(log_loss(y[validate], fitted.predict_proba(_as_read(name, X[validate]))[:, 1], labels=[0, 1]))


def _fitted(name: str, candidate: float, X: csr_matrix, y: np.ndarray, seed: int) -> _Classifier:
    classifier: _Classifier
    if name == "logistic":
        # Centring would densify; the intercept takes its place.
        classifier = make_pipeline(StandardScaler(with_mean=False), LogisticRegression(C=candidate, max_iter=2000))
    else:
        classifier = HistGradientBoostingClassifier(
            learning_rate=candidate, max_iter=100, max_features=0.1, early_stopping=False, random_state=seed
        )
    return classifier.fit(_as_read(name, X), y)


def _as_read(name: str, X: csr_matrix) -> Any:
    return X if name == "logistic" else X.toarray()


def _size(fitted: Any) -> int:
    if isinstance(fitted, HistGradientBoostingClassifier):
        return int(sum(tree.get_n_leaf_nodes() for stage in fitted._predictors for tree in stage))
    regression = fitted[-1]
    return int(regression.coef_.size + regression.intercept_.size)
