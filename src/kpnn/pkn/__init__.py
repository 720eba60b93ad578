"""Prior knowledge networks: edge tables, pruning to measured genes, DAG selection."""

from kpnn.pkn.conversion import from_corneto, from_networkx, to_corneto, to_networkx
from kpnn.pkn.dag import Dag, percent_saved
from kpnn.pkn.full_dag import extended_dag, induced_dag, shortest_path_dag
from kpnn.pkn.input_nodes import gene_of
from kpnn.pkn.lanes import lanes_of_classes, widened_dag
from kpnn.pkn.largest_dag.search import LargestDag, most_edges_dag
from kpnn.pkn.network import CleanUp, Pkn
from kpnn.pkn.output_inputs import Funnel, inputs_below, inputs_per_output, narrowest_funnel
from kpnn.pkn.rewiring import RewiredPkn, rewired_pkn
from kpnn.pkn.selection.dag_selection import DagSelection, select_dag
from kpnn.pkn.selection.near_optimal.alternatives import Alternatives, enumerate_dags
from kpnn.pkn.selection.near_optimal.random_dags import RandomDags, random_dags
from kpnn.pkn.selection.near_optimal.size_path import SizeStep, size_path
from kpnn.pkn.selection.settings import SelectionRules, SolveSettings

__all__ = [
    "Alternatives",
    "CleanUp",
    "Dag",
    "DagSelection",
    "Funnel",
    "LargestDag",
    "Pkn",
    "RandomDags",
    "RewiredPkn",
    "SelectionRules",
    "SizeStep",
    "SolveSettings",
    "enumerate_dags",
    "extended_dag",
    "from_corneto",
    "from_networkx",
    "gene_of",
    "induced_dag",
    "inputs_below",
    "inputs_per_output",
    "lanes_of_classes",
    "most_edges_dag",
    "narrowest_funnel",
    "percent_saved",
    "random_dags",
    "rewired_pkn",
    "select_dag",
    "shortest_path_dag",
    "size_path",
    "to_corneto",
    "to_networkx",
    "widened_dag",
]
