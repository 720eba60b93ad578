"""Optuna's search for hyperparameters inside one outer training part, repeatable and resumable.

Trials are proposed and trained in batches. A batch is written to the study's storage when all of its trials are
finished, and what is proposed depends only on the trials of earlier batches and on a seed derived from their
number: so a search that was interrupted and goes on ends with the same trials as one that was not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import pandas as pd
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from kpnn.errors import SettingsError
from kpnn.training.fitting import OnEpoch
from kpnn.training.settings import Choice, FloatRange, Hyperparameters, SearchRange, TuningSettings

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

_log = logging.getLogger(__name__)

TrainBatch = Callable[[Sequence[Hyperparameters], OnEpoch], Sequence[float]]
"""Trains a batch of configurations, in one or more fits each, and returns their validation losses. What it calls after
an epoch knows a trial by its position in the batch, and answers False to end it."""


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The outcome of a search.

    Attributes:
        best: the configuration with the lowest validation loss.
        trials: one row per trial: `trial`, `state`, `value`, `n_epochs`, `seconds`, the searched names.
    """

    best: Hyperparameters
    trials: pd.DataFrame


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Connects to the database that keeps the trials, creating it (and an SQLite file's folder) where needed.

    Raises:
        SettingsError: the URL makes no sense or no database answers; the password is not shown.
    """
    try:
        parsed = make_url(url)
        shown = parsed.render_as_string(hide_password=True)
    except SQLAlchemyError:
        raise SettingsError(
            "tuning.storage is no database URL; give one such as sqlite:///data/06_models/demo/optuna.db"
        ) from None
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite and parsed.database not in (None, "", ":memory:"):
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    try:
        # Several processes may write to one SQLite file: wait for the lock rather than give up.
        options: dict[str, Any] = {"connect_args": {"timeout": 120}} if is_sqlite else {"pool_pre_ping": True}
        return optuna.storages.RDBStorage(url, engine_kwargs=options)
    except (SQLAlchemyError, ImportError) as error:
        first_line = str(error).splitlines()[0]
        raise SettingsError(f"tuning.storage = {shown} cannot be reached: {first_line}") from None


def search(
    train_batch: TrainBatch,
    settings: TuningSettings,
    base: Hyperparameters,
    study_name: str,
    seed: int,
    *,
    resume: bool = True,
) -> SearchResult:
    """Searches, or goes on searching, for the hyperparameters with the lowest validation loss.

    Args:
        train_batch: trains configurations together.
        settings: the search.
        base: values of everything that is not searched.
        study_name: name of the study in the storage; the same name goes on where it stopped.
        seed: from which every proposal derives.
        resume: go on with an earlier search of that name; false: start it afresh.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    stored = _stored_study(settings, study_name, resume)
    begun = time.monotonic()
    while (done := len(stored.trials)) < settings.n_trials:
        if done and settings.timeout_seconds is not None and time.monotonic() - begun > settings.timeout_seconds:
            _log.info("%s: %.0f s are over after %d trials", study_name, settings.timeout_seconds, done)
            break
        for trial in _run_batch(train_batch, settings, base, stored.trials, seed):
            stored.add_trial(trial)
    complete = [t for t in stored.trials if t.state == optuna.trial.TrialState.COMPLETE]
    best = min(complete, key=lambda t: (t.value, t.number))
    return SearchResult(base.model_copy(update=best.params), _table(stored.trials, settings))


def _stored_study(settings: TuningSettings, name: str, resume: bool) -> optuna.Study:
    """The study so far, less a last batch that was cut off while it was written."""
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


def _run_batch(
    train_batch: TrainBatch, settings: TuningSettings, base: Hyperparameters, earlier: list[FrozenTrial], seed: int
) -> list[FrozenTrial]:
    sampler = _sampler(settings, seed=int(np.random.SeedSequence([seed, len(earlier)]).generate_state(1)[0]))
    study = optuna.create_study(sampler=sampler, pruner=_pruner(settings), direction="minimize")
    study.add_trials(earlier)
    trials = [study.ask() for _ in range(min(settings.batch_size, settings.n_trials - len(earlier)))]
    proposed = [
        base.model_copy(update={name: _suggest(t, name, r) for name, r in settings.search_space.items()})
        for t in trials
    ]
    pruned: set[int] = set()

    def on_epoch(position: int, epoch: int, validation_loss: float) -> bool:
        trial = trials[position]
        trial.report(validation_loss, epoch)
        if trial.should_prune():
            pruned.add(position)
            return False
        return True

    begun = time.monotonic()
    losses = train_batch(proposed, on_epoch)
    for position, (trial, loss) in enumerate(zip(trials, losses, strict=True)):
        trial.set_user_attr("seconds", (time.monotonic() - begun) / len(trials))
        if not np.isfinite(loss):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif position in pruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, float(loss))
    if not any(t.state == optuna.trial.TrialState.COMPLETE for t in study.trials):
        raise SettingsError(
            f"tuning: none of {len(study.trials)} trials reached a finite validation loss; lower the learning rate "
            "or narrow search_space"
        )
    return study.trials[len(earlier) :]


def _suggest(trial: Trial, name: str, searched: SearchRange) -> Any:
    if isinstance(searched, Choice):
        return trial.suggest_categorical(name, list(searched.choices))
    if isinstance(searched, FloatRange):
        return trial.suggest_float(name, searched.low, searched.high, log=searched.log)
    return trial.suggest_int(name, searched.low, searched.high, log=searched.log)


def _sampler(settings: TuningSettings, seed: int) -> optuna.samplers.BaseSampler:
    if settings.sampler == "tpe":
        # constant_liar spreads the trials of one batch, which do not know each other's results.
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True, n_startup_trials=2 * settings.batch_size)
    if settings.sampler == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=2 * settings.batch_size)
    return optuna.samplers.RandomSampler(seed=seed)


def _pruner(settings: TuningSettings) -> optuna.pruners.BasePruner:
    if settings.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=settings.batch_size, n_warmup_steps=5)
    if settings.pruner == "successive_halving":
        return optuna.pruners.SuccessiveHalvingPruner()
    if settings.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner()
    return optuna.pruners.NopPruner()


def _table(trials: list[FrozenTrial], settings: TuningSettings) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "trial": t.number,
                "state": t.state.name.lower(),
                "value": t.value if t.value is not None else float("nan"),
                "n_epochs": len(t.intermediate_values),
                "seconds": t.user_attrs.get("seconds", float("nan")),
            }
            | {name: t.params.get(name) for name in settings.search_space}
            for t in trials
        ]
    )
