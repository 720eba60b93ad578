"""Networks whose neurons' signs are arbitrary, made comparable: over folds, members and batches of new cells."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix

from kpnn.interpretation import InterpretationSettings, TrainedFold, summarise_nodes, weigh_arm
from kpnn.nn import biases, build_ensemble, edge_weights, members_of, node_activations, predict, set_edge_weights
from kpnn.pkn import Dag
from kpnn.training.data import LabelledCells
from kpnn.training.ensemble import predict_ensemble
from kpnn.training.orientation import common_signs, oriented_activations, signs_of_network, signs_per_output
from kpnn.training.refitting import Refit, refit
from kpnn.training.settings import EvaluationSettings, Hyperparameters

EDGES = [("OUT", "A"), ("OUT", "B"), ("OUT", "C"), *(("ABC"[gene % 3], f"G{gene}_gene") for gene in range(9))]
DAG = Dag.from_edges(pd.DataFrame(EDGES, columns=["parent", "child"]), outputs=["OUT"])
TRAINING = EvaluationSettings.model_validate(
    {"fit": {"max_epochs": 60, "ensemble": 1}, "execution": {"threads_per_fit": 1}}
)
HIDDEN = ["A", "B", "C"]


def mirrored(model, hidden):
    """Turns sigmoid neurons round so that the network computes the same: a becomes 1 - a."""
    weights, bias = edge_weights(model), biases(model)
    for node in hidden:
        weights = weights.where(weights.index.get_level_values("parent") != node, -weights)
        bias[node] = -bias[node]
        into = weights[("OUT", node)]
        weights[("OUT", node)] = -into
        bias["OUT"] += into
    set_edge_weights(model, weights, bias)
    return model


@pytest.fixture(scope="module")
def study():
    """Two folds of three networks each, in which chance turned neurons round; only A's genes tell the class."""
    rng = np.random.default_rng(0)
    labels, rows = np.arange(160) % 2, np.arange(160)
    X = rng.normal(size=(160, 9))
    X[:, [0, 3, 6]] += 1.5 * labels[:, None]
    barcodes = np.array([f"cell{number}" for number in rows])
    y = labels[:, None].astype(np.float32)
    cells = LabelledCells(csr_matrix(X, dtype=np.float32), y, barcodes, DAG.inputs, DAG.outputs)
    chosen = Hyperparameters(dropout=0.0, learning_rate=0.03, hidden_activation="sigmoid")
    folds = []
    for fold, held_out in enumerate((rows[:80], rows[80:])):
        training = np.setdiff1d(rows, held_out)
        models = refit([Refit(DAG, chosen, training, 10 * fold + seed) for seed in range(3)], cells, TRAINING)
        turned = [mirrored(model, HIDDEN[: 2 * fold + seed - 1]) for seed, model in enumerate(models)]
        folds.append(TrainedFold(0, fold, build_ensemble(turned), training, held_out, chosen))
    return folds, cells


def test_over_folds_and_members_every_pair_of_a_called_node_correlates_positively(study):
    folds, cells = study
    how = InterpretationSettings(control_inputs=0, permuted_labels=0, seeds=0, alternative_dags=0)
    weights = weigh_arm(folds, cells, how, TRAINING, draw_control=lambda seed: cells)
    assert weights.per_fold[["fold", "member"]].drop_duplicates().to_numpy().tolist() == [
        [fold, member] for fold in (0, 1) for member in (0, 1, 2)
    ]
    called = summarise_nodes(weights, DAG, how).query("called")["node"].tolist()
    assert "A" in called
    assert weights.agreement["A"].min() > 0.5
    networks = [member for fold in folds for member in fold.members]
    expression = cells.expression
    plain = [node_activations(network, expression) for network in networks]
    turned = [oriented_activations(one, expression, signs_of_network(one, expression)) for one in networks]
    for node in called:
        assert min(np.corrcoef(a[node], b[node])[0, 1] for a, b in combinations(plain, 2)) < -0.5
        assert min(np.corrcoef(a[node], b[node])[0, 1] for a, b in combinations(turned, 2)) > 0.5


def test_edge_weights_and_activations_do_not_cancel(study):
    folds, cells = study
    how = InterpretationSettings(control_inputs=0, permuted_labels=0, seeds=0, alternative_dags=0)
    weights = weigh_arm(folds, cells, how, TRAINING, draw_control=lambda seed: cells)
    into_output = weights.edges.query("parent == 'OUT' and child == 'A'")["weight"]
    assert len(into_output) == 6 and (into_output > 0).all()
    from_genes = weights.edges.query("parent == 'A'").groupby("child")["weight"]
    assert (from_genes.mean() > 0.9 * from_genes.agg(lambda w: w.abs().mean())).all()
    activity = weights.activations["A"].droplevel(["repeat", "fold"])
    labels = pd.Series(cells.labels[:, 0], index=cells.barcodes).loc[activity.index]
    assert np.corrcoef(activity, labels)[0, 1] > 0.5
    assert activity.between(0, 1).all()


def test_predicted_activations_are_the_same_whichever_way_the_neurons_are_turned_and_in_any_batches(study):
    folds, cells = study
    networks = [member for fold in folds for member in fold.members]
    adata = AnnData(cells.expression, obs=pd.DataFrame(index=cells.barcodes), var=pd.DataFrame(index=list(DAG.inputs)))
    whole = predict_ensemble([fold.model for fold in folds], [adata])
    assert np.corrcoef(whole.activations["A"], cells.labels[:, 0])[0, 1] > 0.5
    for network in networks:
        before = predict(network, adata)
        mirrored(network, ["A", "C"])
        np.testing.assert_allclose(predict(network, adata), before, atol=1e-5)
    again = predict_ensemble([fold.model for fold in folds], [adata[:50], adata[50:]])
    np.testing.assert_allclose(again.activations[HIDDEN], whole.activations[HIDDEN], atol=1e-4)
    for network in networks:
        mirrored(network, ["A", "C"])


def test_a_single_network_is_its_own_only_member(study):
    single = members_of(study[0][0].model)[0]
    assert members_of(single) == (single,)


def test_ties_are_decided_by_the_difference_between_classes_and_exclusive_outputs_do_not_cancel():
    gradients = np.array([[0.5, -0.5, 0.0, 0.0], [-0.5, 0.5, 0.0, 0.0]])
    differences = np.array([[0.1, 0.1, -0.2, 0.0], [0.1, 0.1, 0.3, 0.0]])
    assert signs_per_output(gradients, differences).tolist() == [[1, -1, -1, 1], [-1, 1, 1, 1]]
    assert common_signs(gradients, differences).tolist() == [1, -1, -1, 1]
