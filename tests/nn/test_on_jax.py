"""What Keras computes itself is the same on JAX: a start that conducts, prior, normalization, training."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from keras import ops

from kpnn.nn import adapt_normalization, build_kpnn, predict
from kpnn.nn.layer import sparse_dag

SCRIPT = """
import sys, numpy as np, pandas as pd, kpnn.nn, keras
from kpnn.pkn import Dag
edges, cells = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2])
dag = Dag.from_edges(edges, outputs=["OUT0", "OUT1"])
model = kpnn.nn.build_kpnn(dag, weight_prior=0.7, input_normalization="common", initializer="conducting")
kpnn.nn.adapt_normalization(model, cells)
X = cells.to_numpy(dtype="float32")
found = {"start": model.predict(X, verbose=0), "penalty": float(sum(model.losses))}
y = np.stack([X[:, 0] > 1, X[:, 1] > 1], axis=1).astype("float32")
model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="binary_crossentropy")
found["losses"] = model.fit(X, y, epochs=15, verbose=0).history["loss"]
found["trained"], found["compiled"] = model.predict(X, verbose=0), kpnn.nn.predict(model, cells)
how = {"output_activation": "softmax", "input_normalization": "common", "initializer": "lecun_uniform"}
classes = kpnn.nn.build_kpnn(dag, **how)
kpnn.nn.adapt_normalization(classes, cells)
found["classes"] = keras.ops.convert_to_numpy(classes(X))
one_of_two = np.stack([X[:, 0] > 1, X[:, 0] <= 1], axis=1).astype("float32")
classes.compile(optimizer=keras.optimizers.Adam(1e-2), loss="categorical_crossentropy")
found["class_losses"] = classes.fit(X, one_of_two, epochs=15, verbose=0).history["loss"]
found["trained_classes"], found["compiled_classes"] = classes.predict(X, verbose=0), kpnn.nn.predict(classes, cells)
np.savez(sys.argv[3], **found)
print(keras.backend.backend())
"""


def test_keras_on_jax_computes_the_same_and_trains(random_dag, random_cells, tmp_path):
    pytest.importorskip("jax", reason="JAX is an optional dependency")
    dag = random_dag(80)
    X, _ = random_cells(dag, 40, 80)
    genes = [name.removesuffix("_gene") for name in dag.inputs]
    cells = pd.DataFrame(X.toarray(), columns=genes)
    dag.edges.to_parquet(tmp_path / "edges.parquet")
    cells.to_parquet(tmp_path / "cells.parquet")
    arguments = [str(tmp_path / name) for name in ("edges.parquet", "cells.parquet", "found.npz")]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "jax"
    found = np.load(tmp_path / "found.npz")
    here = build_kpnn(type(dag).from_edges(dag.edges, outputs=["OUT0", "OUT1"]), weight_prior=0.7,
                      input_normalization="common", initializer="conducting")  # fmt: skip
    adapt_normalization(here, cells)
    np.testing.assert_allclose(found["start"], predict(here, cells), atol=1e-6)
    np.testing.assert_allclose(found["start"], ops.convert_to_numpy(here(X.toarray())), atol=1e-6)
    assert found["penalty"] == pytest.approx(float(sum(here.losses).detach()), rel=1e-6)
    assert found["losses"][-1] < found["losses"][0]
    assert np.abs(found["trained"] - found["start"]).max() > 1e-3
    np.testing.assert_allclose(found["trained"], found["compiled"], atol=1e-5)
    of_classes = build_kpnn(sparse_dag(here).dag, output_activation="softmax", input_normalization="common",
                            initializer="lecun_uniform")  # fmt: skip
    adapt_normalization(of_classes, cells)
    np.testing.assert_allclose(found["classes"], predict(of_classes, cells), atol=1e-6)
    assert found["class_losses"][-1] < found["class_losses"][0]
    np.testing.assert_allclose(found["trained_classes"].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found["trained_classes"], found["compiled_classes"], atol=1e-5)
    assert np.abs(found["trained_classes"] - found["classes"]).max() > 1e-3
