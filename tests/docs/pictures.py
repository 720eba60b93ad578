"""Pictures of pages, with the words that stand in them, and what tells two of them apart."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin
from scipy.ndimage import gaussian_filter1d, maximum_filter, minimum_filter, uniform_filter

MOST_BYTES = 120_000
"""Of a picture's file."""
COLOURS = {"colors": 256, "kmeans": 1}
"""What a file keeps: with the means, small marks keep their colours beside large shades."""
MOST_PIXELS = 30
"""By which width or height may differ: a line of a caption."""
CELL, NEAR, WINDOW = 8, 2, 7
"""Pixels of a cell, cells that count as near, cells of a window: of `shape_difference`."""
MOST_SHAPE, MOST_ROWS, MOST_COLOUR = 10.0, 4.0, 0.35
"""Of `shape_difference`, of the same where rows change places, of `colour_difference`.

Measured on the demo: the same run taken twice 0, 0 and 0; on another processor 0.6, 0.2 and 0.02; from another seed of
training 8.6, 2.2 and 0.11. A legend that is gone and an axis a third longer mostly give 10 to 90 (rows: 5 to 70). Where
a curve that is gone does not, its hue is gone (0.4 to 1.1), as all are where colours turn by 30 degrees (0.7 to 1.1).
"""
LEAST_CHROMA = 0.25
"""Of what counts as coloured, from 0 (grey) to 1 (a pure colour)."""


@dataclass(frozen=True)
class Picture:
    """What a page shows.

    Attributes:
        image: RGB.
        words: what stands in it, sorted, as `masked` leaves it.
    """

    image: Image.Image
    words: tuple[str, ...]

    @classmethod
    def of(cls, png: bytes, texts: Iterable[str]) -> Picture:
        """From a browser's picture and the texts that it shows, in as few colours as a file keeps."""
        image = Image.open(io.BytesIO(png)).convert("RGB").quantize(**COLOURS).convert("RGB")
        return cls(image, tuple(sorted({*masked(texts)})))

    @classmethod
    def read(cls, path: Path) -> Picture:
        """From a file that `write` wrote: its words stand within."""
        with Image.open(path) as image:
            words = str(image.info.get("Description", ""))
            return cls(image.convert("RGB"), tuple(words.splitlines()))

    def write(self, path: Path) -> None:
        """Writes PNG, with the words as its description."""
        described = PngImagePlugin.PngInfo()
        described.add_itxt("Description", "\n".join(self.words), zip=True)
        self.image.quantize(**COLOURS).save(path, optimize=True, pnginfo=described)


def masked(texts: Iterable[str]) -> Iterator[str]:
    """Texts without what differs from run to run: whatever holds a digit (numbers, ids, names of genes), and arrows."""
    for text in texts:
        words = " ".join(re.sub(r"[\w.,+−-]*\d[\w.,+−-]*\w|[\w+−-]*\d|[▲▼]", "#", text).split())
        words = re.sub(r"#(?: #)+", "#", words)
        if re.search(r"[^\W_]", words):
            yield words


def differences(kept: Picture, taken: Picture, rows_change_places: bool = False) -> list[str]:
    """What a reader would see to be different between two pictures of one page; empty where they tell the same.

    Numbers and names of genes may differ in what is read, lines and letters by some pixels in what is seen.

    Args:
        kept: the one that is shown.
        taken: the one of today.
        rows_change_places: of rows that noise has a say in ordering only the sum of all is compared.
    """
    found = _said("gone are the words", {*kept.words} - {*taken.words})
    found += _said("new are the words", {*taken.words} - {*kept.words})
    sizes = kept.image.size, taken.image.size
    if max(abs(one - other) for one, other in zip(*sizes, strict=True)) > MOST_PIXELS:
        return [*found, "it has {} x {} pixels, not {} x {}".format(*sizes[1], *sizes[0])]
    pixels = [_cut(picture.image, sizes) for picture in (kept, taken)]
    most = MOST_ROWS if rows_change_places else MOST_SHAPE
    if (shape := shape_difference(*pixels, rows_change_places)) > most:
        found.append(f"something else is drawn: {shape:.1f}, at most {most}")
    if (colours := colour_difference(*pixels)) > MOST_COLOUR:
        found.append(f"it is drawn in other colours: {colours:.2f}, at most {MOST_COLOUR}")
    return found


def shape_difference(kept: np.ndarray, taken: np.ndarray, rows_change_places: bool = False) -> float:
    """How much is drawn in one picture where in the other nothing like it is near.

    Each is averaged over cells of `CELL` x `CELL` pixels. What counts of a cell is how far it lies outside of what the
    other has within `NEAR` cells; the result is the mean over the `WINDOW` x `WINDOW` cells where this is largest.

    Args:
        kept: red, green and blue of each pixel, 0 to 255, (height, width, 3).
        taken: likewise, of the same shape.
        rows_change_places: compare only the mean over all rows.

    Returns:
        0 (nothing) to 255 (black where all was white).
    """
    cells = [_cells(pixels) for pixels in (kept, taken)]
    if rows_change_places:
        cells = [one.mean(axis=0, keepdims=True) for one in cells]
    excess = np.maximum(_outside(*cells), _outside(*reversed(cells)))
    return float(uniform_filter(excess, (1 if rows_change_places else WINDOW, WINDOW), mode="constant").max())


def colour_difference(kept: np.ndarray, taken: np.ndarray) -> float:
    """How much of the coloured area is of another hue, or is no longer there.

    Args:
        kept: red, green and blue of each pixel, 0 to 255, (height, width, 3).
        taken: likewise.

    Returns:
        0 (the same hues in the same amounts) to 2 (no hue in common).
    """
    amounts = [_hues(pixels) for pixels in (kept, taken)]
    most = max(one.sum() for one in amounts)
    return float(np.abs(amounts[0] - amounts[1]).sum() / most) if most else 0.0


def _said(what: str, texts: set[str]) -> list[str]:
    """One sentence of some texts, five at most, then a count; none where there are none."""
    named = ", ".join(repr(text) for text in sorted(texts)[:5])
    more = f" and {len(texts) - 5} more" if len(texts) > 5 else ""
    return [f"{what} {named}{more}"] if texts else []


def _cut(image: Image.Image, sizes: tuple[tuple[int, int], tuple[int, int]]) -> np.ndarray:
    """The pixels that pictures of these sizes have in common."""
    width, height = (min(side) for side in zip(*sizes, strict=True))
    return np.asarray(image.crop((0, 0, width, height)), dtype=float)


def _cells(pixels: np.ndarray) -> np.ndarray:
    """Means over cells, (rows, columns, 3)."""
    rows, columns = (side // CELL for side in pixels.shape[:2])
    whole = pixels[: rows * CELL, : columns * CELL]
    return whole.reshape(rows, CELL, columns, CELL, 3).mean(axis=(1, 3))


def _outside(cells: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far each cell lies outside of what the others have near it, in the channel where that is most."""
    near = (2 * NEAR + 1, 2 * NEAR + 1, 1)
    above, below = cells - maximum_filter(others, near), minimum_filter(others, near) - cells
    return np.maximum(np.maximum(above, below), 0).max(axis=2)


def _hues(pixels: np.ndarray) -> np.ndarray:
    """Chroma by hue, in steps of five degrees, smoothed: half a step more or less is not another colour."""
    chroma = (pixels.max(axis=2) - pixels.min(axis=2)) / 255
    coloured = chroma > LEAST_CHROMA
    red, green, blue = pixels[coloured].T
    hue = np.degrees(np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)) % 360
    amounts = np.bincount((hue // 5).astype(int) % 72, weights=chroma[coloured], minlength=72)
    return gaussian_filter1d(amounts, sigma=3, mode="wrap")
