"""About how long a study's run will take, by a rule that was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from kpnn.interpretation import InterpretationSettings
from kpnn.processes import usable_cores
from kpnn.settings_base import of_kind
from kpnn.training.controls import ControlSettings
from kpnn.training.settings import EvaluationSettings

# CPU time on one core of a Xeon with AVX-512, see docs/benchmarks.md ("Growth") and docs/your_own_data.md.
_SECONDS_PER_CELL = 1.6e-6
_SECONDS_PER_CELL_AND_EDGE = 0.75e-9
_EPOCHS = 100
"""After which most networks stop by themselves, of max_epochs = 400."""
_SHORT_EPOCHS = 160
"""Likewise where epochs end before all training cells were seen: more cells teach a network for longer."""
_LOOKING = 0.08
"""Of an epoch over all training cells, the share of the time in which a quarter as many others are looked at."""
_EARNED = 0.4
"""Share of the further inner folds that a trial of the race earns, on average."""
_AT_ONCE = {"threads": 2, "sequential": 1}
"""Cores that an executor keeps busy, at most; the others keep all."""
_SIZES = 3
"""Networks between the smallest and the full one."""
_SECONDS_AROUND = 45.0
"""DAG selection, node weights, figures, report, MLflow."""
_SECONDS_PER_FURTHER_OUTPUT = 15.0
"""Of several outputs each has node weights, intervals and figures of its own."""
_SPREAD = 2.0
"""By how much an estimate may be off, either way."""


@dataclass(frozen=True)
class Work:
    """What is trained.

    Attributes:
        networks: trained in all.
        of_arms: of these by the two arms, tuning included.
        of_controls: by the controls.
        of_weights: for node weights.
        seconds: about how long all of the run takes where nothing else runs; wrong by a factor of two either way.
        cores: that it keeps busy.
    """

    networks: int
    of_arms: int
    of_controls: int
    of_weights: int
    seconds: float
    cores: int

    @property
    def spoken(self) -> str:
        """The time in words, as a range."""
        shortest, longest = self.seconds / _SPREAD, self.seconds * _SPREAD
        number, unit = spoken(shortest).split()
        is_same = spoken(longest).split()[1].rstrip("s") == unit.rstrip("s")
        return f"{number if is_same else f'{number} {unit}'} to {spoken(longest)}"


def estimate_work(
    settings: Mapping[str, BaseModel], *, n_cells: int, n_edges: int, n_folds: int, n_outputs: int = 1
) -> Work:
    """Counts the networks that a run trains, and says about how long that takes.

    Args:
        settings: of all pipelines, by group.
        n_cells: labelled cells.
        n_edges: edges of the full DAG; the others are smaller, which is left out of account.
        n_folds: outer folds, over all repeats.
        n_outputs: of the networks.
    """
    modelling, controls = of_kind(settings, EvaluationSettings), of_kind(settings, ControlSettings)
    weights = of_kind(settings, InterpretationSettings)
    members = modelling.fit.ensemble
    trials = max(1, modelling.tuning.n_trials) if modelling.protocol == "nested" else 1
    earned = 1.0 if modelling.tuning.pruner == "none" or trials == 1 else _EARNED
    searched = round(trials * (1 + earned * (members - 1)))
    of_arms = 2 * n_folds * searched
    n_controls = controls.rewired + controls.alternative + controls.permuted_genes + controls.permuted_labels
    # Those of other sizes search always.
    n_searching = controls.dense + _SIZES * controls.size_curve + (n_controls if controls.search else 0)
    of_controls = n_folds * (n_searching * searched + (0 if controls.search else n_controls) * members)
    per_fold = weights.control_inputs + weights.permuted_labels + weights.replicates
    of_weights = 2 * (n_folds * per_fold + weights.seeds) + weights.alternative_dags
    of_weights += n_folds * members * weights.rewired_full
    networks = of_arms + of_controls + of_weights
    # Of the cells of a training part, an inner fold of them is for early stopping.
    trained_on = n_cells * (1 - 1 / max(n_folds, 2)) * (1 - 1 / max(members, 2))
    most = modelling.fit.epoch_cells or trained_on
    epochs = min(_EPOCHS if trained_on <= most else _SHORT_EPOCHS, modelling.fit.max_epochs)
    seen = (1 - _LOOKING) * min(trained_on, most) + _LOOKING * 4 * min(trained_on / 4, most)
    per_network = epochs * seen * (_SECONDS_PER_CELL + _SECONDS_PER_CELL_AND_EDGE * n_edges)
    cores = min(usable_cores(), _AT_ONCE.get(modelling.execution.executor, usable_cores()))
    around = _SECONDS_AROUND + _SECONDS_PER_FURTHER_OUTPUT * (n_outputs - 1)
    return Work(networks, of_arms, of_controls, of_weights, around + networks * per_network / cores, cores)


def spoken(seconds: float) -> str:
    """A time as a person says it.

    Examples:
        >>> spoken(150), spoken(40), spoken(9000)
        ('3 minutes', '1 minute', '2.5 hours')
    """
    minutes = max(1, round(seconds / 60))
    if minutes < 90:
        return "1 minute" if minutes == 1 else f"{minutes} minutes"
    return f"{seconds / 3600:.1f} hours"
