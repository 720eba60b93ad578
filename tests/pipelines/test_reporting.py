"""The reporting pipeline: made from what is there, and from saved models fold by fold."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from kedro.io import DatasetError
from scipy.sparse import csr_matrix

from kpnn.cells import Transform
from kpnn.datasets.tables import TableDataset
from kpnn.interpretation import InterpretationSettings
from kpnn.nn import build_kpnn, fit_kpnn
from kpnn.pipelines.dag_pruning.rewiring import rewire_full
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings
from kpnn.pipelines.evaluation import Evaluation
from kpnn.pipelines.reporting import create_pipeline
from kpnn.pipelines.reporting.annotating import annotate_cells
from kpnn.pipelines.reporting.nodes import (
    gather_arm,
    gather_controls,
    gather_networks,
    gather_nodes,
    gather_record,
    gather_scores,
    gather_study,
    gather_training,
    gather_weights,
    state_answer,
    write_report,
)
from kpnn.pipelines.reporting.rewiring import train_rewired_full
from kpnn.pipelines.reporting.settings import ReportingSettings
from kpnn.pipelines.reporting.weighing import TrainedArm, load_networks, load_rivals, weigh_nodes
from kpnn.pipelines.rivals import rival_table
from kpnn.pkn import Dag, Pkn
from kpnn.training.results import FoldResult, FoldStore, predictions_table
from kpnn.training.settings import EvaluationSettings

PARAMETERS = {"control_inputs": 5, "seeds": 1, "alternative_dags": 2}
EDGES = [("OUT", "A"), ("OUT", "B"), ("OUT", "C"), *(("ABC"[gene % 3], f"G{gene}_gene") for gene in range(9))]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Three folds of a small network in which only A's genes tell the class, kept in a fold store."""
    rng = np.random.default_rng(0)
    dag = Dag.from_edges(pd.DataFrame(EDGES, columns=["parent", "child"]), outputs=["OUT"])
    labels = np.arange(150) % 2
    counts = rng.poisson(3.0, size=(150, 9)).astype(np.float32)
    counts[:, [0, 3, 6]] += rng.poisson(4.0 * labels[:, None], size=(150, 3))
    X = np.log1p(counts)
    obs = pd.DataFrame({"OUT": labels}, index=[f"cell{number}" for number in range(150)])
    var = pd.DataFrame({"node": dag.inputs}, index=[node.removesuffix("_gene") for node in dag.inputs])
    cells = AnnData(csr_matrix(X), obs=obs, var=var, layers={"counts": csr_matrix(counts)})
    cells.uns["transform"] = Transform().as_dict()
    folds = pd.DataFrame({"repeat": 0, "fold": np.arange(150) // 2 % 3, "barcode": obs.index})
    store = FoldStore(tmp_path_factory.mktemp("store"))
    for fold in range(3):
        held_out = (folds["fold"] == fold).to_numpy()
        model = build_kpnn(dag, seed=fold, hidden_activation="tanh", input_normalization="standard")
        fit_kpnn(model, X[~held_out], labels[~held_out].astype(float), max_epochs=60, learning_rate=0.02)
        path = store.root / f"m{fold}.keras"
        model.save(path)
        y = labels[held_out][:, None]
        result = FoldResult(
            arm="full", repeat=0, fold=fold, protocol="nested", seed=fold,
            predictions=predictions_table(obs.index[held_out].to_numpy(), ["OUT"], y, np.full(y.shape, 0.5)),
            metrics={"roc_auc": 0.5}, hyperparameters={"batch_size": 32, "learning_rate": 0.02, "dropout": 0.0},
            history=pd.DataFrame(), trials=pd.DataFrame(), n_edges=12, n_neurons=4, n_parameters=16, seconds=1.0,
            model=path.read_bytes(),
        )  # fmt: skip
        store.save(result, "x")
    models = {f"repeat_0_fold_{fold}": {} for fold in range(3)}
    return dag, cells, folds, store, models


def weigh(study, models=None, rivals=None, **parameters):
    dag, cells, folds, store, of_all = study
    evaluation = Evaluation(cells, folds, EvaluationSettings(fit={"max_epochs": 20}), None)
    trained = load_networks(dag, evaluation, store, of_all if models is None else models)
    return weigh_nodes(trained, InterpretationSettings(**PARAMETERS | parameters), rivals)


def test_nodes_are_set_beside_the_controls_on_rewired_pkns_that_were_trained(study, tmp_path):
    dag, cells, folds, store, _ = study
    evaluation = Evaluation(cells, folds, EvaluationSettings(), None)
    shutil.copytree(store.root, tmp_path / "rewired_0")
    shutil.copytree(store.root, tmp_path / "rewired_1")
    other = dag.edges.iloc[::-1].replace({"child": {"G0_gene": "G1_gene", "G1_gene": "G0_gene"}})
    others = [dag, Dag.from_edges(other.reset_index(drop=True), outputs=["OUT"]), dag]
    table = rival_table({"rewired": others, "alternative": [dag]})
    summary = pd.DataFrame({"arm": ["rewired_0", "rewired_1", "logistic"]})
    trained = TrainedArm(dag, evaluation, [], [])
    rivals = load_rivals(trained, table, FoldStore(tmp_path), summary)
    # The second was trained on another DAG than the table names now, the third was not trained.
    assert len(rivals.rewired) == 1 and len(rivals.alternative) == 1
    nodes = weigh(study, rivals=rivals, control_inputs=0, permuted_labels=0, seeds=0, alternative_dags=0)[0]
    np.testing.assert_allclose(nodes["rewired_z"], nodes["z"])
    assert load_rivals(trained, table, FoldStore(tmp_path), None).rewired == []


def test_nodes_of_the_full_arm_are_set_beside_full_dags_of_rewired_pkns_where_that_is_asked_for(study):
    dag, cells, folds, store, models = study
    pkn = Pkn(dag.edges, dag.inputs, dag.outputs)
    evaluation = Evaluation(cells, folds, EvaluationSettings(fit={"max_epochs": 20, "ensemble": 2}), None)
    trained = load_networks(dag, evaluation, store, models)
    settings = InterpretationSettings(control_inputs=0, permuted_labels=0, seeds=0, alternative_dags=0)
    asked = settings.model_copy(update={"rewired_full": 2})
    table = rival_table({"rewired_full": rewire_full(pkn, asked, DataEngineeringSettings())})
    assert train_rewired_full(trained, table, settings).rewired == ()
    rivals, settings = train_rewired_full(trained, table, asked), asked
    assert len(rivals.rewired) == 2 and rivals.notes == []
    for of_pkn in rivals.rewired:
        (other,) = {one.dag.fingerprint: one.dag for one in of_pkn}.values()
        assert other.fingerprint != dag.fingerprint
        assert other.edges.groupby("parent").size().to_dict() == dag.edges.groupby("parent").size().to_dict()
        for one, own in zip(of_pkn, trained.folds, strict=True):
            assert (one.held_out == own.held_out).all() and len(one.members) == len(own.members)
    nodes = weigh_nodes(trained, settings, rivals)[0]
    assert (nodes["n_rewired"] == 2).all() and nodes["beyond_rewired"].notna().all()
    chosen = replace(trained, dag=rivals.rewired[0][0].dag)
    assert "top_genes" in train_rewired_full(chosen, table, settings).notes[0]
    fewer = train_rewired_full(trained, table[table["replicate"] == 0], settings)
    assert len(fewer.rewired) == 1 and "Of 2 rewired PKNs 1" in fewer.notes[0]


def test_the_node_whose_genes_tell_the_class_leads_and_is_called(study):
    nodes, per_fold, biases, genes, edges, stability, activations, retrained, account = weigh(study)
    assert nodes.sort_values("contribution")["node"].iloc[-1] == "A"
    assert nodes.set_index("node").loc["A", "called"] and not nodes.set_index("node").loc[["B", "C"], "called"].any()
    assert set(genes.head(3)["gene"]) == {"G0", "G3", "G6"}
    assert per_fold.groupby("fold").size().tolist() == [3, 3, 3]
    assert len(biases) == 12 and len(edges) == 12
    labels = study[1].obs["OUT"].reindex(activations["barcode"]).to_numpy()
    assert sorted(activations["barcode"]) == sorted(study[1].obs_names)
    assert np.corrcoef(activations["A"], labels)[0, 1] > 0.5
    assert set(stability["between"]) == {"folds", "seeds"}
    assert set(retrained["kind"]) == {"control inputs", "permuted labels"}
    assert account == {"notes": [], "n_folds": 3}


def test_the_same_settings_give_the_same_weights(study):
    first, second = weigh(study)[0], weigh(study)[0]
    pd.testing.assert_frame_equal(first, second)


def test_a_fold_without_a_model_is_named_and_the_others_are_weighed(study):
    nodes, *_, account = weigh(study, models={name: {} for name in list(study[4])[:2]})
    assert "repeat_0_fold_2 has no model" in account["notes"][0]
    assert nodes["n_folds"].unique().tolist() == [2]


def test_an_arm_without_any_model_gives_empty_tables_with_their_columns(study):
    *tables, account = weigh(study, models={})
    assert [len(table) for table in tables] == [0] * 8 and all(len(table.columns) for table in tables)
    assert len(account["notes"]) == 3


def test_a_missing_arm_is_said_in_the_report(study):
    dag, _, _folds, store, _ = study
    nodes, per_fold, biases, genes, edges, stability, *_, account = weigh(study)
    results = [store.load(0, fold) for fold in range(3)]
    predictions = pd.concat([one.predictions.assign(repeat=0, fold=one.fold) for one in results])
    scores = dict.fromkeys(("average_precision", "accuracy", "precision", "recall", "f1", "brier", "log_loss"), 0.5)
    metrics = pd.DataFrame([{"repeat": 0, "fold": fold, "roc_auc": 0.5, **scores, "n_edges": 12} for fold in range(3)])
    weighed = gather_weights(gather_nodes("full", nodes, per_fold, stability, None), biases, genes, edges)
    full = gather_arm(gather_scores("full", dag, predictions, None, metrics), weighed, account)
    nothing = gather_training(gather_scores("pruned", dag, None, None, None), None, None)
    pruned = gather_arm(nothing, replace(weighed, arm="pruned"), account)
    assert pruned.tables is None and pruned.weighed is not None
    networks = gather_networks(Pkn.from_edges(dag.edges, outputs=dag.outputs), dag, dag, None)
    gathered = gather_study(gather_record(networks, None, None, {}), full, pruned, ())
    page, comparison, answer = state_answer(write_report(gathered, ReportingSettings()))
    assert "The arm <code>pruned</code> has no results" in page
    assert set(comparison["arm"]) == {"full"}
    assert answer["sentence"].startswith("There is no comparison")
    json.dumps(answer)


def test_controls_are_gathered_each_by_itself_with_its_members():
    rows = [("rewired_0", 0, "a"), ("rewired_1", 0, "a"), ("logistic", 0, "a")]
    predictions = pd.DataFrame(rows, columns=["arm", "fold", "barcode"])
    members = predictions[predictions["arm"] != "logistic"].assign(member=0)
    summary = pd.DataFrame(
        {"arm": predictions["arm"], "control": ["rewired", "rewired", "logistic"], "replicate": [0, 1, 0]}
    )
    found = gather_controls(predictions, members, predictions, summary)
    assert [(one.kind, one.replicate, one.tables.name) for one in found] == [
        ("rewired", 0, "rewired_0"),
        ("rewired", 1, "rewired_1"),
        ("logistic", 0, "logistic"),
    ]
    assert [len(one.tables.predictions) for one in found] == [1, 1, 1]
    assert [one.tables.members is None for one in found] == [False, False, True]
    assert gather_controls(None, None, None, None) == ()


def test_the_functions_of_the_arms_nodes_can_be_sent_to_another_process():
    of_arms = [node for node in create_pipeline().nodes if node.short_name.endswith(("gather_scores", "gather_nodes"))]
    assert len(of_arms) == 4
    for node in of_arms:
        sent = pickle.loads(pickle.dumps(node.func))
        assert (sent.func, sent.args) == (node.func.func, (node.namespace,))


def test_what_is_not_on_disk_loads_as_none(tmp_path):
    dataset = TableDataset(filepath=str(tmp_path / "table.csv"), optional=True)
    assert not dataset.exists() and dataset.load() is None
    dataset.save(pd.DataFrame({"a": [1]}))
    assert dataset.load()["a"].tolist() == [1]
    (tmp_path / "table.csv").write_bytes(b"")
    with pytest.raises(DatasetError):
        dataset.load()


def test_reporting_reads_both_arms_and_writes_the_report_and_the_comparison():
    reporting = create_pipeline()
    assert {"full.predictions", "pruned.predictions", "controls.summary", "controls.predictions"} <= reporting.inputs()
    assert {"report", "comparison", "comparison_test", "roc_figure"} <= reporting.all_outputs()
    for node in reporting.nodes:
        assert node.namespace in ("evaluation", "full", "pruned", "reporting") and len(node.name) < 32


def test_cells_come_back_with_what_was_predicted_of_them_unseen(study):
    dag, cells, folds, store, of_all = study
    evaluation = Evaluation(cells, folds, EvaluationSettings(), None)
    trained = load_networks(dag, evaluation, store, of_all)
    predictions = pd.concat([store.load(0, fold).predictions for fold in range(3)])
    found = annotate_cells("full", trained, predictions, pd.DataFrame({"node": ["A"], "output": ["OUT"], "rank": [1]}))
    assert sorted(found.obs_names) == sorted(cells.obs_names)
    assert set(found.obs["kpnn_prediction"]) == {"out of fold"} and set(found.obs["kpnn_OUT"]) == {0.5}
    assert list(found.uns["kpnn"]["nodes"]) == ["A", "B", "C"] and found.uns["kpnn"]["arm"] == "full"
    node = found.obsm["X_kpnn"][:, 0]
    assert np.corrcoef(node, found.obs["OUT"])[0, 1] > 0.5
    # One scale for all folds: no fold's cells stand apart from the others'.
    fold_of = folds.set_index("barcode")["fold"][found.obs_names]
    assert pd.Series(node).groupby(fold_of.to_numpy()).mean().std() < 0.3 * node.std()
    less = load_networks(dag, evaluation, store, {"repeat_0_fold_1": {}})
    assert annotate_cells("full", less, predictions, pd.DataFrame()).n_obs == 50
    none = load_networks(dag, evaluation, store, {})
    assert annotate_cells("full", none, predictions, pd.DataFrame()).n_obs == 0
