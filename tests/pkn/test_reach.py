"""`reach`: with `every`, each input keeps every output that it reaches in the PKN; what cannot be kept is said."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from brute_force import AllSubsets, Case
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pkn_strategies import cases, pkn_of
from test_known_instances import needs_data, pbmc68k

from kpnn.errors import PknError, SelectionError
from kpnn.pkn import Dag, Pkn, SelectionRules, enumerate_dags, random_dags, rewired_pkn, select_dag, size_path
from kpnn.pkn.selection.bounds import relaxation as relaxation_module
from kpnn.pkn.selection.bounds.cuts import violated_cuts
from kpnn.pkn.selection.bounds.relaxation import Relaxation
from kpnn.pkn.selection.compact import Known, solve_compact
from kpnn.pkn.selection.implied_demands import implied_demands
from kpnn.pkn.selection.model import output_trees
from kpnn.pkn.selection.model.compact_form import formulate
from kpnn.pkn.selection.model.formulation import without_barred_columns
from kpnn.pkn.selection.model.hub_form import hub_form_applies
from kpnn.pkn.selection.model.rows import LinearRows
from kpnn.pkn.selection.model.several_hubs import formulate_several_hubs
from kpnn.pkn.selection.presolve import presolve
from kpnn.pkn.selection.search.needed_edges import needed_edges
from kpnn.pkn.selection.search.order_heuristic import cheapest_paths_along_orders
from kpnn.pkn.selection.search.state import SearchState
from kpnn.pkn.selection.settings import SolveLimits
from kpnn.pkn.selection.solvers.highs import solve_with_highs
from kpnn.pkn.selection.twin_outputs import merge_twin_outputs


def pkn(*pairs: tuple[str, str], outputs: tuple[str, ...] = ("O", "P")) -> Pkn:
    return Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), outputs=outputs)


def lost_pairs(source: Pkn, dag: Dag) -> set[tuple[str, str]]:
    """(output, input) pairs that are joined in the PKN and not in the DAG, by a search of its own."""
    joined = []
    for edges in (source.edges, dag.edges):
        children = edges.groupby("parent")["child"].agg(list).to_dict()
        found = set()
        for output in source.outputs:
            seen, waiting = {output}, [output]
            while waiting:
                new = set(children.get(waiting.pop(), ())) - seen
                seen |= new
                waiting += new
            found |= {(output, name) for name in seen & set(source.inputs)}
        joined.append(found)
    return joined[0] - joined[1]


def test_any_starves_an_output_and_every_does_not() -> None:
    both = pkn(("O", "A"), ("P", "B"), ("A", "g1"), ("A", "g2"), ("A", "g3"), ("B", "g1"), ("B", "A"))
    one = select_dag(both, reach="any")
    assert (one.objective, len(lost_pairs(both, one.dag))) == (5, 3)
    every = select_dag(both, reach="every")
    every.verify()
    assert (every.objective, lost_pairs(both, every.dag)) == (6, set())


def test_a_dag_that_starves_an_output_does_not_verify() -> None:
    both = pkn(("O", "A"), ("P", "B"), ("A", "g1"), ("A", "g2"), ("B", "g3"), ("B", "A"))
    starving = select_dag(both, reach="any")
    starving.verify()
    with pytest.raises(SelectionError, match="input g1, g2 reaches output P in the PKN but not in the DAG"):
        replace(starving, rules=SelectionRules(reach="every")).verify()


def test_an_input_may_need_a_parent_for_each_of_its_outputs() -> None:
    apart = pkn(("O", "A"), ("P", "B"), ("A", "g"), ("B", "g"))
    assert select_dag(apart, reach="any").objective == 3 + 1
    crossing = pkn(("O", "A"), ("O", "g"), ("P", "B"), ("A", "g"), ("B", "g"), ("A", "h"), ("B", "h"))
    assert select_dag(crossing, reach="every").objective == 6


def test_demands_that_cut_a_pair_are_named() -> None:
    both = pkn(("O", "A"), ("P", "B"), ("B", "A"), ("A", "g"), ("B", "h"))
    with pytest.raises(SelectionError, match=r"input g reaches output P in the PKN, but .* choose reach=any"):
        select_dag(both, reach="every", forbid_edges=[("B", "A")])
    with pytest.raises(SelectionError, match=r"input g reaches output P in the PKN, but .* no path of at most 2 edges"):
        select_dag(both, reach="every", max_depth=2)
    select_dag(both, reach="every", max_depth=3).verify()


def test_paths_that_close_a_cycle_together_are_explained() -> None:
    opposed = pkn(("O", "A"), ("P", "B"), ("A", "B"), ("B", "A"), ("A", "g"), ("B", "h"))
    with pytest.raises(SelectionError, match="paths that together close a cycle, reach=any asks for less"):
        select_dag(opposed, reach="every")
    assert select_dag(opposed, reach="any").objective == 4


def test_cornetos_statement_refuses_it_in_words() -> None:
    both = pkn(("O", "A"), ("P", "A"), ("A", "g"))
    with pytest.raises(SelectionError, match="method acyclic_flow asks each input for a path to any one output"):
        select_dag(both, reach="every", method="acyclic_flow")
    assert select_dag(both, reach="any", method="acyclic_flow").objective == 3


def test_an_unknown_reach_is_refused() -> None:
    with pytest.raises(SelectionError, match="reach must be one of every, any, found 'all'"):
        select_dag(pkn(("O", "g"), ("P", "g")), reach="all")


@settings(max_examples=50, deadline=None)
@given(cases(with_rules=False, n_outputs=(2, 3), reach="every"))
def test_no_pair_is_lost(case: Case) -> None:
    assume(AllSubsets(case).optimum is not None)
    assert lost_pairs(pkn_of(case), select_dag(pkn_of(case), **case.rules).dag) == set()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])  # many lose a pair
@given(cases(with_rules=False, n_outputs=(2, 3), reach="every"))
def test_the_heuristic_that_knows_no_limits_keeps_all_pairs_and_closes_no_cycle(case: Case) -> None:
    try:
        reduced = presolve(pkn_of(case), SelectionRules(**case.rules))
    except SelectionError:
        assume(False)
    assume(bool(reduced.reach))
    found = cheapest_paths_along_orders(reduced, np.random.default_rng(0))
    assume(found is not None)
    assert found is not None
    edges, rank = found
    assert (rank[reduced.parent[edges]] < rank[reduced.child[edges]]).all()
    dag = Dag.from_edges(reduced.pkn.edges.iloc[reduced.edge_ids[edges]], outputs=reduced.pkn.outputs)
    assert lost_pairs(reduced.pkn, dag) == set()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])  # many lose a pair
@given(cases(with_rules=False, n_outputs=(2, 3), reach="every"), st.integers(1, 2), st.randoms(use_true_random=False))
def test_needed_edges_of_an_order_keep_all_pairs_that_its_edges_keep(case: Case, coverage: int, random) -> None:
    source = pkn_of(case)
    try:
        reduced = presolve(source, SelectionRules(reach="every", coverage=coverage))
    except SelectionError:
        assume(False)
    assume(bool(reduced.reach))
    inner = [code for code, name in enumerate(source.nodes) if name in source.hidden]
    random.shuffle(inner)
    rank = np.where(reduced.is_output, -1, len(inner))
    rank[inner] = np.arange(len(inner))
    edges = np.flatnonzero(rank[reduced.parent] < rank[reduced.child])
    children = source.edges.iloc[reduced.edge_ids[edges]].groupby("parent")["child"].agg(list).to_dict()
    n_parents = np.bincount(reduced.child[edges], minlength=len(rank))

    def below(name: str) -> set[str]:
        return {name}.union(*(below(child) for child in children.get(name, ())))

    keeps_all = all(
        reduced.reach.inputs[row][source.nodes.index(name)] <= (name in below(output))
        for row, output in enumerate(source.outputs)
        for name in source.inputs
    )
    found = needed_edges(reduced, edges, rank)
    assert found is None or keeps_all
    if coverage == 1:
        assert (found is not None) == keeps_all
    if found is None:
        return
    assert set(found.tolist()) <= set(edges.tolist())
    dag = Dag.from_edges(source.edges.iloc[reduced.edge_ids[found]], outputs=source.outputs)
    assert lost_pairs(source, dag) == set()
    n_kept = np.bincount(reduced.child[found], minlength=len(rank))
    assert (n_kept[reduced.is_input] >= np.minimum(reduced.coverage, n_parents)[reduced.is_input]).all()
    # What is needed is needed of itself as well, and no edge of it is spare.
    again = needed_edges(reduced, found, rank)
    assert again is not None
    assert len(again) <= len(found)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])  # many lose a pair
@given(cases(n_outputs=(2, 3), reach="every"))
def test_implied_demands_hold_in_every_dag(case: Case) -> None:
    subsets = AllSubsets(case)
    assume(subsets.optimum is not None)
    source = pkn_of(case)
    reduced = presolve(source, SelectionRules(**case.rules))
    assume(bool(reduced.reach))
    joined, below = implied_demands(reduced.parent, reduced.child, reduced.reach)
    assert not (joined & ~below).any()
    for row, output in enumerate(source.outputs):
        reached = subsets._reach([output], [(edge, *edge) for edge in case.edges])
        for code in np.flatnonzero(joined[row]).tolist():
            assert reached[source.nodes[code]][subsets.feasible].all()


def test_what_is_reached_through_one_parent_alone_is_demanded_of_it_in_turn() -> None:
    layered = pkn(("O", "A"), ("P", "B"), ("A", "C"), ("B", "C"), ("B", "D"), ("C", "g"), ("C", "h"), ("D", "h"))
    reduced = presolve(layered, SelectionRules(reach="every"))
    joined, _ = implied_demands(reduced.parent, reduced.child, reduced.reach)
    found = {
        output: {layered.nodes[code] for code in np.flatnonzero(joined[row])}
        for row, output in enumerate(layered.outputs)
    }
    assert found == {"O": {"A", "C", "g", "h"}, "P": {"B", "C", "g", "h"}}
    formulation = formulate(reduced)
    kept = {
        layered.nodes[code] for code in formulation.reduced.hidden if formulation.low[formulation.node_column[code]]
    }
    assert kept == {"A", "B", "C"}


def layered_below_many_outputs(n_outputs: int, seed: int = 0) -> Pkn:
    """Outputs above five layers of forty nodes, two parents each, and genes below any of them."""
    rng = np.random.default_rng(seed)
    layers = [[f"O{i}" for i in range(n_outputs)], *([f"H{layer}_{i}" for i in range(40)] for layer in range(5))]
    edges = {
        (parent, child)
        for above, below in pairwise(layers)
        for child in below
        for parent in rng.choice(above, 2, replace=False)
    }
    edges |= {(output, str(rng.choice(layers[1]))) for output in layers[0]}
    hidden = [name for layer in layers[1:] for name in layer]
    edges |= {(parent, f"g{i % 150}") for i, parent in enumerate(hidden * 3)}
    return Pkn.from_edges(pd.DataFrame(sorted(edges), columns=["parent", "child"]), outputs=layers[0])


def test_layers_below_hundreds_of_outputs_are_proven() -> None:
    source = layered_below_many_outputs(150)
    selection = select_dag(source, time_limit=600)
    selection.verify()
    assert (selection.status, lost_pairs(source, selection.dag)) == ("optimal", set())


@needs_data
def test_hundreds_of_outputs_above_a_cyclic_network_get_an_order() -> None:
    source = pbmc68k()
    rng = np.random.default_rng(0)
    below = source.edges.loc[source.edges["parent"] != source.outputs[0], ["parent", "child"]]
    tops = sorted(set(below["parent"]))
    own = [(f"output{i}", str(name)) for i in range(200) for name in rng.choice(tops, 3, replace=False)]
    table = pd.concat([pd.DataFrame(own, columns=["parent", "child"]), below])
    many = Pkn.from_edges(table, inputs=source.inputs, outputs=[f"output{i}" for i in range(200)]).pruned()
    reduced = presolve(many, SelectionRules())
    found = cheapest_paths_along_orders(reduced, np.random.default_rng(0))
    assert found is not None
    dag = Dag.from_edges(many.edges.iloc[reduced.edge_ids[found[0]]], outputs=many.outputs)
    assert lost_pairs(many, dag) == set()


def test_before_anything_is_solved_every_input_costs_its_coverage() -> None:
    apart = pkn(("O", "A"), ("P", "B"), ("O", "C"), *[(a, b) for a in "ABC" for b in "gh"])
    for edge_form, least in ((True, 2.0), (False, 2.0)):
        formulation = formulate(presolve(apart, SelectionRules()), edge_form=edge_form)
        state = SearchState.of(formulation, seed=0)
        assert least <= state.bound <= 6


@settings(max_examples=50, deadline=None)
@given(cases(n_outputs=(1, 3), reach="every"))
def test_no_dag_costs_less_than_is_known_before_anything_is_solved(case: Case) -> None:
    optimum = AllSubsets(case).optimum
    assume(optimum is not None)
    for edge_form in (None, True):
        formulation = formulate(presolve(pkn_of(case), SelectionRules(**case.rules)), edge_form=edge_form)
        assert SearchState.of(formulation, seed=0).bound <= optimum + 1e-9


def test_a_time_limit_that_leaves_no_dag_names_what_asks_for_less() -> None:
    opposed = pkn(("O", "A"), ("P", "B"), ("A", "B"), ("B", "A"), ("A", "g"), ("B", "h"))
    state = SearchState.of(formulate(presolve(opposed, SelectionRules())), seed=0)
    with pytest.raises(SelectionError, match=r"no DAG found within time_limit=1 s .* reach=any asks for less"):
        state.require_best(1)


@needs_data
@pytest.mark.parametrize("seed", range(6))
def test_outputs_that_enter_a_rewired_network_at_one_node_each_get_a_dag_at_once(seed: int) -> None:
    outputs = ("T_cell", "B_cell", "Monocyte")
    edges = rewired_pkn(pbmc68k(outputs), seed=seed).pkn.edges[["parent", "child"]]
    is_first = ~edges.duplicated("parent") | ~edges["parent"].isin(outputs)
    lone = pd.DataFrame({"parent": ["X"], "child": [edges["parent"].min()]})
    rewired = Pkn.from_edges(pd.concat([edges[is_first], lone]), outputs=(*outputs, "X")).pruned()
    reduced = presolve(rewired, SelectionRules(reach="every"))
    found = cheapest_paths_along_orders(reduced, np.random.default_rng(0))
    assert found is not None
    dag = Dag.from_edges(rewired.edges.iloc[reduced.edge_ids[found[0]]], outputs=rewired.outputs)
    assert lost_pairs(rewired, dag) == set()
    assert len(dag.edges) < 2 * len(rewired.inputs)


@st.composite
def cases_with_a_hub(draw: st.DrawFn) -> Case:
    """Two or three outputs above one hidden node above two inputs, and some other edges."""
    outputs, hidden = [f"o{i}" for i in range(draw(st.integers(2, 3)))], ["h0", "h1", "h2", "h3"]
    edges = [*((output, "h0") for output in outputs), ("h0", "g0"), ("h0", "g1")]
    others = [(a, b) for a in outputs + hidden for b in [*hidden, "g0", "g1"] if a != b and (a, b) not in edges]
    edges += draw(st.lists(st.sampled_from(others), max_size=7, unique=True))
    table = pd.DataFrame(edges, columns=["parent", "child"])
    pruned = Pkn.from_edges(table, inputs=["g0", "g1"], outputs=outputs).pruned()
    pairs = tuple(zip(pruned.edges["parent"], pruned.edges["child"], strict=True))
    return Case(pairs, (1.0,) * len(pairs), pruned.inputs, pruned.outputs, reach="every")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases_with_a_hub())
def test_the_way_over_a_hub_finds_what_the_edge_form_alone_finds(case: Case) -> None:
    truth = AllSubsets(case).optimum
    assert truth is not None
    assert hub_form_applies(presolve(pkn_of(case), SelectionRules(reach="every")))
    assert select_dag(pkn_of(case), reach="every").objective == pytest.approx(truth)


@st.composite
def cases_with_two_hubs(draw: st.DrawFn) -> Case:
    """Outputs whose paths meet anew above each of two parts of the inputs, and some other edges."""
    n_outputs = draw(st.integers(2, 3))
    outputs, hidden, genes = [f"o{i}" for i in range(n_outputs)], ["h0", "h1", "h2"], ["g0", "g1"]
    edges = [("o0", "h0"), ("o0", "h1"), ("h0", "g0"), ("h1", "g1")]
    # Two outputs meet at the hubs themselves; of three the last two may meet above.
    gathers = "o1" if n_outputs == 2 else "h2"
    edges += [(gathers, "h0"), (gathers, "h1"), *([] if n_outputs == 2 else [("o1", "h2"), ("o2", "h2")])]
    others = [(a, b) for a in outputs + hidden for b in [*hidden, *genes] if a != b and (a, b) not in edges]
    edges += draw(st.lists(st.sampled_from(others), max_size=4, unique=True))
    pruned = Pkn.from_edges(pd.DataFrame(edges, columns=["parent", "child"]), inputs=genes, outputs=outputs).pruned()
    pairs = tuple(zip(pruned.edges["parent"], pruned.edges["child"], strict=True))
    return Case(pairs, (1.0,) * len(pairs), pruned.inputs, pruned.outputs, reach="every")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases_with_two_hubs())
def test_the_cheapest_dag_is_found_where_paths_meet_twice_and_several_hubs_state_it(
    case: Case,
) -> None:
    truth = AllSubsets(case)
    source = pkn_of(case)
    reduced = presolve(source, SelectionRules())
    assert hub_form_applies(reduced)
    selection = select_dag(source)
    selection.verify()
    assert (selection.status, selection.objective) == ("optimal", truth.optimum)
    found = enumerate_dags(source, 40)
    assert {frozenset(one.dag.hidden) for one in found.selections} == set(truth.neuron_sets(truth.optimum))
    assert found.is_complete
    # A cheapest DAG in which paths meet in more edges than below one hub is a solution of the statement.
    n_meeting = [cost - len(case.inputs) - len(names) for names, cost in truth.neuron_sets(truth.optimum).items()]
    if max(n_meeting) >= len(case.outputs):
        statement = formulate_several_hubs(reduced)
        for phases in (["relaxation", "integer"], ["relaxation", "aimed"]):
            search = solve_compact(statement, solve_with_highs, SolveLimits(10, 0.0, 1, 0), phases=phases)
            assert search.objective <= truth.optimum + 1e-9


def test_where_no_node_is_below_all_outputs_several_hubs_are_stated() -> None:
    limits = SolveLimits(10, 0.0, 1, 0)
    apart = pkn(("O", "A"), ("O", "B"), ("P", "A"), ("P", "B"), ("A", "g"), ("B", "h"))
    selection = select_dag(apart)
    assert (selection.status, selection.objective) == ("optimal", 6)
    wider = pkn(*[(a, b) for a in "OP" for b in "ABC"], *zip("ABC", "ghi", strict=True))
    statement = formulate_several_hubs(presolve(wider, SelectionRules()))
    search = solve_compact(statement, solve_with_highs, limits, phases=["relaxation", "aimed"])
    assert (search.objective, search.bound) == (9, 9)
    dearer = solve_compact(statement, solve_with_highs, limits, phases=["relaxation", "aimed"], known=Known(below=9))
    assert (dearer.best, dearer.bound) == (None, 9)
    assert select_dag(wider).objective == 9
    # Below one node that both lead to there is no second hub, and one input with one parent is none either.
    chain = presolve(pkn(("O", "A"), ("P", "A"), ("A", "g"), ("A", "h")), SelectionRules())
    assert solve_compact(formulate_several_hubs(chain), solve_with_highs, limits).is_infeasible


def nodes_above(source: Pkn, end: str, forced: set[str]) -> float:
    """The fewest hidden nodes that join all outputs to a node, by trying all sets of them, the smallest first."""
    usable = sorted(set(source.hidden) - forced - {end})
    for n_kept in range(len(usable) + 1):
        for kept in combinations(usable, n_kept):
            reached, before = {end}, set()
            while reached != before:
                before = set(reached)
                edges = zip(source.edges["parent"], source.edges["child"], strict=True)
                reached |= {a for a, b in edges if b in before and a in {*kept, *source.outputs}}
            if set(source.outputs) <= reached:
                return n_kept
    return np.inf


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases_with_a_hub(), st.sampled_from([1, 2, 10]))
def test_the_least_trees_above_a_node_are_those_of_all_sets_of_nodes(case: Case, most: int) -> None:
    source = pkn_of(case)
    reduced = presolve(source, SelectionRules())
    forced = {source.nodes[code] for code in np.flatnonzero(reduced.is_forced)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output_trees, "_MOST_OUTPUTS", most)
        found = output_trees.fewest_nodes_above(reduced)
    for name in (*source.hidden, *source.inputs):
        truth = nodes_above(source, name, forced)
        value = found[source.nodes.index(name)]
        assert value == truth if most >= len(source.outputs) else value <= truth


@st.composite
def cases_with_twins(draw: st.DrawFn) -> Case:
    """Two or three outputs with the same children, which have no other parents, cycles below, and costs."""
    outputs = [f"o{i}" for i in range(draw(st.integers(2, 3)))]
    tops, hidden, genes = ["t0", "t1"], ["h0", "h1"], ["g0", "g1"]
    below = draw(
        st.lists(
            st.sampled_from([(a, b) for a in tops + hidden for b in hidden + genes if a != b]),
            min_size=3,
            max_size=12 - 2 * len(outputs),
            unique=True,
        )
    )
    reached = [name for name in genes if any(child == name for _, child in below)]
    assume(reached)
    edges = [(output, top) for output in outputs for top in tops] + below
    costs = {edge: draw(st.integers(1, 2)) for edge in [(outputs[0], top) for top in tops] + below}
    table = pd.DataFrame(edges, columns=["parent", "child"])
    table["cost"] = [float(costs.get((a, b)) or costs[outputs[0], b]) for a, b in edges]
    try:
        pruned = Pkn.from_edges(table, inputs=reached, outputs=outputs).pruned()
    except PknError:
        assume(False)
    pairs = tuple(zip(pruned.edges["parent"], pruned.edges["child"], strict=True))
    return Case(pairs, tuple(pruned.edges["cost"]), pruned.inputs, pruned.outputs, reach="every")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases_with_twins())
def test_outputs_with_the_same_children_are_solved_as_one_and_cost_what_all_of_them_cost(case: Case) -> None:
    truth, source = AllSubsets(case), pkn_of(case)
    assert merge_twin_outputs(source, SelectionRules()) is not None
    selection = select_dag(source)
    selection.verify()
    assert (selection.status, selection.objective) == ("optimal", truth.optimum)
    found = enumerate_dags(source, 40)
    assert {frozenset(one.dag.hidden) for one in found.selections} == set(truth.neuron_sets(truth.optimum))
    for one in found.selections:
        one.verify()
    for dag in random_dags(source, 2, n_neurons=len(selection.dag.neurons)).dags:
        assert lost_pairs(source, dag) == set()


def test_a_path_of_sizes_below_outputs_with_the_same_children_is_nested() -> None:
    pairs = [(a, b) for a in ("O", "P") for b in "AB"] + [(a, b) for a in "AB" for b in ("g", "h")] + [("A", "i")]
    steps = size_path(pkn(*pairs), (1, 2))
    sets = [set(zip(step.dag.edges["parent"], step.dag.edges["child"], strict=True)) for step in steps]
    assert sets[0] < sets[1] <= sets[2] == set(pairs)


def test_demands_that_tell_outputs_apart_keep_them_apart() -> None:
    pairs = [(a, b) for a in ("O", "P") for b in "AB"] + [(a, b) for a in "AB" for b in ("g", "h")]
    source = pkn(*pairs)
    assert merge_twin_outputs(source, SelectionRules(reach="any")) is None
    assert merge_twin_outputs(pkn(*pairs, ("C", "A"), ("O", "C")), SelectionRules()) is None
    kept = select_dag(source, forbid_edges=[("O", "A"), ("P", "B")])
    kept.verify()
    assert kept.objective == 2 + 4


def test_columns_that_are_barred_leave_with_their_arcs_and_rows() -> None:
    both = pkn(("O", "A"), ("P", "A"), ("O", "B"), ("P", "B"), ("A", "g"), ("B", "g"), ("A", "h"))
    formulation = formulate(presolve(both, SelectionRules(reach="every")))
    barred = formulation.node_column[both.nodes.index("B")]
    high = formulation.high.copy()
    high[barred] = 0.0
    smaller = without_barred_columns(replace(formulation, high=high))
    assert smaller.n_columns == formulation.n_columns - 1
    assert max(int(columns.max()) for columns in smaller.rows.columns if len(columns)) < smaller.n_columns
    assert all(net.column.max() < smaller.n_columns for net in smaller.networks)
    assert smaller.node_column[both.nodes.index("B")] == -1


def test_in_layers_below_one_output_each_the_rows_alone_say_what_must_be_kept() -> None:
    apart = pkn(("O", "A"), ("P", "B"), ("O", "C"), *[(a, b) for a in "ABC" for b in "gh"])
    relaxation = Relaxation(formulate(presolve(apart, SelectionRules())), threads=1, seed=0)
    assert relaxation.solve(10).bound == pytest.approx(6)
    assert select_dag(apart).objective == 6


@needs_data
def test_a_relaxation_that_makes_few_iterations_proves_a_bound_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    source = pbmc68k(("T_cell", "B_cell", "Monocyte"))
    formulation = formulate(presolve(source, SelectionRules()))
    exact = Relaxation(formulation, threads=1, seed=0).solve(60)
    monkeypatch.setattr(relaxation_module, "_LARGE", 0)
    monkeypatch.setattr(relaxation_module, "_HUGE", 0)
    bounds = []
    for iterations in (10, 40):
        monkeypatch.setattr(relaxation_module, "_FEW_ITERATIONS", iterations)
        early = Relaxation(formulation, threads=1, seed=0).solve(60)
        assert early.x is not None
        bounds.append(early.bound)
    assert bounds == sorted(bounds)
    assert bounds[0] < 0.9 * exact.bound < bounds[-1] <= exact.bound + 1e-6


@needs_data
def test_pbmc68k_with_three_outputs_reaches_all_genes_from_each() -> None:
    source = pbmc68k(("T_cell", "B_cell", "Monocyte"))
    selection = select_dag(source, reach="every", time_limit=120)
    selection.verify()
    assert (selection.status, selection.objective, len(selection.dag.neurons)) == ("optimal", 228, 76)
    assert lost_pairs(source, selection.dag) == set()


def test_a_path_may_lead_through_another_output_however_dear_the_direct_edge_is() -> None:
    """A hidden node whose only child is an output hangs on nothing else, and no edge is paid for twice."""
    pairs = [("h2", "o0"), ("o0", "g0"), ("o1", "g0"), ("o1", "h2")]
    edges = pd.DataFrame(pairs, columns=["parent", "child"]).assign(cost=[1.0, 1.0, 3.0, 1.0])
    pkn = Pkn.from_edges(edges, inputs=["g0"], outputs=["o0", "o1"])
    selection = select_dag(pkn, reach="every")
    selection.verify()
    assert (selection.status, selection.objective) == ("optimal", 3.0)
    assert set(zip(selection.dag.edges["parent"], selection.dag.edges["child"], strict=True)) == {
        ("h2", "o0"),
        ("o0", "g0"),
        ("o1", "h2"),
    }


def test_the_search_for_cuts_of_many_outputs_ends_when_its_time_is_over():
    asked = []

    class Separator:
        def cuts(self, x):
            asked.append(len(x))
            return LinearRows()

    assert len(violated_cuts([Separator()] * 300, np.zeros(4), seconds=-1.0)) == 0
    assert asked == []
    violated_cuts([Separator()] * 300, np.zeros(4))
    assert len(asked) == 300
