"""The edge table that a PKN and a DAG share: its columns, its clean-up, its canonical order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpnn.errors import PknError, some_names


@dataclass(frozen=True)
class CleanUp:
    """What reading an edge table dropped or joined, for the run's data summary.

    Attributes:
        self_loops: nodes that had an edge to themselves; those edges are dropped.
        duplicates: (parent, child) pairs that occurred more than once; the cheapest stays. A known sign outweighs an
            unknown one; where the copies disagree it is unknown.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.pkn import Pkn
        >>> edges = pd.DataFrame({"parent": ["R", "R", "A", "A"], "child": ["A", "A", "A", "g"]})
        >>> Pkn.from_edges(edges).clean_up
        CleanUp(self_loops=('A',), duplicates=(('R', 'A'),))
    """

    self_loops: tuple[str, ...] = ()
    duplicates: tuple[tuple[str, str], ...] = ()


def clean_edges(edges: pd.DataFrame, source: str = "edge table") -> tuple[pd.DataFrame, CleanUp]:
    """Validates an edge table and brings it into canonical form.

    Args:
        edges: one row per edge, with the columns `parent` and `child` (names) and optionally `sign`
            (+1, -1 or empty: unknown) and `cost` (> 0, default 1). Other columns are ignored.
        source: what to call the table in errors, such as a file's path.

    Returns:
        The table with exactly the columns `parent`, `child` (str), `sign` (int8, 0 = unknown) and
        `cost` (float64), sorted by parent and child, each pair once; and what was cleaned up.

    Raises:
        PknError: a column is missing, a name is empty, a sign or cost has no meaning, or no edge is left.
    """
    missing = [column for column in ("parent", "child") if column not in edges.columns]
    if missing:
        raise PknError(
            f"{source}: no column {some_names(missing)}; an edge list needs `parent` and `child` "
            f"(found: {some_names(edges.columns)})"
        )
    table = pd.DataFrame(
        {
            "parent": _names(edges["parent"], "parent", source),
            "child": _names(edges["child"], "child", source),
            "sign": _signs(edges["sign"], source) if "sign" in edges else np.int8(0),
            "cost": _costs(edges["cost"], source) if "cost" in edges else 1.0,
        }
    )
    pairs, is_loop = _pairs_of(table, in_order=True)
    order = np.argsort(pairs, kind="stable")
    table, pairs, is_loop = table.iloc[order], pairs[order], is_loop[order]
    self_loops = tuple(dict.fromkeys(table.loc[is_loop, "parent"]))
    repeated = table.loc[pd.Series(pairs).duplicated().to_numpy() & ~is_loop, ["parent", "child"]]
    duplicates = tuple(dict.fromkeys(repeated.itertuples(index=False, name=None)))
    table, _ = _each_once(table, pairs, is_loop)
    if table.empty:
        raise PknError(f"{source}: no edges" + (" but self-loops" if self_loops else ""))
    return table.reset_index(drop=True), CleanUp(self_loops, duplicates)


def each_pair_once(edges: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Merges repeated edges and leaves out those from a node to itself: the one rule for both.

    The cheapest stays; a known sign outweighs an unknown one, and signs that disagree are unknown.

    Args:
        edges: `parent`, `child`, `sign` (1, -1, 0) and optionally `cost`.

    Returns:
        The same columns, each pair once, in the order of first occurrence; and the pairs whose signs disagree.
    """
    return _each_once(edges, *_pairs_of(edges))


def _pairs_of(edges: pd.DataFrame, *, in_order: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the pairs of parent and child, which is far quicker to compare and to sort than two columns of names.

    Args:
        edges: `parent` and `child`.
        in_order: whether the numbers are in the order of parents, then children.

    Returns:
        The number of each row's pair, int64, and whether the row joins a node to itself; both shape (n_edges,).
    """
    ends = np.concatenate([edges["parent"].to_numpy(dtype=object), edges["child"].to_numpy(dtype=object)])
    codes, names = pd.factorize(ends, sort=in_order)
    parents, children = np.split(codes.astype(np.int64), 2)
    return parents * len(names) + children, parents == children


def _each_once(
    edges: pd.DataFrame, pairs: np.ndarray, is_loop: np.ndarray
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """`each_pair_once`, where the pairs are numbered already."""
    table = edges[~is_loop] if is_loop.any() else edges
    if len(pd.unique(pairs[~is_loop])) == len(table):
        return table.reset_index(drop=True), []
    grouped = table.groupby(["parent", "child"], sort=False, observed=True)
    known = table["sign"].where(table["sign"] != 0).groupby([table["parent"], table["child"]], sort=False)
    lowest, highest = known.min(), known.max()
    once = grouped.agg(dict.fromkeys(table.columns.drop(["parent", "child"]), "min")).assign(
        sign=lowest.where(lowest == highest, 0).fillna(0).astype("int8")
    )
    conflicts = list(lowest.index[lowest.notna() & (lowest != highest)])
    return once.reset_index()[list(table.columns)], conflicts


def _names(column: pd.Series, which: str, source: str) -> pd.Series:
    names = column.astype("string").str.strip()
    empty = names.isna() | (names == "")
    if empty.any():
        rows = [int(row) + 1 for row in np.flatnonzero(empty.to_numpy())]
        raise PknError(f"{source}: empty `{which}` in row {some_names(rows)} (rows count from 1, below the header)")
    return names.astype(object)


def _signs(column: pd.Series, source: str) -> pd.Series:
    signs = pd.to_numeric(column.replace({"": None, "+": 1, "-": -1}), errors="coerce")
    given = column.notna() & (column.astype("string").str.strip() != "")
    wrong = given & ~signs.isin([1, -1, 0])
    if wrong.any():
        raise PknError(f"{source}: `sign` must be 1, -1 or empty, found {some_names(column[wrong].unique())}")
    return signs.fillna(0).astype("int8")


def _costs(column: pd.Series, source: str) -> pd.Series:
    costs = pd.to_numeric(column, errors="coerce").where(column.notna(), 1.0).astype(float)
    wrong = ~(np.isfinite(costs) & (costs > 0))
    if wrong.any():
        raise PknError(f"{source}: `cost` must be a finite number above 0, found {some_names(column[wrong].unique())}")
    return costs
