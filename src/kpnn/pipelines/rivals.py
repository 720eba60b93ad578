"""DAGs that are trained beside the selected one, as the one table in which `dag_pruning` leaves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from kpnn.interpretation import InterpretationSettings
from kpnn.pkn import Dag
from kpnn.tables import stacked

RivalKind = Literal["alternative", "rewired", "size_path", "rewired_full"]

_COLUMNS = ["kind", "replicate", "parent", "child", "sign", "cost"]


def rival_table(found: Mapping[RivalKind, Sequence[Dag]]) -> pd.DataFrame:
    """The edges of all rivals: `kind`, `replicate` (from 0 in each kind), `parent`, `child`, `sign`, `cost`.

    Args:
        found: the rivals of each kind; none at all give a table without rows.
    """
    tables = (
        dag.edges.assign(kind=kind, replicate=replicate)
        for kind, dags in found.items()
        for replicate, dag in enumerate(dags)
    )
    return stacked(tables, _COLUMNS)


def rivals_of_kind(table: pd.DataFrame, kind: RivalKind, outputs: Sequence[str]) -> list[Dag]:
    """The rivals of one kind, in the order of their replicates.

    Args:
        table: as `rival_table` makes it.
        kind: which.
        outputs: output nodes of the selected DAG, which are those of its rivals.
    """
    chosen = table[table["kind"] == kind]
    return [
        Dag.from_edges(edges[["parent", "child", "sign", "cost"]].reset_index(drop=True), outputs=outputs)
        for _, edges in chosen.groupby("replicate", sort=True)
    ]


def rewired_full_seeds(settings: InterpretationSettings) -> list[int]:
    """Seeds of the full DAGs of rewired PKNs, one each: of the rewiring, and of the networks trained on it.

    Args:
        settings: says how many, and from which seed.
    """
    # 6: no other draw of interpretation begins so.
    return [int(seed) for seed in np.random.SeedSequence([settings.seed, 6]).generate_state(settings.rewired_full)]
