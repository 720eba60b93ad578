"""How much is computed to say what node weights mean."""

from __future__ import annotations

from pydantic import Field

from kpnn.settings_base import Settings


class InterpretationSettings(Settings):
    """How much is trained again to say what node weights mean; see `conf/base/parameters_reporting.yml`.

    Attributes:
        control_inputs: networks per fold on control inputs (every gene equally predictive).
        permuted_labels: networks per fold on permuted labels.
        replicates: further networks per fold, from other seeds, beside those of the fold's model: only to weigh nodes.
        seeds: further networks on the first fold's cells, from other starts: is the ranking stable?
        alternative_dags: networks of the arm `pruned` on the first fold's cells, each on another optimal DAG; fewer
            where there are not so many.
        rewired_full: rewired PKNs whose full DAG is trained in every fold beside the arm `full`, a network for each of
            its own; `pruned` is set beside the controls on rewired PKNs, which are there anyway.
        seed: of everything drawn.
        top: how many nodes make the top, for "in the top of 4 of 5 folds" and the overlaps in `stability.csv`.

    Examples:
        >>> print(InterpretationSettings(permuted_labels=3, top=5))
        control_inputs=1 permuted_labels=3 replicates=0 seeds=4 alternative_dags=8 rewired_full=0 seed=42 top=5
    """

    control_inputs: int = Field(1, ge=0, le=10_000)
    permuted_labels: int = Field(1, ge=0, le=10_000)
    replicates: int = Field(0, ge=0, le=10_000)
    seeds: int = Field(4, ge=0, le=10_000)
    alternative_dags: int = Field(8, ge=0, le=10_000)
    rewired_full: int = Field(0, ge=0, le=10_000)
    seed: int = Field(42, ge=0)
    top: int = Field(10, ge=1)
