"""The settings of DAG selection: one owner of every default, and errors that say what is wrong."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from kpnn.errors import SelectionError
from kpnn.pkn import Pkn, SelectionRules, SolveSettings, enumerate_dags, random_dags, select_dag, size_path


def test_select_dag_takes_every_setting_under_its_own_name_and_default() -> None:
    parameters = {
        name: one.default
        for name, one in inspect.signature(select_dag).parameters.items()
        if one.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert parameters == SolveSettings().model_dump() | SelectionRules().model_dump()


def test_the_parts_of_a_class_that_inherits_from_both_are_the_settings() -> None:
    class Both(SelectionRules, SolveSettings):
        edges: str = "selected"

    both = Both(**{"keep_edges": [["R", "A"], ["R", "A"]], "max_depth": 4, "time_limit": 5, "solver": "SCIP"})
    assert both.keep_edges == (("R", "A"),)
    assert (both.max_depth, both.time_limit, both.solver, both.edges) == (4, 5.0, "SCIP", "selected")
    with pytest.raises(ValidationError, match="3 validation errors"):
        Both(**{"solvr": "SCIP", "coverage": 0, "threads": -1})


def test_all_that_is_wrong_is_said_at_once() -> None:
    pkn = Pkn.from_edges(pd.DataFrame({"parent": ["R"], "child": ["g"]}))
    with pytest.raises(SelectionError, match=r"solver must be one of .*, found 'CPLEX'; gap must be .*, found 2"):
        select_dag(pkn, solver="CPLEX", gap=2)
    with pytest.raises(SelectionError, match=r"keep_nodes\.0: Input should be a valid string, found 3"):
        select_dag(pkn, keep_nodes=[3])  # type: ignore[list-item]


@pytest.mark.parametrize("solves", [enumerate_dags, random_dags, size_path])
def test_functions_that_solve_to_a_proof_check_their_options(solves) -> None:  # type: ignore[no-untyped-def]
    pkn = Pkn.from_edges(pd.DataFrame({"parent": ["R"], "child": ["g"]}))
    with pytest.raises(SelectionError, match="time_limit must be above 0 seconds, found -1"):
        solves(pkn, time_limit=-1)
    with pytest.raises(SelectionError, match="time_limt: Extra inputs"):
        solves(pkn, time_limt=1)
    with pytest.raises(TypeError, match="gap"):
        solves(pkn, gap=0.5)


def test_a_process_may_change_the_number_of_threads_from_one_selection_to_the_next() -> None:
    rng = np.random.default_rng(3)
    parents = [f"P{number}" for number in range(14)]
    edges = [("R", parent) for parent in parents]
    edges += [(parent, f"g{gene}") for gene in range(45) for parent in rng.choice(parents, 3, replace=False)]
    pkn = Pkn.from_edges(pd.DataFrame(edges, columns=["parent", "child"]))
    first, *others = (select_dag(pkn, threads=threads, time_limit=20) for threads in (1, 2, 0, 1))
    assert all(one.status == "optimal" and one.dag.fingerprint == first.dag.fingerprint for one in (first, *others))
