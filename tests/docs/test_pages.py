"""The pages agree with each other and with the project: links, versions, figures, numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from answer_figure import figure
from called_figure import called_figure
from formulas import with_formulas
from gallery import SHOWN
from offline import problems_of
from pictures import MOST_BYTES
from plain_text import escaped

import kpnn
from kpnn.interpretation.summary import summarise_nodes

TAKEN = set().union(*SHOWN.values())
"""The gallery's pictures."""


def pages(root: Path) -> list[Path]:
    return [*sorted((root / "docs").glob("*.md")), *(root / f"{name}.md" for name in ("README", "CONTRIBUTING"))]


def prose(page: Path) -> str:
    """A page without its blocks of code, which hold brackets of their own."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as MkDocs and GitHub make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", one.lower()).strip()) for one in headings}


def test_links_between_pages_lead_to_files_and_headings_that_are_there(root: Path) -> None:
    dead = []
    for page in pages(root):
        for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            address, _, anchor = link.partition("#")
            if re.match(r"\w+:", link) or address.startswith("reference/"):
                continue  # elsewhere, or generated: the build of the site follows these
            if address in ("changelog.md", "contributing.md") and page.parent.name == "docs":
                continue  # the site's copies of the repository's own pages
            target = page if not address else (page.parent / address).resolve()
            if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
                dead.append(f"{page.name}: {link}")
    assert dead == []


def test_every_page_has_a_place_in_the_sites_menu(root: Path) -> None:
    class Loader(yaml.SafeLoader):
        """Reads mkdocs.yml, whose tags name Python objects."""

    def listed(entry: object) -> set[str]:
        if isinstance(entry, str):
            return {entry}
        parts = entry.values() if isinstance(entry, dict) else entry
        return {page for part in parts for page in listed(part)}

    menu = listed(yaml.load((root / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"])
    assert {page.name for page in (root / "docs").glob("*.md")} <= menu


def test_every_picture_of_the_gallery_is_shown_and_small(root: Path) -> None:
    pictures = {path.name: path.stat().st_size for path in (root / "docs" / "assets" / "gallery").glob("*.png")}
    page = (root / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert pictures.keys() == set(re.findall(r"assets/gallery/(\w+\.png)", page)) == {f"{name}.png" for name in TAKEN}
    assert max(pictures.values()) <= MOST_BYTES


def test_version_changelog_and_citation_are_of_one_release(root: Path) -> None:
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == kpnn.__version__
    newest = re.search(r"^## (\d\S*) - (\S+)$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest.groups() == (kpnn.__version__, citation["date-released"])


def test_the_figures_of_the_first_page_are_drawn_from_the_numbers_of_a_run(root: Path) -> None:
    assets = root / "docs" / "assets"
    numbers = json.loads((assets / "demo_run.json").read_text(encoding="utf-8"))
    assert (assets / "answer.svg").read_text(encoding="utf-8") == figure(numbers)
    assert (assets / "called.svg").read_text(encoding="utf-8") == called_figure(numbers)


def test_every_column_of_the_table_of_nodes_is_explained(root: Path) -> None:
    page = (root / "docs" / "reading_the_report.md").read_text(encoding="utf-8")
    explained = {
        name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    }
    described = re.findall(
        r"`(\w+)`", (summarise_nodes.__doc__ or "").partition("Returns:")[2].partition("Examples:")[0]
    )
    columns = {*described} - {"node", "output", "activity_test", "beside_rewired"}
    assert len(columns) > 35
    assert columns | {"optimal DAGs"} == explained


@pytest.mark.parametrize("page", ["README.md", "docs/get_started.md"])
def test_pages_quote_the_answer_of_the_run_that_the_figure_shows(root: Path, page: str) -> None:
    numbers = json.loads((root / "docs" / "assets" / "demo_run.json").read_text(encoding="utf-8"))
    text = " ".join((root / page).read_text(encoding="utf-8").split())
    assert numbers["sentence"] in text
    sizes = numbers["n_parameters"]
    assert f"{100 * (1 - sizes['pruned'] / sizes['full']):.2f} % fewer parameters" in text


def test_readmes_table_and_averages_of_controls_are_those_of_the_run(root: Path) -> None:
    numbers = json.loads((root / "docs" / "assets" / "demo_run.json").read_text(encoding="utf-8"))
    text = " ".join((root / "README.md").read_text(encoding="utf-8").split())
    scores = {(one["metric"], one["arm"]): (one["mean"], one["sd"]) for one in numbers["scores"]}
    for metric, name in (("roc_auc", "ROC-AUC"), ("average_precision", "average precision")):
        row = re.search(rf"{name} ([\d.]+) ± ([\d.]+) ([\d.]+) ± ([\d.]+)", text)
        assert row is not None
        expected = (*scores[metric, "full"], *scores[metric, "pruned"])
        assert [float(number) for number in row.groups()] == pytest.approx(expected, abs=0.0006)  # rounded twice
    controls = {}
    for one in numbers["controls"]:
        controls.setdefault(one["kind"], []).append(one["roc_auc"])
    for kind, words in (("rewired", "from rewired PKNs"), ("permuted_genes", "with shuffled genes")):
        assert f"{words} (ROC-AUC {np.mean(controls[kind]):.3f} on average)" in text
    assert f"logistic regression (ROC-AUC {controls['logistic'][0]:.3f})" in text
    edges = numbers["n_edges"]
    assert f"{100 * (1 - edges['pruned'] / edges['full']):.2f} % fewer edges" in text


def test_text_from_code_shows_as_it_is_and_its_code_as_code() -> None:
    shown = escaped("one of {a: 1}, <name> | *.csv;\n  `x | {y}` and a_b")
    assert shown == r"one of \{a: 1\}, &lt;name> &#124; \*.csv; `x | {y}` and a\_b"


def test_formulas_become_what_browsers_draw_by_themselves() -> None:
    page = r'<p>so <span class="arithmatex">\(x_v \ge 1 &amp; y\)</span></p><div class="arithmatex">\[a^2\]</div>'
    drawn = with_formulas(page)
    assert drawn.count("<math") == 2
    assert 'display="block"' in drawn
    assert "\\(" not in drawn


def test_a_site_is_not_whole_where_links_are_dead_or_something_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">x</a><a href="b.html#gone">x</a><a href="c.html">x</a><a href="https://x.org">x</a>'
        '<script src="https://cdn.org/x.js"></script><img src="no.png"><link rel="canonical" href="https://x.org/a">',
        encoding="utf-8",
    )
    (tmp_path / "b.html").write_text('<h1 id="here">x</h1><a href="#here">x</a>', encoding="utf-8")
    problems = problems_of(tmp_path)
    assert len(problems) == 4
    assert [any(part in one for one in problems) for part in ("#gone", "c.html leads", "cdn.org", "no.png")] == [
        True
    ] * 4
