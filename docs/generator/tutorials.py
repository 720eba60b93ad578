"""Notebooks as pages with their outputs.

`make tutorials` executes them and writes `docs/tutorials/` anew, to be committed, so that the site is built without
them. With `--check`, as in continuous integration, nothing is written: every notebook must run, give outputs of the
kinds that its page shows, and where a cell is tagged `same` the very same text. Training differs from machine to
machine in its last digits, so other numbers are not compared.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS, PAGES = ROOT / "notebooks", ROOT / "docs" / "tutorials"
NEEDS_A_STUDY = ("01_compare_arms",)
"""Notebooks that go on from a finished demo; tests execute these after a small one."""
NEEDS_DATA = {"04_interferon": "kang/expression.h5ad"}
"""Files that are not the project's to ship, below `KPNN_DATA`."""
MOST_BYTES_OF_A_FIGURE = 150_000
SAME = "same"


@dataclass
class Page:
    """A notebook as Markdown.

    Attributes:
        text: the page.
        figures: file name -> PNG.
    """

    text: str
    figures: dict[str, bytes] = field(default_factory=dict)


def stems() -> list[str]:
    """The notebooks that have a page."""
    return sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def page_of(notebook: Any, stem: str) -> Page:
    """Renders a notebook.

    Args:
        notebook: as nbformat reads it, executed or not.
        stem: its file's name without the suffix.
    """
    page = Page("")
    parts: list[str] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source.replace("](../docs/", "](../"))  # pages lie one folder deeper
            if len(parts) == 1:
                parts.append(f"*`notebooks/{stem}.ipynb`, with the outputs of its last execution by `make tutorials`.*")
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for kind, content in outputs_of(cell):
            if kind == "figure":
                name = f"{stem}_{len(page.figures) + 1}.png"
                page.figures[name] = base64.b64decode(content)
                parts.append(f"![What the cell above draws]({name})")
            else:
                parts.append(content if kind == "table" else f"```text\n{content}\n```")
    page.text = "\n\n".join(parts) + "\n"
    return page


def outputs_of(cell: Any) -> Iterator[tuple[str, str]]:
    """What a code cell gave: `text`, `table` (HTML) or `figure` (PNG, base64), in order.

    Args:
        cell: of an executed notebook. What goes to the error stream, progress and logs, is left out.
    """
    for output in cell.outputs:
        data = output.get("data", {})
        if output.output_type == "stream":
            if output.name == "stdout":
                yield "text", output.text.rstrip()
        elif "image/png" in data:
            yield "figure", data["image/png"]
        elif "<table" in data.get("text/html", ""):
            yield "table", _plain_table(data["text/html"])
        elif "text/plain" in data:
            yield "text", data["text/plain"].rstrip()


def _plain_table(html: str) -> str:
    """A table without pandas' own style, on one line: the site styles it, and Markdown takes it for what it is."""
    table = html[html.index("<table") : html.index("</table>") + len("</table>")]
    table = re.sub(r"<table[^>]*>", "<table>", table)
    return re.sub(r"\s*\n\s*", "", re.sub(r' style="[^"]*"', "", table))


def code_and_prose(page: str) -> str:
    """A page without what was put out: what must agree with the notebook as it is kept.

    Args:
        page: Markdown.
    """
    without = re.sub(r"\n\n```text\n.*?\n```(?=\n)", "", page, flags=re.DOTALL)
    without = re.sub(r"\n\n<table>.*?</table>(?=\n)", "", without)
    return re.sub(r"\n\n!\[What the cell above draws\]\(.*?\)(?=\n)", "", without)


def outputs_shown(page: str) -> list[tuple[str, str]]:
    """Kind and content of each output of a page, in order.

    Args:
        page: Markdown.
    """
    pattern = r"\n\n(?:```text\n(.*?)\n```|(<table>.*?</table>)|!\[What the cell above draws\]\((.*?)\))(?=\n)"
    found = re.findall(pattern, page, flags=re.DOTALL)
    return [("text", text) if text else ("table", table) if table else ("figure", name) for text, table, name in found]


def executed(stem: str, folder: Path) -> Any:
    """A notebook after it ran from top to bottom; raises what a cell raised.

    Args:
        stem: its file's name without the suffix.
        folder: where it runs.
    """
    notebook = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4)
    run_through(notebook, folder)
    return notebook


def run_through(notebook: Any, folder: Path) -> None:
    """Executes a notebook in place; raises what a cell raised.

    Args:
        notebook: as it is kept.
        folder: where it runs.
    """
    from nbclient import NotebookClient

    # A kernel sends what a slow cell prints in as many pieces as it took fifths of a second: they are one output.
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=900, resources=resources, coalesce_streams=True).execute()


def missing(stem: str, project: Path, data: Path) -> Path | None:
    """What a notebook needs and is not there; None where nothing is.

    Args:
        stem: its file's name without the suffix.
        project: in which the demo may have run.
        data: where files lie that are not the project's to ship.
    """
    needed = data / NEEDS_DATA[stem] if stem in NEEDS_DATA else project
    if stem in NEEDS_A_STUDY:
        needed = project / "data" / "08_reporting" / "demo" / "comparison_test.json"
    return None if needed.exists() else needed


def differences(notebook: Any, page: str, stem: str) -> list[str]:
    """What an executed notebook gives otherwise than its page shows.

    Args:
        notebook: executed.
        page: Markdown, as it is kept.
        stem: the notebook's name.
    """
    fresh, shown = page_of(notebook, stem), outputs_shown(page)
    given = outputs_shown(fresh.text)
    problems = []
    if code_and_prose(fresh.text) != code_and_prose(page):
        problems.append("the notebook is not the one of the page")
    if [kind for kind, _ in given] != [kind for kind, _ in shown]:
        problems.append("its cells put out other kinds of things than the page shows")
    exact = [content for cell in notebook.cells if _is_exact(cell) for _, content in outputs_of(cell)]
    problems += [f"the page does not show: {content}" for content in exact if content not in page]
    return [f"{stem}: {one}" for one in problems]


def _is_exact(cell: Any) -> bool:
    return cell.cell_type == "code" and SAME in cell.metadata.get("tags", ())


def _write(page: Page, stem: str) -> None:
    PAGES.mkdir(exist_ok=True)
    for old in PAGES.glob(f"{stem}_*.png"):
        old.unlink()
    for name, figure in page.figures.items():
        if len(figure) > MOST_BYTES_OF_A_FIGURE:
            sys.exit(f"{name} has {len(figure)} bytes, more than {MOST_BYTES_OF_A_FIGURE}: draw it smaller")
        (PAGES / name).write_bytes(figure)
    (PAGES / f"{stem}.md").write_text(page.text, encoding="utf-8")


def main() -> None:
    """Executes the notebooks, and writes their pages or compares with them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stems", nargs="*", metavar="NOTEBOOK", help="without .ipynb; by default all")
    parser.add_argument("--project", type=Path, default=ROOT, help="whose demo has run")
    parser.add_argument("--check", action="store_true", help="write nothing, end with 1 where a page is out of date")
    options = parser.parse_args()
    data = Path(os.environ.setdefault("KPNN_DATA", str(ROOT.parent / "shared" / "data")))
    problems: list[str] = []
    for stem in options.stems or stems():
        absent = missing(stem, options.project, data)
        if absent is not None:
            print(f"{stem}: left out, {absent} is not there")
            continue
        notebook = executed(stem, options.project.resolve() if stem in NEEDS_A_STUDY else NOTEBOOKS)
        if options.check:
            problems += differences(notebook, (PAGES / f"{stem}.md").read_text(encoding="utf-8"), stem)
        else:
            _write(page_of(notebook, stem), stem)
        print(f"{stem}: executed")
    if problems:
        sys.exit("\n".join([*problems, "make tutorials writes the pages anew"]))


if __name__ == "__main__":
    main()
