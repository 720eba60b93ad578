"""DAG selection: the smallest DAG through a PKN that still uses every input and every output."""
