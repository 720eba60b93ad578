"""Optuna's search for hyperparameters inside one outer training part, repeatable and resumable.

A trial is one configuration. The first trials are the recipes of the settings; Optuna proposes the others. Trials are
proposed in batches, and those of a batch race against each other and against the best so far. A batch is written to the
study's storage when its race is over, and what is proposed depends only on the trials of earlier batches and on a seed
derived from their number: so a search that was interrupted and goes on ends with the same trials as one that was not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import pandas as pd
from optuna.trial import TrialState

from kpnn.doings import within
from kpnn.errors import SettingsError
from kpnn.training.racing import Contender, TrainMembers, race
from kpnn.training.settings import Choice, FloatRange, Hyperparameters, SearchRange, TuningSettings
from kpnn.training.trial_storage import open_storage, outliving_restarts

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_log = logging.getLogger(__name__)

_SILENT_SECONDS = 5
"""A batch of trials that takes longer is told of."""

_CONFIGURATION = "hyperparameters"
"""User attribute of a stored trial: its whole configuration, as JSON."""


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The outcome of a search.

    Attributes:
        best: the configuration with the lowest mean validation loss, with its networks of all inner folds.
        trials: one row per trial: `trial`, `state`, `value` (mean validation loss over the inner folds that it earned),
            `n_members` (how many those are), `n_epochs` (over all of them), `seconds`, the searched names.
    """

    best: Contender
    trials: pd.DataFrame


@dataclass(frozen=True)
class Search:
    """What one search is about.

    Attributes:
        settings: the search.
        base: values of everything that is not searched.
        n_folds: number of inner folds.
        seed: from which every proposal derives.
    """

    settings: TuningSettings
    base: Hyperparameters
    n_folds: int
    seed: int

    def run(self, train: TrainMembers, study_name: str, *, resume: bool = True) -> SearchResult:
        """Searches, or goes on searching, for the hyperparameters with the lowest mean validation loss.

        Args:
            train: trains networks together; the same configuration on the same inner fold always becomes the same.
            study_name: name of the study in the storage; the same name goes on where it stopped.
            resume: go on with an earlier search of that name; false: start it afresh.

        Raises:
            SettingsError: no configuration had a finite loss on all inner folds.
            StorageFailedError: the storage failed, and went on failing.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return outliving_restarts(
            lambda again: self._run(train, study_name, resume=resume or again), self.settings.storage
        )

    def _run(self, train: TrainMembers, study_name: str, *, resume: bool) -> SearchResult:
        stored = _stored_study(self.settings, study_name, resume)
        leader = self._trained_again(train, stored.trials)
        begun, limit = time.monotonic(), self.settings.timeout_seconds
        while (done := len(stored.trials)) < self.settings.n_trials:
            if done and limit is not None and time.monotonic() - begun > limit:
                _log.info("%s: the time limit of %.0f s was reached after %d trials", study_name, limit, done)
                break
            proposed = self._proposals(stored.trials)
            started = time.monotonic()
            with within(f"trials {done + 1} to {done + len(proposed)} of {self.settings.n_trials}"):
                contenders = race(proposed, self.n_folds, train, leader, dropping=self.settings.pruner == "race")
            seconds = (time.monotonic() - started) / len(proposed)
            whole = [one for one in contenders if not one.dropped and not one.diverged]
            leader = min([*([] if leader is None else [leader]), *whole], key=lambda one: one.loss(), default=None)
            for one in contenders:
                stored.add_trial(self._as_trial(one, seconds))
            self._report_progress(study_name, len(stored.trials), leader, time.monotonic() - started)
        if leader is None:
            raise SettingsError(
                f"tuning: none of {len(stored.trials)} trials reached a finite validation loss; lower the learning "
                "rate or narrow search_space"
            )
        return SearchResult(leader, _table(stored.trials, self.settings))

    def _report_progress(self, study_name: str, done: int, leader: Contender | None, seconds: float) -> None:
        """Logs the progress of a search whose batches take long."""
        if seconds > _SILENT_SECONDS and done < self.settings.n_trials:
            lowest = "" if leader is None else f", lowest validation loss {leader.loss():.4f}"
            of_what = study_name.rsplit(" ", 1)[0]  # without the fingerprint
            _log.info("%s: %d of %d trials in %.0f s%s", of_what, done, self.settings.n_trials, seconds, lowest)

    def _trained_again(self, train: TrainMembers, trials: Sequence[FrozenTrial]) -> Contender | None:
        """The best of an earlier run's trials, with the networks that it had then."""
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        if not complete:
            return None
        best = min(complete, key=lambda trial: (trial.value, trial.number))
        found = Hyperparameters.model_validate_json(best.user_attrs[_CONFIGURATION])
        with within(f"trial {best.number + 1} again"):
            return race([found], self.n_folds, train, dropping=False)[0]

    def _proposals(self, earlier: Sequence[FrozenTrial]) -> list[Hyperparameters]:
        """The next batch: recipes as long as there are any, then what Optuna samples."""
        done, settings = len(earlier), self.settings
        recipes = [self._with(recipe) for recipe in settings.recipes[done : done + settings.batch_size]]
        n_sampled = min(settings.batch_size, settings.n_trials - done) - len(recipes)
        if n_sampled <= 0:
            return recipes[: settings.n_trials - done]
        sampler = _sampler(settings, seed=int(np.random.SeedSequence([self.seed, done]).generate_state(1)[0]))
        study = optuna.create_study(sampler=sampler, direction="minimize")
        # The sampler learns from configurations that it could have proposed; a recipe may be anywhere.
        study.add_trials([trial for trial in earlier if self._in_search_space(trial)])
        sampled = [study.ask(self._distributions()).params for _ in range(n_sampled)]
        return [*recipes, *(self._with(params) for params in sampled)]

    def _with(self, changes: dict[str, Any]) -> Hyperparameters:
        return Hyperparameters.model_validate({**self.base.model_dump(), **changes})

    def _distributions(self) -> dict[str, BaseDistribution]:
        return {name: _distribution(searched) for name, searched in self.settings.search_space.items()}

    def _in_search_space(self, trial: FrozenTrial) -> bool:
        found = _in_full(Hyperparameters.model_validate_json(trial.user_attrs[_CONFIGURATION]))
        searched = self.settings.search_space
        return set(trial.params) == set(searched) and found == _in_full(self._with({n: found[n] for n in searched}))

    def _as_trial(self, one: Contender, seconds: float) -> FrozenTrial:
        values = _in_full(one.hyperparameters)
        places = {name: d for name, d in self._distributions().items() if _holds(d, values[name])}
        attributes = {
            _CONFIGURATION: one.hyperparameters.model_dump_json(),
            "seconds": seconds,
            "n_members": len(one.members),
            "n_epochs": sum(len(member.history.loss) for member in one.members),
        }
        known: dict[str, Any] = {"state": TrialState.FAIL}
        if not one.diverged:
            losses = {number: one.loss(number) for number in range(1, len(one.members) + 1)}
            state = TrialState.PRUNED if one.dropped else TrialState.COMPLETE
            known = {"state": state, "value": one.loss(), "intermediate_values": losses}
        return optuna.trial.create_trial(
            params={name: values[name] for name in places}, distributions=places, user_attrs=attributes, **known
        )


def _stored_study(settings: TuningSettings, name: str, resume: bool) -> optuna.Study:
    """The study so far, without a last batch that was cut off while being written."""
    storage = open_storage(settings.storage)
    study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True, direction="minimize")
    trials = study.trials if resume else []
    whole = len(trials) - len(trials) % settings.batch_size
    if resume and (len(trials) >= settings.n_trials or whole == len(trials)):
        return study
    optuna.delete_study(study_name=name, storage=storage)
    study = optuna.create_study(storage=storage, study_name=name, direction="minimize")
    study.add_trials(trials[:whole])
    return study


def _in_full(hyperparameters: Hyperparameters) -> dict[str, Any]:
    """Every value, an unset rate of dropout being `dropout`: so a recipe that names none has a place in the space."""
    values = hyperparameters.model_dump()
    unset = {name: values["dropout"] for name in ("gene_dropout", "node_dropout") if values[name] is None}
    return values | unset


def _distribution(searched: SearchRange) -> BaseDistribution:
    if isinstance(searched, Choice):
        return optuna.distributions.CategoricalDistribution(searched.choices)
    if isinstance(searched, FloatRange):
        return optuna.distributions.FloatDistribution(searched.low, searched.high, log=searched.log)
    return optuna.distributions.IntDistribution(searched.low, searched.high, log=searched.log)


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return value in distribution.choices
    return value is not None and distribution.low <= value <= distribution.high


def _sampler(settings: TuningSettings, seed: int) -> optuna.samplers.BaseSampler:
    if settings.sampler == "tpe":
        # constant_liar spreads the trials of one batch, which do not know each other's results.
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True, n_startup_trials=settings.batch_size)
    if settings.sampler == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=settings.batch_size)
    return optuna.samplers.RandomSampler(seed=seed)


def _table(trials: Sequence[FrozenTrial], settings: TuningSettings) -> pd.DataFrame:
    """One row per trial; names that are searched or that a recipe sets, from each trial's whole configuration."""
    names = dict.fromkeys([*settings.search_space, *(name for recipe in settings.recipes for name in recipe)])
    rows = []
    for trial in trials:
        configuration = _in_full(Hyperparameters.model_validate_json(trial.user_attrs[_CONFIGURATION]))
        counts = {name: trial.user_attrs[name] for name in ("n_members", "n_epochs", "seconds")}
        value = trial.value if trial.value is not None else float("nan")
        rows.append(
            {"trial": trial.number, "state": trial.state.name.lower(), "value": value}
            | counts
            | {name: configuration[name] for name in names}
        )
    return pd.DataFrame(rows)
