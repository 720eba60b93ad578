"""The gene of an input node."""

from __future__ import annotations

import pandas as pd
import pytest

from kpnn.pkn import Dag, Pkn, gene_of


@pytest.mark.parametrize(
    ("node", "gene"), [("CD69_gene", "CD69"), ("HLA_A_gene", "HLA_A"), ("X_gene_gene", "X_gene"), ("gene", "gene")]
)
def test_a_nodes_gene_is_its_name_without_the_suffix_whatever_underscores_it_holds(node: str, gene: str) -> None:
    assert gene_of(node, "_gene") == gene
    assert gene_of(node, "") == node


def test_the_genes_of_a_network_stand_in_the_order_of_its_inputs() -> None:
    edges = pd.DataFrame({"parent": ["R", "R", "A"], "child": ["A", "B_A_gene", "B_gene"]})
    assert Pkn.from_edges(edges).genes("_gene") == Dag.from_edges(edges).genes("_gene") == ("B_A", "B")
    assert Dag.from_edges(edges).genes("") == ("B_A_gene", "B_gene")
