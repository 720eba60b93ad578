r"""Formulas as MathML, which browsers draw by themselves: no script, no fonts, nothing to fetch."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

# What pymdownx.arithmatex makes of $...$ and $$...$$.
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\(\(|\[)(.*?)\\(?:\)|\])</\1>', re.DOTALL)


def with_formulas(page: str) -> str:
    """Replaces the formulas of a page.

    Args:
        page: HTML, formulas as LaTeX.

    Returns:
        HTML, formulas as MathML.
    """
    return _FORMULA.sub(_as_mathml, page)


def _as_mathml(found: re.Match[str]) -> str:
    display = "block" if found[2] == "[" else "inline"
    mathml = convert(html.unescape(found[3]).strip(), display=display)
    return f'<div class="formula">{mathml}</div>' if display == "block" else mathml
