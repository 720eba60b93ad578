"""DAGs beside the selected one: equally good ones, random ones of its size, and larger ones."""
