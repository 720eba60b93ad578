"""Parts of a variance, each with the degrees of freedom that it is known by."""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """A part of the variance and how many degrees of freedom it is known by."""

    variance: float
    degrees_of_freedom: float


def pooled(first: Part, second: Part, most: float) -> Part:
    """One variance from two estimates of it, each by its degrees of freedom; together they have at most `most`."""
    freedom = min(first.degrees_of_freedom, most)
    other = min(second.degrees_of_freedom, most - freedom)
    if not freedom + other:
        return Part(first.variance, 0.0)
    return Part((freedom * first.variance + other * second.variance) / (freedom + other), freedom + other)


def satterthwaite(*parts: Part) -> float:
    """Degrees of freedom of the sum of independent parts, at least one."""
    total = sum(part.variance for part in parts)
    uncertain = sum(part.variance**2 / part.degrees_of_freedom for part in parts if part.degrees_of_freedom)
    return max(1.0, total**2 / uncertain) if uncertain > 0 else 1.0
