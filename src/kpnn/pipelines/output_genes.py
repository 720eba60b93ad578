"""What each output can be predicted from, said before anything is trained."""

from __future__ import annotations

import logging

from kpnn.pkn import Dag, Pkn, inputs_per_output, narrowest_funnel

_log = logging.getLogger(__name__)

_NARROW = 0.9
"""From this share of pairs of an output and a gene on, one neuron decides what all outputs can tell apart."""

_FEW = 0.5
"""Below this share of an output's genes a DAG has lost much of what it could be predicted from."""


def log_genes_per_output(network: str, dag: Dag, pkn: Pkn, advice: str = "") -> dict[str, int]:
    """Logs how many genes a DAG keeps below each output, and warns of outputs that keep less than half of them.

    Args:
        network: what to call the DAG, such as `full`.
        dag: the DAG.
        pkn: the PKN of measured genes that it is taken from.
        advice: what a warning says at its end.

    Returns:
        Number of genes below each output of the DAG.
    """
    kept, there = inputs_per_output(dag), inputs_per_output(pkn)
    told = ", ".join(f"{output} {n:,} of {there[output]:,}" for output, n in kept.items())
    _log.info("genes below each output of the %s DAG: %s", network, told)
    few = [output for output, n in kept.items() if n < _FEW * there[output]]
    for output in few:
        _log.warning(
            "output %s keeps %d of its %d genes in the %s DAG: it may be predicted badly, whatever the mean over "
            "outputs says%s",
            output,
            kept[output],
            there[output],
            network,
            advice,
        )
    return kept


def warn_of_funnel(network: str, dag: Dag, lanes: int = 1) -> None:
    """Warns where several outputs read nearly all of their genes through one and the same neuron.

    Args:
        network: what to call the DAG, such as `pruned`.
        dag: the DAG.
        lanes: how many lanes it was to have (see `kpnn.pkn.widened_dag`).
    """
    if len(dag.outputs) < 2:
        return
    funnel = narrowest_funnel(dag)
    if funnel is None or len(funnel.outputs) < 2 or funnel.share < _NARROW:
        return
    _log.warning(
        "%.0f %% of what %d of the %d outputs of the %s DAG can learn from passes through %s: one number per cell, "
        "which tells few classes apart; %s",
        100 * funnel.share,
        len(funnel.outputs),
        len(dag.outputs),
        network,
        funnel.node,
        "dag_selection.lanes: 2 adds paths around it"
        if lanes == 1
        else "the network knows no way around it: give each output roots of its own (data_engineering.receptors)",
    )
