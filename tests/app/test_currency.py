"""Results know what made them: what is not current is one message, or is marked in the report."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import mlflow
import pytest

from kedro_project import SMALL
from kpnn.files import sha256_of


def test_a_study_connects_to_nothing_and_is_written_in_its_project_alone(study, heard):
    assert [told for kind, told in heard if kind == "network"] == []
    written = [Path(path) for kind, path in heard if kind == "write"]
    assert study / "mlruns" / "mlflow.db" in written
    elsewhere = [path for path in written if not path.is_relative_to(study) and "__pycache__" not in path.parts]
    temporary, cache = Path(tempfile.gettempdir()).resolve(), os.environ.get("NUMBA_CACHE_DIR", "/nowhere")
    assert [
        str(path)
        for path in elsewhere
        if path != Path(os.devnull)
        and not path.is_relative_to(cache)
        and not (
            path.is_relative_to(temporary)
            and path.relative_to(temporary).parts[0].startswith(("tmp", "torchinductor_"))
        )
    ] == []


def test_every_result_has_a_record_of_what_made_it(study):
    records = json.loads((study / "data" / ".studies" / "demo" / "results.json").read_text())["records"]
    by_name = {record["dataset"]: record for record in records.values()}
    assert {"matched_cells", "pruned_dag", "full.predictions", "controls.summary"} <= set(by_name)
    for path, record in records.items():
        assert record["content"] == sha256_of(study / path)
    raw = by_name["matched_cells"]["inputs"]
    assert {name for name, _ in raw.values()} == {"raw_expression", "class_labels", "edges"}
    assert all(sha256_of(study / path) == digest for path, (_, digest) in raw.items())
    assert by_name["pruned.models"]["settings"]["modelling"]["seed"] == 42
    assert {name for name, _ in by_name["pruned.models"]["inputs"].values()} >= {"pruned_dag", "matched_cells", "folds"}
    # Nothing is recorded of raw data, nor where trials are kept, which may hold a password.
    assert not any("01_raw" in path for path in records)
    assert "storage" not in by_name["pruned.models"]["settings"]["modelling"]["tuning"]


def test_a_result_depends_on_the_settings_that_it_was_made_by_and_not_on_those_of_what_was_made_beside_it(study):
    """Other optimal DAGs and rewired ones are looked for by one node: the selected DAG depends on the first alone."""
    records = json.loads((study / "data" / ".studies" / "demo" / "results.json").read_text())["records"]
    controls = {record["dataset"]: set(record["settings"].get("controls", ())) for record in records.values()}
    assert controls["pruned_dag"] == controls["hidden_node_membership"] == {"alternative"}
    assert controls["rival_dags"] == {"alternative", "rewired", "size_curve", "seed"}


def test_the_run_in_mlflow_says_which_results_it_is_about(study):
    records = json.loads((study / "data" / ".studies" / "demo" / "results.json").read_text())["records"]
    contents = {record["dataset"]: record["content"] for record in records.values()}
    client = mlflow.MlflowClient(f"sqlite:///{study}/mlruns/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("kpnn-demo").experiment_id])
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert {run.info.status for run in runs} == {"FINISHED"} and parent.info.run_name == "demo"
    for name in ("matched_cells", "folds", "full_dag", "pruned_dag", "full.models", "pruned.models"):
        assert parent.data.params[f"sha256.{name}"] == contents[name]


def test_status_says_what_is_there_what_is_current_and_what_a_run_redoes(kpnn):
    code, output = kpnn("status")
    assert "modelling" in output and "2 finished folds" in output
    # The parameters of this study were given on the command line, and `status` reads the files.
    assert code == 1 and "cross_validation.n_splits was 2, is 5" in output


@pytest.mark.parametrize(
    ("changed", "words", "command"),
    [
        ("modelling.seed=5", "modelling.seed was 42, is 5", "--pipelines modelling`"),
        ("cross_validation.seed=1", "cross_validation.seed was 42, is 1", "data_engineering,dag_pruning,modelling`"),
        ("dag_selection.seed=3", "dag_selection.seed was 0, is 3", "--pipelines dag_pruning,modelling`"),
        ("controls.dense=true", "controls.dense was False, is True", "--pipelines modelling`"),
    ],
)
def test_other_settings_than_made_the_results_are_named_with_the_command_that_mends_it(kpnn, changed, words, command):
    code, output = kpnn("run", "--pipeline", "reporting", "--params", f"{SMALL},{changed}")
    assert code == 1
    assert output.count("Error:") == 1 and words in output and command in output


def test_settings_on_which_no_result_depends_may_change(kpnn):
    free = "reporting.top=7,modelling.execution.n_workers=1,modelling.resume=false,dag_selection.threads=1"
    code, output = kpnn("run", "--pipeline", "reporting", "--to-nodes", "gather_cells", "--params", f"{SMALL},{free}")
    assert code == 0, output


def test_another_dag_than_the_networks_were_trained_on_is_named_and_may_be_shown(kpnn, caplog):
    other = f"{SMALL},dag_selection.edges=induced"
    assert kpnn("run", "--pipeline", "dag_pruning", "--params", other)[0] == 0
    code, output = kpnn("run", "--pipeline", "reporting", "--params", other)
    assert code == 1
    assert "made from another `pruned_dag` (data/04_feature/demo/pruned_dag.parquet)" in output
    assert "kedro run --pipelines modelling`" in output
    shown = ("--pipeline", "reporting", "--to-nodes", "gather_controls", "--params", f"{other},allow_stale=true")
    code, output = kpnn("run", *shown)
    assert code == 0, output
    assert "made from another `pruned_dag`" in caplog.text and "allow_stale" in caplog.text
    code, output = kpnn("status")
    assert code == 1 and "made from another `pruned_dag`" in output and "--pipelines" in output


def test_a_result_that_was_changed_by_other_hands_is_named(kpnn, study):
    path = study / "data" / "05_model_input" / "demo" / "folds.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    code, output = kpnn("run", "--pipeline", "modelling", "--params", SMALL)
    assert code == 1 and "folds: is not what a run left" in output


@pytest.mark.parametrize("value", ["3", "maybe"])
def test_allow_stale_is_true_or_false(kpnn, value):
    code, output = kpnn("run", "--params", f"allow_stale={value}")
    assert code == 2 and "allow_stale: must be true or false" in output


def test_the_report_is_marked_where_it_shows_what_is_not_current():
    from kpnn.pipelines.reporting.nodes import ArmParts, gather_record, gather_study
    from kpnn.reporting import Study

    pkn = dag = None  # not looked at here
    networks = Study(pkn=pkn, full_dag=dag, pruned_dag=dag)  # type: ignore[arg-type]
    nothing = ArmParts(None, None, ())
    recorded = gather_record(networks, None, None, {"not_current": ["full.models: made otherwise"]})
    study = gather_study(recorded, nothing, nothing, ())
    assert "Not current: full.models: made otherwise." in study.missing


def test_the_report_states_the_fingerprints_of_what_it_was_made_from():
    from kpnn.pipelines.reporting.nodes import ArmParts, gather_record, gather_study
    from kpnn.reporting import Study
    from kpnn.reporting.blocks import Table
    from kpnn.reporting.sections import record_section

    networks = Study(pkn=None, full_dag=None, pruned_dag=None)  # not looked at here
    nothing = ArmParts(None, None, ())
    parameters = {"reporting": {"top": 3}, "made_from": {"folds": "ab" * 32, "pruned.models": "cd" * 32}}
    study = gather_study(gather_record(networks, None, None, parameters), nothing, nothing, ())
    assert study.settings == {"reporting": {"top": 3}}
    table = next(block for block in record_section(study) if isinstance(block, Table))
    assert {"what": "SHA-256 of folds", "value": "ab" * 32} in table.data.to_dict("records")
    assert {"what": "SHA-256 of pruned.models", "value": "cd" * 32} in table.data.to_dict("records")


def test_the_report_is_told_of_what_was_read_and_of_what_this_run_made_before_it(tmp_path, monkeypatch):
    from kedro.framework.hooks.manager import _create_hook_manager
    from kedro.io import DataCatalog, MemoryDataset
    from kedro.pipeline import Pipeline, node
    from kedro.runner import SequentialRunner

    from kpnn.app.hooks import BeforeRunHook
    from kpnn.app.ledger import Ledger
    from kpnn.app.result_keeper import ResultKeeper
    from kpnn.datasets.documents import JSONDataset

    monkeypatch.chdir(tmp_path)
    files = {name: JSONDataset(filepath=str(tmp_path / f"{name}.json")) for name in ("folds", "pkn")}
    catalog = DataCatalog({"parameters": MemoryDataset({"seed": 1}), "raw": MemoryDataset(3), **files})
    shown = []
    nodes = [
        node(lambda raw: {"n": raw}, "raw", "folds", name="make"),
        node(lambda folds, parameters: shown.append(parameters) or folds, ["folds", "parameters"], "pkn", name="show"),
    ]
    pipeline, hook = Pipeline(nodes), BeforeRunHook(None)
    hook._keeper = ResultKeeper(pipeline, catalog, Ledger(tmp_path, tmp_path / "results.json"), {})
    hook._hand_on_chain()
    assert catalog.load("parameters") == {"seed": 1, "made_from": {}}
    hooks = _create_hook_manager()
    hooks.register(hook)
    SequentialRunner().run(pipeline, catalog, hook_manager=hooks)
    assert shown == [{"seed": 1, "made_from": {"folds": sha256_of(tmp_path / "folds.json")}}]
