"""What `mlflow.pyfunc.load_model` runs: KPNNs that read a table of genes, in any order, and give probabilities.

MLflow keeps this file beside the `.keras` files instead of a pickled object.
"""

from __future__ import annotations

from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext


class ServedKpnn(PythonModel):
    """Loads one or several `.keras` files and predicts the mean of their probabilities."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the networks.

        Args:
            context: its artifacts are the `.keras` files.
        """
        from kpnn.nn import load_kpnn

        self._networks = [load_kpnn(path) for _, path in sorted(context.artifacts.items())]

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Predicts the probability of each output.

        Args:
            context: as above.
            model_input: transformed expression as in training, one column per gene.
            params: none are known.
        """
        from kpnn.nn import predict

        return sum(predict(network, model_input) for network in self._networks) / len(self._networks)


mlflow.models.set_model(ServedKpnn())
