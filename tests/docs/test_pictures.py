"""What tells two pictures of a page apart: every change that a reader would see, and none that he would not."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from gallery import ROWS_CHANGE_PLACES, SHOWN, left_over, stale
from matplotlib.figure import Figure
from pictures import Picture, differences
from PIL import Image, ImageFilter

from kedro_project import REPOSITORY

NAMES = sorted(set().union(*SHOWN.values()))
PART = 160
"""Width and height of what is taken out of a picture, in pixels."""


@pytest.fixture(scope="module")
def kept() -> dict[str, Picture]:
    """The gallery's pictures."""
    return {name: Picture.read(REPOSITORY / "docs" / "assets" / "gallery" / f"{name}.png") for name in NAMES}


def against(kept: Picture, name: str, image: Image.Image) -> list[str]:
    """What is different where the words are the same and the image is another one."""
    return differences(kept, replace(kept, image=image), name in ROWS_CHANGE_PLACES)


def paper(image: Image.Image) -> tuple[int, int, int]:
    """The colour that most of a picture has."""
    return max(image.getcolors(image.width * image.height))[1]


def turned(image: Image.Image, degrees: float) -> Image.Image:
    """The same in other hues."""
    hue, saturation, value = image.convert("HSV").split()
    hue = hue.point(lambda one: int(one + 256 * degrees / 360) % 256)
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def without_most_drawn_part(image: Image.Image, high: int = PART) -> Image.Image:
    """The same with a blank where most is drawn."""
    ink = np.abs(np.asarray(image, dtype=float) - paper(image)).sum(axis=2)
    sums = np.pad(ink.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    parts = sums[high:, PART:] - sums[:-high, PART:] - sums[high:, :-PART] + sums[:-high, :-PART]
    top, left = (int(one) for one in np.unravel_index(parts.argmax(), parts.shape))
    changed = image.copy()
    changed.paste(paper(image), (left, top, left + PART, top + high))
    return changed


def moved(image: Image.Image, right: int, down: int) -> Image.Image:
    """The same some pixels further right and down."""
    changed = image.copy()
    changed.paste(image, (right, down))
    return changed


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_the_same_where_another_machine_draws_it(name, kept):
    image = kept[name].image
    for other in (
        image,
        moved(image, 3, 2),
        image.filter(ImageFilter.GaussianBlur(0.4)),
        Image.blend(image, image.filter(ImageFilter.SHARPEN), 0.3),
    ):
        assert against(kept[name], name, other) == []


@pytest.mark.parametrize("name", NAMES)
def test_other_colours_a_missing_part_and_a_blank_page_are_found_by_what_is_drawn_alone(name, kept):
    image = kept[name].image
    for degrees in (60, 120, 180):
        assert any("other colours" in one for one in against(kept[name], name, turned(image, degrees)))
    assert any("other colours" in one for one in against(kept[name], name, image.convert("L").convert("RGB")))
    part = without_most_drawn_part(image, image.height if name in ROWS_CHANGE_PLACES else PART)
    assert any("something else" in one for one in against(kept[name], name, part))
    blank = Image.new("RGB", image.size, paper(image))
    assert any("something else" in one for one in against(kept[name], name, blank))


@pytest.mark.parametrize("name", NAMES)
def test_every_other_picture_in_its_place_is_found_by_what_is_drawn_alone(name, kept):
    size = kept[name].image.size
    for other in set(NAMES) - {name}:
        as_large = Image.new("RGB", size, paper(kept[other].image))
        as_large.paste(kept[other].image)
        assert against(kept[name], name, as_large) != [], other


@pytest.mark.parametrize("name", NAMES)
def test_every_word_that_is_gone_new_or_another_is_found(name, kept):
    assert len(kept[name].words) >= 4
    picture = replace(kept[name], image=Image.new("RGB", (64, 64)))
    for words in picture.words:
        others = {*picture.words} - {words}
        gone = differences(picture, replace(picture, words=tuple(sorted(others))))
        assert gone == [f"gone are the words {words!r}"]
        renamed = differences(picture, replace(picture, words=tuple(sorted({*others, words + " renamed"}))))
        assert renamed == [*gone, f"new are the words {words + ' renamed'!r}"]


def test_of_many_words_five_are_named(kept):
    picture = replace(kept["roc"], image=Image.new("RGB", (64, 64)), words=tuple("abcdefg"))
    assert differences(picture, replace(picture, words=())) == ["gone are the words 'a', 'b', 'c', 'd', 'e' and 2 more"]


def test_a_picture_of_another_size_is_found_and_a_line_more_in_its_caption_is_not(kept):
    image = kept["roc"].image
    wide, high = image.size
    for size, same in (((wide, high + 22), True), ((wide, high + 60), False), ((wide // 2, high), False)):
        other = Image.new("RGB", size, paper(image))
        other.paste(image)
        assert (against(kept["roc"], "roc", other) == []) == same


@dataclass(frozen=True)
class Drawn:
    """A figure of two curves, in ways in which it can be drawn."""

    rate: float = 20
    colours: tuple[str, str] = ("tab:blue", "tab:orange")
    legend: bool = True
    curves: int = 2
    right: float = 1.0
    scale: str = "linear"

    def picture(self) -> Picture:
        figure = Figure(figsize=(4.7, 5), dpi=100)
        axes = figure.add_subplot()
        x = np.linspace(0, 1, 101)
        for k, colour in enumerate(self.colours[: self.curves]):
            axes.plot(x, (1 - np.exp(-self.rate * x)) * (1 - 0.05 * k), color=colour, linewidth=2, label=f"arm {k}")
        axes.set(xlim=(0, self.right), ylim=(0.05, 1.05), yscale=self.scale)
        if self.legend:
            axes.legend(loc="center right")
        written = io.BytesIO()
        figure.savefig(written, format="png")
        return Picture.of(written.getvalue(), ())


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (Drawn(), True),
        (Drawn(rate=20.5), True),
        (Drawn(rate=5), False),
        (Drawn(colours=("tab:green", "tab:purple")), False),
        (Drawn(colours=("tab:orange", "tab:orange")), False),
        (Drawn(legend=False), False),
        (Drawn(curves=1), False),
        (Drawn(right=1.5), False),
        (Drawn(scale="log"), False),
    ],
    ids=repr,
)
def test_of_curves_other_places_colours_axes_and_a_legend_that_is_gone_are_found_and_third_decimals_are_not(
    changed, same
):
    assert (differences(Drawn().picture(), changed.picture()) == []) == same


def rows(order: list[int], draw: Callable[[int], int] = lambda k: 380 // (k + 1)) -> Picture:
    """A figure of bars, one a row."""
    pixels = np.full((500, 472, 3), 255, dtype=np.uint8)
    for row, k in enumerate(order):
        pixels[20 + 40 * row : 50 + 40 * row, 60 : 60 + draw(k)] = (0, 114, 178)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "png")
    return Picture.of(written.getvalue(), ())


def test_rows_that_change_places_count_only_where_their_order_means_something():
    kept, mixed = rows([0, 1, 2, 3, 4, 5]), rows([0, 5, 2, 1, 4, 3])
    assert differences(kept, mixed) != []
    assert differences(kept, mixed, rows_change_places=True) == []
    assert differences(kept, rows([0, 1, 2, 3, 4, 5], lambda k: 380), rows_change_places=True) != []


def test_what_differs_from_run_to_run_is_no_word_of_a_picture():
    shown = [
        "Comparing 2 Runs from 1 Experiment",
        "0e8993ea1fcb415faf32b5b61feb",
        "TF01",
        "GENE12 ▲ GENE3 ▼",
        "−0.5",
        "full, ROC-AUC 0.972",
        "  in each fold\n (1: the heaviest)",
    ]
    assert Picture.of(png_of(Image.new("RGB", (9, 9))), shown).words == (
        "Comparing # Runs from # Experiment",
        "full, ROC-AUC #",
        "in each fold (#: the heaviest)",
    )


def png_of(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "png")
    return written.getvalue()


def test_a_gallery_is_told_what_it_lacks_what_is_stale_and_what_nothing_takes(kept, tmp_path):
    for name in ("roc", "folds"):
        kept[name].write(tmp_path / f"{name}.png")
    kept["roc"].write(tmp_path / "forgotten.png")
    assert Picture.read(tmp_path / "roc.png").words == kept["roc"].words
    today = {"roc": kept["roc"], "folds": kept["scores"], "sizes": kept["sizes"]}
    found = stale(tmp_path, today)
    assert found.keys() == {"folds", "sizes"}
    assert found["sizes"] == ["it is missing"]
    assert any("'Scores with intervals'" in one for one in found["folds"])
    assert [path.name for path in left_over(tmp_path)] == ["forgotten.png"]
