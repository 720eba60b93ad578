"""The largest acyclic part of a PKN: as many of its edges as a DAG can hold."""
