"""A network that learns from a stream learns as well as one that learns from memory."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from kpnn.cells import CellsInMemory, CellsOnDisk
from kpnn.errors import ModelError
from kpnn.nn import TrainingSettings, build_kpnn, fit_kpnn, fit_kpnns, predict
from kpnn.nn.fit_data import fit_data
from kpnn.pkn import Dag
from kpnn.simulation import CountModel, simulate


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    simulation = simulate(
        "single", n_cells=2_000, n_nodes=8, genes_per_node=6, fold_change=1.6, count_model=CountModel(dispersion=0.8)
    )
    dag = Dag.from_edges(simulation.edges, outputs=["OUT"])
    genes = [name.removesuffix("_gene") for name in dag.inputs]
    order = simulation.barcodes.get_indexer(simulation.labels["barcode"])
    # Sorted by class: the worst order to read neighbours in.
    order = order[np.argsort(simulation.labels["OUT"], kind="stable")]
    labels = np.sort(simulation.labels["OUT"]).astype(np.int8)
    X = np.log1p(simulation.counts[order][:, simulation.symbols.get_indexer(genes)].astype(np.float32))
    obs = pd.DataFrame({"OUT": labels}, index=simulation.barcodes[order])
    path = tmp_path_factory.mktemp("stream") / "matched.h5ad"
    ad.AnnData(X.tocsr(), obs=obs, var=pd.DataFrame({"node": dag.inputs}, index=genes)).write_h5ad(path)
    parts = np.random.default_rng(0).permutation(2_000)
    return dag, path, X.tocsr(), labels, np.sort(parts[:1_200]), np.sort(parts[1_200:1_600]), np.sort(parts[1_600:])


def fitted(models, cells, study, seed, **options):
    _, _, _, y, train, validate, _ = study
    return fit_kpnns(
        models,
        cells,
        y,
        training_rows=[train] * len(models),
        validation_rows=[validate] * len(models),
        settings=[TrainingSettings(max_epochs=25, patience=5, learning_rate=1e-2, seed=seed)] * len(models),
        **options,
    )


def trained(study, seed, streamed):
    dag, path, X, y, train, validate, test = study
    model = build_kpnn(dag, dropout=0.1, input_normalization="standard", seed=seed)
    if streamed:
        history = fitted([model], CellsOnDisk.open(path, runs_per_buffer=8), study, seed)[0]
    else:
        history = fit_kpnn(
            model,
            X[train],
            y[train],
            validation_data=(X[validate], y[validate]),
            max_epochs=25,
            patience=5,
            learning_rate=1e-2,
            seed=seed,
        )
    return roc_auc_score(y[test], predict(model, X[test])["OUT"]), history, model


def test_results_lie_within_the_spread_over_seeds_of_training_in_memory(study, monkeypatch):
    monkeypatch.setattr("kpnn.cells.store.ENTRIES_PER_RUN", 500)
    in_memory = np.array([trained(study, seed, streamed=False)[0] for seed in range(6)])
    streamed = np.array([trained(study, seed, streamed=True)[0] for seed in range(6)])
    assert in_memory.mean() > 0.75
    spread = max(in_memory.std(ddof=1), 0.003)
    assert abs(streamed.mean() - in_memory.mean()) < 2 * spread
    assert abs(streamed - in_memory.mean()).max() < 5 * spread


def test_normalization_is_that_of_the_training_cells_and_a_run_repeats_bit_for_bit(study):
    _, history, model = trained(study, 3, streamed=True)
    _, again, _ = trained(study, 3, streamed=True)
    np.testing.assert_array_equal(history.loss, again.loss)
    layer = next(layer for layer in model.layers if hasattr(layer, "variance"))
    _, _, X, _, train, _, _ = study
    np.testing.assert_allclose(np.asarray(layer.mean), X[train].toarray().mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(layer.variance), X[train].toarray().var(axis=0), rtol=1e-4)


def test_the_same_call_on_cells_in_memory_gives_the_weights_of_fit_kpnn_bit_for_bit(study):
    dag, _, X, *_ = study
    _, expected, one = trained(study, 4, streamed=False)
    model = build_kpnn(dag, dropout=0.1, input_normalization="standard", seed=4)
    history = fitted([model], CellsInMemory(X), study, 4)[0]
    np.testing.assert_array_equal(history.val_loss, expected.val_loss)
    for ours, theirs in zip(model.get_weights(), one.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_several_networks_from_disk_end_as_each_would_alone(study, n_threads):
    dag, path, *_ = study
    models = [build_kpnn(dag, dropout=dropout, input_normalization="standard", seed=4) for dropout in (0.1, 0.3)]
    epochs = []

    def stop_the_second(place, epoch, _):
        epochs.append((epoch, place))
        return not (place == 1 and epoch == 3)

    cells = CellsOnDisk.open(path, runs_per_buffer=8)
    histories = fitted(models, cells, study, 4, callback=stop_the_second, n_threads=n_threads)
    _, alone, one = trained(study, 4, streamed=True)
    np.testing.assert_array_equal(histories[0].val_loss, alone.val_loss)
    np.testing.assert_array_equal(models[0].get_weights()[0], one.get_weights()[0])
    assert histories[1].stopped_by == "callback"
    assert histories[1].n_epochs == 3
    assert epochs == sorted(epochs)


def test_cells_of_other_columns_are_refused(study):
    dag, path, *_ = study
    cells = CellsOnDisk.open(path).columns(np.arange(len(dag.inputs) - 1))
    with pytest.raises(ModelError, match=r"restricted_to\(dag.inputs\)"):
        fitted([build_kpnn(dag)], cells, study, 0)


def test_a_short_epoch_reads_no_further_than_it_must(study, monkeypatch):
    dag, path, _, y, *_ = study
    monkeypatch.setattr("kpnn.cells.store.ENTRIES_PER_RUN", 500)
    cells = fit_data(build_kpnn(dag), CellsOnDisk.open(path, runs_per_buffer=8), y, "training")
    whole = [len(block.which) for block in cells.blocks(np.random.default_rng(0))]
    assert len(whole) > 3
    assert sum(whole) == len(y)
    most = whole[0] + 1
    short = [len(block.which) for block in cells.blocks(np.random.default_rng(0), most)]
    assert short == [whole[0], 1]
