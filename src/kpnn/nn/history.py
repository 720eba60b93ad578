"""What a fit recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class History:
    """Learning curve of one fit; entry i of each array belongs to epoch i + 1.

    Attributes:
        loss: what was minimized, averaged over the steps of each epoch: (class-weighted) cross-entropy with dropout
            on, plus the penalty; float64.
        penalty: the regularization's part of `loss`; float64.
        val_loss: cross-entropy of the validation cells after each epoch, without class weights, dropout or penalty; NaN
            where there are no validation cells; float64.
        seconds: wall-clock time of each epoch, of networks that read cells together their share of it; where a callback
            watches a batch of fits, that of the whole batch.
        best_epoch: epoch (from 1) whose weights the model holds; 0 if they are those before the fit.
        stopped_by: `max_epochs`, `patience`, `callback` or `not_finite`.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn, fit_kpnn
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> model = build_kpnn(Dag.from_edges(edges, outputs=["TCR"]), initializer="conducting")
        >>> cells = pd.DataFrame({"CD69": [0.0, 0.2, 2.5, 3.0]})
        >>> history = fit_kpnn(model, cells, [0, 0, 1, 1], max_epochs=5, learning_rate=0.1)
        >>> history.n_epochs, history.best_epoch, history.stopped_by
        (5, 5, 'max_epochs')
        >>> bool(history.loss[-1] < history.loss[0])
        True
    """

    loss: np.ndarray
    penalty: np.ndarray
    val_loss: np.ndarray
    seconds: np.ndarray
    best_epoch: int
    stopped_by: str

    @property
    def n_epochs(self) -> int:
        """Number of epochs trained."""
        return len(self.loss)

    def to_frame(self) -> pd.DataFrame:
        """Returns the curve as a table: `loss`, `penalty`, `val_loss`, `seconds`, indexed by `epoch` from 1."""
        columns = {name: getattr(self, name) for name in ("loss", "penalty", "val_loss", "seconds")}
        return pd.DataFrame(columns, index=pd.RangeIndex(1, self.n_epochs + 1, name="epoch"))
