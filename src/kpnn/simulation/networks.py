"""Networks with a planted signal: which genes answer to the class, and through which node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from kpnn.errors import SettingsError
from kpnn.pkn.graph import children_by_parent, parents_by_child, reached_names


@dataclass(frozen=True, eq=False)
class Plan:
    """A network and what is planted in it.

    Attributes:
        edges: `parent`, `child`, `sign`.
        output: the output node.
        predictive_nodes: the nodes whose genes answer to the class; empty: nothing does.
        module_of: for each gene, the hidden node whose own activity it follows.
    """

    edges: pd.DataFrame
    output: str
    predictive_nodes: tuple[str, ...]
    module_of: dict[str, str]

    @property
    def genes(self) -> list[str]:
        """Names of the input nodes, in the order in which they were made."""
        return list(self.module_of)

    def predictive_genes(self) -> dict[str, int]:
        """Genes below the predictive nodes with the sign of their edge: +1 rises in class 1, -1 falls."""
        below = self.edges[self.edges["parent"].isin(self.predictive_nodes) & self.edges["child"].isin(self.module_of)]
        return dict(zip(below["child"], below["sign"].astype(int), strict=True))

    def path_nodes(self) -> list[str]:
        """Nodes between the output and the predictive nodes: on some path, neither end included."""
        below = reached_names(children_by_parent(self.edges), self.output)
        above = reached_names(parents_by_child(self.edges), *self.predictive_nodes)
        return sorted((below & above) - {self.output, *self.predictive_nodes})


def flat_network(rng: np.random.Generator, genes_per_node: Sequence[int], predictive: Sequence[int]) -> Plan:
    """One hidden level: the output above all hidden nodes, each above genes of its own.

    Args:
        rng: draws the signs.
        genes_per_node: number of genes below each hidden node.
        predictive: numbers (from 0) of the nodes that carry the signal; a second one stands above the first
            one's genes and no others, so that either of them carries all of it.
    """
    if any(number < 1 for number in genes_per_node):
        raise SettingsError("genes_per_node must be at least 1 for every node")
    hidden = _numbered("NODE", len(genes_per_node))
    names = iter(_numbered("GENE", sum(genes_per_node), "_gene"))
    rows: list[tuple[str, str, int]] = [("OUT", node, 1) for node in hidden]
    module_of: dict[str, str] = {}
    twins = [hidden[number] for number in predictive[1:]]
    for node, number in zip(hidden, genes_per_node, strict=True):
        for _ in range(0 if node in twins else number):
            gene = next(names)
            module_of[gene] = node
            rows.append((node, gene, _sign(rng)))
    shared = [(gene, sign) for node, gene, sign in rows if node == hidden[predictive[0]]]
    rows += [(twin, gene, sign) for twin in twins for gene, sign in shared]
    return Plan(_table(rows), "OUT", tuple(hidden[number] for number in predictive), module_of)


def deep_network(rng: np.random.Generator, widths: Sequence[int], genes_per_node: int) -> Plan:
    """A tree of hidden levels with some extra edges; the signal enters at the lowest of them.

    Args:
        rng: draws the edges.
        widths: number of hidden nodes per level, from the output down.
        genes_per_node: number of genes below each node of the lowest level.
    """
    levels = [["OUT"], *(_numbered(f"L{depth}N", width) for depth, width in enumerate(widths, 1))]
    rows: list[tuple[str, str, int]] = []
    for above, below in pairwise(levels):
        for position, node in enumerate(below):
            own = above[position * len(above) // len(below)]
            rows.append((own, node, 1))
            other = above[rng.integers(len(above))]
            if position > 0 and other != own and rng.random() < 0.3:
                rows.append((other, node, 1))
    names = iter(_numbered("GENE", genes_per_node * len(levels[-1]), "_gene"))
    module_of: dict[str, str] = {}
    for node in levels[-1]:
        for _ in range(genes_per_node):
            gene = next(names)
            module_of[gene] = node
            rows.append((node, gene, _sign(rng)))
    return Plan(_table(rows), "OUT", (levels[-1][0],), module_of)


def signalling_network(
    rng: np.random.Generator,
    *,
    n_signalling: int,
    n_regulators: int,
    n_genes: int,
    predictive_genes: int,
) -> Plan:
    """A receptor above kinases above regulators above genes, with redundancy, and with feedback among the kinases.

    Args:
        rng: draws the edges.
        n_signalling: number of kinases, at least 6.
        n_regulators: number of regulators, at least 2; the first one carries the signal.
        n_genes: number of genes.
        predictive_genes: how many genes only the predictive regulator stands above.
    """
    if n_signalling < 6 or n_regulators < 2 or not 0 < predictive_genes < n_genes:
        raise SettingsError(
            f"a signalling network needs at least 6 kinases, 2 regulators and more genes than predictive ones; "
            f"found {n_signalling}, {n_regulators}, {n_genes} and {predictive_genes}"
        )
    kinases, regulators = _numbered("KIN", n_signalling), _numbered("TF", n_regulators)
    genes = [f"{name}_gene" for name in _gene_names(n_genes)]
    first = max(2, n_signalling // 6)
    rows: list[tuple[str, str, int]] = [("RECEPTOR", node, 1) for node in kinases[:first]]
    for number in range(first, n_signalling):
        above = rng.choice(number, size=min(number, int(rng.integers(1, 4))), replace=False)
        rows += [(kinases[parent], kinases[number], _sign(rng)) for parent in above]
    for number in range(0, n_signalling - first, 3):
        rows.append((kinases[number + int(rng.integers(1, first + 1))], kinases[number], _sign(rng)))
    for number, regulator in enumerate(regulators):
        over = {int(rng.integers(n_signalling)), number % n_signalling, int(rng.integers(n_signalling))}
        rows += [(kinases[parent], regulator, _sign(rng)) for parent in sorted(over)]
    module_of: dict[str, str] = {}
    for number, gene in enumerate(genes):
        if number < predictive_genes:
            own = [0]
        else:
            own = list(
                1 + rng.choice(n_regulators - 1, size=min(n_regulators - 1, int(rng.integers(1, 5))), replace=False)
            )
        module_of[gene] = regulators[own[0]]
        rows += [(regulators[parent], gene, _sign(rng)) for parent in own]
    # A kinase that stands above nothing would be pruned at once; it gets a regulator.
    above_something = {parent for parent, _, _ in rows}
    rows += [
        (kinase, regulators[int(rng.integers(n_regulators))], 1) for kinase in kinases if kinase not in above_something
    ]
    return Plan(_table(rows), "RECEPTOR", (regulators[0],), module_of)


def _gene_names(n: int) -> list[str]:
    """Names as real files hold them: some with underscores and hyphens."""
    plain = _numbered("GENE", n)
    return [
        f"HLA_{name}" if number % 97 == 3 else f"{name}-AS1" if number % 89 == 5 else name
        for number, name in enumerate(plain)
    ]


def _numbered(prefix: str, n: int, suffix: str = "") -> list[str]:
    width = len(str(n))
    return [f"{prefix}{number:0{width}d}{suffix}" for number in range(1, n + 1)]


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.7 else -1


def _table(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    edges = pd.DataFrame(rows, columns=["parent", "child", "sign"])
    return edges[edges["parent"] != edges["child"]].drop_duplicates(["parent", "child"]).reset_index(drop=True)
