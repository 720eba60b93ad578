"""Catalog datasets: how the project's objects are kept on disk."""
