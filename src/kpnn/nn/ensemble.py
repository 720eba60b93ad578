"""Several networks on one DAG as one Keras model, in one file: the mean of their logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kpnn.errors import ModelError, some_names
from kpnn.nn.build import assemble
from kpnn.nn.engine.kernels import LINEAR, SIGMOID
from kpnn.nn.layer import SparseDag, sparse_dag
from kpnn.nn.normalization import InputNormalization, input_normalization
from kpnn.pkn import Dag


@keras.saving.register_keras_serializable(package="kpnn")
class MeanOfLogits(keras.layers.Layer):
    """Computes the sigmoid, or the softmax over classes, of the mean of its members' logits.

    Args:
        members: models that `build_kpnn` made, on one DAG.
        **kwargs: `name`, `dtype` and other arguments of a Keras layer.

    Attributes:
        members: the models themselves, no copies.
    """

    def __init__(self, members: Sequence[keras.Model], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.members = list(members)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """The members have their variables already."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Returns probabilities, cells x outputs.

        Args:
            inputs: cells x input nodes, dense; each member normalizes them by its own training cells.
            training: whether the members' dropout is on.
        """
        total = 0.0
        for member in self.members:
            normalization = input_normalization(member)
            cells = inputs if normalization is None else normalization(inputs, training=training)
            total = total + sparse_dag(member).logits(cells, training=bool(training))
        mean = total / len(self.members)
        return ops.softmax(mean, axis=-1) if sparse_dag(self.members[0]).one_of_k else ops.sigmoid(mean)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:  # noqa: ARG002 - Keras passes it
        """Shape and dtype of what `call` returns, without computing anything."""
        outputs = sparse_dag(self.members[0]).dag.outputs
        return keras.KerasTensor((*inputs.shape[:-1], len(outputs)), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Everything that `from_config` needs, as JSON: the DAG once, then what the members do not share."""
        dag = sparse_dag(self.members[0]).dag_config()
        return {**super().get_config(), "dag": dag, "members": [_config_of(member, dag) for member in self.members]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MeanOfLogits:
        """Rebuilds the layer from its config.

        Raises:
            ModelError: the edges do not have the fingerprint that the config gives.
        """
        config = dict(config)
        dag, shared = SparseDag.dag_from(config.pop("dag"))
        members = config.pop("members")
        return cls([_member_from(member, dag, shared) for member in members], **config)


def _config_of(member: keras.Model, dag: dict[str, Any]) -> dict[str, Any]:
    layer, normalization = sparse_dag(member).get_config(), input_normalization(member)
    return {
        "name": member.name,
        "sparse_dag": {name: value for name, value in layer.items() if name not in dag},
        "input_normalization": None if normalization is None else normalization.get_config(),
    }


def _member_from(config: dict[str, Any], dag: Dag, shared: dict[str, Any]) -> keras.Model:
    normalization = config["input_normalization"]
    return assemble(
        SparseDag.on(dag, {**shared, **config["sparse_dag"]}),
        None if normalization is None else InputNormalization.from_config(normalization),
        config["name"],
    )


def build_ensemble(members: Sequence[keras.Model]) -> keras.Model:
    """Makes one model of several networks on one DAG.

    It reads the same inputs and predicts, for each output, the sigmoid of the mean of the members' logits; where their
    outputs are a softmax, the softmax of those means. It holds the members themselves: what changes one of them changes
    it. It is saved as one `.keras` file, and read back by `load_kpnn`. Its members are trained one by one, before
    (`fit_kpnns`).

    Args:
        members: different models that `build_kpnn` made, one or more, on the same DAG with the same gene suffix and
            dtype, outputs sigmoid or linear (a logit), or all members' softmax. All else may differ.

    Returns:
        A Keras model that maps cells x `dag.inputs` to cells x `dag.outputs`.

    Raises:
        ModelError: there is no member, or the members do not fit together.

    Examples:
        >>> import pandas as pd
        >>> from scipy.special import expit, logit
        >>> from kpnn.nn import build_kpnn, predict
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> dag = Dag.from_edges(edges, outputs=["TCR"])
        >>> members = [build_kpnn(dag, seed=seed) for seed in (1, 2)]
        >>> cells = pd.DataFrame({"CD69": [0.0, 2.5]})
        >>> mean = sum(logit(predict(member, cells)) for member in members) / 2
        >>> bool((predict(build_ensemble(members), cells) - expit(mean)).abs().max(axis=None) < 1e-6)
        True
    """
    if not members:
        raise ModelError("an ensemble needs at least one network")
    layers = [sparse_dag(member) for member in members]
    first = layers[0]
    if len({id(member) for member in members}) < len(members):
        raise ModelError("the ensemble holds the same network twice")
    for member, layer in zip(members, layers, strict=True):
        if (layer.dag.fingerprint, layer.dag.inputs) != (first.dag.fingerprint, first.dag.inputs):
            raise ModelError("the members of an ensemble must be networks on one DAG; these differ in edges or outputs")
        for name in ("gene_suffix", "variable_dtype"):
            if getattr(layer, name) != getattr(first, name):
                raise ModelError(f"the members of an ensemble differ in {name.removeprefix('variable_')}")
        if layer.one_of_k != first.one_of_k:
            raise ModelError(
                "the members of an ensemble are all a softmax or none: here some take the outputs for classes that "
                "exclude each other, some for questions of their own"
            )
        if len(member.layers) != 2 + (input_normalization(member) is not None):
            raise ModelError(f"model {member.name!r} has layers that build_kpnn does not make")
        other = [
            output
            for output, neuron in zip(layer.dag.outputs, layer.layout.outputs, strict=True)
            if layer.activation_codes[neuron] not in (LINEAR, SIGMOID)
        ]
        if other:
            raise ModelError(f"output {some_names(other)} must be sigmoid (or linear: a logit) to have a mean logit")
    inputs = keras.Input(shape=(first.layout.n_inputs,), dtype=first.variable_dtype, name="inputs")
    mean = MeanOfLogits(members, dtype=first.variable_dtype, name="mean_of_logits")
    return keras.Model(inputs, mean(inputs), name="kpnn_ensemble")


def is_ensemble(model: keras.Model) -> bool:
    """Whether `build_ensemble` made the model."""
    return any(isinstance(layer, MeanOfLogits) for layer in model.layers)


def members_of(model: keras.Model) -> tuple[keras.Model, ...]:
    """The networks of an ensemble; a single network is its own only member.

    Args:
        model: a model that `build_ensemble` or `build_kpnn` made.

    Returns:
        The networks, in the order in which they were given to `build_ensemble`.

    Raises:
        ModelError: neither made the model.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> dag = Dag.from_edges(edges, outputs=["TCR"])
        >>> ensemble = build_ensemble([build_kpnn(dag, name="fold_0"), build_kpnn(dag, name="fold_1")])
        >>> [member.name for member in members_of(ensemble)]
        ['fold_0', 'fold_1']
    """
    for layer in model.layers:
        if isinstance(layer, MeanOfLogits):
            return tuple(layer.members)
    sparse_dag(model)
    return (model,)


def is_one_of_k(model: keras.Model) -> bool:
    """Whether a model's outputs are classes that exclude each other (softmax).

    Args:
        model: a model that `build_ensemble` or `build_kpnn` made.

    Returns:
        Whether they do.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["CD4", "CD8"], "child": ["CD40LG_gene", "CD8A_gene"]})
        >>> dag = Dag.from_edges(edges)
        >>> is_one_of_k(build_kpnn(dag)), is_one_of_k(build_kpnn(dag, output_activation="softmax"))
        (False, True)
    """
    return sparse_dag(members_of(model)[0]).one_of_k


def dag_of(model: keras.Model) -> Dag:
    """The DAG that a model, or every member of an ensemble, was built on, with all costs 1.

    Its `n_parameters` counts the parameters of one network.

    Args:
        model: a model that `build_kpnn` or `build_ensemble` made.

    Returns:
        The DAG.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> model = build_kpnn(Dag.from_edges(edges, outputs=["TCR"]))
        >>> dag_of(model).levels, dag_of(model).n_parameters
        ((('CD69_gene',), ('ZAP70',), ('TCR',)), 4)
    """
    return sparse_dag(members_of(model)[0]).dag
