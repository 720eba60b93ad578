"""A small study whose truth is known: one of two hidden nodes reads genes that tell the classes apart."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from kpnn.cells.folds import FoldSettings, make_folds
from kpnn.pkn import Dag
from kpnn.training.data import LabelledCells
from kpnn.training.settings import EvaluationSettings


@pytest.fixture
def dag():
    pairs = [("TCR", "A"), ("TCR", "B")]
    pairs += [("A", f"G{i}_gene") for i in range(5)] + [("B", f"G{i}_gene") for i in range(5, 10)]
    return Dag.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), outputs=["TCR"])


@pytest.fixture
def cells(dag):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    counts = rng.poisson(1.0, (120, 10))
    counts[:, :5] += rng.poisson(2.5 * y[:, None], (120, 5))
    return LabelledCells(
        csr_matrix(np.log1p(counts), dtype=np.float32),
        y[:, None].astype(np.float32),
        np.array([f"cell{i}" for i in range(120)]),
        dag.inputs,
        dag.outputs,
    )


@pytest.fixture
def folds(cells):
    labels = pd.DataFrame(cells.labels.astype(int), index=cells.barcodes, columns=list(cells.outputs))
    return make_folds(labels, FoldSettings(n_splits=3))


@pytest.fixture
def settings(tmp_path):
    """Few epochs, trials and networks, a database of the test's own."""
    return EvaluationSettings.model_validate(
        {
            "fit": {"ensemble": 3, "max_epochs": 20, "patience": 5},
            "tuning": {
                "n_trials": 4,
                "batch_size": 2,
                "storage": f"sqlite:///{tmp_path}/optuna.db",
                "search_space": {
                    "dropout": {"type": "float", "low": 0.0, "high": 0.4},
                    "learning_rate": {"type": "float", "low": 0.003, "high": 0.03, "log": True},
                },
            },
            "execution": {"executor": "sequential", "threads_per_fit": 1},
        }
    )
