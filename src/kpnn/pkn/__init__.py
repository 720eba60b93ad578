"""Prior knowledge networks: edge tables, pruning to measured genes, DAG selection."""

from kpnn.pkn.alternatives import Alternatives, RandomDags, enumerate_dags, random_dags, size_path
from kpnn.pkn.dag import Dag
from kpnn.pkn.full_dag import induced_dag, shortest_path_dag
from kpnn.pkn.network import CleanUp, Pkn
from kpnn.pkn.rules import SelectionRules
from kpnn.pkn.selection import DagSelection, select_dag

__all__ = [
    "Alternatives",
    "CleanUp",
    "Dag",
    "DagSelection",
    "Pkn",
    "RandomDags",
    "SelectionRules",
    "enumerate_dags",
    "induced_dag",
    "random_dags",
    "select_dag",
    "shortest_path_dag",
    "size_path",
]
