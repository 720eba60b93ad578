"""Integer programming solvers by name."""
