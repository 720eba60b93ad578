"""Good DAGs, fast: the state of a search, and the phases that improve its best solution."""
