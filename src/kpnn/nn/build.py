"""One function builds a KPNN."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from kpnn.nn.dropout import Dropout
from kpnn.nn.layer import SparseDag
from kpnn.nn.normalization import InputNormalization
from kpnn.nn.penalty import Penalty
from kpnn.pkn import Dag


def build_kpnn(
    dag: Dag,
    *,
    dropout: float = 0.0,
    dropout_on: str = "edges",
    gene_dropout: float | None = None,
    node_dropout: float | None = None,
    kernel_l1: float = 0.0,
    kernel_l2: float = 0.0,
    bias_l1: float = 0.0,
    bias_l2: float = 0.0,
    weight_prior: float = 0.0,
    input_normalization: str | None = None,
    hidden_activation: str = "sigmoid",
    output_activation: str = "sigmoid",
    activations: Mapping[str, str] | None = None,
    signed: bool = False,
    initializer: str = "glorot_uniform",
    gene_suffix: str = "_gene",
    seed: int = 42,
    dtype: str = "float32",
    name: str = "kpnn",
) -> keras.Model:
    """Builds a knowledge-primed neural network: one trainable weight per edge, one bias per neuron.

    Args:
        dag: the DAG whose inputs the network reads and whose outputs it predicts.
        dropout: rate of dropout, in [0, 1).
        dropout_on: `edges` (the rule of `corneto.ml.build_dagnn`) or `nodes` (the rule of Fortelny & Bock 2020: genes
            and hidden nodes, less where a parent has few children); see `kpnn.nn.dropout`.
        gene_dropout: rate for genes, or for edges from genes; by default `dropout`.
        node_dropout: rate for hidden nodes, or for edges from neurons; by default `dropout`.
        kernel_l1: L1 penalty of the weights.
        kernel_l2: L2 penalty of the weights.
        bias_l1: L1 penalty of the biases.
        bias_l2: L2 penalty of the biases.
        weight_prior: strength of a Gaussian prior on the weights: 1 expects that they move about as far as they start,
            whatever the numbers of edges and cells; see `kpnn.nn.penalty`.
        input_normalization: None (or `none`), `standard`, `common` or `batch`; see `kpnn.nn.InputNormalization`.
        hidden_activation: activation of hidden nodes, by Keras's name.
        output_activation: activation of output nodes. Training needs `sigmoid`, each output a question of its own;
            `softmax`, the outputs being classes that exclude each other (each cell is of one); or `linear` whose
            values are then logits of sigmoids.
        activations: activations of single neurons by name, before the two above.
        signed: whether edges of known sign can only have weights of that sign.
        initializer: `glorot_uniform`, `lecun_uniform`, `he_uniform` (by each neuron's fan-in), `standard_normal` or
            `conducting` (nothing is drawn, and every path conducts); see `kpnn.nn.initialization`.
        gene_suffix: what to remove from an input node's name to get its gene.
        seed: of the initial weights.
        dtype: `float32`, or `float64` for numerical checks.
        name: the Keras model's name.

    Returns:
        A Keras model that maps cells x `dag.inputs` to cells x `dag.outputs`.

    Raises:
        SettingsError: an argument makes no sense.

    Examples:
        >>> import pandas as pd
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> build_kpnn(Dag.from_edges(edges, outputs=["TCR"])).count_params()
        4
    """
    rates = Dropout(
        genes=dropout if gene_dropout is None else gene_dropout,
        nodes=dropout if node_dropout is None else node_dropout,
        on=dropout_on,
    )
    layer = SparseDag(
        dag,
        hidden_activation=hidden_activation,
        output_activation=output_activation,
        activations=activations,
        dropout=rates,
        penalty=Penalty(kernel_l1, kernel_l2, bias_l1, bias_l2, weight_prior),
        signed=signed,
        initializer=initializer,
        gene_suffix=gene_suffix,
        seed=seed,
        dtype=dtype,
        name="sparse_dag",
    )
    normalization = None
    if input_normalization not in (None, "none"):
        normalization = InputNormalization(input_normalization, dtype=dtype, name="input_normalization")
    return assemble(layer, normalization, name)


def assemble(layer: SparseDag, normalization: InputNormalization | None, name: str) -> keras.Model:
    """Puts the layers of a KPNN together.

    Args:
        layer: the sparse DAG layer.
        normalization: what comes before it, if anything.
        name: the Keras model's name.
    """
    inputs = keras.Input(shape=(layer.layout.n_inputs,), dtype=layer.variable_dtype, name="inputs")
    return keras.Model(inputs, layer(inputs if normalization is None else normalization(inputs)), name=name)
