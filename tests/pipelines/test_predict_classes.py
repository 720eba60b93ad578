"""New cells whose classes exclude each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix

from kpnn.nn import build_kpnn, is_one_of_k
from kpnn.pipelines.predict.nodes import calls_per_class
from kpnn.pkn import Dag
from kpnn.training.ensemble import predict_ensemble

CLASSES = ("B", "CD4+/CD25 T Reg", "M")


def test_probabilities_of_classes_add_up_and_calls_are_counted():
    pairs = [(output, "H") for output in CLASSES] + [("H", f"G{i}_gene") for i in range(4)]
    dag = Dag.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), outputs=CLASSES)
    expression = np.random.default_rng(0).gamma(2.0, 1.0, (30, 4))
    barcodes, genes = [f"c{i}" for i in range(30)], [f"G{i}" for i in range(4)]
    new = AnnData(csr_matrix(expression), pd.DataFrame(index=barcodes), pd.DataFrame(index=genes))
    networks = [build_kpnn(dag, output_activation="softmax", seed=seed) for seed in (1, 2)]
    found = predict_ensemble(networks, [new[:20], new[20:]])
    wide = found.probabilities.pivot(index="barcode", columns="output", values="probability")
    np.testing.assert_allclose(wide.sum(axis=1), 1, rtol=1e-5)
    assert calls_per_class(found.probabilities) == {name: int((wide.idxmax(axis=1) == name).sum()) for name in CLASSES}
    assert is_one_of_k(networks[0]) and not is_one_of_k(build_kpnn(dag))
