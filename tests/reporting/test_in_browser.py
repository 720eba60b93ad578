"""The report in a real browser: drawn, themed, wide and narrow, without an error."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fabricated import make_study
from matplotlib.image import imread

from browser import Browser
from kpnn.pkn import Dag
from kpnn.reporting import write_report

BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed (apt-get install chromium)")


def browse(folder: Path, *options: str) -> str:
    """Runs headless Chromium with a profile of its own and returns what it prints."""
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
    ]
    command += ["--hide-scrollbars", f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=15000", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.fixture(scope="module")
def report_file(tmp_path_factory):
    study = make_study(n_hidden=300, n_genes=3000)
    place = np.random.default_rng(0).normal(size=(200, 2))
    names = [f"cell{number}" for number in range(200)]
    study = replace(study, coordinates=pd.DataFrame(place, names, ["umap 1", "umap 2"]))
    page = write_report(study).page
    # What goes wrong in the page is written into it, where the test can read it.
    spy = "<script>window.onerror = (m) => { document.documentElement.dataset.error = m; };</script>"
    drawn = (
        "<script>addEventListener('load', async () => { await kpnn.drawAll();"
        "document.querySelector('#figure-network button').click();"
        "const time = performance.timing;"
        "document.documentElement.dataset.interactive = time.domInteractive - time.navigationStart;"
        "document.documentElement.dataset.wide = document.documentElement.scrollWidth > innerWidth; });</script>"
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page.replace("<head>", "<head>" + spy, 1).replace("</body>", drawn + "</body>"), encoding="utf-8")
    return path


def test_every_figure_is_drawn_without_an_error_and_the_page_is_soon_interactive(report_file, tmp_path):
    dom = browse(tmp_path, "--window-size=1440,1200", "--dump-dom", report_file.as_uri())
    root = re.search(r"<html[^>]*>", dom).group()
    assert "data-error" not in root
    n_figures = dom.count('class="canvas')
    assert n_figures > 10
    assert dom.count('class="plot-container') == n_figures
    network = dom[dom.index('id="figure-network"') :].split("</figure>")[0]
    drawn = set(re.findall(r">(?:OUT|N\d{3})<", network))
    assert len(drawn) == 151 + 150  # the selected DAG's neurons, and what was pruned away, each once
    milliseconds = float(re.search(r'data-interactive="([\d.]+)"', root).group(1))
    assert milliseconds < 4 * 2000  # two seconds where nothing else runs; tests run beside others


def test_the_page_is_as_wide_as_a_phone(report_file, tmp_path):
    # Headless Chromium has windows of at least 500 pixels: a frame is as narrow as a phone.
    frame = tmp_path / "frame.html"
    frame.write_text(f'<body style="margin:0"><iframe src="{report_file.as_uri()}" width="400" height="3000"></iframe>')
    picture = tmp_path / "phone.png"
    browse(tmp_path, "--window-size=800,3000", f"--screenshot={picture}", frame.as_uri())
    assert imread(picture)[:, :400, :3].std() > 0.05
    dom = browse(tmp_path, "--window-size=500,1200", "--dump-dom", report_file.as_uri())
    assert 'data-wide="false"' in re.search(r"<html[^>]*>", dom).group()


def test_the_page_follows_the_readers_theme(report_file, tmp_path):
    pages = {}
    for theme, scheme in (("light", "1"), ("dark", "0")):
        picture = tmp_path / f"{theme}.png"
        options = ["--window-size=1440,1500", f"--blink-settings=preferredColorScheme={scheme}"]
        browse(tmp_path, *options, f"--screenshot={picture}", report_file.as_uri())
        pages[theme] = imread(picture)[..., :3]
    assert np.median(pages["light"]) > 0.9
    assert np.median(pages["dark"]) < 0.2


def test_the_report_prints(report_file, tmp_path):
    paper = tmp_path / "report.pdf"
    browse(tmp_path, f"--print-to-pdf={paper}", "--no-pdf-header-footer", report_file.as_uri())
    assert paper.read_bytes().startswith(b"%PDF") and paper.stat().st_size > 100_000


def test_an_empty_study_opens_without_an_error(tmp_path):
    path = tmp_path / "empty.html"
    study = replace(make_study(), arms=(), interpretations=(), pruned_dag=None, full_dag=None)
    path.write_text(write_report(study).page, encoding="utf-8")
    assert "no comparison" in browse(tmp_path, "--dump-dom", path.as_uri())


MARKUP = "<img src=x onerror=document.body.remove()>"


@pytest.fixture
def node_part(tmp_path):
    """The report of a study with three called nodes, one of which has a name that is markup and reads NFKB1."""
    study = make_study(n_hidden=140, n_genes=160)
    renamed = {"N002": MARKUP}
    edges = study.pruned_dag.edges[["parent", "child"]].replace(renamed)
    edges = pd.concat([edges, pd.DataFrame({"parent": [MARKUP], "child": ["G7_gene"]})]).drop_duplicates()
    weighed = study.interpretation("pruned")
    nodes = weighed.nodes.replace({"node": renamed}).sort_values("rank")
    weighed = replace(
        weighed,
        nodes=nodes.assign(called=nodes["node"].isin(["N000", "N001", MARKUP])),
        per_fold=weighed.per_fold.replace({"node": renamed}),
        genes=weighed.genes.replace({"gene": {"G7": "NFKB1"}}),
    )
    dag = Dag.from_edges(edges, outputs=["OUT"])
    arms = tuple(replace(arm, dag=dag) if arm.name == "pruned" else arm for arm in study.arms)
    interpretations = (study.interpretation("full"), weighed)
    path = tmp_path / "report.html"
    page = write_report(replace(study, arms=arms, interpretations=interpretations, pruned_dag=dag)).page
    path.write_text(page, encoding="utf-8")
    with Browser(tmp_path, height=900) as browser:
        browser.open(path.as_uri())
        browser.wait_for("document.readyState === 'complete' && typeof kpnn !== 'undefined'")
        yield browser


def test_nodes_and_genes_of_the_node_part_are_found_as_one_types(node_part):
    field, tree = (
        "document.querySelector('#nodes [role=search] input')",
        "document.querySelector('#figure-called_pruned_OUT')",
    )
    table = "document.querySelector('figure[data-searched=\"pruned, OUT\"]')"

    def press(key, **held):
        options = json.dumps({"key": key, "bubbles": True, **held})
        node_part.evaluate(f"{field}.dispatchEvent(new KeyboardEvent('keydown', {options}))")

    def typed(words):
        node_part.evaluate(f"{field}.value = {json.dumps(words)}; {field}.dispatchEvent(new Event('input'))")
        return said()

    def said():
        return node_part.evaluate("document.querySelector('#nodes [role=status]').textContent")

    def rows():
        shown = f"[...{table}.querySelectorAll('tbody tr')].filter((row) => getComputedStyle(row).display !== 'none')"
        return node_part.evaluate(f"{shown}.map((row) => row.cells[0].textContent)")

    def tinted():
        is_tinted = "(label) => label.querySelector('.bg').style.fillOpacity === '1'"
        labels = f"[...{tree}.querySelectorAll('.annotation')].filter({is_tinted})"
        return node_part.evaluate(f"{labels}.map((label) => label.textContent)")

    node_part.evaluate(f"{tree}.scrollIntoView()")
    node_part.wait_for(f"{tree}.querySelectorAll('.annotation').length")
    assert len(rows()) == 60 and tinted() == []
    assert typed("ONERROR") == "Found: 1 node" and rows() == [MARKUP]
    assert [MARKUP in text for text in tinted()] == [True]
    press("Enter")
    assert said() == f"1 of 1: {MARKUP} (pruned, OUT)"
    assert typed("fkb1") == "Found: 1 gene of called nodes" and MARKUP in rows()
    assert all("NFKB1" in text for text in tinted())
    typed("n00")
    seen = []
    for held in ({}, {}, {"shiftKey": True}):
        press("Enter", **held)
        seen.append(said())
    assert seen[0] == seen[2] and seen[0].startswith("1 of ") and seen[1].startswith("2 of ")
    assert re.search(r", \d+ nodes in rows that only the CSV holds$", typed("n"))
    assert typed("no such name").startswith("No node here") and rows() == [] and tinted() == []
    press("Enter")
    press("Escape")
    assert said() == "" and len(rows()) == 60 and node_part.evaluate(f"{field}.value") == ""
    assert node_part.evaluate("document.querySelectorAll('img').length") == 0
