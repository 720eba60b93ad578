"""What is said about the nodes: which are named, how firmly they stand, and what could not be told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kpnn.errors import some_names
from kpnn.evaluation import interval
from kpnn.reporting.figures.nodes import heaviest, standing
from kpnn.reporting.study import ArmTables, Interpretation, Study

_NAMED = 5
"""Nodes that a sentence names before it counts."""
_FAR = 2.0
"""Standard deviations beyond its place in rewired networks from which a node owes its name to knowledge."""
_APART = 0.995
"""ROC-AUC above which it says less than how far the classes are apart."""


@dataclass(frozen=True)
class Told:
    """What is said about an arm's nodes for one output.

    Attributes:
        sentences: in order.
        notes: what a reader must know before believing them.
        names_nodes: whether nodes may be named at all.
    """

    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    names_nodes: bool


def told_of_nodes(study: Study, weighed: Interpretation, output: str, membership: dict[str, str]) -> Told:
    """Names the leading nodes with how firmly they stand, or says why none is named.

    Args:
        study: for the arm's scores.
        weighed: what the arm's networks say.
        output: the output.
        membership: of each hidden node in the optimal DAGs.
    """
    arm = study.arm(weighed.arm)
    guesses = None if arm is None else _guesses(arm, output, study.groups)
    notes = (_tutorial(arm, weighed.arm),)
    if guesses is not None:
        return Told((guesses,), tuple(filter(None, notes)), names_nodes=False)
    nodes = weighed.of_output(output)
    called = nodes[nodes["called"]].sort_values("rank")
    sentences = (
        _named(weighed, called, output, membership) if len(called) else _could_not_tell(weighed, output, membership),
    )
    more = (
        _beside_enrichment(called),
        _beside_rewired(weighed, called),
        _by_structure(called),
        _visible(nodes) if len(called) else "",
    )
    return Told(tuple(filter(None, (*sentences, *more))), tuple(filter(None, notes)), names_nodes=True)


def nodes_may_be_named(study: Study, weighed: Interpretation, output: str) -> bool:
    """Whether an arm predicts an output, so that what its nodes weigh for it says something.

    Args:
        study: for the arm's scores.
        weighed: what the arm's networks say.
        output: the output.
    """
    arm = study.arm(weighed.arm)
    return arm is None or _guesses(arm, output, study.groups) is None


def _guesses(arm: ArmTables, output: str, groups: pd.Series | None) -> str | None:
    """Says that an arm's ROC-AUC is not above 0.5; None where it is, or where it has none."""
    scores = arm.scores()
    if output not in scores.outputs or not np.isfinite(scores.values[:, scores.outputs.index(output)]).any():
        return None
    found = interval(scores, groups=groups, output=output)
    if not found.lower <= 0.5:
        return None
    return (
        f"No node of `{arm.name}` is named for {output}: its ROC-AUC of {found.estimate:.2f} (95 % interval "
        f"{found.lower:.2f} to {found.upper:.2f}) is not above guessing, and what the nodes of networks weigh that do "
        "not predict says nothing."
    )


def _tutorial(arm: ArmTables | None, name: str) -> str:
    if arm is None or not arm.is_optimistic:
        return ""
    return (
        f"`{name}` was evaluated by the tutorial's protocol: its networks were stopped where they did best on the very "
        "cells that its nodes are tested on, so z, p-values and q-values of nodes are optimistic, as its scores are."
    )


def _named(weighed: Interpretation, called: pd.DataFrame, output: str, membership: dict[str, str]) -> str:
    n_folds = int(called["n_folds"].max())
    told = (f"`{row['node']}` ({standing(row, membership, n_folds)})" for _, row in called.iterrows())
    return f"In `{weighed.arm}` the prediction of {output} rests on {some_names(told, _NAMED)}."


def _could_not_tell(weighed: Interpretation, output: str, membership: dict[str, str]) -> str:
    leaders = heaviest(weighed, output, 3)
    n_folds = int(leaders["n_folds"].max())
    told = [f"`{row['node']}` ({standing(row, membership, n_folds)})" for _, row in leaders.iterrows()]
    parts = (
        f"In `{weighed.arm}` no node is called for {output}: these cells and networks could not tell any from "
        "chance, which is no proof that there is none.",
        _visible(weighed.of_output(output)),
        f"The first by combined z are {', '.join(told)}.",
    )
    return " ".join(filter(None, parts))


def _visible(nodes: pd.DataFrame) -> str:
    """The smallest effect that would have been seen."""
    if "visible_roc_auc" not in nodes or not len(nodes):
        return ""
    visible = float(nodes["visible_roc_auc"].iloc[0])
    if not np.isfinite(visible):
        return "So few cells or groups could not show any node, however well it tells the classes."
    if visible > _APART:
        return (
            "So few groups show only a node that sets the classes' groups apart by several times what those of one "
            "differ."
        )
    return (
        f"A node whose activity alone tells the classes with a ROC-AUC of {visible:.2f} would be found in four studies "
        "of five, a weaker one less often."
    )


def _beside_enrichment(called: pd.DataFrame) -> str:
    """Says which names the network adds to those that genes have without it."""
    if "enrichment_rank" not in called or not len(called):
        return ""
    n_called = len(called)
    added = called[called["enrichment_rank"] > n_called]
    first = f"its first {n_called}" if n_called > 1 else "its first"
    sentence = (
        f"Without a network, plain enrichment of a node's genes has {n_called - len(added)} of {n_called} called nodes "
        f"{'among ' if n_called > 1 else 'as '}{first}"
    )
    if not len(added):
        return f"{sentence}: the network adds no name to them."
    names = (f"`{row['node']}` ({int(row['enrichment_rank'])}.)" for _, row in added.iterrows())
    return f"{sentence}; the network adds {some_names(names, _NAMED)}."


def _beside_rewired(weighed: Interpretation, called: pd.DataFrame) -> str:
    """Says where networks on randomized knowledge do as well."""
    nodes = weighed.nodes
    if "n_rewired" not in nodes or not nodes["n_rewired"].max() or not len(called):
        return ""
    n_networks = int(nodes["n_rewired"].max())
    known = called[np.isfinite(called["beyond_rewired"].astype(float))]
    if not len(known):
        return ""
    far = known["beyond_rewired"] >= _FAR
    sentence = (
        f"Beside networks on up to {n_networks} rewired PKNs, {int(far.sum())} of {len(known)} called nodes have a z "
        f"at least {_FAR:g} standard deviations above that of their own place there."
    )
    alike = [f"`{name}`" for name in known.loc[~far, "node"]]
    if alike:
        sentence += (
            f" Randomized networks do as well for {some_names(alike, _NAMED)}: that these are called does not depend "
            "on what the knowledge says about them."
        )
    return sentence


def _by_structure(called: pd.DataFrame) -> str:
    if "structure" not in called:
        return ""
    marked = [f"`{name}`" for name in called.loc[called["structure"].eq(True), "node"]]
    if not marked:
        return ""
    verb, places = ("weigh", "their places") if len(marked) > 1 else ("weighs", "its place")
    return (
        f"{some_names(marked, _NAMED)} {verb} no more than {places} in the network would give on inputs that all "
        "tell the same: structure, such as receptors next to the output."
    )
