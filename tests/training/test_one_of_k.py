"""A study of classes that exclude each other: every arm and baseline takes them as one question."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from pydantic import ValidationError
from scipy.sparse import csr_matrix
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kpnn.cells.folds import FoldSettings, make_folds
from kpnn.errors import CellsError, SettingsError
from kpnn.nn import load_kpnn, members_of, predict
from kpnn.nn.layer import sparse_dag
from kpnn.pkn import Dag
from kpnn.training.baselines import fit_baseline
from kpnn.training.controls import Arm, dense_dag
from kpnn.training.cross_validation import cross_validate
from kpnn.training.data import LabelledCells
from kpnn.training.fitting import cross_entropies
from kpnn.training.inner_folds import inner_splits
from kpnn.training.results import FoldStore
from kpnn.training.settings import FitSettings

CLASSES = ("B", "CD4+/CD25 T Reg", "M")
SIZES = (60, 30, 15)


@pytest.fixture
def dag():
    pairs = [(output, hidden) for output in CLASSES for hidden in ("P", "Q")]
    pairs += [("P", f"G{i}_gene") for i in range(6)] + [("Q", f"G{i}_gene") for i in range(4, 10)]
    return Dag.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), outputs=CLASSES)


@pytest.fixture
def cells(dag):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), SIZES)
    counts = rng.poisson(1.0, (len(y), 10))
    for k, genes in enumerate((slice(0, 3), slice(3, 6), slice(6, 10))):
        counts[y == k, genes] += rng.poisson(1.5, counts[y == k, genes].shape)
    barcodes = np.array([f"cell{i}" for i in range(len(y))])
    expression = csr_matrix(np.log1p(counts), dtype=np.float32)
    return LabelledCells(expression, np.eye(3, dtype=np.float32)[y], barcodes, dag.inputs, CLASSES, one_of_k=True)


@pytest.fixture
def folds(cells):
    labels = pd.DataFrame(cells.labels.astype(int), index=cells.barcodes, columns=list(cells.outputs))
    return make_folds(labels, FoldSettings(n_splits=3))


def test_networks_are_tuned_trained_scored_and_kept_as_a_softmax(dag, cells, folds, settings, tmp_path, caplog):
    caplog.set_level("INFO")
    result = cross_validate(Arm("full", dag), cells, folds, settings, FoldStore(tmp_path / "full"))
    for fold in result.folds:
        wide = fold.predictions.pivot(index="barcode", columns="output", values="probability")
        np.testing.assert_allclose(wide.sum(axis=1), 1, rtol=1e-5)
        assert {"balanced_accuracy", "roc_auc_CD4+/CD25 T Reg"} <= set(fold.metrics)
        assert len(fold.trials) == settings.tuning.n_trials
        held_out = fold.predictions.groupby("output")["label"].sum()
        assert dict(held_out) == {name: size // 3 for name, size in zip(CLASSES, SIZES, strict=True)}
    assert result.mean_metrics()["roc_auc"] > 0.8
    assert {"balanced_accuracy", "balanced_accuracy_sd"} <= set(result.mean_metrics())
    assert "balanced_accuracy" in result.pooled_metrics()
    assert "(lowest: " in caplog.text
    model = load_kpnn(FoldStore(tmp_path / "full").model_path(0, 0))
    members = members_of(model)
    assert len(members) == 3 and all(sparse_dag(member).one_of_k for member in members)
    mean = np.mean([np.log(predict(member, cells.expression)) for member in members], axis=0)
    np.testing.assert_allclose(predict(model, cells.expression), softmax(mean, axis=1), atol=1e-5)


def test_the_validation_loss_of_a_trial_is_the_cross_entropy_over_classes(dag, cells, folds, settings, tmp_path):
    untuned = settings.model_copy(
        update={
            "tuning": settings.tuning.model_copy(update={"n_trials": 0}),
            "fit": settings.fit.model_copy(update={"ensemble": 1, "class_weight": "balanced"}),
        }
    )
    store = FoldStore(tmp_path)
    [first, *_] = cross_validate(Arm("full", dag), cells, folds, untuned, store).folds
    held_out = cells.rows_of(folds.loc[folds["fold"] == 0, "barcode"])
    training = np.setdiff1d(np.arange(len(cells.barcodes)), held_out)
    [(_, watched)] = inner_splits(cells, training, untuned.fit, first.seed)
    p = predict(load_kpnn(store.model_path(0, 0)), cells.expression[watched]).to_numpy()
    by_hand = -np.log(p[np.arange(len(watched)), cells.labels[watched].argmax(axis=1)])
    np.testing.assert_allclose(cross_entropies(p, cells.labels[watched], one_of_k=True), by_hand, rtol=1e-6)
    assert first.history["val_loss"].min() == pytest.approx(by_hand.mean(), rel=1e-4)


def test_logistic_regression_is_multinomial_and_averages_logits(cells, folds, settings):
    held_out = cells.rows_of(folds.loc[folds["fold"] == 0, "barcode"])
    training = np.setdiff1d(np.arange(len(cells.barcodes)), held_out)
    inner = inner_splits(cells, training, settings.fit, 1)
    found = fit_baseline("logistic", cells, inner, held_out, 1)
    classes, logits = cells.labels.argmax(axis=1), []
    for train, _ in inner:
        regression = LogisticRegression(C=found.hyperparameters["C"], max_iter=5000, tol=1e-8)
        peer = make_pipeline(StandardScaler(with_mean=False), regression)
        peer.fit(cells.expression[train], classes[train])
        logits.append(peer.decision_function(cells.expression[held_out]))
    # Where the iterations stop depends on where they began.
    np.testing.assert_allclose(found.probabilities, softmax(np.mean(logits, axis=0), axis=1), atol=5e-3)
    assert len(found.of_members) == 3
    assert list(found.hyperparameters) == ["C"]
    assert set(found.trials["output"]) == {"all classes"}


def test_of_two_classes_logistic_regression_gives_both_probabilities(cells, settings):
    two = cells.labels[:, 2] == 0
    pair = dataclasses.replace(
        cells,
        store=csr_matrix(cells.expression[two]),
        labels=cells.labels[two, :2],
        barcodes=cells.barcodes[two],
        outputs=CLASSES[:2],
    )
    inner = inner_splits(pair, np.arange(0, 80), settings.fit, 1)
    found = fit_baseline("logistic", pair, inner, np.arange(80, 90), 1)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    alone = dataclasses.replace(pair, labels=pair.labels[:, [1]], outputs=CLASSES[1:2], one_of_k=False)
    binary = fit_baseline("logistic", alone, inner, np.arange(80, 90), 1)
    np.testing.assert_allclose(found.probabilities[:, 1], binary.probabilities[:, 0], rtol=1e-6)


@pytest.mark.parametrize("name", ["gradient_boosting", "dense"])
def test_the_other_baselines_take_the_same_folds(name, dag, cells, folds, settings, tmp_path):
    if name == "dense":
        arm = Arm("dense", dense_dag(dag, 3), initializer="glorot_uniform")
    else:
        arm = Arm(name, dag, estimator="gradient_boosting")
    untuned = settings.model_copy(update={"tuning": settings.tuning.model_copy(update={"n_trials": 0})})
    one_fold = folds[folds["fold"] < 2]
    result = cross_validate(arm, cells, one_fold, untuned, FoldStore(tmp_path))
    wide = result.predictions().pivot(index="barcode", columns="output", values="probability")
    np.testing.assert_allclose(wide.sum(axis=1), 1, rtol=1e-5)
    assert "balanced_accuracy" in result.folds[0].metrics


def matched(labels, **uns):
    table = pd.DataFrame(labels, index=[f"c{i}" for i in range(len(labels))], columns=list(CLASSES))
    var = pd.DataFrame({"node": ["G0_gene"]}, index=["G0"])
    return AnnData(csr_matrix(np.ones((len(labels), 1), dtype=np.float32)), obs=table, var=var, uns=uns)


def test_the_matched_cells_say_whether_their_classes_exclude_each_other(tmp_path):
    labels = np.eye(3, dtype=np.int8)[[0, 1, 2, 1]]
    cells = matched(labels, kpnn={"one_of_k": True})
    cells.write_h5ad(tmp_path / "cells.h5ad")
    read, plain = LabelledCells.from_anndata(cells, CLASSES), LabelledCells.from_anndata(matched(labels), CLASSES)
    assert read.one_of_k and not plain.one_of_k
    assert read.fingerprint != plain.fingerprint
    from anndata import read_h5ad

    assert LabelledCells.from_anndata(read_h5ad(tmp_path / "cells.h5ad"), CLASSES).one_of_k
    shuffled = read.with_labels(read.labels[::-1].copy())
    assert shuffled.one_of_k and read.restricted_to(["G0_gene"]).one_of_k


def test_a_cell_of_no_class_or_of_two_is_named():
    labels = np.eye(3, dtype=np.int8)[[0, 1, 2, 1]]
    labels[1], labels[3] = 0, 1
    with pytest.raises(CellsError, match=r"c1.*c3"):
        LabelledCells.from_anndata(matched(labels, kpnn={"one_of_k": True}), CLASSES)
    with pytest.raises(CellsError, match="these cells have one"):
        LabelledCells.from_anndata(matched(labels, kpnn={"one_of_k": True}), CLASSES[:1])


def test_classes_weigh_what_is_set_by_name_and_unknown_ones_are_said_first(dag, cells, folds, settings, tmp_path):
    def chosen(weights, name):
        fit = settings.fit.model_copy(update={"class_weight": weights, "ensemble": 1})
        plain = settings.model_copy(update={"fit": fit, "tuning": settings.tuning.model_copy(update={"n_trials": 0})})
        result = cross_validate(Arm("full", dag), cells, folds, plain, FoldStore(tmp_path / name))
        found = result.folds[0].predictions
        return found[found["output"] == "M"]["probability"].mean()

    assert chosen({"M": 20.0}, "dear") > chosen(None, "plain") + 0.05
    with pytest.raises(SettingsError, match="class_weight names N; the classes are B, CD4"):
        chosen({"N": 2.0}, "unknown")
    assert not list((tmp_path / "unknown").glob("**/*.keras"))
    with pytest.raises(ValidationError):
        FitSettings(class_weight={"M": -1.0})
