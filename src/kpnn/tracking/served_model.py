"""What `mlflow.pyfunc.load_model` runs: a KPNN that reads a table of genes, in any order, and gives probabilities.

MLflow keeps this file beside the `.keras` file instead of a pickled object.
"""

from __future__ import annotations

from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext


class ServedKpnn(PythonModel):
    """Loads the `.keras` file and predicts."""

    def load_context(self, context: PythonModelContext) -> None:
        """Loads the network.

        Args:
            context: names the `.keras` file as the artifact `keras`.
        """
        import kpnn.nn  # noqa: F401 - chooses the backend before Keras is imported, and registers the layers

        import keras  # isort: skip

        self._model = keras.saving.load_model(context.artifacts["keras"])

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

        return predict(self._model, model_input)


mlflow.models.set_model(ServedKpnn())
