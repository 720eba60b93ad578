"""hypothesis strategies for small random PKNs with demands on the DAG."""

from __future__ import annotations

from brute_force import Case
from hypothesis import assume
from hypothesis import strategies as st

from kpnn.errors import PknError
from kpnn.pkn import Pkn


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    most_edges: int = 12,
    with_rules: bool = True,
    unit_costs: bool | None = None,
    n_outputs: tuple[int, int] = (1, 2),
    reach: str = "any",
) -> Case:
    """A PKN, pruned, in which at least one input is left; cycles, several outputs, costs, demands."""
    hidden = [f"h{i}" for i in range(draw(st.integers(1, 5)))]
    inputs = [f"g{i}" for i in range(draw(st.integers(1, 3)))]
    outputs = [f"o{i}" for i in range(draw(st.integers(*n_outputs)))]
    possible = [(a, b) for a in outputs + hidden for b in hidden + inputs if a != b]
    if len(outputs) > 1:
        possible += [(a, b) for a in hidden + outputs for b in outputs if a != b]
    edges = draw(st.lists(st.sampled_from(possible), min_size=3, max_size=most_edges, unique=True))
    table = Case(tuple(edges), (1.0,) * len(edges), (), ()).table
    nodes = set(table["parent"]) | set(table["child"])
    leaves = [name for name in inputs if name in nodes]
    roots = [name for name in outputs if name in nodes]
    assume(leaves and roots)
    try:
        pkn = Pkn.from_edges(table, inputs=leaves, outputs=roots).pruned()
    except PknError:
        assume(False)
    pairs = tuple(zip(pkn.edges["parent"], pkn.edges["child"], strict=True))
    if unit_costs is None:
        unit_costs = draw(st.booleans())
    costs = tuple(1.0 if unit_costs else float(draw(st.integers(1, 3))) for _ in pairs)
    if not with_rules:
        return Case(pairs, costs, pkn.inputs, pkn.outputs, reach=reach)
    some_nodes = st.lists(st.sampled_from(pkn.hidden), max_size=1) if pkn.hidden else st.just([])
    some_edges = st.lists(st.sampled_from(pairs), max_size=1)
    keep_nodes, keep_edges = draw(some_nodes), draw(some_edges)
    forbid_nodes = [name for name in draw(some_nodes) if name not in keep_nodes]
    forbid_edges = [edge for edge in draw(some_edges) if edge not in keep_edges]
    assume(not any(set(edge) & set(forbid_nodes) for edge in keep_edges))
    return Case(
        pairs,
        costs,
        pkn.inputs,
        pkn.outputs,
        tuple(keep_nodes),
        tuple(forbid_nodes),
        tuple(keep_edges),
        tuple(forbid_edges),
        draw(st.none() | st.integers(2, 5)),
        draw(st.none() | st.integers(1, 2)),
        draw(st.sampled_from([1, 1, 2])),
        reach,
    )


def pkn_of(case: Case) -> Pkn:
    """The PKN of a case."""
    return Pkn.from_edges(case.table, inputs=case.inputs, outputs=case.outputs)
