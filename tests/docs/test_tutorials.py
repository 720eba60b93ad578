"""Notebooks and their pages are one; the notebooks themselves are executed by `make tutorials`."""

from __future__ import annotations

import base64
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from tutorials import (
    NEEDS_A_STUDY,
    NEEDS_DATA,
    NOTEBOOKS,
    PAGES,
    code_and_prose,
    differences,
    outputs_of,
    page_of,
    run_through,
    stems,
)

FIGURE = base64.b64encode(b"not really a figure").decode()
TABLE = (
    '<div>\n<style scoped>\n td {}\n</style>\n<table border="1" class="dataframe">\n'
    '  <tr style="a">\n<td>1</td></tr>\n</table>\n</div>'
)


@pytest.mark.parametrize("stem", stems())
def test_a_page_shows_the_notebook_as_it_is(stem: str) -> None:
    notebook = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4)
    page = (PAGES / f"{stem}.md").read_text(encoding="utf-8")
    assert code_and_prose(page) == page_of(notebook, stem).text
    assert page != code_and_prose(page), "the page has no outputs: make tutorials"


def test_every_notebook_has_a_page_or_a_reason_and_every_figure_is_shown(root: Path) -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(stems())
    assert set(NEEDS_DATA) <= set(stems())
    assert all((NOTEBOOKS / f"{stem}.ipynb").is_file() for stem in NEEDS_A_STUDY)
    shown = "".join(path.read_text(encoding="utf-8") for path in PAGES.glob("*.md"))
    assert [path.name for path in PAGES.glob("*.png") if f"]({path.name})" not in shown] == []


def notebook_that_gave(*, text: str, exact: bool = False, table: bool = True):
    code = new_code_cell("code()", metadata={"tags": ["same"]} if exact else {})
    code.outputs = [new_output("stream", name="stdout", text=text), new_output("stream", name="stderr", text="a log")]
    more = new_code_cell("more()")
    more.outputs = [new_output("execute_result", data={"text/html": TABLE, "text/plain": "1"})] if table else []
    more.outputs.append(new_output("display_data", data={"image/png": FIGURE, "text/plain": "<Figure>"}))
    return new_notebook(cells=[new_markdown_cell("# Title"), code, new_markdown_cell("Prose."), more])


def test_outputs_stand_below_the_code_that_gave_them() -> None:
    page = page_of(notebook_that_gave(text="it says 7\n"), "a")
    assert "```python\ncode()\n```\n\n```text\nit says 7\n```\n\nProse." in page.text
    assert "```python\nmore()\n```\n\n<table><tr><td>1</td></tr></table>\n\n![" in page.text
    assert "a log" not in page.text
    assert page.figures == {"a_1.png": b"not really a figure"}
    assert "7" not in code_and_prose(page.text) and "<table>" not in code_and_prose(page.text)


def test_what_a_slow_cell_prints_is_one_output(tmp_path: Path) -> None:
    cell = new_code_cell("import time\nprint('one', flush=True)\ntime.sleep(1)\nprint('two')")
    notebook = new_notebook(cells=[new_markdown_cell("# Title"), cell])
    run_through(notebook, tmp_path)
    assert list(outputs_of(cell)) == [("text", "one\ntwo")]


def test_a_page_that_is_out_of_date_is_found() -> None:
    page = page_of(notebook_that_gave(text="7 nodes", exact=True), "a").text
    assert differences(notebook_that_gave(text="7 nodes", exact=True), page, "a") == []
    assert differences(notebook_that_gave(text="8 nodes"), page, "a") == []  # numbers of training may differ
    assert differences(notebook_that_gave(text="8 nodes", exact=True), page, "a") == [
        "a: the page does not show: 8 nodes"
    ]
    [problem] = differences(notebook_that_gave(text="7 nodes", table=False), page, "a")
    assert "other kinds of things" in problem
    [problem] = differences(notebook_that_gave(text="7 nodes"), page.replace("Prose", "Verse"), "a")
    assert "not the one of the page" in problem
