"""The gallery's pictures are what the pages of a run of the demo show today; `--write-gallery` makes them so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from gallery import SHOWN, TAKERS, left_over, stale

from browser import CHROMIUM, WITHOUT
from kedro_project import REPOSITORY, make
from kpnn.app.project import lay_down_project

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT),
    pytest.mark.skipif(shutil.which("make") is None, reason="needs make"),
    pytest.mark.targets,
]

GALLERY = REPOSITORY / "docs" / "assets" / "gallery"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project in which the demo was run."""
    root = tmp_path_factory.mktemp("gallery")
    lay_down_project(root)
    make(root, "demo")
    return root


@pytest.fixture
def writing(request: pytest.FixtureRequest) -> bool:
    return request.config.getoption("--write-gallery")


@pytest.mark.parametrize("place", TAKERS)
def test_the_gallery_shows_what_the_demo_shows_today(place, demo, writing, tmp_path, capsys):
    taken = TAKERS[place](demo)
    assert taken.keys() == SHOWN[place]
    found = stale(GALLERY, taken)
    for name in found:
        taken[name].write((GALLERY if writing else tmp_path) / f"{name}.png")
    said = "".join(f"\n{name}.png: {'; '.join(why)}" for name, why in found.items())
    if writing:
        with capsys.disabled():
            print(said)
        assert stale(GALLERY, taken) == {}
    else:
        assert not found, f"`make gallery` writes anew what is stale. The pictures of today lie in {tmp_path}.{said}"


def test_the_gallery_has_no_picture_that_nothing_takes(writing):
    if writing:
        for path in left_over(GALLERY):
            path.unlink()
    assert left_over(GALLERY) == []
