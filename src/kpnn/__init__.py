"""Knowledge-primed neural networks on single-cell data."""

from importlib import import_module
from types import ModuleType

__version__ = "0.2.0"


def __getattr__(name: str) -> ModuleType:
    """Imports `kpnn.tl` and `kpnn.pl` when they are first asked for: they need Keras, plotly and scikit-learn."""
    if name in ("tl", "pl"):
        return import_module(f"kpnn.{name}")
    raise AttributeError(f"module 'kpnn' has no attribute {name!r}")
