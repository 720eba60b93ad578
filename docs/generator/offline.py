"""What the built site must be: every link leads somewhere, and opening a page fetches nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
_NOT_FETCHED = {"canonical", "prev", "next", "alternate"}


@dataclass
class _Page(HTMLParser):
    """The links, anchors and fetched files of a page."""

    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    fetched: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what a tag names."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in _FETCHED and _FETCHED[tag] in values and not _NOT_FETCHED & set(values.get("rel", "").split()):
            self.fetched.append(values[_FETCHED[tag]])


def problems_of(site: Path) -> list[str]:
    """Everything that is wrong with a built site, one line each.

    Args:
        site: folder of the HTML files.
    """
    pages = {}
    for path in sorted(site.rglob("*.html")):
        pages[path] = _Page()
        pages[path].feed(path.read_text(encoding="utf-8"))
    # The page for wrong addresses is served from any of them, so its links start from the site's own.
    return [
        f"{path.relative_to(site)}: {one}"
        for path, page in pages.items()
        if path.name != "404.html"
        for one in _problems(path, page, pages)
    ]


def _problems(path: Path, page: _Page, pages: dict[Path, _Page]) -> Iterator[str]:
    for address in page.fetched:
        if urlsplit(address).scheme in ("http", "https") or address.startswith("//"):
            yield f"fetches {address}"
        elif not _target(path, address).is_file():
            yield f"{address} does not exist"
    for link in page.links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = _target(path, parts.path) if parts.path else path
        if not target.is_file():
            yield f"{link} leads nowhere"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
            yield f"{link} names an anchor that does not exist"


def _target(path: Path, address: str) -> Path:
    target = (path.parent / unquote(urlsplit(address).path)).resolve()
    return target / "index.html" if target.is_dir() else target
