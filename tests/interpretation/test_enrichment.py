"""The baseline without a network, against scipy, least squares and random gene sets drawn one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import norm, rankdata, ttest_ind

from kpnn.interpretation.enrichment import _genes_of, enrichment, gene_t_statistics, reaching
from kpnn.pkn import Dag
from kpnn.training.data import LabelledCells

EDGES = [
    *(("OUT", "TOP"), ("TOP", "A"), ("TOP", "B"), ("OTHER", "B"), ("OUT", "C")),
    *(("ABC"[gene % 3], f"G{gene}_gene") for gene in range(30)),
]
DAG = Dag.from_edges(pd.DataFrame(EDGES, columns=["parent", "child"]), outputs=["OUT", "OTHER"])


def draw(groups: np.ndarray | None = None, labels: np.ndarray | None = None) -> LabelledCells:
    rng = np.random.default_rng(0)
    first = np.arange(120) % 2 if labels is None else labels
    y = np.column_stack([first, rng.integers(0, 2, 120)]).astype(np.float32)
    X = rng.poisson(1.0, (120, 30)).astype(np.float32)
    X[:, [DAG.inputs.index(f"G{gene}_gene") for gene in range(0, 30, 3)]] += first[:, None]  # A's genes
    barcodes = np.array([f"cell{number}" for number in range(120)])
    return LabelledCells(csr_matrix(X), y, barcodes, DAG.inputs, DAG.outputs, groups)


def test_t_is_students():
    cells = draw()
    found = gene_t_statistics(cells.expression, cells)
    X = cells.expression.toarray().astype(float)
    for output in (0, 1):
        positive = cells.labels[:, output] > 0
        np.testing.assert_allclose(found[output], ttest_ind(X[positive], X[~positive]).statistic, rtol=1e-5)


def test_within_donors_t_is_that_of_least_squares_with_a_term_per_donor():
    donors = np.arange(120) % 5
    cells = draw(donors.astype(str))
    X, y = cells.expression.toarray().astype(float), cells.labels[:, 0].astype(float)
    design = np.column_stack([y, *(donors == donor for donor in range(5))]).astype(float)
    beta = np.linalg.lstsq(design, X, rcond=None)[0]
    # The pooled variance is that within donor and class: one term per donor and class, ten in all.
    cell_of = 2 * donors + y
    within = sum(((X[cell_of == c] - X[cell_of == c].mean(axis=0)) ** 2).sum(axis=0) for c in np.unique(cell_of))
    error = np.sqrt(within / (120 - 10) * np.linalg.inv(design.T @ design)[0, 0])
    np.testing.assert_allclose(gene_t_statistics(cells.expression, cells)[0], beta[0] / error, rtol=1e-5, atol=1e-9)


def test_donors_of_one_class_each_are_the_observations():
    donors = np.arange(120) // 12
    cells = draw(donors.astype(str), (donors % 2).astype(float))
    X = cells.expression.toarray().astype(float)
    means = np.stack([X[donors == donor].mean(axis=0) for donor in range(10)])
    expected = ttest_ind(means[1::2], means[0::2]).statistic
    np.testing.assert_allclose(gene_t_statistics(cells.expression, cells)[0], expected, rtol=1e-4)


def test_a_node_is_as_enriched_as_its_genes_and_its_p_value_is_that_of_random_gene_sets():
    cells = draw()
    table = enrichment(DAG, cells, seed=1)
    sizes = np.abs(gene_t_statistics(cells.expression, cells))
    of_out = table[table["output"] == "OUT"].set_index("node")
    assert set(of_out.index) == {"TOP", "A", "B", "C"}
    own = [DAG.inputs.index(f"G{gene}_gene") for gene in range(0, 30, 3)]
    assert of_out.loc["A", "enrichment"] == pytest.approx(sizes[0][own].mean())
    assert of_out["enrichment"].idxmax() == "A" and of_out.loc["A", "enrichment_p"] < 0.01
    rng = np.random.default_rng(2)
    drawn = [rng.choice(sizes[0], 10, replace=False).mean() for _ in range(4000)]
    exact = np.mean(np.array(drawn) >= of_out.loc["B", "enrichment"])
    assert of_out.loc["B", "enrichment_p"] == pytest.approx(exact, abs=0.03)
    # In ranks, ten genes drawn at random have a z that is standard normal: the further above, the more specific.
    scores = norm.ppf((rankdata(sizes[0]) - 0.5) / 30)
    drawn = [rng.choice(scores, 10).mean() for _ in range(4000)]
    b = [DAG.inputs.index(f"G{gene}_gene") for gene in range(1, 30, 3)]
    assert of_out.loc["B", "enrichment_z"] == pytest.approx(scores[b].mean() / np.std(drawn), abs=0.1)
    assert of_out.loc["A", "enrichment_z"] > 3
    # TOP has no genes of its own: those of A and B are its genes.
    below = [DAG.inputs.index(f"G{gene}_gene") for gene in range(30) if gene % 3 < 2]
    assert of_out.loc["TOP", "enrichment"] == pytest.approx(sizes[0][below].mean())


def test_a_nodes_enrichment_z_does_not_hang_on_how_far_other_nodes_genes_differ():
    first = draw()
    X = first.expression.toarray()
    X[:, [DAG.inputs.index(f"G{gene}_gene") for gene in range(0, 30, 3)]] += 5 * first.labels[:, :1]
    louder = LabelledCells(csr_matrix(X), first.labels, first.barcodes, DAG.inputs, DAG.outputs)
    z, again = (
        enrichment(DAG, cells, seed=1).query("output == 'OUT'").set_index("node")["enrichment_z"]
        for cells in (first, louder)
    )
    # A's ten genes lead in both, so all ranks but those among these ten are the same.
    assert again["B"] == pytest.approx(z["B"], abs=0.05) and again["C"] == pytest.approx(z["C"], abs=0.05)


def test_a_node_belongs_to_the_outputs_that_it_reaches():
    reach = reaching(DAG)
    assert {"TOP", "A", "B", "C"} <= reach["OUT"] and "A" not in reach["OTHER"] and "B" in reach["OTHER"]
    table = enrichment(DAG, draw(), seed=1)
    assert table.loc[table["output"] == "OTHER", "node"].tolist() == ["B"]


def test_genes_of_a_node_are_summed_in_one_order_whatever_order_names_have_in_a_set():
    genes = [f"g{number}_gene" for number in range(40)]
    edges = [("T", "KIN"), ("KIN", "A"), ("KIN", "B")]
    edges += [("A" if number % 2 else "B", gene) for number, gene in enumerate(genes)]
    dag = Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), outputs=["T"])
    assert _genes_of(dag)["KIN"].tolist() == list(range(40))
