"""Made instances for measurements: a DAG of the TCR study's size, larger ones, and sparse cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from kpnn.pkn import Dag


def layered_dag(
    *,
    n_neurons: int,
    n_genes: int,
    n_gene_edges: int,
    n_neuron_edges: int,
    depth: int,
    n_outputs: int = 1,
    seed: int = 0,
) -> Dag:
    """Makes a random DAG: neurons in `depth` levels, outputs on top, every node on a path from a gene to an output.

    Gene edges go to neurons of any level, with a heavy tail of genes per neuron as transcription factors have; neuron
    edges go from a level to any below, mostly to the next.

    Args:
        n_neurons: neurons, outputs included.
        n_genes: input nodes.
        n_gene_edges: edges whose child is a gene, about.
        n_neuron_edges: edges whose child is a neuron, about.
        depth: levels of neurons.
        n_outputs: outputs, all on the top level.
        seed: of the generator.
    """
    generator = np.random.default_rng(seed)
    level = np.concatenate([np.arange(depth), generator.integers(0, depth - 1, n_neurons - n_outputs - depth + 1)])
    level = np.concatenate([np.sort(level[level < depth - 1]), np.full(n_outputs, depth - 1)])
    n_neurons = len(level)
    names = np.array([f"N{place:05d}" for place in range(n_neurons)], dtype=object)
    names[-n_outputs:] = [f"OUT{place}" for place in range(n_outputs)]
    genes = np.array([f"G{place:06d}_gene" for place in range(n_genes)], dtype=object)
    first = np.searchsorted(level, np.arange(depth + 1))
    pairs: set[tuple[int, int]] = set()

    def at(which: int) -> int:
        return int(generator.integers(first[which], first[which + 1]))

    for neuron in range(n_neurons - n_outputs):  # a parent for everyone
        pairs.add((at(int(level[neuron]) + 1), neuron))
    for neuron in range(first[1], n_neurons):  # a child of the level below, so that depth is what was asked for
        pairs.add((neuron, at(int(level[neuron]) - 1)))
    while len(pairs) < n_neuron_edges:
        parent = int(generator.integers(first[1], n_neurons))
        below = int(level[parent]) - int(generator.geometric(0.6))
        if below >= 0:
            pairs.add((parent, at(below)))
    chances = generator.pareto(1.2, n_neurons - n_outputs) + 0.05
    chances /= chances.sum()
    parents = generator.choice(n_neurons - n_outputs, n_gene_edges, p=chances)
    children = np.concatenate([np.arange(n_genes), generator.integers(0, n_genes, max(0, n_gene_edges - n_genes))])
    leaves = np.arange(first[1])  # the lowest neurons have genes alone
    parents = np.concatenate([parents, leaves])
    children = np.concatenate([children[:n_gene_edges], generator.integers(0, n_genes, len(leaves))])
    of_neurons = np.array(sorted(pairs))
    table = pd.DataFrame(
        {
            "parent": np.concatenate([names[of_neurons[:, 0]], names[parents]]),
            "child": np.concatenate([names[of_neurons[:, 1]], genes[children]]),
        }
    ).drop_duplicates()
    return Dag.from_edges(table, outputs=list(names[-n_outputs:]))


def tcr_twin(seed: int = 0) -> Dag:
    """A DAG of the TCR study's size: 308 neurons in 7 levels, 12,459 genes, about 25,900 edges, one output."""
    return layered_dag(n_neurons=308, n_genes=12_459, n_gene_edges=26_300, n_neuron_edges=900, depth=7, seed=seed)


def sparse_cells(n_cells: int, n_genes: int, *, density: float = 0.1, seed: int = 0) -> tuple[csr_array, np.ndarray]:
    """Makes log-normal-like sparse expression, float32, and 0/1 labels that some hundred genes decide.

    Args:
        n_cells: rows.
        n_genes: columns.
        density: stored share of the entries, the same in every cell.
        seed: of the generator.
    """
    generator = np.random.default_rng(seed)
    per_cell = max(1, int(density * n_genes))
    indices = np.empty((n_cells, per_cell), dtype=np.int32)
    for cell in range(n_cells):
        indices[cell] = np.sort(generator.choice(n_genes, per_cell, replace=False))
    data = generator.standard_gamma(4.0, n_cells * per_cell, dtype=np.float32)
    data *= np.float32(0.4)
    indptr = np.arange(0, n_cells * per_cell + 1, per_cell, dtype=np.int32)
    matrix = csr_array((data, indices.ravel(), indptr), shape=(n_cells, n_genes))
    effects = np.zeros(n_genes, dtype=np.float32)
    chosen = generator.choice(n_genes, min(200, n_genes), replace=False)
    effects[chosen] = generator.normal(size=len(chosen))
    scores = matrix @ effects
    return matrix, (scores > np.median(scores)).astype(np.float32)
