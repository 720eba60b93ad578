"""Looks at the built site as readers do: on a desk and on a telephone, light and dark, and searches it.

`make docs` ends with it, where Chromium is installed. Nothing may stick out of a page, no name in a table be broken
inside, every picture must show in a size that can be read, a dark page must be dark, and the search, opened from disk,
must find.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from browser import CHROMIUM, WITHOUT, Browser  # noqa: E402 - the tests' browser

WIDTHS = {1440: 900, 400: 800}
"""Width of a window -> its height, in pixels: a desk, a telephone."""
LEAST_LETTER = 8.0
"""Pixels of the smallest letter of a drawing, as it is shown."""
LEAST_PICTURE = 280
"""Pixels that a picture is wide at least, unless it has fewer."""
SEARCHED = "compression"
"""A word of several pages."""

_LOOK = """(() => {
  const found = [], width = document.documentElement.clientWidth;
  const scrolls = (one) => one && one !== document.body
    && (["auto", "scroll", "hidden"].includes(getComputedStyle(one).overflowX) || scrolls(one.parentElement));
  if (document.documentElement.scrollWidth > width) {
    const wide = [...document.querySelectorAll("body *")].find(
      (one) => one.getBoundingClientRect().right > width + 1 && !scrolls(one.parentElement));
    found.push(`something sticks out: ${wide ? wide.outerHTML.slice(0, 80) : "?"}`);
  }
  const broken = [...document.querySelectorAll("main td code")].find(
    (one) => !/[\\s\\/]/.test(one.textContent) && one.getClientRects().length > 1);
  if (broken) found.push(`a name is broken inside: ${broken.textContent}`);
  const pictures = [...document.querySelectorAll("main img")].map(
    (one) => [one.src, one.clientWidth, one.naturalWidth]);
  const shade = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).slice(0, 3).map(Number);
  return { found, pictures, lightness: Math.max(...shade) / 255 };
})()"""


def faults_of(site: Path, browser: Browser) -> Iterator[str]:
    """What a reader would stumble over, one line each.

    Args:
        site: folder of the HTML files.
        browser: an open window.
    """
    # The page for wrong addresses finds its styles on a server only.
    for path in sorted(path for path in site.rglob("*.html") if path.name != "404.html"):
        for one in _faults(path, browser):
            yield f"{path.relative_to(site)}, {one}"


def finds(site: Path, browser: Browser, seconds: float = 30) -> bool:
    """Whether the search of the first page, opened from disk, finds a word that stands on several pages.

    Args:
        site: folder of the HTML files.
        browser: an open window.
        seconds: how long it may take.
    """
    _open(site / "index.html", browser)
    field = "document.querySelector('.md-search__input')"
    browser.evaluate(f"{field}.focus(); {field}.value = {SEARCHED!r}")
    browser.evaluate(f"{field}.dispatchEvent(new Event('keyup', {{bubbles: true}}))")
    try:
        browser.wait_for("document.querySelectorAll('.md-search-result__item').length > 1", seconds)
    except TimeoutError:
        return False
    return True


def _faults(path: Path, browser: Browser) -> Iterator[str]:
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        for width, height in WIDTHS.items():
            browser.resize(width, height)
            if scheme == "light" and width == next(iter(WIDTHS)):
                _open(path, browser)
            seen = _settled(browser)
            where = f"{width} pixels wide, {scheme}"
            yield from (f"{where}: {one}" for one in seen["found"])
            if (seen["lightness"] < 0.5) != (scheme == "dark"):
                yield f"{where}: the page is not {scheme}"
            yield from (f"{where}: {one}" for one in _illegible(seen["pictures"]) if scheme == "light")


def _settled(browser: Browser) -> dict[str, Any]:
    """What is seen after what slides into its place, or changes colour, has done so."""
    seen = None
    for _ in range(10):
        before, seen = seen, browser.evaluate(_LOOK)
        if seen == before:
            break
        time.sleep(0.1)
    return seen


def _illegible(pictures: list[tuple[str, float, float]]) -> Iterator[str]:
    """Pictures that do not show, or too small: source, width as it is shown, width of its own."""
    for source, shown, own in pictures:
        name = source.rpartition("/")[2]
        if not own:
            yield f"{name} does not show"
        elif shown < min(own, LEAST_PICTURE):
            yield f"{name} is {shown:g} pixels wide"
        elif source.startswith("file:") and name.endswith(".svg"):
            drawing = Path(source.removeprefix("file://")).read_text(encoding="utf-8")
            letter = min(map(float, re.findall(r"font-size[=:]\s*\"?([\d.]+)", drawing)), default=LEAST_LETTER)
            if letter * shown / own < LEAST_LETTER:
                yield f"letters of {name} are {letter * shown / own:.1f} pixels high"


def _open(path: Path, browser: Browser) -> None:
    browser.open(path.resolve().as_uri())
    browser.wait_for(f"document.readyState === 'complete' && location.href.endsWith({path.name!r})")


def main() -> None:
    """Looks at `site/`, and ends with 1 where a reader would stumble."""
    if CHROMIUM is None:
        print(f"  The pages were not looked at: {WITHOUT}")
        return
    site = ROOT / "site"
    folder = Path(tempfile.mkdtemp())
    try:
        with Browser(folder) as browser:
            faults = list(faults_of(site, browser))
            if not finds(site, browser):
                faults.append(f"index.html: the search does not find {SEARCHED!r}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if faults:
        sys.exit("\n  ".join(["the pages are not fit to be read:", *faults]))
    print(f"  Every page was looked at, {' and '.join(map(str, WIDTHS))} pixels wide, light and dark")


if __name__ == "__main__":
    main()
