"""Lanes: no neuron need pass on more than its share of an output's inputs, and no edge is added in vain."""

from __future__ import annotations

import networkx as nx
import pandas as pd
from brute_force import AllSubsets, Case
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pkn_strategies import cases, pkn_of
from test_known_instances import needs_data, pbmc68k
from test_reach import lost_pairs, pkn

from kpnn.pkn import Pkn, inputs_per_output, narrowest_funnel, select_dag, widened_dag


def can_send(edges: pd.DataFrame, output: str, inputs: tuple[str, ...], most: int) -> bool:
    """Whether all inputs that an output reaches can be sent to it and no neuron pass on more, by networkx."""
    graph = nx.from_pandas_edgelist(edges, "parent", "child", create_using=nx.DiGraph)
    wanted = sorted(nx.descendants(graph, output) & set(inputs))
    flows = nx.DiGraph()
    flows.add_edges_from(("send", name, {"capacity": 1}) for name in wanted)
    for node in set(graph) - set(inputs) - {output}:
        flows.add_edge((node, "reached"), (node, "left"), capacity=most)
    for parent, child in graph.edges:
        tail = child if child in inputs else (child, "left")
        head = output if parent == output else (parent, "reached")
        if child != output:
            flows.add_edge(tail, head, capacity=len(wanted))
    return bool(nx.maximum_flow_value(flows, "send", output) == len(wanted))


def least_load(edges: pd.DataFrame, output: str, inputs: tuple[str, ...]) -> int:
    """How many inputs some neuron must pass on where all that an output reaches are sent to it."""
    return next(most for most in range(1, len(inputs) + 1) if can_send(edges, output, inputs, most))


def demands(source: Pkn, lanes: int) -> dict[str, int]:
    """What each output's neurons may pass on: their share, or as little as the PKN allows."""
    n_inputs = inputs_per_output(source)
    return {o: max(-(-n_inputs[o] // lanes), least_load(source.edges, o, source.inputs)) for o in source.outputs}


def meets(edges: pd.DataFrame, source: Pkn, most: dict[str, int]) -> bool:
    return all(can_send(edges, output, source.inputs, most[output]) for output in source.outputs)


@st.composite
def layered(draw: st.DrawFn) -> Pkn:
    """Outputs above three or four nodes above three regulators above five inputs, without cycles, with costs."""
    outputs, tops, below = ["o0", "o1", "o2"], [f"t{i}" for i in range(draw(st.integers(3, 4)))], ["r0", "r1", "r2"]
    genes = [f"g{i}" for i in range(5)]
    pairs = []
    for above, under in ((outputs, tops), (tops, below), (below, genes)):
        pairs += [(parent, under[0]) for parent in above]
        others = [(parent, child) for parent in above for child in under[1:]]
        pairs += draw(st.lists(st.sampled_from(others), min_size=2, unique=True))
    table = pd.DataFrame(pairs, columns=["parent", "child"])
    table["cost"] = [float(draw(st.integers(1, 2))) for _ in pairs]
    reached = [name for name in genes if name in set(table["child"])]
    return Pkn.from_edges(table, inputs=reached, outputs=outputs).pruned()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(layered(), st.integers(2, 3))
def test_loads_are_shared_as_far_as_the_pkn_allows_and_no_added_edge_can_be_left_out(source: Pkn, lanes: int) -> None:
    smallest = select_dag(source).dag
    widened = widened_dag(source, smallest, lanes)
    assert widened.outputs == smallest.outputs and widened.inputs == smallest.inputs
    pairs, before = ({*zip(dag.edges["parent"], dag.edges["child"], strict=True)} for dag in (widened, smallest))
    assert before <= pairs <= {*zip(source.edges["parent"], source.edges["child"], strict=True)}
    most = demands(source, lanes)
    assert meets(widened.edges, source, most)
    for pair in pairs - before:
        left = widened.edges[
            [edge != pair for edge in zip(widened.edges["parent"], widened.edges["child"], strict=True)]
        ]
        assert not meets(left, source, most)


@settings(max_examples=25, deadline=None)
@given(cases(with_rules=False, n_outputs=(2, 3), reach="every"), st.integers(2, 3))
def test_with_cycles_a_dag_is_left_that_loses_nothing_and_shares_no_worse(case: Case, lanes: int) -> None:
    assume(AllSubsets(case).optimum is not None)
    source = pkn_of(case)
    smallest = select_dag(source, **case.rules).dag
    widened = widened_dag(source, smallest, lanes)
    pairs, before = ({*zip(dag.edges["parent"], dag.edges["child"], strict=True)} for dag in (widened, smallest))
    assert before <= pairs <= set(case.edges)
    assert lost_pairs(source, widened) == set()
    for output in source.outputs:
        loads = (least_load(dag.edges, output, source.inputs) for dag in (widened, smallest))
        assert next(loads) <= next(loads)


def test_one_lane_is_the_dag_itself_and_what_is_forbidden_is_not_added() -> None:
    source = pkn(*[(a, b) for a in "OP" for b in "ABC"], *[(a, b) for a in "ABC" for b in "gh"])
    smallest = select_dag(source, keep_nodes=["A"]).dag
    assert widened_dag(source, smallest, 1) is smallest
    assert set(widened_dag(source, smallest, 2, forbid_nodes=["B"]).hidden) == {"A", "C"}
    for forbidden in ([("B", "g"), ("C", "g"), ("B", "h")], [("O", "B"), ("P", "B")]):
        widened = widened_dag(source, smallest, 2, forbid_edges=forbidden)
        assert set(widened.hidden) == {"A", "C"}
        assert not set(forbidden) & {*zip(widened.edges["parent"], widened.edges["child"], strict=True)}


@needs_data
def test_pbmc68k_has_lanes_for_a_fifth_more_edges() -> None:
    source = pbmc68k(("T_cell", "B_cell", "Monocyte"))
    smallest = select_dag(source, time_limit=120).dag
    before = narrowest_funnel(smallest)
    assert before is not None and before.share == 1
    for lanes in (2, 3):
        widened = widened_dag(source, smallest, lanes)
        assert len(smallest.edges) == 228 < len(widened.edges) <= 1.2 * 228
        assert lost_pairs(source, widened) == set()
        assert meets(widened.edges, source, dict.fromkeys(source.outputs, -(-153 // lanes)))
        after = narrowest_funnel(widened)
        assert after is not None and after.share <= 1 / lanes + 0.01
