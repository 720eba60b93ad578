"""What `mlflow.pyfunc.load_model` runs: KPNNs that read counts by gene name, in any order, and give probabilities.

MLflow keeps this file beside the `.keras` files instead of a pickled object.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext

_TOTALS = "total_counts"


class ServedKpnn(PythonModel):
    """Loads one or several `.keras` files, transforms counts as in training and predicts the mean of probabilities."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the networks.

        Args:
            context: its artifacts are the `.keras` files and what was done to the training cells' counts.
        """
        from kpnn.cells import Transform
        from kpnn.nn import load_kpnn

        files = dict(context.artifacts)
        prepared = json.loads(Path(files.pop("preparation")).read_text(encoding="utf-8"))
        self._transform = Transform.from_dict(prepared["transform"])
        self._networks = [load_kpnn(path) for _, path in sorted(files.items())]

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Predicts the probability of each output.

        Args:
            context: as above.
            model_input: raw counts, cells x genes by name, in any order; where training scaled cells to a library
                size, also `total_counts`: each cell's sum over all measured genes, not only the network's.
            params: `missing_genes`: `error`, or `zeros` to take absent genes as not expressed; `transformed`: the
                values are transformed as in training already.

        Returns:
            Cells x outputs.

        Raises:
            ModelError: genes or `total_counts` are missing, or a value is not finite.
        """
        from kpnn.nn import predict

        params = params or {}
        cells = model_input if params.get("transformed") else self._transformed(model_input)
        missing = params.get("missing_genes", "error")
        return sum(predict(network, cells, missing_genes=missing) for network in self._networks) / len(self._networks)

    def _transformed(self, table: pd.DataFrame) -> pd.DataFrame:
        from scipy.sparse import csr_matrix

        from kpnn.errors import ModelError, some_names

        totals = np.zeros(len(table))
        if self._transform.library_size is not None:
            if _TOTALS not in table or table[_TOTALS].isna().any():
                raise ModelError(
                    f"give each cell's sum of counts over all measured genes as column {_TOTALS}: the training cells "
                    f"were scaled to a sum of {self._transform.library_size:g}; or say transformed=True"
                )
            totals = table[_TOTALS].to_numpy(dtype=float)
        genes = table.drop(columns=_TOTALS, errors="ignore")
        try:
            counts = genes.to_numpy(dtype=np.float64)
        except (TypeError, ValueError) as cause:
            raise ModelError(f"counts must be numbers, in a column per gene ({cause})") from None
        negative = [
            str(gene) for gene, is_below in zip(genes.columns, (counts < 0).any(axis=0), strict=True) if is_below
        ]
        if negative:
            raise ModelError(
                f"counts of {some_names(negative)} are negative; give raw counts, or transformed=True with values that "
                "are transformed as in training"
            )
        values = self._transform.apply(csr_matrix(counts), totals)
        return pd.DataFrame(values.toarray(), index=table.index, columns=genes.columns)


mlflow.models.set_model(ServedKpnn())
