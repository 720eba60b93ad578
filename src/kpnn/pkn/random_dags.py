"""Random feasible DAGs of one size: the null against which a selection is judged."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Unpack

import numpy as np

from kpnn.errors import SelectionError
from kpnn.pkn.alternatives import solve_to_proof
from kpnn.pkn.dag import Dag
from kpnn.pkn.heuristic import NodeHeuristic
from kpnn.pkn.network import Pkn
from kpnn.pkn.optima import Optima
from kpnn.pkn.realise import name_hash
from kpnn.pkn.rows import FREE
from kpnn.pkn.select import Solved, as_selection
from kpnn.pkn.selection.settings import SelectionRules, SolveOptions, SolveSettings, settings_from

_DRAW_RANGE = 1000
_TRIES = 20


@dataclass(frozen=True, eq=False)
class RandomDags:
    """Random feasible DAGs of one size.

    Attributes:
        dags: the DAGs; a neuron set may repeat where few exist.
        n_neurons_wanted: neurons asked for.
        n_neurons: neurons of each DAG: as wanted, or as near as the draw came.
    """

    dags: tuple[Dag, ...]
    n_neurons_wanted: int
    n_neurons: tuple[int, ...]


def random_dags(
    pkn: Pkn,
    n_dags: int = 10,
    *,
    n_neurons: int | None = None,
    rules: SelectionRules | None = None,
    **options: Unpack[SolveOptions],
) -> RandomDags:
    """Draws feasible DAGs with a given number of neurons.

    At the optimum's size each draw gives every node a random price and takes the cheapest optimal DAG, with random
    parents for its inputs. For more neurons a DAG is built along randomly priced paths and then grown: random nodes are
    hung between a kept parent and a kept child. The draws are diverse, not uniform.

    Args:
        pkn: a PKN, as for `select_dag`.
        n_dags: number of draws.
        n_neurons: neurons of each; by default as many as the optimum has.
        rules: the demands on the optimum; those on nodes, edges and coverage hold for each draw.
        **options: `solver` and `threads` of `select_dag`, `time_limit`: seconds for finding the optimum, and again for
            the draws, and the `seed` of the draws.

    Raises:
        SelectionError: as `select_dag`; the time is up before the last draw; or more neurons than the optimum's are
            asked for together with a limit on depth or parents.
    """
    if n_dags < 1:
        raise SelectionError(f"n_dags must be at least 1, found {n_dags!r}")
    rules = rules or SelectionRules()
    settings = settings_from(SolveSettings, method="compact", gap=0.0, tie_break="random", **options)
    solved = solve_to_proof(pkn, rules, settings, edge_form=None)
    best = solved.search.best
    assert best is not None
    optima = Optima(solved.search, solved.solver, settings.limits, solved.search.objective)
    optimum = len(pkn.outputs) + int(np.round(best[optima.node_columns]).sum())
    wanted = optimum if n_neurons is None else n_neurons
    if wanted > optimum and (rules.max_depth is not None or rules.max_parents is not None):
        raise SelectionError("random DAGs larger than the optimum know no max_depth and no max_parents")
    dags = []
    for draw in range(n_dags):
        salt = name_hash(settings.seed, str(draw))
        dag = None
        if wanted > optimum and solved.statement.n_columns and not solved.statement.has_edge_form:
            dag = _built(solved, wanted, salt, settings)
        if dag is None:
            found = optima.cheapest(_random_prices(solved, salt), start=best)
            if found.x is None:
                raise SelectionError(
                    f"{draw} of {n_dags} random DAGs drawn within time_limit={settings.time_limit:g} s"
                )
            dag = as_selection(solved, found.x, settings.model_copy(update={"seed": salt})).dag
        dags.append(grown(pkn, dag, wanted, rules, np.random.default_rng(salt)))
    return RandomDags(tuple(dags), wanted, tuple(len(dag.neurons) for dag in dags))


def grown(pkn: Pkn, dag: Dag, n_neurons: int, rules: SelectionRules, rng: np.random.Generator) -> Dag:
    """Adds random hidden nodes to a DAG until it has this many neurons or none can be added.

    Each is hung below a kept parent. Where it has a kept child that another parent feeds as well as other children,
    it takes that child over, which costs no further edge; else it gets a further edge to the child.
    """
    forbidden, barred = set(rules.forbid_nodes), set(rules.forbid_edges)
    all_children: dict[str, list[str]] = {}
    all_parents: dict[str, list[str]] = {}
    for edge in zip(pkn.edges["parent"], pkn.edges["child"], strict=True):
        if edge not in barred and not forbidden & set(edge):
            all_children.setdefault(edge[0], []).append(edge[1])
            all_parents.setdefault(edge[1], []).append(edge[0])
    inputs, only_output = set(pkn.inputs), set(pkn.outputs) if len(pkn.outputs) == 1 else set()
    fixed = set(rules.keep_edges)
    edges = set(zip(dag.edges["parent"], dag.edges["child"], strict=True))
    children: dict[str, set[str]] = {}
    parents: dict[str, set[str]] = {}
    for parent, child in edges:
        children.setdefault(parent, set()).add(child)
        parents.setdefault(child, set()).add(parent)
    kept = set(children)
    missing = n_neurons - len(kept)
    waiting = sorted(set(pkn.hidden) - kept - forbidden)
    has_grown = True
    while missing > 0 and has_grown:
        has_grown = False
        for position in rng.permutation(len(waiting)):
            node = waiting[position]
            above = [name for name in all_parents.get(node, ()) if name in kept]
            below = [name for name in all_children.get(node, ()) if name in kept | inputs and name not in only_output]
            if missing <= 0 or node in kept or not above or not below:
                continue
            child = below[rng.integers(len(below))]
            # A parent below the child would close a cycle.
            under = _below(children, child)
            above = [name for name in above if name not in under]
            if not above:
                continue
            parent = above[rng.integers(len(above))]
            spare = [
                name
                for name in sorted(parents.get(child, ()))
                if len(children[name]) > 1 and (name, child) not in fixed
            ]
            if spare:
                given_up = spare[rng.integers(len(spare))]
                children[given_up].remove(child)
                parents[child].remove(given_up)
            for upper, lower in ((parent, node), (node, child)):
                children.setdefault(upper, set()).add(lower)
                parents.setdefault(lower, set()).add(upper)
            kept.add(node)
            missing -= 1
            has_grown = True
    chosen = {(parent, child) for parent, found in children.items() for child in found}
    rows = [edge in chosen for edge in zip(pkn.edges["parent"], pkn.edges["child"], strict=True)]
    return Dag.from_edges(pkn.edges[rows].reset_index(drop=True), outputs=pkn.outputs)


def _below(children: dict[str, set[str]], start: str) -> set[str]:
    reached, queue = {start}, deque([start])
    while queue:
        for child in children.get(queue.popleft(), ()):
            if child not in reached:
                reached.add(child)
                queue.append(child)
    return reached


def _built(solved: Solved, most: int, salt: int, settings: SolveSettings) -> Dag | None:
    """A DAG along randomly priced paths with at most this many neurons, if one of a few tries yields it."""
    heuristic = NodeHeuristic(solved.statement)
    reduced = solved.statement.reduced
    assert solved.search.best is not None
    optimum = heuristic.nodes_of(solved.search.best)
    rng = np.random.default_rng(salt)
    for attempt in range(_TRIES):
        # Ever more of the optimum is made likely, so that small sizes are reached as well.
        guide = np.maximum(rng.random(len(reduced.pkn.nodes)), optimum * (rng.random(len(optimum)) < attempt / _TRIES))
        x = heuristic.solution(heuristic.build(guide))
        if (
            len(reduced.pkn.outputs) + int(x[solved.statement.node_column[solved.statement.node_column != FREE]].sum())
            <= most
        ):
            return as_selection(solved, x, settings.model_copy(update={"seed": salt})).dag
    return None


def _random_prices(solved: Solved, seed: int) -> np.ndarray:
    """A price for every node and edge that depends on names and seed alone, shape (n_columns,)."""
    statement, reduced = solved.statement, solved.statement.reduced
    names = reduced.pkn.nodes
    price = np.zeros(statement.n_columns)
    for code in np.flatnonzero(statement.node_column != FREE):
        price[statement.node_column[code]] = 1 + name_hash(seed, names[code]) % _DRAW_RANGE
    for edge in np.flatnonzero(statement.edge_column != FREE):
        pair = names[reduced.parent[edge]], names[reduced.child[edge]]
        price[statement.edge_column[edge]] = 1 + name_hash(seed, *pair) % _DRAW_RANGE
    return price
