"""What is said of each output's genes before anything is trained."""

from __future__ import annotations

import logging

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from kpnn.pipelines.output_genes import log_genes_per_output, warn_of_funnel
from kpnn.pkn import Dag, Pkn, narrowest_funnel

EDGES = pd.DataFrame(
    [("A", "H"), ("B", "H"), ("B", "I"), *(("H", f"G{i}_gene") for i in range(3)), ("I", "G3_gene"), ("A", "I")],
    columns=["parent", "child"],
)


@pytest.mark.parametrize(
    ("left_out", "kept", "warned"),
    [([], {"A": 4, "B": 4}, []), ([("A", "H")], {"A": 1, "B": 4}, ["A"]), ([("A", "I")], {"A": 3, "B": 4}, [])],
)
def test_an_output_that_keeps_less_than_half_of_its_genes_is_a_warning(left_out, kept, warned, caplog):
    caplog.set_level(logging.INFO)
    pairs = pd.MultiIndex.from_frame(EDGES)
    dag = Dag.from_edges(EDGES[~pairs.isin(left_out)].reset_index(drop=True), outputs=["A", "B"])
    assert log_genes_per_output("pruned", dag, Pkn.from_edges(EDGES), "; do something") == kept
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [words.split()[1] for words in warnings] == warned
    assert all("do something" in words for words in warnings)
    told = ", ".join(f"{output} {n} of 4" for output, n in kept.items())
    assert f"genes below each output of the pruned DAG: {told}" in caplog.text


TOP = [(output, side) for output in ("A", "B") for side in ("L", "R")]
GENES = [(side, f"{side}{i}_gene") for side in ("L", "R") for i in range(3)]


@pytest.mark.parametrize(
    ("edges", "named"),
    [
        ([("A", "HUB"), ("B", "HUB"), ("HUB", "L"), ("HUB", "R"), *GENES], "100 % of what 2 of the 2 outputs"),
        ([*TOP, *GENES], ""),
        ([("A", "L"), ("B", "R"), *GENES], ""),
        ([("A", "HUB"), ("HUB", "L"), *GENES[:3]], ""),
    ],
)
def test_a_neuron_that_all_outputs_read_everything_through_is_a_warning(edges, named, caplog):
    dag = Dag.from_edges(pd.DataFrame(edges, columns=["parent", "child"]))
    warn_of_funnel("pruned", dag)
    assert bool(caplog.records) is bool(named)
    assert not named or (named in caplog.text and "passes through HUB" in caplog.text)
    assert not named or "dag_selection.lanes: 2 adds paths" in caplog.text
    caplog.clear()
    warn_of_funnel("pruned", dag, lanes=2)
    assert not named or "no way around it: give each output roots of its own" in caplog.text


@pytest.mark.parametrize("seed", range(5))
def test_the_narrowest_funnel_is_what_path_by_path_shows(seed):
    rng = np.random.default_rng(seed)
    hidden = [f"H{i}" for i in range(6)]
    pairs = {(hidden[int(rng.integers(i))], hidden[i]) for i in range(1, 6) for _ in range(2)}
    pairs |= {(output, hidden[int(rng.integers(3))]) for output in ("A", "B")} | {("A", "H0"), ("B", "H0")}
    pairs |= {(hidden[int(rng.integers(6))], f"G{i}_gene") for i in range(5)} | {(node, "G0_gene") for node in hidden}
    dag = Dag.from_edges(pd.DataFrame(sorted(pairs), columns=["parent", "child"]), outputs=["A", "B"])
    graph = nx.DiGraph(sorted(pairs))
    through = {
        (output, gene): set.intersection(*(set(path) for path in nx.all_simple_paths(graph, output, gene)))
        for output in dag.outputs
        for gene in dag.inputs
        if nx.has_path(graph, output, gene)
    }
    shares = {node: np.mean([node in nodes for nodes in through.values()]) for node in dag.hidden}
    found = narrowest_funnel(dag)
    assert found.share == pytest.approx(max(shares.values())) == pytest.approx(shares[found.node])
    assert set(found.outputs) == {output for (output, _), nodes in through.items() if found.node in nodes}
