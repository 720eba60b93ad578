"""The largest acyclic part: as large as brute force says, every input and output in it; orders close no cycle."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from brute_force import AllSubsets, Case
from hypothesis import given, settings
from hypothesis import strategies as st
from pkn_strategies import cases, pkn_of

from kpnn.pkn import Pkn, most_edges_dag, shortest_path_dag
from kpnn.pkn.largest_dag import search
from kpnn.pkn.largest_dag.orders import CyclicEdges, guided_rank, hung_rank, improved_rank
from kpnn.pkn.largest_dag.programme import cycle_rows, state_programme
from kpnn.pkn.paths import edges_on_paths


def pairs_of(dag) -> set[tuple[str, str]]:
    return set(zip(dag.edges["parent"], dag.edges["child"], strict=True))


def cyclic_pkn(n_hidden: int, n_edges: int, seed: int) -> Pkn:
    """A random PKN with one large cyclic part below two outputs."""
    rng = np.random.default_rng(seed)
    hidden = [f"h{place:03d}" for place in range(n_hidden)]
    ends = {(int(a), int(b)) for a, b in rng.integers(0, n_hidden, (n_edges, 2)) if a != b}
    pairs = [(hidden[a], hidden[b]) for a, b in ends] + [("o0", hidden[0]), ("o1", hidden[1])]
    pairs += [(hidden[int(rng.integers(n_hidden))], f"g{place}") for place in range(n_hidden)]
    return Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), outputs=["o0", "o1"]).pruned()


@settings(max_examples=50, deadline=None)
@given(cases(with_rules=False, n_outputs=(1, 3)))
def test_no_dag_on_paths_holds_more_edges(case: Case) -> None:
    truth = AllSubsets(case)
    sizes = sum((kept.astype(int) for kept in truth.kept.values()), np.zeros(len(truth.cost), dtype=int))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_SHAKES", 2)
        largest = most_edges_dag(pkn_of(case))
    assert len(largest.dag.edges) == largest.bound == sizes[truth.feasible].max()
    assert (largest.status, largest.gap) == ("optimal", 0.0)
    assert (largest.dag.inputs, largest.dag.outputs) == (case.inputs, case.outputs)
    assert pairs_of(largest.dag) <= set(case.edges)


def test_a_pkn_without_cycles_is_kept_whole() -> None:
    pairs = [("R", "A"), ("R", "B"), ("A", "B"), ("A", "g"), ("B", "g"), ("B", "h")]
    largest = most_edges_dag(Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"])))
    assert pairs_of(largest.dag) == set(pairs)
    assert largest.status == "optimal"


def test_a_node_that_lies_on_cycles_alone_is_left_out_and_one_that_an_input_needs_stays() -> None:
    # X leads back to A alone. C is the only parent of h, so that A -> C stays although two cycles pass it.
    pairs = [("R", "A"), ("A", "X"), ("X", "A"), ("A", "C"), ("C", "A"), ("C", "D"), ("D", "A"), ("C", "h"), ("A", "g")]
    pkn = Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), inputs=["g", "h"], outputs=["R"])
    assert pairs_of(most_edges_dag(pkn).dag) == {("R", "A"), ("A", "C"), ("C", "h"), ("A", "g")}


def test_it_holds_far_more_of_a_cyclic_pkn_than_the_shortest_paths() -> None:
    pkn = cyclic_pkn(24, 60, 0)
    largest = most_edges_dag(pkn)
    assert (largest.dag.inputs, largest.dag.outputs) == (pkn.inputs, pkn.outputs)
    assert nx.is_directed_acyclic_graph(nx.DiGraph(pairs_of(largest.dag)))
    assert len(shortest_path_dag(pkn).edges) < len(largest.dag.edges) <= largest.bound < len(pkn.edges)


def test_out_of_time_it_is_still_a_dag_with_all_inputs_and_a_bound() -> None:
    pkn = cyclic_pkn(60, 180, 1)
    largest = most_edges_dag(pkn, time_limit=1e-6)
    assert (largest.dag.inputs, largest.dag.outputs) == (pkn.inputs, pkn.outputs)
    assert len(largest.dag.edges) < largest.bound
    assert largest.status == "time_limit"
    assert largest.gap == pytest.approx(1 - len(largest.dag.edges) / largest.bound)


@settings(max_examples=40, deadline=None)
@given(cases(with_rules=False, n_outputs=(1, 2)), st.integers(0, 1_000))
def test_orders_put_parents_where_they_are_needed_and_only_improve(case: Case, seed: int) -> None:
    pkn, rng = pkn_of(case), np.random.default_rng(seed)
    paths = edges_on_paths(pkn)
    rows = np.flatnonzero(paths.usable)
    edges = state_programme(paths, pkn.parent_codes[rows], pkn.child_codes[rows]).edges
    rank = rng.permutation(len(pkn.nodes))
    hung = hung_rank(edges, rank)
    for one in (hung, improved_rank(edges, hung, rng, n_shakes=5)):
        assert sorted(one) == list(range(len(pkn.nodes)))
        falls = edges.falls(one)
        assert set(np.flatnonzero(edges.needs_parent)) <= set(edges.child[falls])
    # Edges of most weight first: those of a DAG, weighted so, all run down.
    weight = edges.falls(rank) + 0.5 * rng.random(len(edges.parent))
    guided = guided_rank(edges, weight, rng.permutation(len(pkn.nodes)))
    assert edges.falls(guided)[edges.falls(rank)].all()


def test_what_moves_gain_is_what_the_order_is_worth() -> None:
    from kpnn.pkn.largest_dag.orders import _Moves

    pkn, rng = cyclic_pkn(40, 140, 2), np.random.default_rng(0)
    paths = edges_on_paths(pkn)
    rows = np.flatnonzero(paths.usable)
    edges: CyclicEdges = state_programme(paths, pkn.parent_codes[rows], pkn.child_codes[rows]).edges
    start = improved_rank(edges, rng.permutation(len(pkn.nodes)), rng, n_shakes=0)
    moves = _Moves(edges, start, np.ones(len(edges.parent)))
    for _ in range(30):
        moves.shake(rng)
        anew = _Moves(edges, moves.snapshot().place, np.ones(len(edges.parent)))
        assert moves.value == pytest.approx(anew.value)


def test_rows_of_cycles_cut_off_what_keeps_too_much_of_one_and_nothing_else() -> None:
    pairs = [("R", "A"), ("A", "B"), ("B", "A"), ("B", "C"), ("C", "A"), ("A", "g"), ("B", "g"), ("C", "g")]
    pkn = Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), inputs=["g"], outputs=["R"])
    paths = edges_on_paths(pkn)
    programme = state_programme(paths, pkn.parent_codes, pkn.child_codes)
    everything = cycle_rows(programme, np.ones(programme.n_columns))
    assert sorted(len(columns) for columns in everything.columns) == [2, 3]
    kept = np.ones(programme.n_columns)
    kept[np.concatenate(everything.columns)] = 0.5
    assert len(cycle_rows(programme, kept)) == 0
