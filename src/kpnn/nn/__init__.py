"""Knowledge-primed neural networks in Keras: build, train, predict, read and set their weights.

Keras runs on torch here unless the environment variable `KERAS_BACKEND` names another backend before Keras is imported.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from kpnn.nn.build import build_kpnn
from kpnn.nn.ensemble import build_ensemble, dag_of, is_one_of_k, members_of
from kpnn.nn.fit import adapt_normalization, fit_kpnn, fit_kpnns
from kpnn.nn.history import History
from kpnn.nn.layer import SparseDag
from kpnn.nn.loading import load_kpnn
from kpnn.nn.normalization import InputNormalization
from kpnn.nn.prediction import node_activations, output_gradients, predict
from kpnn.nn.settings import TrainingSettings
from kpnn.nn.weights import biases, edge_weights, set_edge_weights

__all__ = [
    "History",
    "InputNormalization",
    "SparseDag",
    "TrainingSettings",
    "adapt_normalization",
    "biases",
    "build_ensemble",
    "build_kpnn",
    "dag_of",
    "edge_weights",
    "fit_kpnn",
    "fit_kpnns",
    "is_one_of_k",
    "load_kpnn",
    "members_of",
    "node_activations",
    "output_gradients",
    "predict",
    "set_edge_weights",
]
