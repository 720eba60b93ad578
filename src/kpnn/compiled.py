"""Functions that numba compiles for Python to call."""

from __future__ import annotations

from typing import Any

from numba import njit

FLAGS: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options of `njit` for functions that only compiled functions call."""


def entry(function: Any) -> Any:
    """Compiles a function that Python calls: once for an installation, kept beside the function's file.

    All that it calls stands in the same file, because kept code does not notice changes elsewhere, and needs no way in
    from Python. Where nothing can be written, it is compiled in every process anew.
    """
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no folder for its cache
        return njit(nogil=True, error_model="numpy")(function)
