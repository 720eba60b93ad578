"""MLflow runs: nested, complete, made once, and never in the way of a result."""

import json
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from kpnn.cells import Transform
from kpnn.errors import ModelError
from kpnn.nn import load_kpnn, predict
from kpnn.pkn import Dag
from kpnn.tracking import ArmTracker, Served, log_study, register_best_arm
from kpnn.tracking.data_sets import log_data
from kpnn.tracking.failures import failure
from kpnn.training.results import ArmResult, FoldResult, predictions_table


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """One database for all tests here: making its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture
def tracking(tmp_path, monkeypatch, database):
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(database)
    mlflow.create_experiment(tmp_path.name, artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment(tmp_path.name)
    yield mlflow.MlflowClient()
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="module")
def keras_file():
    import tempfile
    from pathlib import Path

    from kpnn.nn import build_kpnn

    edges = pd.DataFrame({"parent": ["TCR", "A", "A"], "child": ["A", "G1_gene", "G2_gene"]})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        build_kpnn(Dag.from_edges(edges, outputs=["TCR"])).save(path)
        return path.read_bytes()


def fold_result(arm, fold, model=None, roc_auc=0.9):
    predictions = predictions_table(np.array(["c0", "c1"]), ["TCR"], np.array([[0], [1]]), np.array([[0.2], [0.8]]))
    longer = pd.DataFrame({"member": 0, "epoch": [1, 2, 3], "loss": [0.7, 0.5, 0.4], "val_loss": [0.7, 0.6, 0.5]})
    history = pd.concat([longer, pd.DataFrame({"member": [1], "epoch": [1], "loss": [0.9], "val_loss": [0.8]})])
    trials = pd.DataFrame({"trial": [0], "state": ["complete"], "value": [0.5], "dropout": [0.1]})
    metrics = dict.fromkeys(
        ["roc_auc", "average_precision", "accuracy", "precision", "recall", "f1", "brier", "log_loss"], roc_auc
    )
    return FoldResult(
        arm, 0, fold, "nested", 7, predictions, metrics, {"dropout": 0.1}, history, trials, 3, 2, 5, 1.5, model
    )


def children(client, parent_id):
    experiment = client.get_run(parent_id).info.experiment_id
    return client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent_id}'")


def test_an_arm_and_its_folds_are_nested_below_the_active_run(tracking):
    with mlflow.start_run() as parent:
        tracker = ArmTracker("full")
        results = [fold_result("full", fold, roc_auc=0.9 + 0.02 * fold) for fold in (0, 1)]
        for result in results:
            tracker.log_fold(result)
        tracker.finish(ArmResult("full", tuple(results)))
    [arm] = children(tracking, parent.info.run_id)
    assert arm.info.run_name == "full"
    assert arm.data.metrics["roc_auc"] == pytest.approx(0.91)
    assert arm.data.metrics["roc_auc_sd"] == pytest.approx(np.std([0.9, 0.92], ddof=1))
    assert arm.data.params["n_parameters"] == "5"
    folds = children(tracking, arm.info.run_id)
    assert sorted(run.info.run_name for run in folds) == ["repeat_0_fold_0", "repeat_0_fold_1"]
    assert [p.value for p in tracking.get_metric_history(folds[0].info.run_id, "loss")] == pytest.approx(
        [0.8, 0.7, 0.65]
    )
    assert folds[0].data.metrics["n_epochs"] == 3
    assert {run.info.status for run in (arm, *folds)} == {"FINISHED"}


def test_what_is_logged_is_not_logged_again(tracking):
    result = ArmResult("full", (fold_result("full", 0),))
    with mlflow.start_run() as parent:
        ArmTracker("full").finish(result)
        ArmTracker("full").finish(result)
        [arm] = children(tracking, parent.info.run_id)
        assert len(children(tracking, arm.info.run_id)) == 1


def test_a_control_is_one_run_that_is_no_arm_and_has_none_for_its_folds(tracking):
    result = ArmResult("rewired_0", (fold_result("rewired_0", 0), fold_result("rewired_0", 1)))
    with mlflow.start_run() as parent:
        for _ in range(2):
            ArmTracker("rewired_0", is_control=True).finish(result)
    [control] = children(tracking, parent.info.run_id)
    assert (control.info.run_name, control.data.tags["kpnn.level"]) == ("rewired_0", "control")
    assert control.data.metrics["roc_auc"] == pytest.approx(0.9) and control.info.status == "FINISHED"
    assert children(tracking, control.info.run_id) == []


COUNTS = pd.DataFrame({"G2": [3.0, 0.0], "G1": [1.0, 7.0], "total_counts": [40.0, 20.0]})
SERVED = Served(["G1", "G2"], ["TCR"], Transform(100.0), COUNTS)


@pytest.fixture(scope="module")
def finished_arm(database, keras_file, tmp_path_factory):
    """The ids of an arm's run and of its first fold's, of two folds with the same weights."""
    mlflow.set_tracking_uri(database)
    folder = tmp_path_factory.mktemp("served")
    mlflow.create_experiment("kpnn-my study", artifact_location=folder.as_uri())
    mlflow.set_experiment("kpnn-my study")
    with mlflow.start_run() as parent:
        tracker = ArmTracker("full", SERVED)
        tracker.finish(ArmResult("full", tuple(fold_result("full", fold, keras_file) for fold in (0, 1))))
        assert register_best_arm("best") == "full"
    [arm] = children(mlflow.MlflowClient(), parent.info.run_id)
    fold = children(mlflow.MlflowClient(), arm.info.run_id)[0]
    yield arm.info.run_id, fold.info.run_id
    mlflow.set_tracking_uri(None)


def test_a_logged_model_reads_counts_by_gene_name(finished_arm, keras_file, tmp_path):
    (tmp_path / "model.keras").write_bytes(keras_file)
    transformed = np.log1p(COUNTS[["G1", "G2"]].div(COUNTS["total_counts"], axis=0) * 100)
    expected = predict(load_kpnn(tmp_path / "model.keras"), transformed)["TCR"]
    of_arm, of_fold = finished_arm
    for address in ("models:/best/1", f"runs:/{of_arm}/my_study-full", f"runs:/{of_fold}/model"):
        model = mlflow.pyfunc.load_model(address)
        more = COUNTS.assign(OTHER=5.0)
        assert model.predict(more)["TCR"].to_numpy() == pytest.approx(expected.to_numpy())
        as_is = model.predict(transformed, params={"transformed": True})["TCR"]
        assert as_is.to_numpy() == pytest.approx(expected.to_numpy())
    example = mlflow.pyfunc.load_model("models:/best/1").input_example
    pd.testing.assert_frame_equal(example.reset_index(drop=True), COUNTS, check_dtype=False)


def test_a_logged_model_says_what_is_missing_and_takes_zeros_when_told(finished_arm):
    model = mlflow.pyfunc.load_model(f"runs:/{finished_arm[0]}/my_study-full")
    with pytest.raises(ModelError, match="sum of counts over all measured genes as column total_counts"):
        model.predict(COUNTS[["G1", "G2"]])
    with pytest.raises(ModelError, match="1 of the model's 2 genes are not among the cells"):
        model.predict(COUNTS[["G1", "total_counts"]])
    zeros = model.predict(COUNTS.assign(G2=0.0))
    found = model.predict(COUNTS[["G1", "total_counts"]], params={"missing_genes": "zeros"})
    assert found["TCR"].to_numpy() == pytest.approx(zeros["TCR"].to_numpy())


@pytest.mark.parametrize("kind", ["int64", "int32", "uint16", "float32"])
def test_a_logged_model_takes_counts_of_every_type(finished_arm, kind):
    model = mlflow.pyfunc.load_model(f"runs:/{finished_arm[0]}/my_study-full")
    expected = model.predict(COUNTS)["TCR"].to_numpy()
    assert model.predict(COUNTS.astype(kind))["TCR"].to_numpy() == pytest.approx(expected)


def test_a_logged_model_refuses_what_are_no_counts(finished_arm):
    model = mlflow.pyfunc.load_model(f"runs:/{finished_arm[0]}/my_study-full")
    with pytest.raises(ModelError, match=r"counts of G1 are negative; give raw counts, or transformed=True"):
        model.predict(COUNTS.assign(G1=[-1.0, 2.0]))
    with pytest.raises(ModelError, match="counts must be numbers, in a column per gene"):
        model.predict(COUNTS.assign(G1=["few", "many"]))


def test_an_arms_model_brings_the_library_along(finished_arm, tmp_path):
    """As on a server that has the library's requirements but not the library: site-packages, without its link."""
    path = mlflow.artifacts.download_artifacts(f"runs:/{finished_arm[0]}/my_study-full", dst_path=str(tmp_path))
    COUNTS.to_csv(tmp_path / "counts.csv", index=False)
    script = (
        f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})\n"
        "import importlib.util as u, mlflow, pandas as pd\n"
        "spec = u.find_spec('kpnn')\n"
        "assert spec is None or spec.loader is None, spec  # data files at most\n"
        f"model, cells = mlflow.pyfunc.load_model({path!r}), pd.read_csv({str(tmp_path / 'counts.csv')!r})\n"
        "print(model.predict(cells)['TCR'].tolist())"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    here = mlflow.pyfunc.load_model(path).predict(COUNTS)["TCR"].tolist()
    assert json.loads(done.stdout.strip().splitlines()[-1]) == pytest.approx(here)
    requirements = (Path(path) / "requirements.txt").read_text()
    assert "keras" in requirements and "kedro" not in requirements and "kpnn" not in requirements


def test_trials_become_runs_when_asked(tracking):
    with mlflow.start_run() as parent:
        ArmTracker("full", trial_runs=True).log_fold(fold_result("full", 0))
    [arm] = children(tracking, parent.info.run_id)
    [fold] = children(tracking, arm.info.run_id)
    [trial] = children(tracking, fold.info.run_id)
    assert trial.info.run_name == "trial_0"
    assert trial.data.params["dropout"] == "0.1"
    assert trial.data.metrics["value"] == 0.5


def test_without_an_active_run_nothing_is_logged(tracking, tmp_path):
    ArmTracker("full").finish(ArmResult("full", (fold_result("full", 0),)))
    assert log_study({"a": 1.0}, {}, {}, [], "") is None
    experiment = tracking.get_experiment_by_name(tmp_path.name).experiment_id
    assert tracking.search_runs([experiment]) == []


def test_a_server_that_fails_is_a_warning_and_everything_can_be_logged_later(tracking, monkeypatch, caplog):
    result = ArmResult("full", (fold_result("full", 0),))
    with mlflow.start_run() as parent:
        tracker = ArmTracker("full")

        def no_answer(*_, **__):
            raise mlflow.exceptions.MlflowException("connection refused")

        with monkeypatch.context() as broken:
            broken.setattr(mlflow.MlflowClient, "log_batch", no_answer)
            tracker.log_fold(result.folds[0])
            tracker.finish(result)
        assert "connection refused" in caplog.text
        assert "kedro run --pipeline reporting" in caplog.text
        ArmTracker("full").finish(result)
    [arm] = children(tracking, parent.info.run_id)
    finished = [run for run in children(tracking, arm.info.run_id) if run.info.status == "FINISHED"]
    assert [run.info.run_name for run in finished] == ["repeat_0_fold_0"]
    assert arm.data.metrics["roc_auc"] == pytest.approx(0.9)


def test_the_studys_run_holds_its_answer(tracking, tmp_path):
    (tmp_path / "report.html").write_text("<p>answer</p>")
    with mlflow.start_run() as parent:
        log_study(
            {"compression": 51.3}, {"n": 1}, {"kpnn.equivalent": "true"}, [tmp_path / "report.html"], "An answer."
        )
    run = tracking.get_run(parent.info.run_id)
    assert run.data.metrics == {"compression": 51.3}
    assert run.data.tags["mlflow.note.content"] == "An answer."
    assert [a.path for a in tracking.list_artifacts(parent.info.run_id)] == ["report.html"]


def test_scores_of_classes_of_any_name_stay_apart_and_show_their_own_name(tracking):
    names = [
        "roc_auc_CD4+/CD25 T Reg",
        "roc_auc_A/B",
        "roc_auc_A:B",
        "roc_auc_tcr",
        "roc_auc_TCR",
        "roc_auc_" + "x" * 300,
    ]
    values = {name: number / 10 for number, name in enumerate(names)}
    one = fold_result("full", 0)
    result = replace(one, metrics=one.metrics | values)
    with mlflow.start_run() as parent:
        ArmTracker("full").finish(ArmResult("full", (result,)))
    [arm] = children(tracking, parent.info.run_id)
    [fold] = children(tracking, arm.info.run_id)
    for run in (arm, fold):
        shown = {**{name: name for name in run.data.metrics}, **json.loads(run.data.tags["kpnn.names"])}
        found = {shown[name]: value for name, value in run.data.metrics.items()}
        assert {name: found[name] for name in names} == pytest.approx(values)
        assert run.info.status == "FINISHED"


def test_an_arm_says_what_its_folds_were_trained_with(tracking):
    rates = (0.01, 0.003, 0.01)
    folds = tuple(
        replace(fold_result("full", n), hyperparameters={"dropout": 0.1, "learning_rate": rate})
        for n, rate in enumerate(rates)
    )
    with mlflow.start_run() as parent:
        ArmTracker("full").finish(ArmResult("full", folds))
    [arm] = children(tracking, parent.info.run_id)
    assert arm.data.params["dropout"] == "0.1"
    assert arm.data.params["learning_rate"] == "0.01 (2), 0.003 (1)"


def test_raw_files_are_data_sets_of_the_study_and_its_arms(tracking):
    files = {
        "data/01_raw/demo/Data.h5": "ab" * 32,
        "s3://ada:lovelace@host/Edgelist.csv": "cd" * 32,
        "of a package": None,
    }
    with mlflow.start_run() as parent:
        ArmTracker("full")
        log_data(files)
    [arm] = children(tracking, parent.info.run_id)
    for run_id in (parent.info.run_id, arm.info.run_id):
        inputs = [one.dataset for one in tracking.get_run(run_id).inputs.dataset_inputs]
        assert {one.name: one.digest for one in inputs} == {"Data.h5": "ab" * 18, "Edgelist.csv": "cd" * 18}
        assert "lovelace" not in "".join(one.source for one in inputs)


def test_a_value_that_mlflow_refuses_is_not_called_a_failure_of_its_server():
    refused = mlflow.exceptions.MlflowException("bad name", error_code=INVALID_PARAMETER_VALUE)
    assert failure(refused) == "it refuses a value: bad name"
    assert failure(ConnectionError("http://ada:lovelace@host: gone")) == "http://***@host: gone"
