"""Rewiring keeps what it promises and forgets the rest."""

from __future__ import annotations

import time
from collections import Counter
from graphlib import CycleError, TopologicalSorter

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from brute_force import Case
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pkn_strategies import cases, pkn_of

from kpnn.errors import PknError
from kpnn.pkn import Pkn, rewired_pkn, select_dag


def pairs_of(pkn: Pkn) -> list[tuple[str, str]]:
    return list(zip(pkn.edges["parent"], pkn.edges["child"], strict=True))


def degrees_of(pkn: Pkn) -> Counter[tuple[str, str]]:
    """How many neurons and genes each node has as children, and how many parents."""
    inputs = set(pkn.inputs)
    counted: Counter[tuple[str, str]] = Counter()
    for parent, child in pairs_of(pkn):
        counted[parent, "genes" if child in inputs else "neurons"] += 1
        counted[child, "parents"] += 1
    return counted


def is_acyclic(pkn: Pkn) -> bool:
    children = pkn.edges.groupby("parent")["child"].agg(list).to_dict()
    try:
        list(TopologicalSorter(children).static_order())
    except CycleError:
        return False
    return True


def layered_pkn(n_regulators: int, n_genes: int, n_edges: int, seed: int = 0) -> Pkn:
    """An acyclic PKN of three levels below one output, in which every node has a parent."""
    rng = np.random.default_rng(seed)
    regulators = [f"r{number}" for number in range(n_regulators)]
    third = n_regulators // 3
    pairs = {("R", name) for name in regulators[:third]}
    pairs |= {(regulators[int(rng.integers(third))], name) for name in regulators[third:]}
    pairs |= {(regulators[number % n_regulators], f"g{number}") for number in range(n_genes)}
    while len(pairs) < n_edges:
        parents, genes = rng.integers(n_regulators, size=n_edges), rng.integers(n_genes, size=n_edges)
        pairs |= {(regulators[p], f"g{g}") for p, g in zip(parents, genes, strict=True)}
        ends = np.sort(rng.integers(n_regulators, size=(n_regulators, 2)), axis=1)
        pairs |= {(regulators[p], regulators[c]) for p, c in ends if p < c}
    return Pkn.from_edges(pd.DataFrame(sorted(pairs), columns=["parent", "child"]), outputs=["R"]).pruned()


@settings(max_examples=150, deadline=None)
@given(cases(with_rules=False), st.integers(0, 10_000))
def test_degrees_and_roles_stay(case: Case, seed: int) -> None:
    pkn = pkn_of(case)
    try:
        found = rewired_pkn(pkn, seed)
    except PknError:
        assume(False)
    rewired = found.pkn
    pairs = pairs_of(rewired)
    assert len(set(pairs)) == len(pairs)
    assert all(parent != child for parent, child in pairs)
    assert rewired.outputs == pkn.outputs
    assert not set(rewired.inputs) & set(rewired.edges["parent"])
    assert set(found.lost) == set(pkn.inputs) - set(rewired.inputs)
    if set(rewired.nodes) == set(pkn.nodes):
        assert degrees_of(rewired) == degrees_of(pkn)
    if is_acyclic(pkn):
        assert is_acyclic(rewired) and rewired.nodes == pkn.nodes and not found.lost
    # Made from the table alone, it is the same: sorted, each pair once, all nodes on a path.
    again = Pkn.from_edges(rewired.edges, inputs=rewired.inputs, outputs=rewired.outputs).pruned()
    assert again.edges.equals(rewired.edges)
    before = set(pairs_of(pkn))
    if rewired.nodes == pkn.nodes:
        assert found.moved == pytest.approx(np.mean([pair not in before for pair in pairs]))


@settings(max_examples=60, deadline=None)
@given(cases(with_rules=False), st.integers(0, 10_000))
def test_strongly_connected_components_do_not_grow(case: Case, seed: int) -> None:
    pkn = pkn_of(case)
    try:
        rewired = rewired_pkn(pkn, seed).pkn
    except PknError:
        assume(False)
    before = list(nx.strongly_connected_components(nx.DiGraph(pairs_of(pkn))))
    for component in nx.strongly_connected_components(nx.DiGraph(pairs_of(rewired))):
        assert any(component <= larger for larger in before)


def test_every_network_of_the_same_degrees_is_drawn_alike() -> None:
    # Two regulators of two genes each and four genes of one parent each: 4! / (2! 2!) = 6 networks.
    pairs = [("R", f"r{r}") for r in range(2)] + [(f"r{r}", f"g{2 * r + k}") for r in range(2) for k in range(2)]
    pkn = Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]))
    drawn = Counter(frozenset(pairs_of(rewired_pkn(pkn, seed).pkn)) for seed in range(300))
    assert len(drawn) == 6
    assert sum((count - 50) ** 2 / 50 for count in drawn.values()) < 20.5  # chi-square, 5 degrees of freedom, p 0.001


def test_a_seed_is_a_network_and_another_seed_another() -> None:
    pkn = layered_pkn(30, 100, 300)
    first, same, other = (rewired_pkn(pkn, seed) for seed in (1, 1, 2))
    assert first.pkn.edges.equals(same.pkn.edges)
    assert not first.pkn.edges.equals(other.pkn.edges)
    assert first.moved > 0.5 and first.n_swaps > len(pkn.edges)
    assert rewired_pkn(pkn, 1, n_swaps=0).pkn.edges.equals(pkn.edges)
    few = rewired_pkn(pkn, 1, n_swaps=20)
    assert 0 < few.n_swaps <= 20 and 0 < few.moved <= 40 / len(pkn.edges)


def test_sign_and_cost_stay_with_the_parent() -> None:
    pkn = layered_pkn(30, 100, 300)
    rng = np.random.default_rng(0)
    edges = pkn.edges.assign(sign=rng.choice([-1, 0, 1], len(pkn.edges)), cost=rng.integers(1, 5, len(pkn.edges)))
    signed = Pkn.from_edges(edges, inputs=pkn.inputs, outputs=pkn.outputs)
    rewired = rewired_pkn(signed, 3).pkn
    columns = ["parent", "sign", "cost"]
    kept = [table[columns].sort_values(columns).to_numpy().tolist() for table in (signed.edges, rewired.edges)]
    assert kept[0] == kept[1]


def test_a_component_that_comes_loose_is_tied_in_again() -> None:
    # Two rings below one output: a swap of the edges into them can leave a ring to itself.
    pairs = [("R", "a0"), ("R", "b0"), ("a1", "g0"), ("b1", "g1")]
    pairs += [(f"{ring}{k}", f"{ring}{(k + 1) % 4}") for ring in "ab" for k in range(4)]
    pairs += [("a0", "a2"), ("a2", "a0"), ("b0", "b2"), ("b2", "b0"), ("a3", "b3"), ("b3", "a3")]
    pkn = Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), inputs=["g0", "g1"], outputs=["R"]).pruned()
    found = [rewired_pkn(pkn, seed) for seed in range(60)]
    assert all(degrees_of(one.pkn) == degrees_of(pkn) and not one.lost for one in found)


def test_what_cannot_be_swapped_stays() -> None:
    star = Pkn.from_edges(pd.DataFrame([("R", "g0"), ("R", "g1"), ("R", "g2")], columns=["parent", "child"]))
    found = rewired_pkn(star, 0)
    assert found.pkn.edges.equals(star.edges) and (found.n_swaps, found.moved) == (0, 0.0)


def test_a_dag_can_be_selected_from_it_by_the_same_rules() -> None:
    pkn = layered_pkn(40, 150, 500)
    selection = select_dag(rewired_pkn(pkn, 7).pkn)
    selection.verify()
    assert selection.status == "optimal" and selection.dag.inputs == pkn.inputs


def test_thirty_thousand_edges_take_seconds() -> None:
    pkn = layered_pkn(300, 12_000, 30_000)
    begun = time.process_time()
    found = rewired_pkn(pkn, 0)
    assert time.process_time() - begun < 10
    assert found.moved > 0.9 and degrees_of(found.pkn) == degrees_of(pkn)
