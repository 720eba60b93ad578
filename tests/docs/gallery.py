"""Takes the gallery's pictures: figures of the demo's report, MLflow's page that compares runs, kedro-viz."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

import matplotlib
from pictures import Picture, differences

from browser import Browser
from interfaces import comparison_page, mlflow_server, viz_server

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
ROWS_CHANGE_PLACES = {"leading_nodes", "ranks", "genes"}
"""Pictures whose rows, but for the first, are ordered by what noise has a say in."""
STILL = (
    "<style>.top, .modebar { display: none !important } "
    "* { content-visibility: visible !important; scroll-behavior: auto !important }</style>"
)
"""What a reader's scrolling and pointing need, and a picture does not."""
WITHOUT_TOUR = "<style>[class*=feature-hint], [class*=update-reminder] { display: none !important }</style>"
"""What kedro-viz lays over its first page for whoever opens it for the first time."""
ASSISTANT = '[data-component-id="mlflow.assistant.chat_panel.close"]'
"""Closes the chat that MLflow opens beside whatever is looked at first."""
PAGE = (1280, 760)
"""Width and height of MLflow's and kedro-viz' pages, in pixels."""
LOWER = 560
"""Height of the page with artifacts, in pixels: as far as something stands there."""
FONTS = """<?xml version="1.0"?>
<fontconfig>
  <dir>{fonts}</dir>
  <cachedir>{cache}</cachedir>
  <match target="font"><edit name="hintstyle" mode="assign"><const>hintnone</const></edit></match>
  <alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias><family>serif</family><prefer><family>DejaVu Serif</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"""
"""The only fonts are those that come with matplotlib: letters look the same on every machine."""
_WORDS = """((root, height) => {
  const found = [], walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), range = document.createRange();
  while (walk.nextNode()) {
    const text = walk.currentNode;
    if (!text.parentElement.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    range.selectNodeContents(text);
    const { left, top, right, bottom } = range.getBoundingClientRect();
    if (left < innerWidth && right > 0 && top >= 0 && bottom <= height) found.push(text.data);
  }
  return found;
})"""
"""JavaScript: the texts that stand in the window, down to a height in pixels, within an element."""


def take_report(project: Path) -> dict[str, Picture]:
    """Each figure of the demo's report."""
    report = project / "data" / "08_reporting" / "demo" / "report.html"
    taken = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, _window(Path(folder)) as browser:
        browser.resize(1000, 900)
        browser.open(report.resolve().as_uri())
        browser.wait_for("document.readyState === 'complete' && typeof kpnn !== 'undefined'")
        browser.evaluate(f"document.head.insertAdjacentHTML('beforeend', {STILL!r})")
        browser.evaluate("kpnn.drawAll().then(() => { document.documentElement.dataset.drawn = 'yes' })")
        browser.wait_for("document.documentElement.dataset.drawn === 'yes'", seconds=300)
        browser.resize(1000, int(browser.evaluate("document.documentElement.scrollHeight")) + 1000)
        for figure, name in FIGURES.items():
            png = browser.picture_of(f"#figure-{figure}")
            words = browser.evaluate(f"{_WORDS}(document.querySelector('#figure-{figure}'), innerHeight)")
            taken[name] = Picture.of(png, words)
    return taken


def take_mlflow(project: Path) -> dict[str, Picture]:
    """The page on which MLflow compares the demo's arms: its top, and the ROC curves among its artifacts."""
    from mlflow import MlflowClient  # takes seconds, and most who import this take no picture

    database = project / "mlruns" / "mlflow.db"
    client = MlflowClient(tracking_uri=f"sqlite:///{database.resolve()}")
    experiment = client.get_experiment_by_name("kpnn-demo").experiment_id
    arms = [
        client.search_runs([experiment], f"tags.`kpnn.arm` = '{arm}' and tags.`kpnn.level` = 'arm'", max_results=1)[0]
        for arm in ("full", "pruned")
    ]
    taken = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with mlflow_server(database, folder / "log") as address, _window(folder) as browser:
            browser.resize(*PAGE)
            browser.open(comparison_page(address, experiment, [arm.info.run_id for arm in arms]))
            browser.wait_for("document.body?.innerText.includes('Comparing 2 Runs')", seconds=300)
            browser.wait_for("document.body.innerText.includes('roc_auc')", seconds=300)
            browser.wait_for(f"document.querySelector('{ASSISTANT}') !== null")
            browser.evaluate(f"document.querySelector('{ASSISTANT}').click()")
            browser.evaluate("window.dispatchEvent(new Event('resize'))")  # there is more room now
            taken["mlflow_compare"] = _shown(browser, *PAGE)
            for words in ("roc.png", "Artifacts"):
                browser.wait_for(f"{_element(words)} !== undefined")
            browser.evaluate(f"{_element('roc.png')}.click()")
            browser.wait_for("!document.body.innerText.includes('Select a file')")
            browser.evaluate(f"{_element('Artifacts')}.scrollIntoView()")
            taken["mlflow_artifacts"] = _shown(browser, PAGE[0], LOWER)
    return taken


def take_viz(project: Path) -> dict[str, Picture]:
    """kedro-viz' first page."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with viz_server(project, folder / "log") as address, _window(folder) as browser:
            browser.resize(*PAGE)
            browser.open(address)
            browser.wait_for("document.querySelectorAll('.pipeline-node').length > 20", seconds=300)
            browser.evaluate(f"document.head.insertAdjacentHTML('beforeend', {WITHOUT_TOUR!r})")
            return {"kedro_viz": _shown(browser, *PAGE)}


TAKERS: dict[str, Callable[[Path], dict[str, Picture]]] = {
    "report": take_report,
    "mlflow": take_mlflow,
    "viz": take_viz,
}
"""Each takes its pictures in a project whose demo has run."""
SHOWN = {
    "report": {*FIGURES.values()},
    "mlflow": {"mlflow_compare", "mlflow_artifacts"},
    "viz": {"kedro_viz"},
}
"""Names of their pictures."""


def stale(gallery: Path, taken: dict[str, Picture]) -> dict[str, list[str]]:
    """Of the pictures of today those that a gallery lacks or shows otherwise, and what is different."""
    found = {}
    for name, picture in taken.items():
        path = gallery / f"{name}.png"
        if not path.is_file():
            found[name] = ["it is missing"]
        elif why := differences(Picture.read(path), picture, name in ROWS_CHANGE_PLACES):
            found[name] = why
    return found


def left_over(gallery: Path) -> list[Path]:
    """Pictures that nothing takes."""
    return sorted(path for path in gallery.glob("*.png") if path.stem not in set().union(*SHOWN.values()))


def _window(folder: Path) -> Browser:
    """A browser with `FONTS`, its files in a folder."""
    path, fonts = folder / "fonts.conf", Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    path.write_text(FONTS.format(fonts=escape(str(fonts)), cache=escape(str(folder / "fonts"))))
    return Browser(folder, variables={**os.environ, "FONTCONFIG_FILE": str(path)})


def _shown(browser: Browser, width: int, height: int) -> Picture:
    """What the window shows down to a height, once it stands still: drawings slide and zoom until they fit."""
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    end, png = time.monotonic() + 60, b""
    time.sleep(2)
    while png != (png := browser.picture(clip=clip)) and time.monotonic() < end:
        time.sleep(2)
    return Picture.of(png, browser.evaluate(f"{_WORDS}(document.body, {height})"))


def _element(words: str) -> str:
    """The innermost element that says this and nothing else, as JavaScript."""
    return f"[...document.querySelectorAll('*')].filter((one) => one.innerText?.trim() === '{words}').pop()"
