"""MkDocs asks these functions as it builds: they add the generated pages, draw formulas, and check the result."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from api_pages import ROOMS, api_page, errors_page
from catalog_pages import catalog_page
from command_pages import commands_page
from formulas import with_formulas
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from offline import problems_of
from parameter_pages import parameters_page

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made from code, configuration and the repository's own files."""
    pages = {
        "reference/parameters.md": parameters_page(ROOT / "conf" / "base"),
        "reference/files.md": catalog_page(ROOT / "conf" / "base" / "catalog.yml"),
        "reference/commands.md": commands_page(),
        "reference/errors.md": errors_page(ROOT / "src" / "kpnn"),
        "changelog.md": _own_page("CHANGELOG.md"),
        "contributing.md": _own_page("CONTRIBUTING.md"),
    }
    pages |= {f"reference/{room}.md": api_page(room) for room in ROOMS}
    for address, text in pages.items():
        files.append(File.generated(config, address, content=text))
    return files


def on_page_content(html: str, page: Page, **_: object) -> str:
    """Draws a page's formulas, keeps names in tables whole, and tells the style sheet which page it is."""
    in_cells = re.sub(r"<td.*?</td>", lambda cell: _with_whole_names(cell[0]), with_formulas(html), flags=re.DOTALL)
    return f'<div class="page-{Path(page.url).stem}">{in_cells}</div>'


def _with_whole_names(cell: str) -> str:
    """A cell of a table in which names stay whole, paths may break after slashes, and commands between words."""
    return re.sub(r"<code>([^<]*)</code>", lambda code: _code(code[1]), cell)


def _code(text: str) -> str:
    if re.search(r"[\s/]", text):
        return f"<code>{re.sub(r'(?<=[^/])/(?=[^/])', '/<wbr>', text)}</code>"
    return f'<code class="whole">{text}</code>'


def on_post_build(config: MkDocsConfig) -> None:
    """Ends the build where a link leads nowhere or a page would fetch something."""
    problems = problems_of(Path(config.site_dir).resolve())
    if problems:
        raise PluginError("\n  ".join(["the site is not whole:", *problems]))


def _own_page(name: str) -> str:
    """A page of the repository's root, with the links that lead into docs/ as they are on the site."""
    return re.sub(r"\]\(docs/", "](", (ROOT / name).read_text(encoding="utf-8"))
