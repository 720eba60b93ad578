"""Matrix Market as programs other than Cell Ranger write it, and the files of names beside it."""

import gzip

import numpy as np
import pytest
from cell_files import BARCODES, COUNTS, GENES, IDS, N, read_all, write_mtx

from kpnn.cells import open_expression
from kpnn.errors import CellsError

HEADER = "%%MatrixMarket matrix coordinate integer general"


def _below(text: str, *lines: str, at: int = 5) -> str:
    rows = text.split("\n")
    return "\n".join([*rows[:at], *lines, *rows[at:]])


SPELLINGS = {
    "letters": lambda text: text.replace(HEADER, "%%matrixmarket MATRIX Coordinate Integer General"),
    "no symmetry": lambda text: text.replace(HEADER, HEADER.removesuffix(" general")),
    "windows": lambda text: text.replace("\n", "\r\n"),
    "comments and empty lines above": lambda text: text.replace("%\n", "%made by hand\n\n% twice\n  \n", 1),
    "comments below": lambda text: _below(text, "% cells of donor 2", "%"),
    "empty lines below": lambda text: _below(text, "", "  ") + "\n\n",
    "blanks around": lambda text: text.replace(f"\n{len(GENES)} {N} ", f"\n {len(GENES)}\t{N}  ").replace("\n", " \n"),
    "byte-order mark": lambda text: "\N{ZERO WIDTH NO-BREAK SPACE}" + text,
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_legal_spelling_gives_the_same_counts(tmp_path, spelling, packed):
    folder = write_mtx(tmp_path / "m")
    raw = SPELLINGS[spelling]((folder / "matrix.mtx").read_text()).encode()
    (folder / "matrix.mtx").unlink()
    (folder / ("matrix.mtx.gz" if packed else "matrix.mtx")).write_bytes(gzip.compress(raw) if packed else raw)
    np.testing.assert_array_equal(read_all(folder), COUNTS)


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("coordinate real symmetric", "relates things of one kind .* name the folder of the matrix of counts"),
        ("coordinate pattern symmetric", "relates things of one kind"),
        ("coordinate integer skew-symmetric", "relates things of one kind"),
        ("coordinate complex hermitian", "relates things of one kind"),
        ("coordinate complex general", "no complex numbers; write the counts as `real` or `integer`"),
    ],
)
def test_what_cannot_be_expression_is_refused_with_what_to_do(tmp_path, words, advice):
    folder = write_mtx(tmp_path / "m")
    path = folder / "matrix.mtx"
    path.write_text(path.read_text().replace(HEADER, f"%%MatrixMarket matrix {words}"))
    with pytest.raises(CellsError, match=rf"matrix.mtx, line 1: must be .*found 'matrix {words}'; .*{advice}"):
        open_expression(folder)


def both(quote: str = "", between: str = "\t") -> list[str]:
    return [f"{quote}{id_}{quote}{between}{quote}{gene}{quote}" for id_, gene in zip(IDS, GENES, strict=True)]


NAMES = {
    "quotes": ([f'"{name}"' for name in BARCODES], both('"')),
    "headers": (["barcode", *BARCODES], ["gene_id\tgene_name", *both()]),
    "R's headers": (['"x"', *(f'"{name}"' for name in BARCODES)], ['"V1"\t"V2"', *both('"')]),
    "R's numbers": (
        ['"","x"', *(f'"{place}","{name}"' for place, name in enumerate(BARCODES, 1))],
        ['"","id","name"', *(f'"{place}",{line}' for place, line in enumerate(both('"', ","), 1))],
    ),
    "commas": (BARCODES, both("", ",")),
    "windows": ([f"{name}\r" for name in BARCODES], [f"{line}\r" for line in both()]),
}


@pytest.mark.parametrize("kind", NAMES)
def test_names_are_read_as_other_programs_write_them(tmp_path, kind):
    folder = write_mtx(tmp_path / "m")
    for name, lines in zip(("barcodes.tsv", "genes.tsv"), NAMES[kind], strict=True):
        (folder / name).write_bytes(("\n".join(lines) + "\n").encode())
    np.testing.assert_array_equal(read_all(folder), COUNTS)
    assert list(open_expression(folder, gene_names="id").genes) == IDS


def test_a_first_name_that_is_no_header_is_not_taken_for_one(tmp_path):
    folder = write_mtx(tmp_path / "m")
    (folder / "barcodes.tsv").write_text("\n".join(["AAAA", *BARCODES]) + "\n")
    with pytest.raises(CellsError, match="4 features and 31 barcodes"):
        open_expression(folder)
    (folder / "barcodes.tsv").write_text("\n".join(["cell", *BARCODES[1:]]) + "\n")
    assert open_expression(folder).barcodes[0] == "cell"


@pytest.mark.parametrize(
    ("matrix", "barcodes", "genes"),
    [
        ("cells_x_genes.mtx", "cells_x_genes.barcodes.txt", "cells_x_genes.genes.txt"),
        ("GSM1_matrix.mtx", "GSM1_barcodes.tsv", "GSM1_features.tsv"),
        ("counts.mtx", "barcodes.csv", "genes.csv"),
    ],
)
def test_files_are_found_under_other_programs_names(tmp_path, matrix, barcodes, genes):
    folder = write_mtx(tmp_path / "m")
    for old, new in (("matrix.mtx", matrix), ("barcodes.tsv", barcodes), ("genes.tsv", genes)):
        (folder / old).rename(folder / new)
    np.testing.assert_array_equal(read_all(folder), COUNTS)
    (folder / genes).unlink()
    with pytest.raises(CellsError, match=r"no features.tsv or genes.tsv .*\(found: .*\)"):
        open_expression(folder)


def test_symbols_that_are_partly_missing_trouble_nobody_who_asks_for_identifiers(tmp_path):
    folder = write_mtx(tmp_path / "m")
    (folder / "genes.tsv").write_text("ENSG0\tCD3E\nENSG1\nENSG2\tNF-κB\nENSG3\tGAPDH\n", encoding="utf-8")
    assert list(open_expression(folder, gene_names="id").genes) == IDS
    with pytest.raises(CellsError, match=r"genes.tsv, line 2: needs an identifier and a symbol"):
        open_expression(folder)


def test_a_folder_above_the_one_that_is_meant_names_it(tmp_path):
    (tmp_path / "outs").mkdir()
    write_mtx(tmp_path / "outs" / "m")
    for above, inside in ((tmp_path, "outs/m"), (tmp_path / "outs", "m")):
        with pytest.raises(CellsError, match=f"name one of what it holds: {inside}"):
            open_expression(above)
