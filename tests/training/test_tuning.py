"""The search: repeatable, resumable, in any database, never on a space that makes no sense."""

import shutil
import socket
import subprocess
from contextlib import closing
from itertools import count
from pathlib import Path

import optuna
import pandas as pd
import pytest
from pydantic import ValidationError

from kpnn.errors import SettingsError
from kpnn.training.settings import EvaluationSettings, Hyperparameters, TuningSettings
from kpnn.training.tuning import open_storage, search

SPACE = {
    "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    "batch_size": {"type": "int", "low": 16, "high": 128, "log": True},
    "hidden_activation": {"type": "categorical", "choices": ["tanh", "sigmoid"]},
}


def tuning(storage, **changes):
    return TuningSettings.model_validate(
        {"n_trials": 8, "batch_size": 2, "storage": storage, "search_space": SPACE, **changes}
    )


def train(proposed, on_epoch):
    """A made-up validation loss with its minimum at dropout 0.2 and tanh."""
    losses = []
    for position, h in enumerate(proposed):
        loss = abs(h.dropout - 0.2) + (0.3 if h.hidden_activation == "sigmoid" else 0.0)
        for epoch in range(1, 13):
            if not on_epoch(position, epoch, loss + 1 / epoch):
                break
        losses.append(loss)
    return losses


@pytest.mark.parametrize("sampler", ["tpe", "random", "gp"])
@pytest.mark.parametrize("pruner", ["median", "none"])
def test_the_best_of_the_trials_is_found_and_the_search_repeats(sampler, pruner, tmp_path):
    results = [
        search(
            train, tuning(f"sqlite:///{tmp_path}/{i}.db", sampler=sampler, pruner=pruner), Hyperparameters(), "study", 7
        )
        for i in range(2)
    ]
    trials = results[0].trials
    assert len(trials) == 8
    complete = trials[trials["state"] == "complete"]
    assert results[0].best.dropout == complete.loc[complete["value"].idxmin(), "dropout"]
    same = [c for c in trials if c != "seconds"]
    pd.testing.assert_frame_equal(trials[same], results[1].trials[same])


@pytest.mark.parametrize("pruner", ["successive_halving", "hyperband"])
def test_other_pruners_go_by_name(pruner, tmp_path):
    assert (
        len(search(train, tuning(f"sqlite:///{tmp_path}/a.db", pruner=pruner), Hyperparameters(), "s", 1).trials) == 8
    )


def test_tuned_settings_replace_only_what_is_searched(tmp_path):
    base = Hyperparameters(kernel_l2=0.25)
    found = search(train, tuning(f"sqlite:///{tmp_path}/a.db"), base, "study", 7).best
    assert found.kernel_l2 == 0.25
    assert 16 <= found.batch_size <= 128


@pytest.mark.parametrize("interrupted_in_batch", [0, 1, 3])
def test_a_search_that_goes_on_ends_like_one_that_was_not_interrupted(interrupted_in_batch, tmp_path):
    whole = search(train, tuning(f"sqlite:///{tmp_path}/whole.db"), Hyperparameters(), "study", 7)
    url = f"sqlite:///{tmp_path}/cut.db"

    batches = count()

    def dies(proposed, on_epoch):
        if next(batches) == interrupted_in_batch:
            raise KeyboardInterrupt
        return train(proposed, on_epoch)

    with pytest.raises(KeyboardInterrupt):
        search(dies, tuning(url), Hyperparameters(), "study", 7)
    resumed = search(train, tuning(url), Hyperparameters(), "study", 7)
    same = [c for c in whole.trials if c != "seconds"]
    pd.testing.assert_frame_equal(whole.trials[same], resumed.trials[same])
    assert resumed.best == whole.best


def test_a_batch_cut_off_while_it_was_written_is_done_again(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    whole = search(train, tuning(f"sqlite:///{tmp_path}/whole.db"), Hyperparameters(), "study", 7)
    search(train, tuning(url, n_trials=4), Hyperparameters(), "study", 7)
    storage = open_storage(url)
    kept = optuna.load_study(study_name="study", storage=storage).trials
    optuna.delete_study(study_name="study", storage=storage)
    optuna.create_study(study_name="study", storage=storage).add_trials(kept[:3])
    resumed = search(train, tuning(url), Hyperparameters(), "study", 7)
    assert resumed.best == whole.best
    assert len(resumed.trials) == 8


def test_a_finished_search_trains_nothing(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    first = search(train, tuning(url), Hyperparameters(), "study", 7)

    def no_training(*_):
        raise AssertionError("trained again")

    assert search(no_training, tuning(url), Hyperparameters(), "study", 7).best == first.best


def test_time_can_be_the_budget(tmp_path):
    found = search(train, tuning(f"sqlite:///{tmp_path}/a.db", timeout_seconds=1e-6), Hyperparameters(), "study", 7)
    assert len(found.trials) == 2  # the first batch is always trained


def test_a_trial_that_diverges_is_not_the_best(tmp_path):
    def one_diverges(proposed, on_epoch):
        losses = train(proposed, on_epoch)
        return [float("nan"), *losses[1:]]

    found = search(one_diverges, tuning(f"sqlite:///{tmp_path}/a.db"), Hyperparameters(), "study", 7)
    assert (found.trials["state"] == "fail").sum() == 4


def test_if_all_trials_diverge_it_says_so(tmp_path):
    def all_diverge(proposed, on_epoch):
        return [float("nan")] * len(proposed)

    with pytest.raises(SettingsError, match="finite validation loss"):
        search(all_diverge, tuning(f"sqlite:///{tmp_path}/a.db"), Hyperparameters(), "study", 7)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"dropout": {"type": "float", "low": 0.5, "high": 0.1}}, "low = 0.5 is above high = 0.1"),
        ({"dropuot": {"type": "float", "low": 0.1, "high": 0.5}}, "no hyperparameter dropuot"),
        ({"kernel_l2": {"type": "float", "low": 0.0, "high": 0.1, "log": True}}, "log scale needs low above 0"),
        ({"dropout": {"type": "float", "low": 0.0, "high": 1.5}}, "less than 1"),
        ({"batch_size": {"type": "int", "low": 0, "high": 8}}, "greater than or equal to 1"),
        ({"dropout_on": {"type": "categorical", "choices": ["egdes"]}}, "egdes"),
        ({"dropout": {"type": "flaot", "low": 0.0, "high": 0.5}}, "flaot"),
    ],
)
def test_a_search_space_that_makes_no_sense_is_an_error(space, message):
    with pytest.raises(ValidationError, match=message):
        EvaluationSettings.model_validate({"tuning": {"search_space": space}})


def test_a_storage_that_cannot_be_reached_is_named_without_its_password():
    with pytest.raises(SettingsError, match=r"tuning\.storage") as error:
        open_storage("postgresql+psycopg://user:secret@127.0.0.1:9/optuna")
    assert "secret" not in str(error.value)
    with pytest.raises(SettingsError, match="no database URL"):
        open_storage("not a url")


@pytest.fixture
def postgresql(tmp_path):
    """A PostgreSQL server of the test's own on a free port of 127.0.0.1."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").is_dir() else []
    initdb = shutil.which("initdb") or (str(programs[-1] / "initdb") if programs else None)
    if initdb is None:
        pytest.skip("PostgreSQL is not installed")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    folder = Path(initdb).parent
    import getpass
    import tempfile

    as_postgres = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
    place = Path(tempfile.mkdtemp(prefix="kpnn_pg_"))
    place.chmod(0o777)
    data = place / "data"
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run = [*as_postgres, str(folder / "initdb"), "-D", str(data), "-U", "kpnn", "--auth=trust"]
    subprocess.run(run, check=True, capture_output=True, cwd=place)
    options = f"-h 127.0.0.1 -p {port} -k {place}"
    control = [*as_postgres, str(folder / "pg_ctl"), "-D", str(data)]
    log = ["-l", str(place / "log"), "-w"]
    subprocess.run([*control, *log, "-o", options, "start"], check=True, capture_output=True, cwd=place)
    yield f"postgresql+psycopg://kpnn@127.0.0.1:{port}/postgres"
    subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=place)
    shutil.rmtree(place, ignore_errors=True)


def test_a_postgresql_server_gives_the_same_search_as_a_file(postgresql, tmp_path):
    there = search(train, tuning(postgresql), Hyperparameters(), "study", 7)
    here = search(train, tuning(f"sqlite:///{tmp_path}/a.db"), Hyperparameters(), "study", 7)
    assert there.best == here.best
    assert len(optuna.load_study(study_name="study", storage=postgresql).trials) == 8
