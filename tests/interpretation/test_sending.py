"""A trained fold goes to another process, as Kedro's ParallelRunner sends it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd

from kpnn.interpretation import TrainedFold
from kpnn.nn import build_kpnn
from kpnn.pkn import Dag
from kpnn.training.settings import Hyperparameters


def test_it_arrives_where_keras_was_not_imported_yet(tmp_path):
    edges = pd.DataFrame({"parent": ["out", "A", "A"], "child": ["A", "x", "y"]})
    model = build_kpnn(Dag.from_edges(edges, outputs=["out"]))
    fold = TrainedFold(0, 1, model, np.arange(3), np.arange(3, 5), Hyperparameters())
    (tmp_path / "fold").write_bytes(pickle.dumps(fold))
    program = (
        "import pickle, numpy; fold = pickle.load(open('fold', 'rb')); "
        "numpy.savez('told', *fold.model.get_weights(), held_out=fold.held_out)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    told = np.load(tmp_path / "told.npz")
    np.testing.assert_array_equal(told["held_out"], fold.held_out)
    for number, weights in enumerate(model.get_weights()):
        np.testing.assert_array_equal(told[f"arr_{number}"], weights)
