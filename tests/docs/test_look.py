"""What the look at the built site finds, in pages that are made to be stumbled over."""

from __future__ import annotations

from pathlib import Path

import pytest
from look import faults_of, finds
from PIL import Image

from browser import CHROMIUM, WITHOUT, Browser

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT)

STYLE = "<style>body { background: #fff } @media (prefers-color-scheme: dark) { body { background: #111 } }</style>"
PAGES = {
    "good": STYLE + "<main><p>short</p><div style='overflow-x: auto'><p style='width: 3000px'>scrolls</p></div></main>",
    "wide": STYLE + "<main><p>short</p><pre style='width: 700px'>sticks out</pre></main>",
    "broken": STYLE
    + "<main><table><td style='max-width: 50px'><code style='overflow-wrap: anywhere'>a_long_name_of_one"
    "</code><td><code>data/and/<wbr>path</code></table></main>",
    "white": "<body style='background: #fff'><main>text</main>",
    "pictures": STYLE + "<main><img src='gone.png'><img src='large.png' style='width: 100px'>"
    "<img src='letters.svg' style='width: 300px'></main>",
    "index": STYLE + "<main><input class='md-search__input'></main>",
}


def test_pages_that_stick_out_do_not_follow_the_theme_break_names_or_show_no_picture_are_named(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    for name, body in PAGES.items():
        (site / f"{name}.html").write_text(f"<!DOCTYPE html><meta charset='utf-8'>{body}", encoding="utf-8")
    Image.new("RGB", (600, 20)).save(site / "large.png")
    (site / "letters.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="900" height="20"><text y="15" font-size="12">x</text></svg>',
        encoding="utf-8",
    )
    with Browser(tmp_path) as browser:
        faults = list(faults_of(site, browser))
        assert not finds(site, browser, seconds=1)
    of_page = {name: [one for one in faults if one.startswith(f"{name}.html")] for name in PAGES}
    assert of_page["good"] == of_page["index"] == []
    assert [one.split(":")[0] for one in of_page["wide"]] == [
        "wide.html, 400 pixels wide, light",
        "wide.html, 400 pixels wide, dark",
    ]
    assert "<pre" in of_page["wide"][0]
    assert len(of_page["broken"]) == 4 and all(
        "a name is broken inside: a_long_name" in one for one in of_page["broken"]
    )
    assert len(of_page["white"]) == 2 and all(one.endswith("dark: the page is not dark") for one in of_page["white"])
    for words in ("gone.png does not show", "large.png is 100 pixels wide", "letters of letters.svg are 4.0 pixels"):
        assert sum(words in one for one in of_page["pictures"]) == 2  # at both widths
