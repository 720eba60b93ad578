"""Knowledge-primed neural networks on single-cell data."""

__version__ = "0.2.0"
