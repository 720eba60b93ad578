"""A trained fold goes to another process, as Kedro's ParallelRunner sends it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd

from kpnn.interpretation import TrainedFold
from kpnn.nn import build_kpnn, predict
from kpnn.pkn import Dag
from kpnn.training.settings import Hyperparameters


def test_it_arrives_where_keras_was_not_imported_yet(tmp_path):
    edges = pd.DataFrame({"parent": ["out", "A", "A"], "child": ["A", "x", "y"]})
    model = build_kpnn(Dag.from_edges(edges, outputs=["out"]))
    fold = TrainedFold(0, 1, model, np.arange(3), np.arange(3, 5), Hyperparameters())
    (tmp_path / "fold").write_bytes(pickle.dumps(fold))
    cells = pd.DataFrame(np.random.default_rng(0).normal(size=(4, 2)), columns=["x", "y"])
    cells.to_csv(tmp_path / "cells.csv", index=False)
    program = (
        "import pickle, pandas as pd; fold = pickle.load(open('fold', 'rb')); from kpnn.nn import predict; "
        "predict(fold.model, pd.read_csv('cells.csv')).to_csv('told.csv', index=False)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    told = pd.read_csv(tmp_path / "told.csv").to_numpy()
    np.testing.assert_allclose(told, np.asarray(predict(model, cells)), atol=1e-6)
