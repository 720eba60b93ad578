"""The whole way as a user goes it: `kedro run` on the demo and on real cells."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from kedro_project import SMALL, Project, make_project
from kpnn.datasets.networks import DagDataset, PknDataset
from kpnn.datasets.tables import NAME_COLUMNS
from kpnn.evaluation import METRICS

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "generator"))
from catalog_pages import names_file  # noqa: E402 - the site's page of files
from demo_run import numbers_of_run  # noqa: E402 - what README's numbers are collected with

TOLERANCE = 0.005
"""How far README's scores of the demo may lie from those of another machine."""
NO_CONTROLS = "controls.rewired=0,controls.permuted_genes=0,controls.logistic=false"
NO_TUNING = f"modelling.tuning.n_trials=0,{NO_CONTROLS}"
UP_TO_THE_ARMS = ("run", "--pipelines", "data_engineering,dag_pruning,modelling", "--params")


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Project:
    project = make_project(tmp_path_factory.mktemp("demo") / "project")
    project.kedro("run", "--pipeline", "simulate")
    project.kedro("run")
    return project


@pytest.fixture(scope="module")
def runs(demo):
    """All MLflow runs of the demo, as a table."""
    mlflow.set_tracking_uri(demo.tracking_uri)
    found = mlflow.search_runs(experiment_names=["kpnn-demo"], max_results=1000)
    mlflow.set_tracking_uri(None)  # it is an environment variable too, which later tests' runs would inherit
    return found


def of_level(runs, level):
    return runs[runs["tags.kpnn.level"] == level]


def fold_metrics(project, arm, study="demo"):
    return pd.read_csv(project.root / "data" / "07_model_output" / study / arm / "fold_metrics.csv")


def test_the_runs_are_nested_parent_arm_fold(runs):
    parents, arms, folds = (of_level(runs, level) for level in ("parent", "arm", "fold"))
    assert len(parents) == 1
    assert sorted(arms["tags.mlflow.runName"]) == ["full", "pruned"]
    assert len(folds) == 10
    assert set(arms["tags.mlflow.parentRunId"]) == set(parents["run_id"])
    assert folds["tags.mlflow.parentRunId"].value_counts().to_dict() == dict.fromkeys(arms["run_id"], 5)
    assert (runs["status"] == "FINISHED").all()


def test_every_control_is_one_run_beside_the_arms(runs, demo):
    controls = of_level(runs, "control")
    names = [f"{kind}_{k}" for kind in ("permuted_genes", "rewired") for k in range(5)]
    assert sorted(controls["tags.mlflow.runName"]) == ["logistic", *names]
    assert set(controls["tags.mlflow.parentRunId"]) == set(of_level(runs, "parent")["run_id"])
    assert controls["metrics.roc_auc"].between(0.5, 1.0).all()
    answer = json.loads((demo.root / "data" / "08_reporting" / "demo" / "comparison_test.json").read_text())
    words = " ".join(answer["findings"])
    for said in ("`full`", "`pruned`", "rewired PKN", "shuffled genes", "logistic regression"):
        assert said in words


def test_every_arm_and_fold_has_the_same_metrics(runs):
    for level in ("arm", "fold"):
        metrics = of_level(runs, level).filter(like="metrics.")
        named = metrics.loc[:, metrics.notna().any()]
        assert named.notna().all(axis=None)
        assert {f"metrics.{name}" for name in METRICS} <= set(named.columns)


def test_the_parent_states_the_comparison(runs):
    parent = of_level(runs, "parent").iloc[0]
    for name in ("parameter_compression_percent", "edge_compression_percent", "roc_auc_degradation_percent"):
        assert np.isfinite(parent[f"metrics.{name}"])
    n_parameters = of_level(runs, "arm").set_index("tags.mlflow.runName")["params.n_parameters"].astype(int)
    assert n_parameters["pruned"] < n_parameters["full"]
    compression = 100 * (1 - n_parameters["pruned"] / n_parameters["full"])
    assert parent["metrics.parameter_compression_percent"] == pytest.approx(compression)


def test_each_fold_keeps_its_model_and_its_learning_curve(runs, demo):
    client = mlflow.MlflowClient(demo.tracking_uri)
    for run_id in of_level(runs, "fold")["run_id"]:
        assert "model.keras" in {artifact.path for artifact in client.list_artifacts(run_id)}
        losses = client.get_metric_history(run_id, "val_loss")
        assert [point.step for point in losses] == list(range(1, len(losses) + 1))


def test_both_arms_predict_well_on_the_demo(demo):
    for arm in ("full", "pruned"):
        assert fold_metrics(demo, arm)["roc_auc"].mean() >= 0.9


def test_the_demo_gives_the_answer_that_readme_shows(demo):
    """On any machine: the same verdict, sizes and called nodes, and scores within the tolerance that README states."""
    shown = json.loads((ROOT / "docs" / "assets" / "demo_run.json").read_text(encoding="utf-8"))
    found = numbers_of_run(demo.root / "data")
    for name in ("verdict", "margin", "n_parameters", "n_edges"):
        assert found[name] == shown[name], name
    assert {one["node"] for one in found["called"] if one["called"]} == {
        one["node"] for one in shown["called"] if one["called"]
    }
    scores = [{(one["arm"], one["metric"]): one["mean"] for one in of["scores"]} for of in (found, shown)]
    for arm in ("full", "pruned"):
        assert scores[0][arm, "roc_auc"] == pytest.approx(scores[1][arm, "roc_auc"], abs=TOLERANCE)
    for name in ("estimate", "lower", "upper"):
        assert found["difference"][name] == pytest.approx(shown["difference"][name], abs=TOLERANCE)
    assert f"scores within {TOLERANCE}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_file_that_a_run_writes_stands_in_the_reference(demo):
    written = [path for top in ("data", "mlruns") for path in (demo.root / top).rglob("*") if path.is_file()]
    names = {path.relative_to(demo.root).as_posix() for path in written if path.name != ".gitkeep"}
    assert len(names) > 100
    assert sorted(name for name in names if not names_file(ROOT / "conf" / "base" / "catalog.yml", name)) == []


def test_every_column_of_names_in_a_table_for_people_is_one_that_comes_back_as_text(demo):
    data = demo.root / "data"
    pkn = PknDataset(filepath=str(data / "03_primary" / "demo" / "pkn.parquet")).load()
    names = {*pkn.nodes, *pkn.genes("_gene"), "full", "pruned"}
    tables = [*data.glob("07_model_output/demo/*/*.csv"), *data.glob("08_reporting/demo/**/*.csv")]
    kept = [pd.read_csv(path, dtype=str) for path in tables if "report_files" not in path.parts]
    found = {name for table in kept for name, values in table.items() if not names.isdisjoint(values)}
    assert found == set(NAME_COLUMNS) - {"barcode"}  # cells are named in a table of `predict`


def test_saved_models_repeat_their_out_of_fold_predictions_in_a_new_process(demo):
    script = """
import sys
from pathlib import Path
import kpnn.nn
import anndata, keras, numpy as np, pandas as pd
data = Path(sys.argv[1])
cells = anndata.read_h5ad(next(data.glob("*/demo/matched_cells.h5ad")))
worst = 0.0
for arm in ("full", "pruned"):
    kept = pd.read_parquet(data / "07_model_output" / "demo" / arm / "predictions.parquet")
    for fold, rows in kept.groupby("fold"):
        model = keras.saving.load_model(data / "06_models" / "demo" / arm / f"repeat_0_fold_{fold}" / "model.keras")
        again = kpnn.nn.predict(model, cells[rows["barcode"]])
        worst = max(worst, np.abs(again.to_numpy().ravel() - rows["probability"].to_numpy()).max())
print(worst)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(demo.root / "data")], capture_output=True, text=True, check=True
    )
    assert float(done.stdout.split()[-1]) < 1e-6


def test_the_report_states_the_fingerprints_of_what_it_was_made_from(demo):
    report = (demo.root / "data" / "08_reporting" / "demo" / "report.html").read_text(encoding="utf-8")
    kept = json.loads((demo.root / "data" / ".studies" / "demo" / "results.json").read_text())["records"]
    contents = {record["dataset"]: record["content"] for record in kept.values()}
    for name in ("matched_cells", "folds", "pkn", "full_dag", "pruned_dag", "full.models", "pruned.models"):
        assert f"SHA-256 of {name}" in report and contents[name] in report


def test_the_report_is_one_file_that_needs_no_network(demo):
    report = (demo.root / "data" / "08_reporting" / "demo" / "report.html").read_text(encoding="utf-8")
    assert "ROC-AUC" in report
    markup = re.sub(r"<script\b.*?</script>", "<script>", report, flags=re.DOTALL)
    assert not re.search(r"""<(script|img|iframe|link)\b[^>]*(src|href)\s*=\s*["']?(https?:)?//""", markup)
    assert "@import" not in markup
    assert not re.search(r"<script\b[^>]*\bsrc\b", report)


def test_the_terminal_shows_what_was_selected_and_no_warning_of_others(demo):
    shown = demo.kedro("run", "--pipeline", "dag_pruning").stderr
    assert re.search(r"selected DAG: \d+ neurons, [\d,]+ edges of [\d,]+, proven optimal", shown)
    assert "Warning" not in shown


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Project:
    project = make_project(tmp_path_factory.mktemp("small") / "project")
    project.kedro("run", "--pipeline", "simulate", "--params", SMALL)
    project.kedro("run", "--params", SMALL)
    return project


def test_any_pipeline_runs_alone_from_what_is_on_disk(small):
    before = fold_metrics(small, "pruned")
    for pipeline in ("data_engineering", "dag_pruning", "modelling", "reporting"):
        small.kedro("run", "--pipeline", pipeline, "--params", SMALL)
    pd.testing.assert_frame_equal(before, fold_metrics(small, "pruned"))


def test_other_folds_can_be_asked_for(small):
    assert len(fold_metrics(small, "full")) == 2
    small.kedro(*UP_TO_THE_ARMS, SMALL.replace("n_splits=2", "n_splits=3"))
    assert len(fold_metrics(small, "full")) == 3
    assert len(list((small.root / "data" / "06_models" / "demo" / "full").glob("repeat_*"))) == 3


def test_the_same_run_gives_the_same_metrics(demo, tmp_path):
    again = make_project(tmp_path / "again")
    shutil.copytree(demo.root / "data" / "01_raw", again.root / "data" / "01_raw", dirs_exist_ok=True)
    again.kedro(*UP_TO_THE_ARMS, NO_CONTROLS)  # which the arms do not depend on
    for arm in ("full", "pruned"):
        same = [column for column in fold_metrics(demo, arm) if column != "seconds"]
        pd.testing.assert_frame_equal(fold_metrics(demo, arm)[same], fold_metrics(again, arm)[same])


def test_shuffled_labels_are_not_predicted(demo, tmp_path):
    shuffled = make_project(tmp_path / "shuffled")
    raw = shuffled.root / "data" / "01_raw"
    shutil.copytree(demo.root / "data" / "01_raw", raw, dirs_exist_ok=True)
    path = raw / "demo" / "ClassLabels.csv"
    labels = pd.read_csv(path)
    output = labels.columns[1]
    labels[output] = labels[output].sample(frac=1, random_state=0).to_numpy()
    labels.to_csv(path, index=False)
    shuffled.kedro(*UP_TO_THE_ARMS, NO_TUNING)
    for arm in ("full", "pruned"):
        assert 0.40 <= fold_metrics(shuffled, arm)["roc_auc"].mean() <= 0.60


def test_real_cells_with_a_cyclic_network(project, shared_data):
    shutil.copytree(shared_data / "pbmc68k", project.root / "data" / "01_raw" / "pbmc68k")
    project.kedro(*UP_TO_THE_ARMS, NO_TUNING, "--env", "pbmc68k")
    selected = DagDataset(filepath=str(project.root / "data" / "04_feature" / "pbmc68k" / "pruned_dag.parquet")).load()
    assert len(selected.neurons) == 71
    assert len(selected.edges) == 223
    # As the tutorial counts: an extra edge into every input and one out of every output.
    assert len(selected.edges) + len(selected.inputs) + len(selected.outputs) == 377
    selection = json.loads((project.root / "data" / "08_reporting" / "pbmc68k" / "dag_selection.json").read_text())
    assert selection["status"] == "optimal"
    for arm in ("full", "pruned"):
        assert fold_metrics(project, arm, "pbmc68k")["roc_auc"].between(0.5, 1.0).all()


def test_kedros_own_commands_work(demo):
    listed = demo.kedro("registry", "list").stdout
    for name in ("__default__", "simulate", "data_engineering", "dag_pruning", "modelling", "reporting"):
        assert name in listed
    assert "fold_store" in demo.kedro("catalog", "list-patterns").stdout
    demo.kedro("viz", "build")
    assert (demo.root / "build" / "index.html").is_file()


BAD_INPUT = {
    "no raw files": (lambda raw: shutil.rmtree(raw), ["raw_expression", "Data.h5", "simulate"]),
    "an edge list without child": (
        lambda raw: rewrite(raw / "Edgelist.csv", lambda t: t.rename(columns={"child": "target"})),
        ["Edgelist.csv", "child"],
    ),
    "no gene in common": (
        lambda raw: rewrite(
            raw / "Edgelist.csv",
            lambda t: t.assign(child=t["child"].str.replace(r"^(.*)_gene$", r"NOT\1_gene", regex=True)),
        ),
        ["gene", "NOT"],
    ),
    "a label column that is not an output": (
        lambda raw: rewrite(raw / "ClassLabels.csv", lambda t: t.set_axis(["barcode", "LIVER"], axis=1)),
        ["LIVER", "Edgelist.csv"],
    ),
    "one class": (
        lambda raw: rewrite(raw / "ClassLabels.csv", lambda t: t.assign(**{t.columns[1]: 1})),
        ["class 0", "n_splits"],
    ),
}


def rewrite(path: Path, change) -> None:
    change(pd.read_csv(path)).to_csv(path, index=False)


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_clear_error_before_anything_is_written(case, demo, project):
    spoil, expected = BAD_INPUT[case]
    raw = project.root / "data" / "01_raw" / "demo"
    shutil.copytree(demo.root / "data" / "01_raw" / "demo", raw)
    spoil(raw)
    done = project.kedro("run", check=False)
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1
    assert "Traceback" not in done.stderr
    for part in expected:
        assert part in errors[0]
    written = [p for p in (project.root / "data").rglob("*") if p.is_file() and "01_raw" not in p.parts]
    assert written == []
