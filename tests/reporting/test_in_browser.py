"""The report in a real browser: drawn, themed, wide and narrow, printed, searched, without an error."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fabricated import make_study
from matplotlib.image import imread

from browser import CHROMIUM, WITHOUT, Browser
from kpnn.pkn import Dag
from kpnn.reporting import write_report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT)

# What goes wrong in a page is written into it, where a test can read it.
SPY = "<script>window.onerror = (message) => { document.documentElement.dataset.error = message; };</script>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser"), height=900) as window:
        yield window


def open_page(browser, page, folder):
    """Opens a report as a reader whose system is light, at a desk."""
    path = folder / "report.html"
    path.write_text(page.replace("<head>", "<head>" + SPY, 1), encoding="utf-8")
    browser.prefer("light")
    browser.resize(1440, 900)
    browser.open(path.as_uri())
    is_this = f"location.href === {json.dumps(path.as_uri())}"
    browser.wait_for(f"{is_this} && document.readyState === 'complete' && typeof kpnn === 'object'")


@pytest.fixture(scope="module")
def report_page():
    study = make_study(n_hidden=300, n_genes=3000)
    place = np.random.default_rng(0).normal(size=(200, 2))
    names = [f"cell{number}" for number in range(200)]
    return write_report(replace(study, coordinates=pd.DataFrame(place, names, ["umap 1", "umap 2"]))).page


@pytest.fixture(scope="module")
def report(browser, report_page, tmp_path_factory):
    """The window with a large study's report, of which every figure has been looked at."""
    open_page(browser, report_page, tmp_path_factory.mktemp("page"))
    drawn_at_once = browser.evaluate("document.querySelectorAll('.plot-container').length")
    browser.evaluate("kpnn.drawAll().then(() => { document.documentElement.dataset.drawn = 'yes'; })")
    browser.wait_for("document.documentElement.dataset.drawn === 'yes'", seconds=300)
    return browser, drawn_at_once


def shades(browser):
    return imread(io.BytesIO(browser.picture()))[..., :3]


def test_every_figure_is_drawn_without_an_error_and_only_when_it_comes_into_view(report):
    browser, drawn_at_once = report
    browser.evaluate("document.querySelector('#figure-network button').click()")
    assert browser.evaluate("document.documentElement.dataset.error") is None
    n_figures = browser.evaluate("document.querySelectorAll('.canvas').length")
    assert n_figures > 10
    assert browser.evaluate("document.querySelectorAll('.canvas .plot-container').length") == n_figures
    assert drawn_at_once < n_figures / 2  # a page of many figures answers at once, however slow the machine
    labels = "[...document.querySelectorAll('#figure-network text')].map((one) => one.textContent)"
    drawn = {label for label in browser.evaluate(labels) if re.fullmatch(r"OUT|N\d{3}", label)}
    assert len(drawn) == 151 + 150  # the selected DAG's neurons, and what was pruned away, each once


def test_the_page_is_as_wide_as_a_phone(report):
    browser, _ = report
    try:
        browser.resize(400, 900)
        assert browser.evaluate("document.documentElement.scrollWidth") <= 400
        assert shades(browser).std() > 0.05
    finally:
        browser.resize(1440, 900)


def test_the_page_follows_the_readers_theme(report):
    browser, _ = report
    browser.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
    assert np.median(shades(browser)) > 0.9
    try:
        browser.prefer("dark")
        browser.wait_for("kpnn.isDark()")
        assert np.median(shades(browser)) < 0.2
    finally:
        browser.prefer("light")


def test_the_report_prints(report):
    browser, _ = report
    paper = browser.paper()
    assert paper.startswith(b"%PDF") and len(paper) > 100_000


def test_an_empty_study_opens_without_an_error(browser, tmp_path):
    study = replace(make_study(), arms=(), interpretations=(), pruned_dag=None, full_dag=None)
    open_page(browser, write_report(study).page, tmp_path)
    assert "no comparison" in browser.evaluate("document.body.innerText")
    assert browser.evaluate("document.documentElement.dataset.error") is None


MARKUP = "<img src=x onerror=document.body.remove()>"


@pytest.fixture
def node_part(browser, tmp_path):
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
    page = write_report(replace(study, arms=arms, interpretations=interpretations, pruned_dag=dag)).page
    open_page(browser, page, tmp_path)
    return browser


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
    node_part.prefer("light", "print")
    assert len(rows()) == 20 and not node_part.evaluate(f"{field}.offsetParent")  # paper has the table's first rows
    node_part.prefer("light")
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
