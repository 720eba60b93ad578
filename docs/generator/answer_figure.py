"""The figure of the first page: what a run of the demo answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

WIDTH, LEFT, RIGHT = 760, 190, 720
ROWS = {
    "full": "full",
    "pruned": "pruned",
    "rewired": "rewired knowledge",
    "permuted_genes": "shuffled genes",
    "logistic": "logistic regression",
}
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2933; }
.small { font-size: 11px; fill: #52606d; }
.bold { font-weight: 600; }
.paper { fill: #ffffff; }
.line { stroke: #9aa5b1; stroke-width: 1; }
.arm { fill: #00796b; stroke: #00796b; stroke-width: 2.5; }
.output { fill: #9aa5b1; }
.control { fill: #b45309; fill-opacity: .75; }
.margin { fill: #00796b; fill-opacity: .12; }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e7eb; }
  .small { fill: #b0bac5; }
  .paper { fill: #1c2128; }
  .line { stroke: #616e7c; }
  .arm { fill: #4db6ac; stroke: #4db6ac; }
  .output { fill: #616e7c; }
  .control { fill: #f0a04b; }
  .margin { fill: #4db6ac; fill-opacity: .2; }
}
"""


def figure(numbers: dict[str, Any]) -> str:
    """The figure, as SVG.

    Args:
        numbers: as `demo_run.numbers_of_run` gives them.
    """
    height = 344
    body = "\n".join([*_scores(numbers), *_difference(numbers)])
    title = numbers["sentence"]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n"
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>\n{body}\n</svg>\n'
    )


def _scores(numbers: dict[str, Any]) -> Iterator[str]:
    """The upper part: a row for each arm and each kind of control."""
    low, high = 0.960, 0.980
    yield '<text class="bold" x="20" y="28">ROC-AUC on held-out cells</text>'
    yield '<text class="small" x="20" y="46">demo: arms with their 95 % intervals; each dot a control</text>'
    arms = {row["arm"]: row for row in numbers["scores"] if row["metric"] == "roc_auc"}
    for place, (kind, name) in enumerate(ROWS.items()):
        y = 76 + 26 * place
        if kind in arms:
            row = arms[kind]
            ends = [_x(row[end], low, high) for end in ("lower", "upper")]
            yield f'<text class="bold" x="20" y="{y + 4}">{name}</text>'
            yield f'<text class="small" x="84" y="{y + 4}">{numbers["n_parameters"][kind]} parameters</text>'
            yield f'<path class="arm" d="M{ends[0]} {y}H{ends[1]}"/>'
            yield f'<circle class="arm" cx="{_x(row["mean"], low, high)}" cy="{y}" r="5"/>'
            yield f'<text class="small" x="{ends[1] + 8}" y="{y + 4}">{row["mean"]:.3f}</text>'
        else:
            yield f'<text x="20" y="{y + 4}">{name}</text>'
            for one in numbers["controls"]:
                if one["kind"] == kind:
                    yield f'<circle class="control" cx="{_x(one["roc_auc"], low, high)}" cy="{y}" r="4.5"/>'
    yield from _axis([low, 0.965, 0.970, 0.975, high], low, high, 204, "{:.3f}")


def _difference(numbers: dict[str, Any]) -> Iterator[str]:
    """The lower part: the difference of the arms against the margin."""
    low, high = -0.015, 0.015
    margin, difference = numbers["margin"], numbers["difference"]
    y = 286
    yield '<text class="bold" x="20" y="254">pruned - full</text>'
    yield f'<text class="small" x="20" y="272">verdict: {numbers["verdict"].split(" (")[0]}</text>'
    ends = [_x(end, low, high) for end in (-margin, margin)]
    yield f'<rect class="margin" x="{ends[0]}" y="258" width="{ends[1] - ends[0]:.1f}" height="50"/>'
    yield f'<text class="small" x="{ends[0] + 4}" y="271">margin of {margin:g}: counts as equal</text>'
    bar = [_x(difference[end], low, high) for end in ("lower", "upper")]
    yield f'<path class="arm" d="M{bar[0]} {y}H{bar[1]}"/>'
    yield f'<circle class="arm" cx="{_x(difference["estimate"], low, high)}" cy="{y}" r="5"/>'
    yield from _axis([-0.01, 0, 0.01], low, high, 308, "{:+.2f}")


def _axis(ticks: list[float], low: float, high: float, y: float, form: str) -> Iterator[str]:
    yield f'<path class="line" d="M{LEFT} {y}H{RIGHT}"/>'
    for tick in ticks:
        x = _x(tick, low, high)
        yield f'<path class="line" d="M{x} {y}v5"/>'
        label = form.format(tick) if tick else "0"
        yield f'<text class="small" text-anchor="middle" x="{x}" y="{y + 19}">{label}</text>'


def _x(value: float, low: float, high: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * (value - low) / (high - low), 1)
