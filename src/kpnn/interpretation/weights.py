"""How much each node, edge and gene matters to a trained network's predictions.

References:
    Fortelny & Bock 2020, Genome Biology 21:190: node weights by central differences of +-0.001.
    Dhamdhere, Sundararajan & Yan 2019, https://arxiv.org/abs/1805.12233: conductance of hidden units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from kpnn.errors import ModelError, SettingsError
from kpnn.interpretation.frozen import FrozenNetwork, expression_of

if TYPE_CHECKING:
    import keras

Method = Literal["gradient", "difference", "conductance", "ablation"]
METHODS: tuple[Method, ...] = ("gradient", "difference", "conductance", "ablation")
STEP = 1e-3
"""Half width of the central difference, Fortelny & Bock's."""


def node_weights(
    model: keras.Model,
    X: Any,
    *,
    method: Method = "gradient",
    y: np.ndarray | None = None,
    steps: int = 32,
) -> pd.DataFrame:
    """Computes the weight of every hidden node for every output, averaged over cells.

    Args:
        model: a model that `build_kpnn` or `build_ensemble` made. Of an ensemble it is the mean over the networks, of
            absolute values for `gradient` and `difference`: the sign of a neuron differs between networks.
        X: cells that the model was not trained on: AnnData, DataFrame, or a matrix, cells x `dag.inputs`.
        method: `gradient`: change of the output's predicted probability per change of the neuron's activation, exact,
            all neurons at once. `difference`: the same by central differences of +-0.001 (Fortelny & Bock).
            `conductance`: what flows through the neuron of the difference between the cell's prediction and that of
            the average cell; it adds up to that difference over the neurons of any cut. `ablation`: loss of ROC-AUC
            when the neuron is set to its mean.
        y: 0/1, shape (n_cells,) or (n_cells, n_outputs); `ablation` needs it.
        steps: points on the path of `conductance`.

    Returns:
        `node`, `output`, `weight`; nodes sorted by name within each output.

    Raises:
        ModelError: the cells do not fit the model.
        SettingsError: there is no such method, or `y` is missing.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn, set_edge_weights
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> model = build_kpnn(Dag.from_edges(edges, outputs=["TCR"]))
        >>> set_edge_weights(model, {("TCR", "ZAP70"): 2.0, ("ZAP70", "CD69_gene"): 0.0}, {"TCR": -1.0, "ZAP70": 0.0})
        >>> float(node_weights(model, [[0.0]])["weight"].iloc[0].round(4))  # 2 * sigmoid'(2 * 0.5 - 1)
        0.5
    """
    if method not in METHODS:
        raise SettingsError(f"no method {method!r} of node weights; choose one of {', '.join(METHODS)}")
    from kpnn.nn import members_of

    members = members_of(model)
    cells = expression_of(members[0], X)
    networks = [FrozenNetwork.of(member) for member in members]
    found = [_weights_by(method, network, cells, y, steps) for network in networks]
    if len(found) > 1 and method in ("gradient", "difference"):
        found = [np.abs(weights) for weights in found]
    return as_table(networks[0], np.mean(found, axis=0))


def _weights_by(method: Method, network: FrozenNetwork, cells: Any, y: Any, steps: int) -> np.ndarray:
    if method == "conductance":
        return conductance_weights(network, cells, steps)
    genes = network.genes_in(cells)
    if method == "ablation":
        return ablation_weights(network, genes, _labels(y, cells.shape[0], network))
    return gradient_weights(network, genes) if method == "gradient" else difference_weights(network, genes)


def as_table(network: FrozenNetwork, weights: np.ndarray, name: str = "weight") -> pd.DataFrame:
    """Weights, shape (n_outputs, n_neurons), as rows `node`, `output`, `weight` of the hidden nodes."""
    hidden = set(network.dag.hidden)
    rows = [
        {"node": node, "output": output, name: float(weights[number, place])}
        for number, output in enumerate(network.dag.outputs)
        for place, node in enumerate(network.dag.neurons)
        if node in hidden
    ]
    return pd.DataFrame(rows, columns=["node", "output", name])


def gradient_weights(network: FrozenNetwork, genes: np.ndarray) -> np.ndarray:
    """Mean gradient of each output by each neuron, shape (n_outputs, n_neurons); one pass per output."""
    values = network.run(genes)
    return np.stack([network.gradients(values, output).mean(axis=0) for output in network.outputs])


def difference_weights(network: FrozenNetwork, genes: np.ndarray) -> np.ndarray:
    """The same by central differences: each neuron is held a little above and below its activation."""
    values = network.run(genes)
    weights = np.zeros((len(network.outputs), genes.shape[1]))
    for neuron in range(genes.shape[1]):
        above, below = (
            network.run_with(genes, values, neuron, values.act[:, neuron] + sign * STEP) for sign in (1.0, -1.0)
        )
        weights[:, neuron] = ((above - below) / (2 * STEP)).mean(axis=0)
    return weights


def conductance_weights(network: FrozenNetwork, cells: Any, steps: int = 32) -> np.ndarray:
    """Mean absolute conductance of each neuron on the straight path from the average cell to each cell.

    Args:
        network: the network.
        cells: expression, cells x `dag.inputs`.
        steps: points on the path.

    Returns:
        Shape (n_outputs, n_neurons), each at least 0.
    """
    return np.abs(conductances(network, cells, steps)).mean(axis=1)


def conductances(network: FrozenNetwork, cells: Any, steps: int = 32) -> np.ndarray:
    """Conductance of each neuron in each cell, shape (n_outputs, n_cells, n_neurons).

    The genes' part of every weighted sum is linear in expression, so the path runs from its mean over cells to its
    value. Over the neurons of a cut between genes and output the conductances add up to prediction minus the average
    cell's prediction (exactly as `steps` grows).
    """
    genes = network.genes_in(cells)
    average = genes.mean(axis=0, keepdims=True)
    total = np.zeros((len(network.outputs), *genes.shape))
    before = network.run(np.repeat(average, len(genes), axis=0))
    old = [network.gradients(before, output) for output in network.outputs]
    for point in range(1, steps + 1):
        here = network.run(average + (genes - average) * point / steps)
        new = [network.gradients(here, output) for output in network.outputs]
        moved = here.act - before.act
        for number in range(len(new)):
            total[number] += (old[number] + new[number]) / 2 * moved
        before, old = here, new
    return total


def ablation_weights(network: FrozenNetwork, genes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Loss of ROC-AUC when a neuron is set to its mean over the cells, shape (n_outputs, n_neurons).

    Args:
        network: the network.
        genes: what `genes_in` returned.
        labels: 0/1, shape (n_cells, n_outputs). NaN is returned for an output of one class.
    """
    values = network.run(genes)
    whole = _roc_auc(labels, network.probabilities(values))
    weights = np.zeros((len(network.outputs), genes.shape[1]))
    for neuron in range(genes.shape[1]):
        without = network.run_with(genes, values, neuron, float(values.act[:, neuron].mean()))
        weights[:, neuron] = whole - _roc_auc(labels, without)
    return weights


def gene_weights(model: keras.Model, X: Any) -> pd.DataFrame:
    """Change of each output's probability per unit of each gene's (transformed) expression, averaged over cells.

    Args:
        model: a model that `build_kpnn` or `build_ensemble` made; of an ensemble, the mean over its networks.
        X: as for `node_weights`.

    Returns:
        `gene`, `node` (the input node), `output`, `weight`.

    Examples:
        >>> from kpnn.nn import build_kpnn, set_edge_weights
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> model = build_kpnn(Dag.from_edges(edges, outputs=["TCR"]))
        >>> set_edge_weights(model, {("TCR", "ZAP70"): 2.0, ("ZAP70", "CD69_gene"): 4.0}, {"TCR": -1.0, "ZAP70": 0.0})
        >>> gene_weights(model, [[0.0]]).round(3)  # (2 * sigmoid'(0)) * (4 * sigmoid'(0))
           gene       node output  weight
        0  CD69  CD69_gene    TCR     0.5
    """
    from kpnn.nn import members_of
    from kpnn.nn.layer import sparse_dag

    members = members_of(model)
    cells = expression_of(members[0], X)
    weights = np.mean([_gene_gradients(FrozenNetwork.of(member), cells) for member in members], axis=0)
    layer = sparse_dag(members[0])
    genes = list(layer.dag.genes(layer.gene_suffix))
    tables = [
        pd.DataFrame({"gene": genes, "node": layer.dag.inputs, "output": output, "weight": of_output})
        for output, of_output in zip(layer.dag.outputs, weights, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def _gene_gradients(network: FrozenNetwork, cells: Any) -> np.ndarray:
    """Mean gradient of each output by each gene, shape (n_outputs, n_genes)."""
    values = network.run(network.genes_in(cells))
    by_sum = [
        network.through(values, network.gradients(values, output)).mean(axis=0) @ network.from_genes
        for output in network.outputs
    ]
    return np.stack(by_sum)


def _labels(y: Any, n_cells: int, network: FrozenNetwork) -> np.ndarray:
    if y is None:
        raise SettingsError("ablation compares ROC-AUC: give the cells' labels as y")
    labels = np.asarray(y).reshape(n_cells, -1)
    if labels.shape[1] != len(network.outputs):
        raise ModelError(f"y has {labels.shape[1]} columns, the model {len(network.outputs)} outputs")
    return labels


def _roc_auc(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """ROC-AUC of each column by mid-ranks; NaN where there is one class only."""
    areas = np.full(labels.shape[1], np.nan)
    for column in range(labels.shape[1]):
        positive = labels[:, column] > 0
        m, n = int(positive.sum()), int((~positive).sum())
        if m and n:
            ranks = rankdata(scores[:, column])
            areas[column] = (ranks[positive].sum() - m * (m + 1) / 2) / (m * n)
    return areas
