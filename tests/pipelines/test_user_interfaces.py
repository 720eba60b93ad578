"""MLflow's UI and kedro-viz as the user sees them: real servers on the loopback interface, a real browser."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import mlflow
import pytest
from matplotlib.image import imread
from mlflow import MlflowClient

from browser import CHROMIUM, WITHOUT, Browser
from interfaces import comparison_page, mlflow_server, viz_server
from kpnn.datasets.files import FilesDataset
from kpnn.pipelines.reporting.logging_report import draw_files, log_report
from kpnn.reporting import write_report
from kpnn.tracking.open_runs import mark_experiment
from kpnn.tracking.server import runs_page

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "reporting"))
from fabricated import make_study  # noqa: E402 - made for the report's tests, used here too

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT), pytest.mark.slow]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """A study's runs in a database of their own."""
    folder = tmp_path_factory.mktemp("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = mlflow.create_experiment("kpnn", artifact_location=(folder / "artifacts").as_uri())
    client, runs = MlflowClient(), {}
    mark_experiment(client, experiment)
    with mlflow.start_run(experiment_id=experiment, run_name="study") as parent:
        runs["parent"] = parent.info.run_id
        for arm, auc in (("full", 0.95), ("pruned", 0.94)):
            tags = {"mlflow.parentRunId": parent.info.run_id, "kpnn.level": "arm", "kpnn.arm": arm}
            runs[arm] = client.create_run(experiment, tags=tags, run_name=arm).info.run_id
            client.log_metric(runs[arm], "roc_auc", auc)
            client.log_param(runs[arm], "n_edges", len(arm))
            client.set_terminated(runs[arm])
        report = write_report(make_study())
        files = FilesDataset(filepath=str(folder / "report_files"))
        files.save(draw_files(report))
        log_report(report, files.load())
    mlflow.set_tracking_uri(None)
    return folder, experiment, runs


@pytest.fixture(scope="module")
def served(tracked):
    folder, experiment, runs = tracked
    with mlflow_server(folder / "mlflow.db", folder / "server.log") as address:
        yield address, experiment, runs


def test_both_arms_hold_the_same_images_and_tables_and_the_study_its_report(tracked):
    folder, _, runs = tracked
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    names = {
        arm: sorted(entry.path for top in ("figures", "tables") for entry in client.list_artifacts(runs[arm], top))
        for arm in ("full", "pruned")
    }
    assert names["full"] == names["pruned"]
    figures = {"figures/roc.png", "figures/top_nodes.png", "figures/calibration.html", "figures/learning_curves.html"}
    assert figures | {"tables/node_weights.json"} <= set(names["full"])
    # The page that compares runs shows files that lie in no folder.
    beside = [{one.path for one in client.list_artifacts(runs[arm]) if not one.is_dir} for arm in ("full", "pruned")]
    assert beside[0] == beside[1] >= {"roc.png", "top_nodes.png", "node_weights.csv"}
    parent = client.get_run(runs["parent"])
    assert {"report.html", "figures", "tables"} <= {entry.path for entry in client.list_artifacts(runs["parent"])}
    assert "report.html" in parent.data.tags["mlflow.note.content"]
    assert parent.data.tags["kpnn.dag_status"] == "optimal"
    assert {"parameter_compression_percent", "edge_compression_percent", "roc_auc_degradation_percent"} <= set(
        parent.data.metrics
    )
    assert {"roc_auc_full", "roc_auc_pruned"} <= set(parent.data.metrics)


def test_mlflow_lists_the_runs_compares_the_arms_and_shows_the_report(served, tmp_path):
    address, experiment, runs = served
    with Browser(tmp_path) as browser:
        browser.open(runs_page(address, experiment))
        browser.wait_for("document.body.innerText.includes('study')")
        browser.wait_for("['roc_auc_full', 'roc_auc_pruned'].every((word) => document.body.innerText.includes(word))")
        browser.open(comparison_page(address, experiment, [runs["full"], runs["pruned"]]))
        browser.evaluate("location.reload()")
        browser.wait_for("document.body.innerText.includes('Comparing 2 Runs')")
        browser.wait_for("['full', 'pruned', 'roc_auc'].every((word) => document.body.innerText.includes(word))")
        browser.wait_for("['roc.png', 'node_weights.csv'].every((word) => document.body.innerText.includes(word))")
        browser.screenshot(tmp_path / "compare.png")
        assert imread(tmp_path / "compare.png")[..., :3].std() > 0.02
        browser.open(f"{address}/#/experiments/{experiment}/runs/{runs['parent']}/artifacts/report.html")
        browser.evaluate("location.reload()")
        browser.wait_for("[...document.querySelectorAll('iframe')].some((frame) => frame.offsetHeight > 100)")
        assert spread_within(browser, "iframe", tmp_path / "report.png") > 0.05, "the report is not shown"


def spread_within(browser: Browser, selector: str, path: Path, seconds: float = 60) -> float:
    """Spread of the colours inside an element, once something is drawn there; 0 where it stays blank."""
    edges = "(({left, top, right, bottom}) => [left, top, right, bottom])"
    box = browser.evaluate(f"{edges}(document.querySelector('{selector}').getBoundingClientRect())")
    left, top, right, bottom = (int(edge) for edge in box)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        browser.screenshot(path)
        spread = float(imread(path)[top + 5 : bottom - 5, left + 5 : right - 5, :3].std())
        if spread > 0.05:
            return spread
        time.sleep(1)
    return 0.0


def test_kedro_viz_shows_the_pipeline_with_its_namespaces_folded(tmp_path):
    with viz_server(ROOT, tmp_path / "server.log") as address, Browser(tmp_path) as browser:
        browser.open(address)
        browser.wait_for("document.querySelectorAll('.pipeline-node').length > 20")
        words = browser.evaluate("document.body.innerText")
        for name in ("full", "pruned", "controls", "data_engineering", "dag_pruning", "reporting", "evaluation"):
            assert name in words, name
        # Their own nodes are folded into them.
        assert not {"weigh_nodes", "select_dag", "match_cells", "write_report"}.intersection(words.split())
        browser.screenshot(tmp_path / "viz.png")
        assert imread(tmp_path / "viz.png")[..., :3].std() > 0.02
        assert "Layers visualisation is disabled" not in (tmp_path / "server.log").read_text()
