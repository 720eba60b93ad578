"""Proven optima of real PKNs, found as fast as promised in spirit: these tests hold results, not seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kpnn.errors import SelectionError
from kpnn.pkn import Pkn, enumerate_dags, select_dag, shortest_path_dag

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no test data at {DATA}")


def pbmc68k(outputs: tuple[str, ...] = ("T_cell",)) -> Pkn:
    name = "edges.csv" if len(outputs) == 1 else "edges_multi_output.csv"
    return Pkn.from_edges(pd.read_csv(DATA / "pbmc68k" / name), outputs=outputs).pruned()


def tcr_sized() -> Pkn:
    """298 neurons, 12,459 genes, about 26,000 edges, no cycles; every eighth gene has one regulator."""
    rng = np.random.default_rng(3)
    names = ["TCR", *(f"P{i:03d}" for i in range(1, 298))]
    pairs = []
    for i in range(1, 298):
        lowest = 0 if i < 20 else max(1, i // 3)
        pairs += [
            (names[j], names[i])
            for j in {int(j) for j in rng.integers(lowest if i >= 20 else 0, max(1, min(i, 20 if i < 60 else i)), 5)}
            if j < i
        ]
        if i < 20:
            pairs.append(("TCR", names[i]))
    weight = rng.lognormal(0, 1.2, 278)
    weight /= weight.sum()
    for gene in range(12_459):
        n_parents = 1 if gene % 8 == 0 else int(rng.integers(1, 4))
        pairs += [(names[20 + j], f"G{gene:05d}_gene") for j in rng.choice(278, n_parents, replace=False, p=weight)]
    table = pd.DataFrame(pairs, columns=["parent", "child"]).drop_duplicates()
    genes = sorted(set(table["child"][table["child"].str.endswith("_gene")]))
    return Pkn.from_edges(table, inputs=genes, outputs=["TCR"]).pruned()


@needs_data
def test_pbmc68k_needs_71_neurons() -> None:
    selection = select_dag(pbmc68k())
    selection.verify()
    assert (selection.status, len(selection.dag.neurons), selection.objective) == ("optimal", 71, 223)
    assert selection.objective + 153 + 1 == 377  # as the tutorial counts, with one edge per input and output
    assert selection.sizes["largest_strong_component"] == 902


@needs_data
def test_pbmc68k_with_three_outputs_needs_75_neurons_where_any_will_do() -> None:
    selection = select_dag(pbmc68k(("T_cell", "B_cell", "Monocyte")), reach="any")
    selection.verify()
    assert (selection.status, len(selection.dag.neurons), selection.objective) == ("optimal", 75, 225)


@needs_data
def test_the_human_pkn_needs_282_neurons() -> None:
    receptors = ["CD247", "CD3E", "CD3D", "CD3G", "LCK", "ZAP70", "CD4", "CD8A"]
    signalling = pd.read_csv(DATA / "signalling_human.csv.gz")[["parent", "child"]]
    trrust = pd.read_csv(DATA / "trrust_human.csv.gz")
    targets = pd.DataFrame({"parent": trrust["tf"], "child": trrust["target"] + "_gene"})
    table = pd.concat([signalling, targets, pd.DataFrame({"parent": "T_cell", "child": receptors})]).drop_duplicates()
    pkn = Pkn.from_edges(table, inputs=sorted(set(targets["child"])), outputs=["T_cell"]).pruned()
    assert (len(pkn.nodes), len(pkn.edges)) == (3401, 10603)
    selection = select_dag(pkn)
    selection.verify()
    assert (selection.status, len(selection.dag.neurons)) == ("optimal", 282)


@needs_data
def test_optimal_dags_of_pbmc68k_differ_in_36_hidden_nodes() -> None:
    found = enumerate_dags(pbmc68k(), 3)
    assert found.membership["membership"].value_counts().to_dict() == {"none": 957, "all": 56, "some": 36}
    assert len({one.dag.neurons for one in found.selections}) == 3
    assert not found.is_complete
    for one in found.selections:
        one.verify()
        in_all = found.membership.loc[found.membership["membership"] == "all", "node"]
        assert set(in_all) <= set(one.dag.hidden)


@needs_data
def test_the_full_dag_of_pbmc68k_keeps_every_input_and_loses_the_cycles() -> None:
    pkn = pbmc68k()
    full = shortest_path_dag(pkn)
    assert full.inputs == pkn.inputs
    assert len(full.edges) == 400
    assert len(select_dag(Pkn(full.edges, full.inputs, full.outputs)).dag.edges) >= 223


def test_a_tcr_sized_pkn_is_proven_and_fits_gurobis_free_licence() -> None:
    pkn = tcr_sized()
    assert len(pkn.inputs) == 12_459
    selection = select_dag(pkn)
    selection.verify()
    assert selection.status == "optimal"
    # One output and unit costs: an arborescence.
    assert selection.objective == len(pkn.inputs) + len(selection.dag.neurons) - 1
    assert max(selection.sizes["columns"], selection.sizes["rows"]) <= 2_000
    pytest.importorskip("gurobipy")
    other = select_dag(pkn, solver="GUROBI")
    assert other.dag.fingerprint == selection.dag.fingerprint


@needs_data
def test_gurobis_free_licence_exceeded_is_explained() -> None:
    pytest.importorskip("gurobipy")
    with pytest.raises(SelectionError, match=r"Gurobi rejects a formulation of [\d,]+ variables .* HIGHS or SCIP"):
        select_dag(pbmc68k(("T_cell", "B_cell", "Monocyte")), solver="GUROBI", reach="any")


@needs_data
def test_at_the_time_limit_the_best_dag_comes_with_its_gap() -> None:
    pkn = pbmc68k()
    selection = select_dag(pkn, time_limit=0.01)
    selection.verify()
    assert selection.bound <= 223 <= selection.objective
    assert selection.gap == pytest.approx((selection.objective - selection.bound) / selection.objective)
    assert selection.status == ("optimal" if selection.gap == 0 else "time_limit")
