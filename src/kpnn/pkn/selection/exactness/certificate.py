"""The certificate check: whether a DAG is feasible, acyclic and costs what is said, from the PKN alone.

Nothing here is shared with the solving side or with `kpnn.pkn.graph`: plain dictionaries and searches of its own, so
that an error there shows here.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from kpnn.errors import SelectionError, some_names
from kpnn.pkn.dag import Dag
from kpnn.pkn.network import Pkn
from kpnn.pkn.selection.settings import Edge, SelectionRules, arrow


def check_selection(pkn: Pkn, rules: SelectionRules, dag: Dag, objective: float, bound: float) -> None:
    """Checks a selected DAG.

    Raises:
        SelectionError: something is wrong; the message names it.
    """
    pairs = list(zip(dag.edges["parent"], dag.edges["child"], strict=True))
    cost_of = {
        (parent, child): cost
        for parent, child, cost in zip(pkn.edges["parent"], pkn.edges["child"], pkn.edges["cost"], strict=True)
    }
    sign_of = dict(zip(zip(pkn.edges["parent"], pkn.edges["child"], strict=True), pkn.edges["sign"], strict=True))
    _refuse([arrow(edge) for edge, n in Counter(pairs).items() if n > 1], "edge {} occurs more than once")
    _refuse([arrow(edge) for edge in pairs if edge not in cost_of], "edge {} is not in the PKN")
    _refuse(
        [arrow(edge) for edge, sign in zip(pairs, dag.edges["sign"], strict=True) if sign != sign_of[edge]],
        "edge {} has another sign than in the PKN",
    )
    _refuse(
        [arrow(edge) for edge, cost in zip(pairs, dag.edges["cost"], strict=True) if cost != cost_of[edge]],
        "edge {} has another cost than in the PKN",
    )
    if tuple(dag.outputs) != tuple(pkn.outputs):
        raise SelectionError(f"outputs are {some_names(dag.outputs)} instead of {some_names(pkn.outputs)}")
    if tuple(dag.inputs) != tuple(pkn.inputs):
        differing = set(dag.inputs) ^ set(pkn.inputs)
        raise SelectionError(f"the inputs differ from those of the PKN: {some_names(sorted(differing))}")
    children: dict[str, list[str]] = {}
    parents: dict[str, list[str]] = {}
    for parent, child in pairs:
        children.setdefault(parent, []).append(child)
        parents.setdefault(child, []).append(parent)
    depth = _depths(parents)
    below = _reach(children, pkn.outputs)
    above = _reach(parents, pkn.inputs)
    _refuse([name for name in pkn.inputs if name not in below], "input {} has no path up to an output")
    _refuse([name for name in pkn.outputs if name not in above], "output {} has no path down to an input")
    if rules.reach == "every":
        _check_reach(pkn, children)
    nodes = sorted({name for edge in pairs for name in edge})
    _refuse([name for name in nodes if name not in below or name not in above], "{} lies on no path to an output")
    _check_rules(pkn, rules, set(pairs), set(nodes), parents, depth)
    total = math.fsum(cost_of[edge] for edge in pairs)
    if not math.isclose(total, objective, rel_tol=1e-9, abs_tol=1e-6):
        raise SelectionError(f"the kept edges cost {total:g}, not {objective:g} as stated")
    if not bound <= objective + 1e-6:
        raise SelectionError(f"the bound {bound:g} lies above the objective {objective:g}")


def _check_reach(pkn: Pkn, kept_children: dict[str, list[str]]) -> None:
    """Each output is still reached by every input that reaches it in the PKN."""
    children: dict[str, list[str]] = {}
    for parent, child in zip(pkn.edges["parent"], pkn.edges["child"], strict=True):
        children.setdefault(parent, []).append(child)
    inputs = set(pkn.inputs)
    for output in pkn.outputs:
        lost = (_reach(children, [output]) & inputs) - _reach(kept_children, [output])
        _refuse(sorted(lost), f"input {{}} reaches output {output} in the PKN but not in the DAG")


def _check_rules(
    pkn: Pkn,
    rules: SelectionRules,
    edges: set[Edge],
    nodes: set[str],
    parents: dict[str, list[str]],
    depth: dict[str, int],
) -> None:
    _refuse([name for name in rules.keep_nodes if name not in nodes], "{} must be kept and is not")
    _refuse([name for name in rules.forbid_nodes if name in nodes], "{} must not be kept and is")
    _refuse([arrow(edge) for edge in rules.keep_edges if edge not in edges], "edge {} must be kept and is not")
    _refuse([arrow(edge) for edge in rules.forbid_edges if edge in edges], "edge {} must not be kept and is")
    if rules.max_depth is not None:
        deep = [name for name in sorted(depth) if depth[name] > rules.max_depth]
        _refuse(deep, f"{{}} lies deeper than {rules.max_depth} edges")
    if rules.max_parents is not None:
        crowded = [name for name in sorted(parents) if len(parents[name]) > rules.max_parents]
        _refuse(crowded, f"{{}} has more than {rules.max_parents} parents")
    available = _available_parents(pkn, rules)
    short = [name for name in pkn.inputs if len(parents[name]) < min(rules.coverage, available[name])]
    _refuse(short, f"input {{}} keeps fewer parents than the coverage of {rules.coverage} asks for")


def _available_parents(pkn: Pkn, rules: SelectionRules) -> Counter[str]:
    """Parents of each input that the rules permit and that an output reaches, within the depth limit."""
    forbidden_nodes, forbidden_edges = set(rules.forbid_nodes), set(rules.forbid_edges)
    inputs, only_output = set(pkn.inputs), set(pkn.outputs) if len(pkn.outputs) == 1 else set()
    children: dict[str, list[str]] = {}
    for edge in zip(pkn.edges["parent"], pkn.edges["child"], strict=True):
        if edge not in forbidden_edges and not forbidden_nodes & set(edge) and edge[1] not in only_output:
            children.setdefault(edge[0], []).append(edge[1])
    distance = dict.fromkeys(pkn.outputs, 0)
    queue = deque(pkn.outputs)
    while queue:
        node = queue.popleft()
        for child in children.get(node, ()):
            if child not in distance:
                distance[child] = distance[node] + 1
                queue.append(child)
    deepest = math.inf if rules.max_depth is None else rules.max_depth - 1
    return Counter(
        child
        for parent, found in children.items()
        if parent in distance and distance[parent] <= deepest
        for child in found
        if child in inputs
    )


def _depths(parents: dict[str, list[str]]) -> dict[str, int]:
    """Edges on the longest path from a root down to each node."""
    depth: dict[str, int] = {}
    try:
        for node in TopologicalSorter(parents).static_order():
            depth[node] = 1 + max((depth[parent] for parent in parents.get(node, ())), default=-1)
    except CycleError as error:
        raise SelectionError(f"not acyclic: {some_names(error.args[1], 8)}") from None
    return depth


def _reach(neighbours: dict[str, list[str]], starts: Iterable[str]) -> set[str]:
    reached = set(starts)
    queue = deque(reached)
    while queue:
        for other in neighbours.get(queue.popleft(), ()):
            if other not in reached:
                reached.add(other)
                queue.append(other)
    return reached


def _refuse(found: list[str], message: str) -> None:
    if found:
        raise SelectionError(f"the selection does not hold: {message.format(some_names(found))}")
