"""Results come back cell by cell: honest probabilities, activations on one scale, in the user's own AnnData."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from kpnn.datasets.cells import AnnDataDataset
from kpnn.errors import CellsError
from kpnn.nn import build_kpnn, node_activations, set_edge_weights
from kpnn.pkn import Dag
from kpnn.training.cell_results import (
    IN_TRAINING,
    NEW,
    OUT_OF_FOLD,
    CellResults,
    join_results,
    out_of_fold_activations,
    probabilities_by_cell,
)

N = 40
EDGES = [("A/B", "H1"), ("A/B", "H2"), ("H1", "G0_gene"), ("H1", "G1_gene"), ("H2", "G2_gene")]
BARCODES = [f"c{number}" for number in range(N)]


@pytest.fixture(scope="module")
def cells():
    values = np.random.default_rng(0).poisson(2.0, (N, 3)).astype(np.float32)
    return ad.AnnData(values, pd.DataFrame(index=BARCODES), pd.DataFrame(index=["G0", "G1", "G2"]))


def network(sign, scale):
    dag = Dag.from_edges(pd.DataFrame(EDGES, columns=["parent", "child"]), outputs=["A/B"])
    model = build_kpnn(dag, hidden_activation="tanh")
    weights = dict.fromkeys(EDGES, scale)
    weights |= {("H1", "G0_gene"): sign * scale, ("H1", "G1_gene"): sign * scale, ("A/B", "H1"): sign * scale}
    set_edge_weights(model, weights, {})
    return model


@pytest.fixture(scope="module")
def folds():
    """Two folds whose networks say the same, one with H1 upside down and both on scales of their own."""
    halves = np.arange(N).reshape(2, -1)
    return [((network(1, 0.1),), halves[0]), ((network(-1, 0.2),), halves[1])]


def test_activations_of_all_folds_are_on_one_scale_and_the_same_way_round(cells, folds):
    found = out_of_fold_activations(folds, cells)
    assert list(found.index) == BARCODES
    assert list(found.columns) == list(node_activations(folds[0][0][0], cells).columns)
    # Of nearly linear nodes the deviations from the mean are the same in both networks but for their unit.
    genes = cells.X[:, :2].sum(axis=1)
    assert np.corrcoef(found["H1"], genes)[0, 1] > 0.95
    plain = node_activations(folds[0][0][0], cells)["H1"], node_activations(folds[1][0][0], cells)["H1"]
    spread = np.mean([table.std(ddof=0) for table in plain])
    expected = (plain[0] - plain[0].mean()) / plain[0].std(ddof=0) * spread
    np.testing.assert_allclose(np.diff(found["H1"][:20]), np.diff(expected[:20]), rtol=1e-4, atol=1e-6)


def test_a_cell_of_several_repeats_has_their_mean(cells, folds):
    once = out_of_fold_activations(folds, cells)
    twice = out_of_fold_activations([*folds, *folds], cells)
    np.testing.assert_allclose(twice, once, rtol=1e-6)
    some = out_of_fold_activations(folds[:1], cells)
    assert list(some.index) == BARCODES[:20]


def test_probabilities_are_means_over_repeats_in_the_order_of_the_outputs():
    table = pd.DataFrame(
        [("c1", "T", 0.2), ("c1", "B", 0.8), ("c0", "T", 1.0), ("c0", "B", 0.0), ("c1", "T", 0.4), ("c1", "B", 0.6)],
        columns=["barcode", "output", "probability"],
    )
    found = probabilities_by_cell(table)
    expected = pd.DataFrame({"T": [0.3, 1.0], "B": [0.7, 0.0]}, index=["c1", "c0"])
    pd.testing.assert_frame_equal(found, expected, check_names=False)


def results_of(cells, folds):
    activations = out_of_fold_activations(folds, cells)
    probabilities = pd.DataFrame({"A/B": np.linspace(0, 1, N)}, index=BARCODES)
    kinds = pd.Series([OUT_OF_FOLD] * 20 + [IN_TRAINING] * 10 + [NEW] * 10, index=BARCODES)
    weights = pd.DataFrame({"node": ["H1", "H2"], "output": "A/B", "rank": [1, 2], "called": [True, None]})
    return CellResults(probabilities, activations, kinds, "pruned", weights, {"kpnn": "0.1"})


def test_the_file_opens_in_scanpy_and_its_nodes_make_neighbours(cells, folds, tmp_path):
    import scanpy as sc

    obs = pd.DataFrame({"donor": ["d1", "d2"] * 20, "A/B": 1}, index=BARCODES)
    path = tmp_path / "a.h5ad"
    AnnDataDataset(filepath=str(path), study="mine").save(results_of(cells, folds).to_anndata(obs))
    read = sc.read_h5ad(path)
    assert list(read.obs) == ["donor", "kpnn_A|B", "kpnn_prediction"]
    assert read.obs["kpnn_prediction"].value_counts().to_dict() == {OUT_OF_FOLD: 20, IN_TRAINING: 10, NEW: 10}
    about = read.uns["kpnn"]
    assert (about["study"], about["arm"], list(about["nodes"])) == ("mine", "pruned", ["H1", "H2"])
    assert (list(about["outputs"]), list(about["columns"])) == (["A/B"], ["kpnn_A|B"])
    assert list(about["node_weights"]["called"]) == [True, False]
    assert about["versions"]["kpnn"] == "0.1"
    sc.pp.neighbors(read, use_rep="X_kpnn", n_neighbors=5, method="gauss")
    assert read.obsp["distances"].shape == (N, N)


def test_results_join_an_anndata_of_ones_own_by_name(cells, folds):
    results = results_of(cells, folds).to_anndata()
    own = ad.AnnData(np.ones((N + 1, 2), dtype=np.float32), pd.DataFrame(index=[*BARCODES[::-1], "stranger"]))
    join_results(own, results)
    np.testing.assert_allclose(own.obs["kpnn_A|B"].iloc[:N], np.linspace(0, 1, N)[::-1], rtol=1e-6)
    np.testing.assert_array_equal(own.obsm["X_kpnn"][:N], results.obsm["X_kpnn"][::-1])
    assert np.isnan(own.obsm["X_kpnn"][N]).all()
    assert pd.isna(own.obs["kpnn_prediction"].iloc[N])
    with pytest.raises(CellsError, match="no cell has a result: adata names x0"):
        join_results(ad.AnnData(np.ones((1, 1)), pd.DataFrame(index=["x0"])), results)
    with pytest.raises(CellsError, match="cell c0 occurs more than once in adata"):
        join_results(ad.AnnData(np.ones((2, 1)), pd.DataFrame(index=["c0", "c0"])), results)
