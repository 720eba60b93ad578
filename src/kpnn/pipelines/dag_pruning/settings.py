"""Settings of the `dag_pruning` pipeline."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kpnn.pkn import SelectionRules


class AlternativeSettings(BaseModel):
    """Other optimal DAGs to look for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    most: int = Field(default=3, ge=1)
    tolerance: float = Field(default=0.0, ge=0)


class DagSelectionSettings(BaseModel):
    """What DAG to select and how; see `conf/base/parameters_dag_pruning.yml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    select_from: Literal["pkn", "full_dag"] = "pkn"
    edges: Literal["selected", "induced"] = "selected"
    method: Literal["compact", "acyclic_flow"] = "compact"
    solver: Literal["HIGHS", "SCIP", "GUROBI"] = "HIGHS"
    time_limit: float = Field(default=60.0, gt=0)
    gap: float = Field(default=0.0, ge=0, lt=1)
    threads: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)
    tie_break: Literal["support", "balanced", "random"] = "support"
    keep_nodes: tuple[str, ...] = ()
    forbid_nodes: tuple[str, ...] = ()
    keep_edges: tuple[tuple[str, str], ...] = ()
    forbid_edges: tuple[tuple[str, str], ...] = ()
    max_depth: int | None = Field(default=None, ge=1)
    max_parents: int | None = Field(default=None, ge=1)
    coverage: int = Field(default=1, ge=1)
    alternatives: AlternativeSettings = AlternativeSettings()
    n_random_dags: int = Field(default=0, ge=0)
    size_path: tuple[int, ...] = ()

    @property
    def rules(self) -> SelectionRules:
        """The demands on the DAG."""
        return SelectionRules(**self.model_dump(include=set(SelectionRules.model_fields)))
