"""The same network trained again: on other labels, on control inputs, from another start, or on another DAG."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from kpnn.pkn import Dag

if TYPE_CHECKING:
    import keras

    from kpnn.nn import TrainingSettings

CONTROL_SHIFT = 0.5
"""Distance between the classes' means of every control input, in standard deviations."""


def rebuilt(model: keras.Model, *, seed: int | None = None, dag: Dag | None = None) -> keras.Model:
    """An untrained model with the settings of a given one.

    Args:
        model: a model that `build_kpnn` made.
        seed: of the initial weights; by default the model's own.
        dag: another DAG; by default the model's own.
    """
    from kpnn.nn import build_kpnn
    from kpnn.nn.layer import sparse_dag
    from kpnn.nn.normalization import input_normalization

    layer, normalization = sparse_dag(model), input_normalization(model)
    neurons = set((dag or layer.dag).neurons)
    return build_kpnn(
        dag or layer.dag,
        gene_dropout=layer.dropout.genes,
        node_dropout=layer.dropout.nodes,
        dropout_on=layer.dropout.on,
        **asdict(layer.penalty),
        input_normalization=None if normalization is None else normalization.kind,
        hidden_activation=layer.hidden_activation,
        output_activation=layer.output_activation,
        activations={name: kind for name, kind in layer.activations.items() if name in neurons},
        signed=layer.signed,
        initializer=layer.initializer,
        gene_suffix=layer.gene_suffix,
        seed=layer.seed if seed is None else seed,
        dtype=layer.variable_dtype,
    )


def refitted(
    model: keras.Model,
    X: Any,
    y: np.ndarray,
    how: TrainingSettings,
    *,
    seed: int,
    dag: Dag | None = None,
    validation_fraction: float = 0.2,
) -> keras.Model:
    """A model of the same settings, trained on given cells with early stopping on a share of them.

    Args:
        model: whose settings to use.
        X: cells x inputs of the DAG, dense or CSR.
        y: labels, shape (n_cells, n_outputs).
        how: epochs, patience, batches, learning rate.
        seed: of the start, the split, the order of the cells and dropout.
        dag: another DAG; by default the model's own.
        validation_fraction: share of the cells that only early stopping looks at.
    """
    from kpnn.nn import fit_kpnns

    fresh = rebuilt(model, seed=seed, dag=dag)
    order = np.random.default_rng([seed, 1]).permutation(len(y))
    n_watched = max(1, round(validation_fraction * len(y)))
    fit_kpnns(
        [fresh],
        X,
        y,
        training_rows=[np.sort(order[n_watched:])],
        validation_rows=[np.sort(order[:n_watched])],
        settings=replace(how, seed=seed),
        n_threads=1,
    )
    return fresh


def control_inputs(y: np.ndarray, n_genes: int, seed: int, shift: float = CONTROL_SHIFT) -> csr_array:
    """Expression in which every gene tells the class equally well: normal, unit variance, means apart by `shift`.

    What weight a node gets from them is owed to its place in the network alone (Fortelny & Bock's control inputs). With
    several outputs every gene adds up the shifts of its cell's classes.

    Args:
        y: 0/1, shape (n_cells, n_outputs).
        n_genes: number of genes.
        seed: of the draw.
        shift: distance between the classes.
    """
    rng = np.random.default_rng(seed)
    signal = (y - y.mean(axis=0)).sum(axis=1, keepdims=True) * shift
    return csr_array(rng.standard_normal((len(y), n_genes), dtype=np.float32) + signal.astype(np.float32))
