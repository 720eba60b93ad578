"""Classes that exclude each other: one cross-entropy over all of them, in every way a network is computed."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest
import torch
from keras import ops
from scipy.special import softmax
from sklearn.utils.class_weight import compute_class_weight

from kpnn.errors import ModelError, SettingsError
from kpnn.interpretation.frozen import FrozenNetwork
from kpnn.nn import (
    biases,
    build_ensemble,
    build_kpnn,
    edge_weights,
    fit_kpnn,
    load_kpnn,
    output_gradients,
    predict,
    set_edge_weights,
)
from kpnn.nn.layer import sparse_dag
from kpnn.pkn import Dag

CASES = {
    "plain": {},
    "prior": {"weight_prior": 0.7, "input_normalization": "common"},
    "signed, penalties": {"signed": True, "kernel_l1": 0.02, "bias_l2": 0.11, "input_normalization": "batch"},
}


def exclusive(n_cells, n_classes, seed):
    classes = np.random.default_rng(seed).permutation(np.minimum(np.arange(n_cells) % (n_classes + 1), n_classes - 1))
    return np.eye(n_classes)[classes]


def network(dag, **settings):
    return build_kpnn(dag, output_activation="softmax", initializer="standard_normal", **settings)


def one_step(model, X, y, **settings):
    """Loss of all cells at the model's variables, and its gradient by the variables."""
    layer = sparse_dag(model)
    before = [np.array(ops.convert_to_numpy(variable)) for variable in (layer.kernel, layer.bias)]
    history = fit_kpnn(model, X, y, max_epochs=1, batch_size=X.shape[0], optimizer="sgd", learning_rate=1.0, **settings)
    after = [np.array(ops.convert_to_numpy(variable)) for variable in (layer.kernel, layer.bias)]
    for variable, value in zip((layer.kernel, layer.bias), before, strict=True):
        variable.assign(value)
    return history.loss[0], *(old - new for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_the_finite_differences_of_the_loss(case, random_dag, random_cells):
    dag = random_dag(11, n_outputs=3, signs=True)
    X, y = random_cells(dag, 9, 11)[0], exclusive(9, 3, 1)
    model = network(dag, seed=3, dtype="float64", **CASES[case])
    _, of_kernel, of_bias = one_step(model, X, y, class_weight="balanced")
    layer = sparse_dag(model)
    for variable, gradient in ((layer.kernel, of_kernel), (layer.bias, of_bias)):
        values = np.array(ops.convert_to_numpy(variable))
        for place in range(len(values)):
            losses = []
            for change in (1e-5, -1e-5):
                changed = values.copy()
                changed[place] += change
                variable.assign(changed)
                losses.append(one_step(model, X, y, class_weight="balanced")[0])
            variable.assign(values)
            assert gradient[place] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-5, abs=1e-8)


def test_the_loss_and_its_gradients_are_those_of_torchs_cross_entropy(random_dag, random_cells):
    dag = random_dag(5, n_outputs=4)
    X, y = random_cells(dag, 24, 5)[0], exclusive(24, 4, 2)
    model = network(dag, seed=2, dtype="float64")
    layer, classes = sparse_dag(model), y.argmax(axis=1)
    balanced = compute_class_weight("balanced", classes=np.arange(4), y=classes)
    logits = layer.logits(ops.convert_to_tensor(X.toarray(), dtype="float64"))
    each = torch.nn.functional.cross_entropy(logits, torch.tensor(classes), torch.tensor(balanced), reduction="none")
    each.mean().backward()
    loss, of_kernel, of_bias = one_step(model, X, y, class_weight="balanced")
    assert loss == pytest.approx(float(each.mean().detach()), rel=1e-10)
    np.testing.assert_allclose(of_kernel, layer.kernel.value.grad, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(of_bias, layer.bias.value.grad, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(predict(model, X), torch.softmax(logits, 1).detach(), rtol=1e-10)


def test_weights_of_classes_by_name_weigh_the_loss_as_torch_does(random_dag, random_cells):
    dag = random_dag(6, n_outputs=3)
    X, y = random_cells(dag, 20, 6)[0], exclusive(20, 3, 2)
    model = network(dag, seed=2, dtype="float64")
    logits = sparse_dag(model).logits(ops.convert_to_tensor(X.toarray(), dtype="float64"))
    given = {"OUT2": 3.0, "OUT1": 0.25}
    weights = torch.tensor([given.get(name, 1.0) for name in dag.outputs], dtype=torch.float64)
    each = torch.nn.functional.cross_entropy(logits, torch.tensor(y.argmax(axis=1)), weights, reduction="none")
    loss, *_ = one_step(model, X, y, class_weight=given)
    assert loss == pytest.approx(float(each.mean().detach()), rel=1e-10)


def test_output_gradients_are_changes_of_a_classs_probability_by_change_of_one_activation(random_dag, random_cells):
    dag = random_dag(21, n_outputs=3)
    X, _ = random_cells(dag, 4, 21)
    model = network(dag, seed=2, dtype="float64")
    gradients, frozen = output_gradients(model, X), FrozenNetwork.of(model)
    genes = frozen.genes_in(X)
    values = frozen.run(genes)
    np.testing.assert_allclose(frozen.probabilities(values), predict(model, X), rtol=1e-10)
    for number, output in enumerate(frozen.outputs):
        np.testing.assert_allclose(gradients[number], frozen.gradients(values, output), rtol=1e-9, atol=1e-12)
    for neuron in range(len(dag.neurons)):
        above, below = (
            frozen.run_with(genes, values, neuron, values.act[:, neuron] + change) for change in (1e-5, -1e-5)
        )
        np.testing.assert_allclose(gradients[:, :, neuron].T, (above - below) / 2e-5, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(gradients.sum(axis=0), 0, atol=1e-12)


def test_logits_of_any_size_have_finite_losses_and_probabilities(random_dag, random_cells):
    dag = random_dag(6, n_outputs=3)
    X, y = random_cells(dag, 6, 6)[0], exclusive(6, 3, 3)
    model = network(dag, seed=2)
    set_edge_weights(model, edge_weights(model) * 1e4, biases(model))
    probabilities = predict(model, X).to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert np.isfinite(probabilities).all()
    assert np.isfinite(fit_kpnn(model, X, y, max_epochs=1).loss[0])


def test_the_loss_falls_to_the_entropy_of_what_cannot_be_told(random_dag, random_cells):
    dag = random_dag(31, n_outputs=3)
    X, _ = random_cells(dag, 60, 31)
    y = np.tile([[0.5, 0.3, 0.2]], (60, 1))
    history = fit_kpnn(network(dag, seed=1), X, y, max_epochs=150, learning_rate=0.03)
    assert history.loss[-1] == pytest.approx(-(y[0] * np.log(y[0])).sum(), abs=0.01)


def test_a_keras_file_says_that_its_classes_exclude_each_other(random_dag, random_cells, tmp_path):
    dag = random_dag(40, n_outputs=3)
    X, _ = random_cells(dag, 10, 40)
    members = [network(dag, seed=seed) for seed in (1, 2)]
    for name, model in (("one", members[0]), ("several", build_ensemble(members))):
        model.save(tmp_path / f"{name}.keras")
        loaded = load_kpnn(tmp_path / f"{name}.keras")
        np.testing.assert_array_equal(predict(loaded, X), predict(model, X))
        np.testing.assert_allclose(ops.convert_to_numpy(loaded(X.toarray())), predict(model, X), atol=1e-6)


def test_an_ensemble_predicts_the_softmax_of_its_members_mean_logits(random_dag, random_cells):
    dag = random_dag(41, n_outputs=3)
    X, _ = random_cells(dag, 10, 41)
    members = [network(dag, seed=seed, dtype="float64") for seed in (1, 2, 3)]
    logits = np.mean([np.log(predict(member, X)) for member in members], axis=0)  # less a constant of the cell
    np.testing.assert_allclose(predict(build_ensemble(members), X), softmax(logits, axis=1), rtol=1e-9)
    with pytest.raises(ModelError, match="all a softmax or none"):
        build_ensemble([members[0], build_kpnn(dag, dtype="float64")])


def test_kerass_own_fit_trains_it(random_dag, random_cells):
    dag = random_dag(42, n_outputs=3)
    X, _ = random_cells(dag, 90, 42)
    y = np.eye(3)[np.argsort(np.argsort(X.toarray()[:, 0])) // 30]
    model = network(dag, seed=1)
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="categorical_crossentropy")
    losses = model.fit(X.toarray(), y, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    validated = fit_kpnn(build_kpnn(dag, output_activation="softmax"), X, y, validation_data=(X, y), max_epochs=1)
    assert np.isfinite(validated.val_loss[0])
    assert model.evaluate(X.toarray(), y, verbose=0) == pytest.approx(
        -np.log(predict(model, X).to_numpy()[y > 0]).mean(), rel=1e-4
    )


def test_what_makes_no_sense_of_classes_that_exclude_each_other_is_said(random_dag, random_cells):
    dag = random_dag(43, n_outputs=3)
    X, y = random_cells(dag, 8, 43)[0], exclusive(8, 3, 4)
    with pytest.raises(SettingsError, match="leave out that of OUT1"):
        build_kpnn(dag, output_activation="softmax", activations={"OUT1": "sigmoid"})
    with pytest.raises(SettingsError, match="OUT0 is the only one"):
        build_kpnn(random_dag(43, n_outputs=1), output_activation="softmax")
    names = [f"cell{number}" for number in range(8)]
    genes = pd.DataFrame(X.toarray(), index=names, columns=list(dag.inputs))
    twice, none = y.copy(), y.copy()
    twice[2], none[5] = 1, 0
    for labels, cell in ((twice, "cell2"), (none, "cell5")):
        with pytest.raises(ModelError, match=f"must add up to 1.*{cell}"):
            fit_kpnn(network(dag), genes, labels)
    for weights, said in (({0: 1.0, 1: 2.0}, "give weights to OUT"), ({"OUT7": 2.0}, "names OUT7; the")):
        with pytest.raises(SettingsError, match=said):
            fit_kpnn(network(dag), X, y, class_weight=weights)
    with pytest.raises(SettingsError, match="each output is a question of its own"):
        fit_kpnn(build_kpnn(dag), X, y, class_weight={"OUT0": 2.0})


def test_balanced_classes_that_share_all_hidden_nodes_are_told_apart_from_the_start():
    pairs = [(output, "H") for output in ("A", "B", "C")] + [("H", "P"), ("P", "G0_gene"), ("P", "G1_gene")]
    dag = Dag.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), outputs=["A", "B", "C"])
    y = np.eye(3)[np.arange(30) % 3]
    X = np.column_stack([y[:, 0], y[:, 2]]) + np.random.default_rng(0).normal(0, 0.1, (30, 2))
    model = build_kpnn(dag, output_activation="softmax", initializer="conducting", input_normalization="common")
    np.testing.assert_allclose(predict(model, X), 1 / 3, rtol=1e-6)
    history = fit_kpnn(
        model, X, y, max_epochs=100, batch_size=30, learning_rate=0.02
    )  # no minibatch breaks the balance
    assert history.loss[-1] < np.log(3) - 0.3
