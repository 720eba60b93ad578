"""Which inputs each output must be reached by, where each input keeps every output that it reaches in the PKN."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpnn.errors import SelectionError, some_names
from kpnn.pkn.graph import fewest_edges, reached_from_each
from kpnn.pkn.network import Pkn
from kpnn.pkn.paths import node_codes
from kpnn.pkn.selection.settings import SelectionRules


@dataclass(frozen=True, eq=False)
class OutputReach:
    """Pairs of an output and an input that a path must join.

    Attributes:
        outputs: node codes of the outputs that have demands of their own, shape (n_outputs,); none where any output
            will do for an input.
        inputs: whether each node is an input that the output must be reached by, shape (n_outputs, n_nodes), bool.
    """

    outputs: np.ndarray
    inputs: np.ndarray

    def __bool__(self) -> bool:
        return len(self.outputs) > 0

    def signature(self, code: int) -> bytes:
        """The outputs that an input must reach, comparable with those of another."""
        return self.inputs[:, code].tobytes()


def demanded_reach(pkn: Pkn, rules: SelectionRules, edge_ids: np.ndarray, is_input: np.ndarray) -> OutputReach:
    """The pairs that the rules demand.

    Args:
        pkn: the PKN; what its edges join must stay joined.
        rules: the demands on the DAG.
        edge_ids: rows of `pkn.edges` that may be used.
        is_input: shape (n_nodes,), bool.

    Raises:
        SelectionError: with the usable edges alone, a pair is too far apart or not joined at all.
    """
    n_nodes = len(pkn.nodes)
    if not rules.demands_every_output(pkn):
        return OutputReach(np.empty(0, dtype=np.int64), np.zeros((0, n_nodes), dtype=bool))
    outputs = node_codes(pkn, pkn.outputs)
    inputs = is_input & reached_from_each(pkn.parent_codes, pkn.child_codes, outputs, n_nodes)
    longest = np.inf if rules.max_depth is None else rules.max_depth
    for row, output in enumerate(outputs):
        distance = fewest_edges(pkn.parent_codes[edge_ids], pkn.child_codes[edge_ids], np.array([output]), n_nodes)
        lost = [
            pkn.nodes[code] for code in np.flatnonzero(inputs[row] & ~(np.isfinite(distance) & (distance <= longest)))
        ]
        if lost:
            within = "" if rules.max_depth is None else f" of at most {rules.max_depth} edges"
            raise SelectionError(
                f"reach=every: input {some_names(lost)} reaches output {pkn.outputs[row]} in the PKN, but the demands "
                f"leave no path{within}; relax them, or choose reach=any"
            )
    return OutputReach(outputs, inputs)


def bits_of_nodes(pairs: np.ndarray) -> list[int]:
    """The outputs of each node as the bits of a whole number.

    Args:
        pairs: shape (n_outputs, n_nodes), bool.
    """
    return [int.from_bytes(row.tobytes(), "little") for row in np.packbits(pairs, axis=0, bitorder="little").T]
