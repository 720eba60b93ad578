"""Reading a `.keras` file back."""

from __future__ import annotations

from pathlib import Path

import keras

from kpnn.errors import ModelError
from kpnn.nn.ensemble import dag_of


def load_kpnn(path: str | Path) -> keras.Model:
    """Loads a network, or an ensemble of them, in Keras's safe mode.

    Importing `kpnn.nn` chose Keras's backend and registered the layers; `keras.saving.load_model` then does the same.

    Args:
        path: a `.keras` file that a model of `build_kpnn` or `build_ensemble` was saved to.

    Returns:
        The model, as it was saved.

    Raises:
        ModelError: there is no such file, it cannot be read, or it holds another kind of network.
    """
    if not Path(path).is_file():
        raise ModelError(f"{path}: no such file")
    try:
        model = keras.saving.load_model(path)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise ModelError(f"{path}: not a network that kpnn saved ({str(error).splitlines()[0]})") from error
    dag_of(model)
    return model
