"""The search: repeatable, resumable, in any database, never on a space that makes no sense."""

import shutil
import subprocess
from itertools import count
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError

from kpnn.errors import KpnnError, SettingsError
from kpnn.training.racing import Member
from kpnn.training.settings import EvaluationSettings, Hyperparameters, TuningSettings
from kpnn.training.trial_storage import open_storage, outliving_restarts
from kpnn.training.tuning import Search
from ports import free_port

SPACE = {
    "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    "batch_size": {"type": "int", "low": 16, "high": 128, "log": True},
    "hidden_activation": {"type": "categorical", "choices": ["tanh", "sigmoid"]},
}


def tuning(storage, **changes):
    return TuningSettings.model_validate(
        {"n_trials": 8, "batch_size": 2, "storage": storage, "search_space": SPACE, **changes}
    )


class History:
    loss = (0.5, 0.4)


def train(wanted):
    """Made-up losses of ten validation cells, lowest at dropout 0.2 and tanh; inner folds differ a little."""
    members = []
    for h, fold in wanted:
        loss = abs(h.dropout - 0.2) + (0.3 if h.hidden_activation == "sigmoid" else 0.0) + 0.01 * fold
        cells = loss + 0.01 * np.sin(np.arange(10) * (1 + h.batch_size))
        members.append(Member((h, fold), loss, cells, History()))
    return members


def search(train, settings, base=Hyperparameters(), seed=7, n_folds=3, **options):  # noqa: B008 - frozen
    return Search(settings, base, n_folds, seed).run(train, "study", **options)


def without_times(trials):
    return trials.drop(columns="seconds")


@pytest.mark.parametrize("sampler", ["tpe", "random", "gp"])
@pytest.mark.parametrize("pruner", ["race", "none"])
def test_the_best_of_the_trials_is_found_and_the_search_repeats(sampler, pruner, tmp_path):
    results = [search(train, tuning(f"sqlite:///{tmp_path}/{i}.db", sampler=sampler, pruner=pruner)) for i in range(2)]
    trials = results[0].trials
    assert len(trials) == 8
    complete = trials[trials["state"] == "complete"]
    assert results[0].best.hyperparameters.dropout == complete.loc[complete["value"].idxmin(), "dropout"]
    assert set(complete["n_members"]) == {3}
    pd.testing.assert_frame_equal(without_times(trials), without_times(results[1].trials))
    if pruner == "none":
        assert len(complete) == 8


def test_the_result_holds_the_networks_of_the_best_trial(tmp_path):
    best = search(train, tuning(f"sqlite:///{tmp_path}/a.db")).best
    assert [member.network for member in best.members] == [(best.hyperparameters, fold) for fold in range(3)]


def test_tuned_settings_replace_only_what_is_searched(tmp_path):
    base = Hyperparameters(kernel_l2=0.25)
    found = search(train, tuning(f"sqlite:///{tmp_path}/a.db"), base).best.hyperparameters
    assert found.kernel_l2 == 0.25
    assert 16 <= found.batch_size <= 128


def test_recipes_are_the_first_trials_wherever_they_lie(tmp_path):
    recipes = [{"dropout": 0.2, "hidden_activation": "tanh"}, {"dropout": 0.7}, {"initializer": "he_uniform"}]
    base, seen = Hyperparameters(initializer="glorot_uniform", hidden_activation="tanh"), []

    def watched(wanted):
        seen.extend(h for h, _ in wanted)
        return train(wanted)

    found = search(watched, tuning(f"sqlite:///{tmp_path}/a.db", recipes=recipes), base)
    assert [h.dropout for h in seen[:2]] == [0.2, 0.7]
    assert found.trials["dropout"].tolist()[:2] == [0.2, 0.7]
    assert found.trials["initializer"].tolist()[2:4] == ["he_uniform", "glorot_uniform"]
    assert found.best.hyperparameters == base.model_copy(update={"dropout": 0.2})
    assert len(found.trials) == 8
    few = search(watched, tuning(f"sqlite:///{tmp_path}/few.db", recipes=recipes, n_trials=1), base)
    assert len(few.trials) == 1
    assert few.best.hyperparameters == base.model_copy(update={"dropout": 0.2})


def test_the_storage_shows_a_recipe_where_it_lies_in_the_search_space(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    search(train, tuning(url, recipes=[{"dropout": 0.7}], n_trials=2), Hyperparameters(hidden_activation="tanh"))
    first, second = optuna.load_study(study_name="study", storage=url).trials
    assert first.params == {"batch_size": 64, "hidden_activation": "tanh"}
    assert set(second.params) == set(SPACE)


def test_a_rate_of_dropout_that_a_recipe_does_not_name_lies_where_dropout_does(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    space = {"gene_dropout": {"type": "float", "low": 0.0, "high": 0.6}}
    recipes = [{}, {"dropout": 0.3}, {"dropout": 0.2, "gene_dropout": 0.5}]
    settings = tuning(url, recipes=recipes, n_trials=4, search_space=space)
    found = search(train, settings, Hyperparameters(hidden_activation="tanh"))
    stored = optuna.load_study(study_name="study", storage=url).trials
    assert [trial.params["gene_dropout"] for trial in stored[:3]] == [0.0, 0.3, 0.5]
    assert found.trials["gene_dropout"].tolist()[:3] == [0.0, 0.3, 0.5]
    # The sampler learns from what it could have proposed: the first only, as the base drops nothing else.
    made = Search(settings, Hyperparameters(hidden_activation="tanh"), 3, 7)
    assert [made._in_search_space(trial) for trial in stored[:3]] == [True, False, False]


@pytest.mark.parametrize("interrupted_in_call", [0, 1, 3, 5])
@pytest.mark.parametrize("recipes", [[], [{"dropout": 0.45}, {"dropout": 0.3}, {"dropout": 0.7}]])
def test_a_search_that_goes_on_ends_like_one_that_was_not_interrupted(recipes, interrupted_in_call, tmp_path):
    whole = search(train, tuning(f"sqlite:///{tmp_path}/whole.db", recipes=recipes))
    url = f"sqlite:///{tmp_path}/cut.db"
    calls = count()

    def dies(wanted):
        if next(calls) == interrupted_in_call:
            raise KeyboardInterrupt
        return train(wanted)

    with pytest.raises(KeyboardInterrupt):
        search(dies, tuning(url, recipes=recipes))
    resumed = search(train, tuning(url, recipes=recipes))
    pd.testing.assert_frame_equal(without_times(whole.trials), without_times(resumed.trials))
    assert resumed.best.hyperparameters == whole.best.hyperparameters
    assert [m.network for m in resumed.best.members] == [m.network for m in whole.best.members]


def test_a_batch_cut_off_while_it_was_written_is_done_again(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    whole = search(train, tuning(f"sqlite:///{tmp_path}/whole.db"))
    search(train, tuning(url, n_trials=4))
    storage = open_storage(url)
    kept = optuna.load_study(study_name="study", storage=storage).trials
    optuna.delete_study(study_name="study", storage=storage)
    optuna.create_study(study_name="study", storage=storage).add_trials(kept[:3])
    resumed = search(train, tuning(url))
    assert resumed.best.hyperparameters == whole.best.hyperparameters
    assert len(resumed.trials) == 8


def test_a_finished_search_trains_its_best_again_and_nothing_else(tmp_path):
    url = f"sqlite:///{tmp_path}/a.db"
    first = search(train, tuning(url)).best
    trained = []

    def watched(wanted):
        trained.extend(wanted)
        return train(wanted)

    assert search(watched, tuning(url)).best.hyperparameters == first.hyperparameters
    assert trained == [(first.hyperparameters, fold) for fold in range(3)]


def test_time_can_be_the_budget(tmp_path):
    found = search(train, tuning(f"sqlite:///{tmp_path}/a.db", timeout_seconds=1e-6))
    assert len(found.trials) == 2  # the first batch is always trained


def diverged(member):
    return Member(member.network, float("inf"), np.zeros(0), member.history)


def test_a_trial_that_diverges_is_not_the_best(tmp_path):
    def one_diverges(wanted):
        first, *others = train(wanted)
        return [diverged(first) if wanted[0][1] == 0 else first, *others]

    found = search(one_diverges, tuning(f"sqlite:///{tmp_path}/a.db"))
    assert (found.trials["state"] == "fail").sum() == 4
    assert np.isfinite(found.best.loss())


def test_if_all_trials_diverge_it_says_so(tmp_path):
    with pytest.raises(SettingsError, match="finite validation loss"):
        search(lambda wanted: [diverged(m) for m in train(wanted)], tuning(f"sqlite:///{tmp_path}/a.db"))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [({"dropuot": 0.1}, "dropuot"), ({"dropout": 1.5}, "less than 1"), ({"weight_prior": -1.0}, "greater than")],
)
def test_a_recipe_that_makes_no_sense_is_an_error(recipe, message):
    with pytest.raises(ValidationError, match=message):
        EvaluationSettings.model_validate({"tuning": {"recipes": [recipe]}})


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
    with pytest.raises(SettingsError, match="not a database URL"):
        open_storage("not a url")


@pytest.fixture(scope="module")
def postgresql():
    """A PostgreSQL server of the tests' own on a free port of 127.0.0.1: its address, and what starts it anew."""
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
    port = free_port()
    run = [*as_postgres, str(folder / "initdb"), "-D", str(data), "-U", "kpnn", "--auth=trust"]
    subprocess.run(run, check=True, capture_output=True, cwd=place)
    options = f"-h 127.0.0.1 -p {port} -k {place}"
    control = [*as_postgres, str(folder / "pg_ctl"), "-D", str(data)]
    log = ["-l", str(place / "log"), "-w"]
    start = [*control, *log, "-o", options, "start"]
    subprocess.run(start, check=True, capture_output=True, cwd=place)

    def restart():
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=place)
        subprocess.run(start, check=True, capture_output=True, cwd=place)

    yield f"postgresql+psycopg://kpnn@127.0.0.1:{port}/postgres", restart
    subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd=place)
    shutil.rmtree(place, ignore_errors=True)


def test_a_postgresql_server_gives_the_same_search_as_a_file(postgresql, tmp_path):
    address, _ = postgresql
    there = search(train, tuning(address))
    here = search(train, tuning(f"sqlite:///{tmp_path}/a.db"))
    pd.testing.assert_frame_equal(without_times(there.trials), without_times(here.trials))
    assert len(optuna.load_study(study_name="study", storage=address).trials) == 8


def test_a_database_that_starts_anew_while_networks_are_trained_costs_nothing(postgresql):
    address, restart = postgresql
    restarts = []

    def train_meanwhile(*arguments):
        if not restarts:
            restarts.append(restart())
        return train(*arguments)

    undisturbed = Search(tuning(address), Hyperparameters(), 3, 7).run(train, "undisturbed")
    disturbed = Search(tuning(address), Hyperparameters(), 3, 7).run(train_meanwhile, "disturbed")
    assert restarts == [None]
    pd.testing.assert_frame_equal(without_times(disturbed.trials), without_times(undisturbed.trials))


def test_a_database_that_fails_is_asked_again_and_then_named_without_its_password(monkeypatch, caplog):
    waits = []
    monkeypatch.setattr("kpnn.training.trial_storage.time.sleep", waits.append)
    failure = OperationalError("SELECT 1", None, Exception("server closed the connection"))
    answers = iter([failure, failure])

    def search_again(again):
        for answer in answers:
            raise answer
        return again

    url = "postgresql://ada:lovelace@host/optuna"
    assert outliving_restarts(search_again, url) is True
    assert len(waits) == 2 and "server closed the connection" in caplog.text

    def fail(_again):
        raise failure

    with pytest.raises(KpnnError, match=r"postgresql://\*\*\*@host/optuna failed.*are kept.*the same command") as error:
        outliving_restarts(fail, url)
    assert "lovelace" not in str(error.value) + caplog.text
