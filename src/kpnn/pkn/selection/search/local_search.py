"""Local search among covers: swaps kept columns for others, and raises the weight of rows that stay violated.

It takes any formulation whose rows say "of these columns at least so many" or "a kept column needs one of these", which
the node form and its cuts are. The method is row weighting local search (Gao, Yao, Weise and Li 2015, European Journal
of Operational Research 246:750-761), extended by rows that a column brings with it and by costs. One second
tries some hundred thousand swaps, where an exact solver looks into one neighbourhood.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.sparse import csr_array

from kpnn.compiled import FLAGS, entry
from kpnn.pkn.selection.model.rows import LinearRows

NO_OWNER = -1
_LEAST_COST = 1e-9
"""What a column without cost counts as, so that what it covers can be divided by it."""


class Cover(NamedTuple):
    """Rows and columns of a covering problem; `a_start[i]:a_start[i + 1]` are the entries of i in `a`.

    Attributes:
        members_start, members: columns of each row.
        rows_start, rows: rows of each column.
        owned_start, owned: rows that count only while this column is kept.
        owner: column that each row belongs to, or NO_OWNER.
        demand: how many members a row needs, while its owner is kept.
        cost: of each column, above 0.
        is_fixed: columns that stay kept.
        is_allowed: columns that may be kept.
    """

    members_start: np.ndarray
    members: np.ndarray
    rows_start: np.ndarray
    rows: np.ndarray
    owned_start: np.ndarray
    owned: np.ndarray
    owner: np.ndarray
    demand: np.ndarray
    cost: np.ndarray
    is_fixed: np.ndarray
    is_allowed: np.ndarray


class _State(NamedTuple):
    """What a search changes.

    Attributes:
        kept: columns.
        need: members that each row needs now.
        covered: kept members of each row.
        weight: of each row.
        score: of each column, the weight of rows that its flip would cover further or uncover.
        burden: of each column, the weight of its own rows that none of their members covers.
        violated: the rows that are violated, in the first `n_violated[0]` places.
        violated_place: of each row in `violated`.
        movable: the kept columns that are not fixed, in the first `n_movable[0]` places.
        movable_place: of each column in `movable`.
        n_violated, n_movable: shape (1,).
    """

    kept: np.ndarray
    need: np.ndarray
    covered: np.ndarray
    weight: np.ndarray
    score: np.ndarray
    burden: np.ndarray
    violated: np.ndarray
    violated_place: np.ndarray
    movable: np.ndarray
    movable_place: np.ndarray
    n_violated: np.ndarray
    n_movable: np.ndarray


class LocalSearch:
    """Keeps the weights of rows from one search to the next."""

    def __init__(self, cost: np.ndarray, *, is_fixed: np.ndarray, is_allowed: np.ndarray) -> None:
        """Prepares searches among the same columns.

        Args:
            cost: of each column, at least 0.
            is_fixed: columns that stay kept.
            is_allowed: columns that may be kept.
        """
        self._cost = np.maximum(cost, _LEAST_COST)
        self._is_fixed, self._is_allowed = is_fixed, is_allowed
        self._weight = np.empty(0, dtype=np.int64)

    def run(self, rows: LinearRows, kept: np.ndarray, *, n_swaps: int, seed: int) -> np.ndarray:
        """Searches for a cheaper cover.

        Args:
            rows: all rows; those known from earlier searches come first, in the same order.
            kept: columns to start from, shape (n_columns,), bool.
            n_swaps: swaps to try.
            seed: of the choice among violated rows.

        Returns:
            The columns of the cheapest cover found; those given where none was found, or none cheaper.
        """
        cover = cover_of(rows, self._cost, self._is_fixed, self._is_allowed)
        fresh = np.ones(len(rows) - len(self._weight), dtype=np.int64)
        self._weight = np.concatenate([self._weight, fresh])
        return search_swaps(cover, kept, self._weight, n_swaps, seed)


def is_cover(rows: LinearRows) -> bool:
    """Whether every row says "of these columns at least so many" or "a kept column needs one of these"."""
    for values, low, high in zip(rows.values, rows.low, rows.high, strict=True):
        n_negative = int((values == -1.0).sum())
        if np.isfinite(high) or (values == 1.0).sum() + n_negative < len(values) or n_negative > 1:
            return False
        if n_negative and low != 0.0:
            return False
    return True


def cover_of(rows: LinearRows, cost: np.ndarray, is_fixed: np.ndarray, is_allowed: np.ndarray) -> Cover:
    """The covering problem that these rows state (see `is_cover`)."""
    n_columns = len(cost)
    matrix = rows.matrix(n_columns)
    of_entry = np.repeat(np.arange(len(rows)), np.diff(matrix.indptr))
    is_owner = matrix.data < 0
    members = _grouped(of_entry[~is_owner], matrix.indices[~is_owner], (len(rows), n_columns))
    by_column = members.T.tocsr()
    owned = _grouped(matrix.indices[is_owner], of_entry[is_owner], (n_columns, len(rows)))
    owner = np.full(len(rows), NO_OWNER, dtype=np.int64)
    owner[of_entry[is_owner]] = matrix.indices[is_owner]
    demand = np.where(owner == NO_OWNER, np.ceil(np.array(rows.low)), 1.0).astype(np.int64)
    return Cover(
        *_entries(members),
        *_entries(by_column),
        *_entries(owned),
        owner,
        demand,
        np.asarray(cost, dtype=float),
        is_fixed,
        is_allowed,
    )


def _grouped(keys: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> csr_array:
    return csr_array((np.ones(len(keys), dtype=np.int8), (keys, values)), shape=shape)


def _entries(groups: csr_array) -> tuple[np.ndarray, np.ndarray]:
    return groups.indptr.astype(np.int64), groups.indices.astype(np.int64)


@entry
def search_swaps(cover: Cover, start: np.ndarray, weight: np.ndarray, n_swaps: int, seed: int) -> np.ndarray:
    """The cheapest cover found by swaps, shape (n_columns,), bool; changes the weights.

    Args:
        cover: the covering problem.
        start: columns to start from, shape (n_columns,), bool; the answer where no cheaper cover is found.
        weight: of each row, shape (n_rows,), int64.
        n_swaps: swaps to try.
        seed: of the choice among violated rows.
    """
    # In compiled code this is a generator of numba's own, which no one else uses meanwhile.
    np.random.seed(seed)  # noqa: NPY002
    state = _start(cover, start, weight)
    total = cover.cost[start].sum()
    best, best_total = start.copy(), total if state.n_violated[0] == 0 else np.inf
    changed = np.zeros(len(start), np.int64)  # the swap that changed a column last
    added = -1
    for swap in range(1, n_swaps + 1):
        # A cover loses columns until it is none; one column more makes room for those that are added.
        while True:
            was_cover = state.n_violated[0] == 0
            if was_cover and total < best_total - 1e-9:
                best[:], best_total = state.kept, total
            removed = _least_missed(-1 if was_cover else added, changed, cover, state)
            if removed < 0:
                break
            _flip(removed, cover, state)
            total -= cover.cost[removed]
            changed[removed] = swap
            if not was_cover:
                break
        if state.n_violated[0] == 0:
            if removed < 0:
                return best  # only columns that cannot be left out are kept
            continue
        added = -1
        while state.n_violated[0] > 0:
            row = state.violated[np.random.randint(state.n_violated[0])]  # noqa: NPY002
            wanted = _most_wanted(row, removed, changed, cover, state)
            if wanted < 0 or total + cover.cost[wanted] >= best_total - 1e-9:
                break
            added = wanted
            _flip(added, cover, state)
            total += cover.cost[added]
            changed[added] = swap
        for position in range(state.n_violated[0]):
            _raise_weight(state.violated[position], cover, state)
    return best


@njit(**FLAGS)
def _start(cover: Cover, start: np.ndarray, weight: np.ndarray) -> _State:
    n_columns, n_rows = len(cover.cost), len(cover.demand)
    state = _State(
        np.zeros(n_columns, np.bool_),
        np.zeros(n_rows, np.int64),
        np.zeros(n_rows, np.int64),
        weight,
        np.zeros(n_columns, np.int64),
        np.zeros(n_columns, np.int64),
        np.zeros(n_rows, np.int64),
        np.zeros(n_rows, np.int64),
        np.zeros(n_columns, np.int64),
        np.zeros(n_columns, np.int64),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
    )
    for row in range(n_rows):
        owner = cover.owner[row]
        if owner >= 0:
            state.burden[owner] += weight[row]
        else:
            _set_need(row, cover.demand[row], cover, state)
    for column in range(n_columns):
        if start[column]:
            _flip(column, cover, state)
    return state


@njit(**FLAGS)
def _least_missed(spared: int, changed: np.ndarray, cover: Cover, state: _State) -> int:
    """The kept column whose loss costs least weight for what it saves; of several the dearest, kept longest."""
    found, least = -1, 0.0
    for position in range(state.n_movable[0]):
        column = state.movable[position]
        if column == spared:
            continue
        cost = cover.cost[column]
        value = (state.score[column] - state.burden[column]) / cost
        if found >= 0 and value == least:
            if cost < cover.cost[found] or (cost == cover.cost[found] and changed[column] >= changed[found]):
                continue
        elif found >= 0 and value > least:
            continue
        found, least = column, value
    return found


@njit(**FLAGS)
def _most_wanted(row: int, spared: int, changed: np.ndarray, cover: Cover, state: _State) -> int:
    """The member of a violated row that gains most weight for its cost; of several the one left out longest."""
    found, most = -1, 0.0
    for position in range(cover.members_start[row], cover.members_start[row + 1]):
        column = cover.members[position]
        if state.kept[column] or column == spared or not cover.is_allowed[column]:
            continue
        value = (state.score[column] - state.burden[column]) / cover.cost[column]
        if found < 0 or value > most or (value == most and changed[column] < changed[found]):
            found, most = column, value
    return found


@njit(**FLAGS)
def _raise_weight(row: int, cover: Cover, state: _State) -> None:
    """Adds one to the weight of a violated row, which is part of the score of all its members."""
    state.weight[row] += 1
    for position in range(cover.members_start[row], cover.members_start[row + 1]):
        state.score[cover.members[position]] += 1
    if cover.owner[row] >= 0:
        state.burden[cover.owner[row]] += 1


@njit(**FLAGS)
def _flip(flipped: int, cover: Cover, state: _State) -> None:
    """Keeps a column, or leaves it out, and brings all that depends on it up to date."""
    # Here all the time is spent. Arrays have names of their own, because reading one from a tuple counts references.
    members_start, members, owner = cover.members_start, cover.members, cover.owner
    rows_start, rows, kept = cover.rows_start, cover.rows, state.kept
    need_of, covered, weight_of, score, burden = state.need, state.covered, state.weight, state.score, state.burden
    step = -1 if kept[flipped] else 1
    kept[flipped] = step > 0
    own_score = 0
    for position in range(rows_start[flipped], rows_start[flipped + 1]):
        row = rows[position]
        before, need, weight = covered[row], need_of[row], weight_of[row]
        after = before + step
        covered[row] = after
        # Members left out score while the row lacks some; kept ones score while it has none to spare.
        lacked, lacks = before < need, after < need
        spared, spares = before > need, after > need
        if lacks or (after == need and step > 0):
            own_score += weight
        if lacked != lacks or spared != spares:
            for entry_of_row in range(members_start[row], members_start[row + 1]):
                column = members[entry_of_row]
                if column == flipped:
                    continue
                if kept[column]:
                    if spared != spares:
                        score[column] += -weight if spares else weight
                elif lacked != lacks:
                    score[column] += weight if lacks else -weight
        if owner[row] >= 0 and (before == 0) != (after == 0):
            burden[owner[row]] += weight if after == 0 else -weight
        if lacked != lacks:
            _set_listed(row, lacks, state.violated, state.violated_place, state.n_violated)
    score[flipped] = own_score
    for position in range(cover.owned_start[flipped], cover.owned_start[flipped + 1]):
        row = cover.owned[position]
        _set_need(row, cover.demand[row] if step > 0 else 0, cover, state)
    if not cover.is_fixed[flipped]:
        _set_listed(flipped, step > 0, state.movable, state.movable_place, state.n_movable)


@njit(**FLAGS)
def _set_need(row: int, need: int, cover: Cover, state: _State) -> None:
    """Sets how many members a row needs; changes the scores of its members."""
    before, count, weight = state.need[row], state.covered[row], state.weight[row]
    state.need[row] = need
    for position in range(cover.members_start[row], cover.members_start[row + 1]):
        column = cover.members[position]
        if state.kept[column]:
            state.score[column] += weight * (int(count <= need) - int(count <= before))
        else:
            state.score[column] += weight * (int(count < need) - int(count < before))
    if (count < before) != (count < need):
        _set_listed(row, count < need, state.violated, state.violated_place, state.n_violated)


@njit(**FLAGS)
def _set_listed(item: int, is_listed: bool, items: np.ndarray, place: np.ndarray, n_items: np.ndarray) -> None:
    """Puts an item on a list, or takes it off; then the last item moves to its place."""
    if is_listed:
        items[n_items[0]], place[item] = item, n_items[0]
        n_items[0] += 1
    else:
        n_items[0] -= 1
        last = items[n_items[0]]
        items[place[item]], place[last] = last, place[item]
