"""Other DAGs than the one selected: alternatives, random ones of a size, larger ones."""
