"""Settings of DAG selection: what the DAG must satisfy, and how it is searched for. All defaults are here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypedDict, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError
from pydantic_core import PydanticCustomError

from kpnn.errors import SelectionError, some_names
from kpnn.pkn.network import Pkn
from kpnn.settings_base import Settings

Edge = tuple[str, str]
Method = Literal["compact", "acyclic_flow"]
SolverName = Literal["HIGHS", "SCIP", "GUROBI"]
TieBreak = Literal["support", "balanced", "random"]
Reach = Literal["every", "any"]

SOLVERS: tuple[str, ...] = get_args(SolverName)

_Settings = TypeVar("_Settings", bound=BaseModel)


def _must_be(demand: str, holds: Callable[[Any], bool]) -> BeforeValidator:
    def check(value: Any) -> Any:
        if not holds(value):
            raise PydanticCustomError("demand", "must be {demand}", {"demand": demand})
        return value

    return BeforeValidator(check)


def _one_of(names: Any) -> BeforeValidator:
    return _must_be(f"one of {', '.join(get_args(names))}", lambda value: value in get_args(names))


def _whole_number(least: int) -> BeforeValidator:
    return _must_be(
        f"a whole number of at least {least}",
        lambda value: isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


_EachOnce = AfterValidator(lambda listed: tuple(dict.fromkeys(listed)))
_NodeNames = Annotated[tuple[str, ...], _EachOnce]
_Edges = Annotated[tuple[Edge, ...], _EachOnce]
_Count = Annotated[int, _whole_number(1)]
_Seconds = Annotated[float, _must_be("above 0 seconds", lambda value: _is_number(value) and value > 0)]
_Share = Annotated[float, _must_be("at least 0 and below 1", lambda value: _is_number(value) and 0 <= value < 1)]


class SelectionRules(Settings):
    """Demands on the selected DAG.

    Attributes:
        keep_nodes: hidden nodes that must be in the DAG.
        forbid_nodes: hidden nodes that must not be in it.
        keep_edges: (parent, child) edges of the PKN that must be in the DAG.
        forbid_edges: (parent, child) edges of the PKN that must not be in it.
        max_depth: most edges on any path of the DAG, or None.
        max_parents: most parents of any node in the DAG, or None.
        coverage: each input keeps this many parents, or all that it has where they are fewer.
        reach: `every`: each input reaches every output that it reaches in the PKN; `any`: at least one of them. With
            one output they are the same.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn, enumerate_dags
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "B"], "child": ["A", "B", "g", "g"]})
        >>> pkn = Pkn.from_edges(edges)
        >>> [one.dag.hidden for one in enumerate_dags(pkn, rules=SelectionRules(forbid_nodes=["A"])).selections]
        [('B',)]
        >>> SelectionRules(keep_nodes=["LCK"]).check(pkn)
        Traceback (most recent call last):
        kpnn.errors.SelectionError: keep_nodes: LCK not among the nodes of the PKN
    """

    keep_nodes: _NodeNames = ()
    forbid_nodes: _NodeNames = ()
    keep_edges: _Edges = ()
    forbid_edges: _Edges = ()
    max_depth: _Count | None = None
    max_parents: _Count | None = None
    coverage: _Count = 1
    reach: Annotated[Reach, _one_of(Reach)] = "every"

    def demands_every_output(self, pkn: Pkn) -> bool:
        """Whether an input may have to reach more than one output.

        Args:
            pkn: the PKN that a DAG is selected from.
        """
        return self.reach == "every" and len(pkn.outputs) > 1

    def check(self, pkn: Pkn) -> None:
        """Checks the rules against a PKN and each other.

        Args:
            pkn: the PKN that a DAG is selected from.

        Raises:
            SelectionError: a node or edge is unknown, an output or input is listed as a hidden node, or
                something must and must not be kept at once.
        """
        nodes, hidden = set(pkn.nodes), set(pkn.hidden)
        for name in ("keep_nodes", "forbid_nodes"):
            listed = getattr(self, name)
            _reject([node for node in listed if node not in nodes], f"{name}: {{}} not among the nodes of the PKN")
            _reject(
                [node for node in listed if node not in hidden],
                f"{name}: {{}} is an input or output; these are always kept, so only hidden nodes can be listed",
            )
        edges = set(zip(pkn.edges["parent"], pkn.edges["child"], strict=True))
        for name in ("keep_edges", "forbid_edges"):
            _reject(
                [arrow(edge) for edge in getattr(self, name) if edge not in edges],
                f"{name}: {{}} not among the edges of the PKN",
            )
        _reject(
            [node for node in self.keep_nodes if node in set(self.forbid_nodes)], "{} must be kept and must not be kept"
        )
        _reject(
            [arrow(edge) for edge in self.keep_edges if edge in set(self.forbid_edges)],
            "edge {} must be kept and must not be kept",
        )
        forbidden = set(self.forbid_nodes)
        _reject(
            [arrow(edge) for edge in self.keep_edges if forbidden & set(edge)],
            "edge {} must be kept but one of its nodes must not be kept",
        )


@dataclass(frozen=True)
class SolveLimits:
    """When a solver has to stop, and what it may use.

    Attributes:
        time_limit: seconds in all.
        gap: relative gap at which the search may stop; 0 asks for a proof.
        threads: most threads; 0 leaves it to the solver.
        seed: random seed of the solver.
    """

    time_limit: float
    gap: float
    threads: int
    seed: int


class SolveSettings(Settings):
    """How a DAG is searched for; what it must satisfy is in `SelectionRules`.

    Attributes:
        method: `compact`, or `acyclic_flow`: CORNETO's own formulation, for comparison.
        solver: `HIGHS`, `SCIP` or `GUROBI`.
        time_limit: seconds, all phases together. The best DAG by then is returned with its gap.
        gap: relative gap at which the search may stop; 0 asks for a proof.
        threads: most threads; 0 leaves it to the solver.
        seed: of the solver, and of the tie-break `random`.
        tie_break: which of several optimal DAGs to take: `support` prefers nodes with many PKN edges to inputs,
            `balanced` also spreads the inputs evenly over their parents, `random` draws by seed.

    Examples:
        >>> settings = SolveSettings(time_limit=10, tie_break="balanced")
        >>> settings.limits, settings.solver
        (SolveLimits(time_limit=10.0, gap=0.0, threads=0, seed=0), 'HIGHS')
    """

    method: Annotated[Method, _one_of(Method)] = "compact"
    solver: Annotated[SolverName, _one_of(SolverName)] = "HIGHS"
    time_limit: _Seconds = 60.0
    gap: _Share = 0.0
    threads: Annotated[int, _whole_number(0)] = 0
    seed: Annotated[int, _whole_number(0)] = 0
    tie_break: Annotated[TieBreak, _one_of(TieBreak)] = "support"

    @property
    def limits(self) -> SolveLimits:
        """When to stop, and with what."""
        return SolveLimits(self.time_limit, self.gap, self.threads, self.seed)


class SolveOptions(TypedDict, total=False):
    """Fields of `SolveSettings` as keyword arguments of functions that solve to a proof."""

    solver: str
    time_limit: float
    threads: int
    seed: int


class TieBreakOptions(SolveOptions, total=False):
    """The same for functions that choose among optimal DAGs."""

    tie_break: str


def settings_from(kind: type[_Settings], **values: Any) -> _Settings:
    """Makes settings from a library call's arguments.

    Raises:
        SelectionError: an argument is unknown or makes no sense; all of these are named.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(part) for part in one['loc'])}"
            f"{' ' if one['type'] == 'demand' else ': '}{one['msg']}, found {one['input']!r}"
            for one in error.errors()
        )
        raise SelectionError("; ".join(problems)) from None


def arrow(edge: Edge) -> str:
    """An edge as messages show it."""
    return f"{edge[0]} -> {edge[1]}"


def _reject(found: Iterable[str], message: str) -> None:
    names = list(found)
    if names:
        raise SelectionError(message.format(some_names(names)))
