"""What is said of each output's genes before anything is trained."""

from __future__ import annotations

import logging

import pandas as pd
import pytest

from kpnn.pipelines.output_genes import say_genes_per_output
from kpnn.pkn import Dag, Pkn

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
    assert say_genes_per_output("pruned", dag, Pkn.from_edges(EDGES), "; do something") == kept
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [words.split()[1] for words in warnings] == warned
    assert all("do something" in words for words in warnings)
    told = ", ".join(f"{output} {n} of 4" for output, n in kept.items())
    assert f"genes below each output of the pruned DAG: {told}" in caplog.text
