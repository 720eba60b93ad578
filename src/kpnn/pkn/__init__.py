"""Prior knowledge networks: edge tables, pruning to measured genes, DAG selection."""

from kpnn.pkn.dag import Dag
from kpnn.pkn.full_dag import shortest_path_dag
from kpnn.pkn.network import CleanUp, Pkn
from kpnn.pkn.rules import SelectionRules
from kpnn.pkn.selection import DagSelection, select_dag

__all__ = ["CleanUp", "Dag", "DagSelection", "Pkn", "SelectionRules", "select_dag", "shortest_path_dag"]
