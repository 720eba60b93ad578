"""Settings of the `dag_pruning` pipeline."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from kpnn.pkn import SelectionRules, SolveSettings, lanes_of_classes
from kpnn.pkn.selection.settings import TieBreakOptions
from kpnn.settings_base import Settings


class AlternativeSettings(Settings):
    """Other optimal DAGs to look for.

    Attributes:
        most: neuron sets to find, or more where `controls.alternative` or `interpretation.alternative_dags` need more.
            Which nodes are in all, some or none of all optimal DAGs is settled in any case.
        tolerance: neuron sets whose DAG costs at most this much more than the optimum count as well.
    """

    most: int = Field(default=3, ge=1, le=10_000)
    tolerance: float = Field(default=0.0, ge=0)


class DagSelectionSettings(SelectionRules, SolveSettings):
    """What DAG to select and how; see `conf/base/parameters_dag_pruning.yml`.

    Attributes:
        select_from: `pkn`, or `full_dag`: select among the edges of the arm `full` only.
        edges: `selected`, or `induced`: every PKN edge among the kept nodes that closes no cycle is added.
        lanes: paths are added to the selected DAG until no neuron need pass on more than one in so many of an output's
            genes; 1 adds none. None: one for each output, of classes that exclude each other one less, at most 3 (one
            number a cell, which is what a neuron that all of them read through tells, puts the outputs in a row).
        alternatives: which other optimal DAGs to look for.
        size_path: parents per input of each DAG on the way to the full one, ascending; empty: 1, 2, 3 where
            `controls.size_curve` asks for them.
    """

    select_from: Literal["pkn", "full_dag"] = "pkn"
    edges: Literal["selected", "induced"] = "selected"
    lanes: int | None = Field(default=None, ge=1)
    alternatives: AlternativeSettings = AlternativeSettings()
    size_path: tuple[int, ...] = ()

    @field_validator("size_path")
    @classmethod
    def _ascends(cls, budgets: tuple[int, ...]) -> tuple[int, ...]:
        if list(budgets) != sorted(set(budgets)) or min(budgets, default=1) < 1:
            raise ValueError("must be ascending whole numbers from 1 on")
        return budgets

    @model_validator(mode="after")
    def _can_add_paths(self) -> Self:
        limits = [name for name in ("max_depth", "max_parents") if getattr(self, name) is not None]
        if limits and self.lanes is not None and self.lanes > 1:
            raise ValueError(f"lanes adds paths, which {limits[0]} may forbid: set one of them to null")
        return self

    def lanes_for(self, n_outputs: int, *, one_of_k: bool) -> int:
        """How many lanes the DAG is to have.

        Args:
            n_outputs: outputs of the DAG.
            one_of_k: whether they are classes that exclude each other.
        """
        if self.lanes is not None:
            return self.lanes
        is_free = self.max_depth is None and self.max_parents is None
        return lanes_of_classes(n_outputs, exclusive=one_of_k) if is_free else 1

    @property
    def rules(self) -> SelectionRules:
        """The demands on the DAG, and on every other DAG that is trained beside it."""
        return SelectionRules(**self.model_dump(include=set(SelectionRules.model_fields)))

    @property
    def tie_break_options(self) -> TieBreakOptions:
        """How other optimal DAGs are looked for: as the selected one was."""
        return {
            "solver": self.solver,
            "time_limit": self.time_limit,
            "threads": self.threads,
            "seed": self.seed,
            "tie_break": self.tie_break,
        }
