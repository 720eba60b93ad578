"""Prior knowledge networks: edge tables, pruning to measured genes, DAG selection."""

from kpnn.pkn.dag import Dag
from kpnn.pkn.network import CleanUp, Pkn

__all__ = ["CleanUp", "Dag", "Pkn"]
