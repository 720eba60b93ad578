"""Random feasible DAGs of one size: what a selection is compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Unpack

import numpy as np
import pandas as pd

from kpnn.errors import SelectionError
from kpnn.pkn.dag import Dag
from kpnn.pkn.graph import reached_names
from kpnn.pkn.network import Pkn
from kpnn.pkn.selection.dag_selection import SolvedFormulation, as_selection
from kpnn.pkn.selection.exactness.within_cost import SolutionsWithinCost
from kpnn.pkn.selection.model.formulation import Formulation
from kpnn.pkn.selection.model.rows import NO_COLUMN
from kpnn.pkn.selection.near_optimal.alternatives import solve_to_proof
from kpnn.pkn.selection.realization import name_hash
from kpnn.pkn.selection.search.heuristic import NodeHeuristic
from kpnn.pkn.selection.settings import Edge, SelectionRules, SolveOptions, SolveSettings, settings_from

_DRAW_RANGE = 1000
"""Prices are whole numbers up to this."""
_TRIES = 20
"""DAGs built for one draw until one is small enough."""


@dataclass(frozen=True, eq=False)
class RandomDags:
    """Random feasible DAGs of one size.

    Attributes:
        dags: the DAGs; a neuron set may repeat where few exist.
        n_neurons: neurons of each DAG: as many as were asked for, or as near as the draw came.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn, random_dags
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "B"], "child": ["A", "B", "g", "g"]})
        >>> drawn = random_dags(Pkn.from_edges(edges), 8)
        >>> set(drawn.n_neurons), sorted({dag.hidden for dag in drawn.dags})
        ({2}, [('A',), ('B',)])
    """

    dags: tuple[Dag, ...]
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
    inserted between a kept parent and a kept child. The draws are diverse, not uniform.

    Args:
        pkn: a PKN, as for `select_dag`.
        n_dags: number of draws.
        n_neurons: neurons of each; by default as many as the optimum has.
        rules: the demands on the optimum; those on nodes, edges and coverage hold for each draw.
        **options: `solver` and `threads` of `select_dag`, `time_limit`: seconds for finding the optimum, and again for
            the draws, and the `seed` of the draws.

    Returns:
        The DAGs, as many as asked for.

    Raises:
        SelectionError: as `select_dag`; the time is up before the last draw; or more neurons than the optimum's are
            asked for together with a limit on depth or parents.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "B"], "child": ["A", "B", "g", "g"]})
        >>> drawn = random_dags(Pkn.from_edges(edges), 3, n_neurons=3)
        >>> [len(dag.neurons) for dag in drawn.dags]
        [3, 3, 3]
    """
    if n_dags < 1:
        raise SelectionError(f"n_dags must be at least 1, found {n_dags!r}")
    rules = rules or SelectionRules()
    settings = settings_from(SolveSettings, method="compact", gap=0.0, tie_break="random", **options)
    solved = solve_to_proof(pkn, rules, settings, edge_form=None, every_optimum=False)
    best = solved.search.best
    assert best is not None
    optimal = SolutionsWithinCost(solved.search, solved.solver, settings.limits, solved.search.objective)
    optimum = len(pkn.outputs) + int(np.round(best[optimal.node_columns]).sum())
    wanted = optimum if n_neurons is None else n_neurons
    if wanted > optimum and (rules.max_depth is not None or rules.max_parents is not None):
        raise SelectionError("random DAGs larger than the optimum cannot obey max_depth or max_parents")
    dags = []
    for draw in range(n_dags):
        salt = name_hash(settings.seed, str(draw))
        dag = None
        if wanted > optimum and solved.formulation.n_columns and _has_node_heuristic(solved.formulation):
            dag = _build_dag(solved, wanted, salt, settings)
        if dag is None:
            found = optimal.cheapest(_random_prices(solved, salt), start=best)
            if found.x is None:
                raise SelectionError(
                    f"{draw} of {n_dags} random DAGs drawn within time_limit={settings.time_limit:g} s"
                )
            dag = as_selection(solved, found.x, settings.model_copy(update={"seed": salt})).dag
        dags.append(grow_dag(pkn, dag, wanted, rules, np.random.default_rng(salt)))
    return RandomDags(tuple(dags), tuple(len(dag.neurons) for dag in dags))


def grow_dag(pkn: Pkn, dag: Dag, n_neurons: int, rules: SelectionRules, rng: np.random.Generator) -> Dag:
    """Adds random hidden nodes to a DAG until it has this many neurons or none can be added.

    Each is attached below a kept parent. Where it has a kept child that another parent feeds as well as other children,
    it takes that child over, which costs no further edge; else it gets a further edge to the child.
    """
    forbidden, barred = set(rules.forbid_nodes), set(rules.forbid_edges)
    permitted = [edge for edge in _pairs(pkn.edges) if edge not in barred and not forbidden & set(edge)]
    all_children, all_parents = _neighbours(permitted)
    children, parents = ({name: set(found) for name, found in one.items()} for one in _neighbours(_pairs(dag.edges)))
    inputs, outputs = set(pkn.inputs), set(pkn.outputs)
    only_output = outputs if len(outputs) == 1 else set()
    kept = set(children)
    missing = n_neurons - len(kept)
    waiting = sorted(set(pkn.hidden) - kept - forbidden)
    has_grown = True
    # A node that finds no place now may find one beside those that are added after it.
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
            under = reached_names(children, child)
            above = [name for name in above if name not in under]
            if not above:
                continue
            parent = above[rng.integers(len(above))]
            for upper, lower in ((parent, node), (node, child)):
                children.setdefault(upper, set()).add(lower)
                parents.setdefault(lower, set()).add(upper)
            needed = outputs if rules.demands_every_output(pkn) else set()
            _free_of_one_parent((node, child), (children, parents), set(rules.keep_edges), needed, rng)
            kept.add(node)
            missing -= 1
            has_grown = True
    chosen = {(parent, child) for parent, found in children.items() for child in found}
    rows = [edge in chosen for edge in _pairs(pkn.edges)]
    return Dag.from_edges(pkn.edges[rows].reset_index(drop=True), outputs=pkn.outputs)


def _pairs(edges: pd.DataFrame) -> list[Edge]:
    return list(zip(edges["parent"], edges["child"], strict=True))


def _neighbours(edges: Iterable[Edge]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Children and parents of each node, in the order of the edges."""
    children: dict[str, list[str]] = {}
    parents: dict[str, list[str]] = {}
    for parent, child in edges:
        children.setdefault(parent, []).append(child)
        parents.setdefault(child, []).append(parent)
    return children, parents


def _free_of_one_parent(
    new_edge: Edge,
    neighbours: tuple[dict[str, set[str]], dict[str, set[str]]],
    fixed: set[Edge],
    needed: set[str],
    rng: np.random.Generator,
) -> None:
    """Takes a child away from one of its old parents that have other children, if there is such a parent.

    Args:
        new_edge: the new parent and the child.
        neighbours: children and parents of each node.
        fixed: edges that must stay.
        needed: outputs of which the child, and so all below it, must lose none.
        rng: chooses the parent.
    """
    new, child = new_edge
    children, parents = neighbours
    spare = [
        name
        for name in sorted(parents[child])
        if name != new and len(children[name] - {new}) > 1 and (name, child) not in fixed
    ]
    if needed and spare:
        before = reached_names(parents, child) & needed
        others = [{**parents, child: parents[child] - {name}} for name in spare]
        spare = [name for name, left in zip(spare, others, strict=True) if before <= reached_names(left, child)]
    if spare:
        given_up = spare[rng.integers(len(spare))]
        children[given_up].remove(child)
        parents[child].remove(given_up)


def _has_node_heuristic(formulation: Formulation) -> bool:
    return not formulation.has_edge_form and not formulation.reduced.reach


def _build_dag(solved: SolvedFormulation, most: int, salt: int, settings: SolveSettings) -> Dag | None:
    """Builds a DAG of at most `most` neurons along randomly priced paths; None where a few tries yield none."""
    heuristic = NodeHeuristic(solved.formulation)
    reduced = solved.formulation.reduced
    assert solved.search.best is not None
    optimum = heuristic.nodes_of(solved.search.best)
    rng = np.random.default_rng(salt)
    columns = solved.formulation.node_column[solved.formulation.node_column != NO_COLUMN]
    for attempt in range(_TRIES):
        # Ever more of the optimum is made likely, so that small sizes are reached as well.
        guide = np.maximum(rng.random(len(reduced.pkn.nodes)), optimum * (rng.random(len(optimum)) < attempt / _TRIES))
        x = heuristic.solution(heuristic.build(guide))
        n_outputs = len((reduced.pkn if solved.twins is None else solved.twins.pkn).outputs)
        if n_outputs + int(x[columns].sum()) <= most:
            return as_selection(solved, x, settings.model_copy(update={"seed": salt})).dag
    return None


def _random_prices(solved: SolvedFormulation, seed: int) -> np.ndarray:
    """A price for every node and edge that depends on names and seed alone, shape (n_columns,)."""
    formulation, reduced = solved.formulation, solved.formulation.reduced
    names = reduced.pkn.nodes
    price = np.zeros(formulation.n_columns)
    for code in np.flatnonzero(formulation.node_column != NO_COLUMN):
        price[formulation.node_column[code]] = 1 + name_hash(seed, names[code]) % _DRAW_RANGE
    for parent, child, column in formulation.column_edges:
        price[column] = 1 + name_hash(seed, names[parent], names[child]) % _DRAW_RANGE
    return price
