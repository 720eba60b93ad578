"""Knowledge-primed neural networks on single-cell data."""

__version__ = "0.1.0"
