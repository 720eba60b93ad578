"""Pieces of HTML: escaped text, tables, figures, and the page that holds them all without any network."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files

import pandas as pd
from plotly.offline import get_plotlyjs

from kpnn.reporting.style import ON_DARK, Figure

MOST_CSV_ROWS = 3000
"""Rows of a table that can be saved from the page: a report must stay small enough to be sent."""

_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        name: its anchor, such as `nodes`.
        title: its heading.
        body: HTML.
    """

    name: str
    title: str
    body: str


def text(sentence: str) -> str:
    """Escapes a sentence; `names` in backquotes become code."""
    return _CODE.sub(r"<code>\1</code>", escape(sentence))


def paragraph(sentence: str, kind: str = "") -> str:
    """A paragraph; `kind` is its class."""
    return f'<p class="{kind}">{text(sentence)}</p>' if kind else f"<p>{text(sentence)}</p>"


def bullets(sentences: Sequence[str]) -> str:
    """A list of sentences; nothing where there are none."""
    return "<ul>" + "".join(f"<li>{text(sentence)}</li>" for sentence in sentences) + "</ul>" if sentences else ""


def table(
    data: pd.DataFrame, name: str, caption: str, most_rows: int | None = None, columns: list[str] | None = None
) -> str:
    """A table that scrolls sideways on its own, sorts by its headings and can be saved as CSV.

    Args:
        data: numbers are shown as they are formatted in it if they are text, else with up to four digits.
        name: of the CSV file.
        caption: what it shows.
        most_rows: rows shown; the CSV holds more.
        columns: columns shown; the CSV holds all of them.
    """
    shown = (data if most_rows is None else data.head(most_rows))[columns or list(data)]
    numeric = [pd.api.types.is_numeric_dtype(shown[column]) for column in shown]
    head = "".join(
        f'<th scope="col"{" class=n" if is_number else ""} aria-sort="none">'
        f'<button type="button">{text(_heading(column))}</button></th>'
        for column, is_number in zip(shown, numeric, strict=True)
    )
    rows = []
    for values in shown.itertuples(index=False, name=None):
        cells = (
            f"<td{' class=n' if is_number else ''}{_sort_key(value)}>{text(shown_value(value))}</td>"
            for value, is_number in zip(values, numeric, strict=True)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    more = f" The first {len(shown):,} of {len(data):,} rows are shown." if len(shown) < len(data) else ""
    if len(data) > MOST_CSV_ROWS:
        more += (
            f" The CSV in this page holds {MOST_CSV_ROWS:,}; the file beside the report and the one in MLflow hold all."
        )
    csv = base64.b64encode(data.head(MOST_CSV_ROWS).to_csv(index=False, float_format="%.6g").encode()).decode()
    return (
        f'<figure class="table"><figcaption>{text(caption)}{more} '
        f'<a download="{escape(name)}.csv" href="data:text/csv;base64,{csv}">{escape(name)}.csv</a></figcaption>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption, quote=True)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></figure>"
    )


def _heading(column: object) -> str:
    return str(column).replace("_", " ")


def _sort_key(value: object) -> str:
    return f' data-v="{value!r}"' if isinstance(value, float) and value == value else ""


def shown_value(value: object) -> str:
    """A table's value as text: whole numbers with thousands, others with four significant digits."""
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (hasattr(value, "dtype") and pd.api.types.is_integer_dtype(value.dtype)):
        return f"{int(value):,}"  # type: ignore[call-overload]
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e-3 or abs(value) >= 1e4 else f"{value:.4f}".rstrip("0").rstrip(".")
    return str(value)


def figure(drawn: Figure, wide: bool = False) -> str:
    """An interactive figure with heading and caption; drawn when it comes into view.

    Args:
        drawn: the figure.
        wide: whether it takes the whole width.
    """
    spec = json.loads(drawn.plot.to_json())
    spec.pop("frames", None)
    payload = json.dumps(spec, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    height = int(drawn.plot.layout.height or 380)
    title = escape(drawn.title)
    return (
        f'<figure class="plot{" wide" if wide else ""}" id="figure-{escape(drawn.name)}"><h3>{title}</h3>'
        f'<div class="canvas" style="height:{height}px" role="img" aria-label="{title}. '
        f'{escape(drawn.caption, quote=True)}"></div>'
        f'<figcaption>{text(drawn.caption)}</figcaption><script type="application/json">{payload}</script></figure>'
    )


def side_by_side(parts: Sequence[str]) -> str:
    """Figures beside each other where the page is wide enough."""
    return f'<div class="{"trio" if len(parts) == 3 else "pair"}">{"".join(parts)}</div>'


@cache
def _template(name: str) -> str:
    return files("kpnn.reporting").joinpath("templates", name).read_text(encoding="utf-8")


def page(title: str, lead: str, sections: Sequence[Section], footer: str) -> str:
    """The whole report as one file that needs nothing else.

    Args:
        title: of the page.
        lead: HTML above the sections: the answer.
        sections: in order; an empty body leaves a section out.
        footer: HTML.
    """
    kept = [section for section in sections if section.body]
    links = "".join(f'<li><a href="#{section.name}">{escape(section.title)}</a></li>' for section in kept)
    body = "".join(
        f'<section id="{section.name}"><h2>{escape(section.title)}</h2>{section.body}</section>' for section in kept
    )
    parts = {
        "TITLE": escape(title),
        "CSS": _template("report.css"),
        "LEAD": lead,
        "LINKS": links,
        "SECTIONS": body,
        "FOOTER": footer,
        "ON_DARK": json.dumps(ON_DARK),
        "JS": _template("report.js") + _template("network.js"),
        "PLOTLY": get_plotlyjs(),
    }
    # One pass, so that nothing in a part is taken for a placeholder.
    return re.sub(r"\{\{([A-Z_]+)\}\}", lambda match: parts[match.group(1)], _template("report.html"))
