"""Reading a `.keras` file back."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras

from kpnn.addresses import first_line
from kpnn.errors import ModelError
from kpnn.nn.ensemble import dag_of

_MOST_BYTES = 2 * 1024**3
_MOST_TIMES = 50
"""Most that a file may unpack to: bytes, and multiples of its own size. Keras itself does not compress."""


def load_kpnn(path: str | Path) -> keras.Model:
    """Loads a network, or an ensemble of them, in Keras's safe mode.

    Importing `kpnn.nn` chose Keras's backend and registered the layers; `keras.saving.load_model` then does the same.

    Args:
        path: a `.keras` file that a model of `build_kpnn` or `build_ensemble` was saved to.

    Returns:
        The model, as it was saved.

    Raises:
        ModelError: there is no such file, it cannot be read, or it holds another kind of network.

    Examples:
        >>> import tempfile
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn, edge_weights
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> model = build_kpnn(Dag.from_edges(edges, outputs=["TCR"]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.keras")
        ...     loaded = load_kpnn(f"{folder}/model.keras")
        >>> edge_weights(loaded).equals(edge_weights(model))
        True
    """
    if not Path(path).is_file():
        raise ModelError(f"{path}: no such file")
    _check_archive(Path(path))
    try:
        model = keras.saving.load_model(path)
    except Exception as error:  # a damaged file can be wrong in any way, at any depth of Keras and HDF5
        raise ModelError(f"{path}: not a network that kpnn saved ({first_line(error)})") from error
    dag_of(model)
    return model


def _check_archive(path: Path) -> None:
    """Raises ModelError where a file is not an archive, or would fill memory and disk when it is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except Exception as error:  # of a damaged directory of the archive
        raise ModelError(f"{path}: not a network that kpnn saved ({first_line(error)})") from error
    if unpacked > max(_MOST_BYTES, _MOST_TIMES * path.stat().st_size):
        raise ModelError(f"{path}: would unpack to {unpacked / 1e9:.1f} GB; it is not opened")
