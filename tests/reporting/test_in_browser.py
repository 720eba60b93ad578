"""The report in a real browser: drawn, themed, wide and narrow, without an error."""

from __future__ import annotations

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
