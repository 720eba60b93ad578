"""The gallery's pictures: figures of the demo's report, MLflow's compare page, kedro-viz, as a browser shows them.

In a project whose demo has run (`make demo`), `make gallery` writes `docs/assets/gallery/` anew.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from browser import Browser, free_port, server  # noqa: E402 - the tests' browser, which opens the same pages

GALLERY = ROOT / "docs" / "assets" / "gallery"
MOST_BYTES = 120_000
FIGURES = {
    "scores": "scores",
    "folds": "folds",
    "roc_RECEPTOR": "roc",
    "calibration_RECEPTOR": "calibration",
    "sizes": "sizes",
    "controls": "controls",
    "called_pruned_RECEPTOR": "called",
    "activity_pruned_RECEPTOR": "activity",
    "top_nodes_pruned_RECEPTOR": "leading_nodes",
    "structure_pruned_RECEPTOR": "structure",
    "ranks_pruned_RECEPTOR": "ranks",
    "genes_pruned_RECEPTOR": "genes",
    "arms_RECEPTOR": "full_against_pruned",
    "network": "network",
    "learning_curves": "learning_curves",
}
"""Figure of the report -> name of its picture."""
STILL = (
    "<style>.top, .modebar { display: none !important } "
    "* { content-visibility: visible !important; scroll-behavior: auto !important }</style>"
)
"""What a reader's scrolling and pointing need, and a picture does not."""
WITHOUT_TOUR = "<style>[class*=feature-hint], [class*=update-reminder] { display: none !important }</style>"
"""What kedro-viz lays over its first page for whoever opens it for the first time."""
ASSISTANT = '[data-component-id="mlflow.assistant.chat_panel.close"]'
"""Closes the chat that MLflow opens beside whatever is looked at first."""
LOWER = {"x": 0, "y": 0, "width": 1280, "height": 560, "scale": 1}
"""Of the page with artifacts: as far as something stands there."""


def take_report(project: Path) -> None:
    """Takes each figure of the demo's report.

    Args:
        project: whose demo has run.
    """
    report = project / "data" / "08_reporting" / "demo" / "report.html"
    with tempfile.TemporaryDirectory() as folder, Browser(Path(folder), width=1000, height=900) as browser:
        browser.open(report.resolve().as_uri())
        browser.wait_for("document.readyState === 'complete' && typeof kpnn !== 'undefined'")
        browser.evaluate(f"document.head.insertAdjacentHTML('beforeend', {STILL!r})")
        browser.evaluate("kpnn.drawAll().then(() => { document.documentElement.dataset.drawn = 'yes' })")
        browser.wait_for("document.documentElement.dataset.drawn === 'yes'", seconds=300)
        browser.resize(1000, int(browser.evaluate("document.documentElement.scrollHeight")) + 1000)
        for figure, name in FIGURES.items():
            _keep(browser.picture_of(f"#figure-{figure}"), name)


def take_mlflow(project: Path) -> None:
    """Takes the page on which MLflow compares the demo's arms.

    Args:
        project: whose demo has run.
    """
    from mlflow import MlflowClient

    store = f"sqlite:///{(project / 'mlruns' / 'mlflow.db').resolve()}"
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("kpnn-demo").experiment_id
    arms = [
        client.search_runs([experiment], f"tags.`kpnn.arm` = '{arm}' and tags.`kpnn.level` = 'arm'", max_results=1)[0]
        for arm in ("full", "pruned")
    ]
    runs = json.dumps([run.info.run_id for run in arms]).replace(" ", "").replace('"', "%22")
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            server(command, f"{address}/health", folder / "log", 600),
            Browser(folder, width=1280, height=900) as browser,
        ):
            browser.open(f"{address}/#/compare-runs?runs={runs}&experiments=[%22{experiment}%22]")
            browser.wait_for("document.body.innerText.includes('Comparing 2 Runs')", seconds=300)
            browser.wait_for("document.body.innerText.includes('roc_auc')", seconds=300)
            browser.wait_for(f"document.querySelector('{ASSISTANT}') !== null", seconds=60)
            browser.evaluate(f"document.querySelector('{ASSISTANT}').click()")
            time.sleep(5)  # the parallel coordinates slide into their places
            _keep(browser.picture(), "mlflow_compare")
            for words in ("roc.png", "Artifacts"):
                browser.wait_for(f"{_element(words)} !== undefined", seconds=60)
            browser.evaluate(f"{_element('roc.png')}.click()")
            browser.wait_for("!document.body.innerText.includes('Select a file')", seconds=60)
            browser.evaluate(f"{_element('Artifacts')}.scrollIntoView()")
            time.sleep(2)
            _keep(browser.picture(clip=LOWER), "mlflow_artifacts")


def take_viz(project: Path) -> None:
    """Takes kedro-viz' first page.

    Args:
        project: its pipelines are shown.
    """
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "kedro", "viz", "run", "--host", "127.0.0.1", "--port", str(port), "--no-browser"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            server(command, address, folder / "log", 600, cwd=project),
            Browser(folder, width=1280, height=900) as browser,
        ):
            browser.open(address)
            browser.wait_for("document.querySelectorAll('.pipeline-node').length > 20", seconds=300)
            browser.evaluate(f"document.head.insertAdjacentHTML('beforeend', {WITHOUT_TOUR!r})")
            time.sleep(5)  # the drawing zooms until it fits
            _keep(browser.picture(), "kedro_viz")


def _element(words: str) -> str:
    """The innermost element that says this and nothing else, as JavaScript."""
    return f"[...document.querySelectorAll('*')].filter((one) => one.innerText?.trim() === '{words}').pop()"


def _keep(png: bytes, name: str) -> None:
    """Writes a picture in as few colours as it needs."""
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(colors=96)
    path = GALLERY / f"{name}.png"
    picture.save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        sys.exit(f"{path.name} has {path.stat().st_size} bytes, more than {MOST_BYTES}")


def main() -> None:
    """Takes the pictures that are asked for."""
    takers = {"report": take_report, "mlflow": take_mlflow, "viz": take_viz}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, default=ROOT, help="whose demo has run")
    parser.add_argument("--only", choices=takers, action="append", help="by default all")
    options = parser.parse_args()
    GALLERY.mkdir(parents=True, exist_ok=True)
    for name in options.only or takers:
        takers[name](options.project)


if __name__ == "__main__":
    main()
