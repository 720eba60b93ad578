"""Tables that the `dag_pruning` pipeline keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from kpnn.pkn import Dag, Pkn


def sizes_of(dag: Dag) -> dict[str, int]:
    """Edges, neurons and trainable parameters."""
    return {"n_edges": len(dag.edges), "n_neurons": len(dag.neurons), "n_parameters": dag.n_parameters}


def edges_of_steps(name: str, dags: Sequence[Dag]) -> pd.DataFrame:
    """The edges of several DAGs in one table, with the DAG's number in the first column."""
    tables = [dag.edges.assign(**{name: number}) for number, dag in enumerate(dags)]
    columns = [name, "parent", "child", "sign", "cost"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def no_alternatives(pkn: Pkn) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """What is said of alternatives where the optimum is not proven."""
    membership = pd.DataFrame({"node": pkn.hidden, "membership": "unknown", "is_selected": False})
    return membership, pd.DataFrame(columns=["rank", "objective", "node"]), {"neuron_sets_listed": 0}
