"""What is made of the edges that a file states: one rule each for names, directions, signs, complexes and costs."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kpnn.errors import PknError, UndirectedError, near_names, some_names
from kpnn.pkn.account import Dropped, ReadAccount, examples_of
from kpnn.pkn.edge_options import CostRule, EdgeOptions, Limits, Rename
from kpnn.pkn.edge_table import each_pair_once
from kpnn.pkn.formats import FORMATS
from kpnn.pkn.formats.stated import Stated
from kpnn.pkn.formats.tables import COMPLEX
from kpnn.pkn.renaming import renamed
from kpnn.pkn.signs import arrows_in, signs_of

_YES = ("1", "1.0", "true", "t", "yes", "y", "directed")
_NO = ("", "0", "0.0", "false", "f", "no", "n", "na", "nan", "undirected")
_MISSING = ("", "na", "nan", "none", "null")
_SIGN_TEXTS = {1: "1", -1: "-1"}
_BETWEEN_ITEMS = r"[;|,]"
_MOST_LOST = 0.5
"""Share of the edges from which losing them in renaming is warned of."""

_log = logging.getLogger(__name__)


class _Edges:
    """Edges on their way through the rules, each of which says what it left out."""

    def __init__(self, stated: Stated, path: Path, options: EdgeOptions) -> None:
        self.stated, self.path, self.options = stated, path, options
        self.table = stated.edges.reset_index(drop=True)
        self.columns = stated.columns.reset_index(drop=True)
        self.dropped: list[Dropped] = list(stated.passed_over)
        self.notes: list[str] = list(stated.notes)

    def called(self, field: str) -> str:
        return f"{self.path}: `{self.stated.names.get(field, field)}`"

    def keep(self, kept: pd.Series, reason: str) -> None:
        """Leaves the other edges out, for a reason."""
        kept = np.asarray(kept, dtype=bool)
        if kept.all():
            return
        lost = self.table.loc[~kept, ["parent", "child"]]
        self.dropped.append(Dropped(reason, len(lost), examples_of(lost.head(3).itertuples(index=False))))
        if not kept.any():
            raise PknError(f"{self.path}: no edges left: {len(lost):,} {reason}")
        self.table = self.table[kept].reset_index(drop=True)
        self.columns = self.columns[kept].reset_index(drop=True)

    def repeat(self, table: pd.DataFrame) -> None:
        """Replaces the edges by some that were made of them, whose index says from which."""
        self.columns = self.columns.loc[table.index].reset_index(drop=True)
        self.table = table.reset_index(drop=True)


def apply_edge_rules(stated: Stated, path: Path, options: EdgeOptions) -> pd.DataFrame:
    """Makes of what a file states the edges that a PKN takes.

    Returns:
        `parent`, `child`, `sign` (int8) and where there are costs `cost`; `attrs["account"]` is a `ReadAccount`,
        `attrs["also_read"]` lists other files that were read.

    Raises:
        PknError: nothing is left, or what the file says cannot be meant.
    """
    if stated.edges.empty:
        raise PknError(f"{path}: no edges")
    edges = _Edges(stated, path, options)
    _check_names(edges)
    for column, wanted in options.only.items():
        edges.keep(_chosen(edges, column, wanted), f"by `only: {column}`")
    _follow_arrows(edges)
    _decide_directions(edges)
    edges.table["sign"] = _signs(edges)
    costs = _costs(edges)
    if costs is not None:
        edges.table["cost"] = costs
    elif "cost" in edges.table:
        edges.table = edges.table.drop(columns="cost")
    edges.table = edges.table[[name for name in ("parent", "child", "sign", "cost") if name in edges.table]]
    if options.direction == "child_to_parent":
        edges.table = edges.table.assign(parent=edges.table["child"], child=edges.table["parent"])
    _take_complexes_apart(edges)
    if options.rename is not None:
        table, notes, kept = renamed(edges.table, options.rename, str(path))
        edges.notes += notes
        edges.keep(kept, _lacking_in(options.rename))
        edges.repeat(table)
    if options.costs is not None and options.costs.rule == "rows":
        stated_by = edges.table.groupby(["parent", "child"])["sign"].transform("size")
        edges.table["cost"] = _cost_of_number(stated_by, options.costs)
    if options.sizes is not None:
        _keep_sizes(edges, options.sizes)
    return _with_account(edges)


def _check_names(edges: _Edges) -> None:
    for field in ("parent", "child"):
        names = edges.table[field].to_numpy()
        if not names.all():
            empty = np.flatnonzero(names == "") + 1
            called = edges.stated.names.get(field, field)
            raise PknError(f"{edges.path}: empty `{called}` in row {some_names(empty)} (rows count below the header)")


def _column(edges: _Edges, name: str, option: str) -> pd.Series:
    if name not in edges.columns:
        known = [str(column) for column in edges.columns]
        advice = near_names(name, known) if known else "there are none"
        raise PknError(f"{edges.path}: {option}: there is no column {name}; {advice}")
    return edges.columns[name].astype(str)


def _chosen(edges: _Edges, name: str, wanted: Limits | list[Any]) -> pd.Series:
    """Which edges have a wanted value in a column; of a column of several entries, one of them is enough."""
    column = _column(edges, name, "only")
    if isinstance(wanted, Limits):
        numbers = _numbers(column, f"{edges.path}: only.{name}")
        low, high = wanted.at_least, wanted.at_most
        return numbers.ge(-np.inf if low is None else low) & numbers.le(np.inf if high is None else high)
    if all(isinstance(value, bool) for value in wanted):
        return _yes_or_no(column, f"{edges.path}: only.{name}").isin(wanted)
    texts = {str(value) for value in wanted}
    numbers = {float(value) for value in wanted if isinstance(value, (int, float)) and not isinstance(value, bool)}
    found = column.isin(texts) | column.str.split(_BETWEEN_ITEMS).map(lambda items: bool(texts & set(items)))
    if numbers:
        found |= pd.to_numeric(column, errors="coerce").isin(numbers)
    if not found.any():
        raise PknError(
            f"{edges.path}: only: no edge has {name} {some_names(wanted)} (found: {some_names(column.unique())})"
        )
    return found


def _follow_arrows(edges: _Edges) -> None:
    """Makes edges of arrows: one that points back is turned, of one with two heads there are two.

    An arrow without a head has no direction.
    """
    arrows = arrows_in(edges.table["sign"].unique()) if "sign" in edges.table else {}
    if not arrows:
        return
    said = edges.table["sign"].map(arrows)
    ahead, back = (said.map(lambda arrow, way=way: getattr(arrow, way, None)) for way in ("ahead", "back"))
    is_arrow, goes_ahead, goes_back = said.notna(), ahead.notna(), back.notna()
    directed = edges.table["directed"] if "directed" in edges.table else pd.Series("", index=said.index)
    table = edges.table.assign(
        sign=edges.table["sign"].where(~is_arrow, ahead.map(_SIGN_TEXTS).fillna("")),
        directed=directed.mask(is_arrow & ~goes_ahead & ~goes_back, "no"),
    )
    turned = table.assign(parent=table["child"], child=table["parent"], sign=back.map(_SIGN_TEXTS))[goes_back]
    edges.repeat(pd.concat([table[~goes_back | goes_ahead], turned]).sort_index(kind="stable"))
    if len(turned):
        n_both = int((goes_ahead & goes_back).sum())
        both = f", {n_both:,} of them ahead as well, which makes two edges of each" if n_both else ""
        arrows_point = "arrow points" if len(turned) == 1 else "arrows point"
        edges.notes.append(f"{len(turned):,} {arrows_point} back, from the second node to the first{both}")


def _decide_directions(edges: _Edges) -> None:
    """The one place that decides about edges that have no direction."""
    if "directed" not in edges.table:
        return
    is_directed = _yes_or_no(edges.table["directed"].replace("", "yes"), f"{edges.path}: `directed`")
    without = edges.table[~is_directed]
    if without.empty:
        return
    pairs = some_names([f"{row.parent} and {row.child}" for row in without.itertuples()], 3)
    if edges.options.undirected == "error":
        raise UndirectedError(
            f"{edges.path}: {len(without):,} of {len(edges.table):,} edges are undirected ({pairs}); a PKN needs "
            "directions: `undirected: drop` leaves them out"
        )
    _log.warning(
        "%s: %s of %s edges are undirected and left out: %s", edges.path, len(without), len(edges.table), pairs
    )
    if not is_directed.any():
        raise PknError(f"{edges.path}: no edges but undirected ones")
    edges.keep(is_directed, "undirected")


def _signs(edges: _Edges) -> pd.Series | int:
    found = edges.table
    if "stimulation" in found:
        said = [_yes_or_no(found[field], edges.called(field)).astype("int8") for field in ("stimulation", "inhibition")]
        return said[0] - said[1]
    if "sign" not in found:
        return 0
    _warn_of_confidence(edges)
    try:
        return signs_of(found["sign"], edges.called("sign"))
    except PknError as error:
        if not FORMATS[edges.options.format].has_columns:
            raise
        column = edges.stated.names.get("sign", "sign")
        raise PknError(f"{error}; `only: {{{column}: [...]}}` leaves edges that say something else out") from None


def _warn_of_confidence(edges: _Edges) -> None:
    """Warns where what is taken for signs are fractions, none of which is negative."""
    numbers = pd.to_numeric(pd.Series(edges.table["sign"].unique(), dtype=object), errors="coerce").dropna()
    if len(numbers) and (numbers >= 0).all() and ((numbers > 0) & (numbers < 1)).any():
        _log.warning(
            "%s is taken for the sign and holds no negative number but fractions, such as %s: every edge activates. If "
            "it says how sure an edge is, leave it out of `columns: {sign: ...}`, and use `costs` or `only`",
            edges.called("sign"),
            some_names([f"{number:g}" for number in numbers[numbers < 1]], 3),
        )


def _costs(edges: _Edges) -> pd.Series | None:
    rule = edges.options.costs
    if rule is not None:
        return None if rule.rule == "rows" else _by_evidence(edges, rule)
    if "cost" not in edges.table or not (edges.table["cost"] != "").any():
        return None
    said = edges.table["cost"]
    costs = pd.to_numeric(said.replace("", "1"), errors="coerce")
    wrong = ~(costs.gt(0) & costs.lt(np.inf))
    if wrong.any():
        raise PknError(
            f"{edges.called('cost')} must be a finite number above 0, found {some_names(said[wrong].unique())}"
        )
    return costs.astype(float)


def _by_evidence(edges: _Edges, rule: CostRule) -> pd.Series:
    column, where = _column(edges, str(rule.column), "costs"), f"{edges.path}: costs.{rule.column}"
    is_missing = column.str.lower().isin(_MISSING)
    if is_missing.any():
        edges.notes.append(f"{int(is_missing.sum()):,} edges without {rule.column} cost {rule.highest:g}")
    if rule.rule == "levels":
        return _cost_of_levels(column, rule, where)
    if rule.rule == "items":
        n_items = column.str.split(_BETWEEN_ITEMS).map(lambda items: len({item.strip() for item in items} - {""}))
        return _cost_of_number(n_items.where(~is_missing, 0), rule)
    numbers = _numbers(column, where)
    if (numbers < 0).any():
        raise PknError(f"{where}: evidence must not be negative, found {some_names(column[numbers < 0].unique())}")
    if rule.rule == "number":
        return _cost_of_number(numbers, rule)
    assert rule.best is not None
    if (numbers > rule.best).any():
        raise PknError(f"{where}: found {numbers.max():g}, above costs.best = {rule.best:g}")
    return 1 + (rule.highest - 1) * (1 - numbers.fillna(0) / rule.best)


def _cost_of_levels(column: pd.Series, rule: CostRule, where: str) -> pd.Series:
    """Of several levels (OmniPath writes `A;D`), the cheapest counts."""
    levels = rule.levels or {}
    entries = {value: [value] if value in levels else re.split(_BETWEEN_ITEMS, value) for value in column.unique()}
    named = {one for found in entries.values() for one in found}
    unknown = sorted(one for one in named - set(levels) if one.lower() not in _MISSING)
    if unknown:
        raise PknError(f"{where}: no cost is said for {some_names(unknown)} (levels: {some_names(levels)})")
    cost_of = {
        value: min((levels[one] for one in found if one in levels), default=rule.highest)
        for value, found in entries.items()
    }
    return column.map(cost_of).astype(float)


def _cost_of_number(numbers: pd.Series, rule: CostRule) -> pd.Series:
    return 1 + (rule.highest - 1) / numbers.fillna(0).clip(lower=1).astype(float)


def _take_complexes_apart(edges: _Edges) -> None:
    """Gives a complex's edges to its members, if that is asked for, or leaves them out.

    A complex is what the file marks as one, or a name of several that are all nodes of their own, joined by `_`.
    """
    wanted = edges.options.complexes
    if wanted == "keep":
        return
    nodes = set(edges.table["parent"]) | set(edges.table["child"])
    members: dict[str, list[str]] = {}
    for name in nodes:
        parts = name.removeprefix(COMPLEX).split("_")
        is_marked = name.startswith(COMPLEX) or name in edges.stated.complexes
        if is_marked or (len(parts) > 1 and all(part in nodes for part in parts)):
            members[name] = parts
    has_complex = edges.table["parent"].isin(members) | edges.table["child"].isin(members)
    if wanted == "drop":
        edges.keep(~has_complex, "of complexes")
        return
    apart = edges.table
    for end in ("parent", "child"):
        apart = apart.assign(**{end: [members.get(name, [name]) for name in apart[end]]}).explode(end)
    edges.repeat(apart)
    if members:
        edges.notes.append(
            f"{len(members):,} complexes ({some_names(sorted(members), 3)}) are taken apart: their "
            f"{int(has_complex.sum()):,} edges are their members'"
        )


def _keep_sizes(edges: _Edges, sizes: Limits) -> None:
    low = 0 if sizes.at_least is None else sizes.at_least
    high = np.inf if sizes.at_most is None else sizes.at_most
    n_children = edges.table.groupby("parent")["child"].transform("nunique")
    parents = edges.table.loc[~n_children.between(low, high), "parent"].nunique()
    edges.keep(n_children.between(low, high), f"of {parents:,} parents that have too few or too many children")


def _lacking_in(rename: Rename) -> str:
    return f"with a name that {rename.filepath} lacks"


def _with_account(edges: _Edges) -> pd.DataFrame:
    path = edges.path
    edges.table = table = edges.table.astype({"sign": "int8"})
    once, conflicts = each_pair_once(table)
    left_out = list(edges.dropped)
    if len(once) < len(table):
        loops = table["parent"][table["parent"] == table["child"]]
        if len(loops):
            left_out.append(Dropped("of a node to itself", len(loops), tuple(sorted(set(loops))[:3])))
        if len(loops) + len(once) < len(table):
            left_out.append(Dropped("repeated", len(table) - len(loops) - len(once)))
    if conflicts:
        edges.notes.append(f"{len(conflicts):,} pairs with both signs have an unknown one")
    account = ReadAccount(
        str(path),
        FORMATS[edges.options.format].called,
        len(edges.stated.edges) + sum(one.edges for one in edges.stated.passed_over),
        len(once),
        len(set(once["parent"])),
        len(set(once["child"])),
        int((once["sign"] == 1).sum()),
        int((once["sign"] == -1).sum()),
        tuple(left_out),
        tuple(edges.notes),
    )
    rename = edges.options.rename
    by_names = 0 if rename is None else sum(one.edges for one in left_out if one.reason == _lacking_in(rename))
    if by_names > _MOST_LOST * account.read:
        _log.warning("%s: %s of %s edges are lost in renaming; %s", path, by_names, account.read, account.notes[-1])
    table.attrs["account"] = account
    table.attrs["also_read"] = [] if rename is None else [rename.filepath]
    table.attrs["children_are_genes"] = FORMATS[edges.options.format].children_are_genes
    return table


def _numbers(column: pd.Series, where: str) -> pd.Series:
    """Numbers of a column of text, NaN where it is empty."""
    is_missing = column.str.lower().isin(_MISSING)
    numbers = pd.to_numeric(column.where(~is_missing), errors="coerce")
    wrong = numbers.isna() & ~is_missing
    if wrong.any():
        raise PknError(f"{where}: needs numbers, found {some_names(column[wrong].unique())}")
    return numbers


def _yes_or_no(column: pd.Series, where: str) -> pd.Series:
    said = {value: str(value).strip().lower() for value in column.unique()}
    strange = [value for value, text in said.items() if text not in (*_YES, *_NO)]
    if strange:
        raise PknError(f"{where} must be yes or no (1 or 0), found {some_names(strange)}")
    return column.map({value: text in _YES for value, text in said.items()})
