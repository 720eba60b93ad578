"""Options of expression files that a file cannot honour are refused, and a table that lies on its side is told so."""

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from cell_files import BARCODES, COUNTS, GENES, IDS, labels_of, read_all, write_h5ad, write_mtx

from kpnn.cells import match, open_expression
from kpnn.cells.formats.tenx_h5_writing import write_tenx_h5
from kpnn.errors import CellsError


def _tenx(path, layout="features"):
    names = (pd.Index(BARCODES), pd.Index(GENES), pd.Index(IDS))
    write_tenx_h5(path, sp.csr_matrix(COUNTS), *names, layout=layout)
    return path


def _without(path, *fields):
    with h5py.File(path, "a") as file:
        for field in fields:
            del file["matrix/features"][field]
    return path


def test_a_type_of_features_that_the_file_does_not_tell_is_refused(tmp_path):
    files = (
        write_mtx(tmp_path / "m"),
        _tenx(tmp_path / "old.h5", "genes"),
        _without(_tenx(tmp_path / "new.h5"), "feature_type"),
    )
    for path in files:
        np.testing.assert_array_equal(read_all(path), COUNTS)
        with pytest.raises(CellsError, match="does not say of which type its features are; leave `feature_type: Peaks"):
            open_expression(path, feature_type="Peaks")


def test_a_genome_that_the_file_does_not_tell_is_refused(tmp_path):
    path = _without(_tenx(tmp_path / "new.h5"), "genome")
    np.testing.assert_array_equal(read_all(path), COUNTS)
    with pytest.raises(CellsError, match="does not say of which genome its features are; leave `genome:` out"):
        open_expression(path, genome="mm10")


def test_a_column_of_identifiers_is_refused_where_identifiers_are_not_asked_for(tmp_path):
    path = write_h5ad(tmp_path / "a.h5ad", feature_name=IDS)
    with pytest.raises(CellsError, match="`id_column: feature_name` is for `gene_names: id`; say that too"):
        open_expression(path, id_column="feature_name")
    assert list(open_expression(path, gene_names="id", id_column="feature_name").genes) == IDS
    for options in ({}, {"id_column": "feature_nme"}):
        with pytest.raises(CellsError, match=r"var has no column .*feature_name.*say which with `id_column:`"):
            open_expression(path, gene_names="id", **options).read()


def test_expression_that_lies_on_its_side_is_told_so(tmp_path):
    pd.DataFrame(COUNTS, BARCODES, GENES).to_csv(tmp_path / "x.csv")
    handle = open_expression(tmp_path / "x.csv", orientation="genes_by_cells")
    with pytest.raises(CellsError, match=r"what it calls genes are cells.*`orientation:`.*`adata.T`"):
        match(handle, labels_of(BARCODES), GENES)


def test_labels_that_lie_on_their_side_are_told_so(tmp_path):
    path = write_h5ad(tmp_path / "a.h5ad")
    labels = pd.DataFrame({"barcode": ["T"], BARCODES[0]: [1], BARCODES[1]: [0]})
    with pytest.raises(CellsError, match="the columns of the labels are called like its cells: turn the table"):
        match(open_expression(path), labels, GENES)


@pytest.mark.parametrize("change", ["s1_{}", "{}-1", "{}#2", "run.{}"])
def test_cells_of_any_name_that_differ_in_what_stands_around_it_are_told_so(tmp_path, change):
    cells = [f"well{number}" for number in range(len(BARCODES))]
    pd.DataFrame(COUNTS, cells, GENES).to_csv(tmp_path / "x.csv")
    handle = open_expression(tmp_path / "x.csv", orientation="cells_by_genes")
    with pytest.raises(CellsError, match="30 of them differ from a cell of the file only in what comes before"):
        match(handle, labels_of([change.format(name) for name in cells]), GENES)
    with pytest.raises(CellsError, match="none of the 30 labelled cells") as error:
        match(handle, labels_of([f"droplet{number}" for number in range(30)]), GENES)
    assert "differ" not in str(error.value)


@pytest.mark.parametrize(
    ("ids", "asked", "genes", "advice"),
    [
        (IDS, "symbol", IDS, "4 are there by `gene_names: id`"),
        (IDS, "id", GENES, "4 are there by `gene_names: symbol`"),
        (IDS, "symbol", [gene.lower() for gene in GENES], "4 would be found if case were ignored"),
        (
            [f"ENSG0000000000{n}.7" for n in range(4)],
            "id",
            [f"ENSG0000000000{n}" for n in range(4)],
            "4 would be found without the versions",
        ),
        (IDS, "symbol", ["X", "Y"], r"\(gene_names: symbol\)$"),
    ],
    ids=["ids", "symbols", "case", "versions", "others"],
)
def test_genes_that_the_file_has_under_another_name_are_told_so(tmp_path, ids, asked, genes, advice):
    handle = open_expression(write_h5ad(tmp_path / "a.h5ad", gene_ids=ids), gene_names=asked)
    with pytest.raises(CellsError, match=f"has none of the network's.*{advice}"):
        match(handle, labels_of(BARCODES), genes)


def test_most_genes_under_another_name_are_a_warning_that_says_so(tmp_path, caplog):
    handle = open_expression(write_h5ad(tmp_path / "a.h5ad", gene_ids=IDS))
    match(handle, labels_of(BARCODES), [GENES[0], *IDS[1:]])
    assert "3 of 4 genes of the network are not in" in caplog.text
    assert caplog.text.rstrip().endswith("; 3 are there by `gene_names: id`")


def test_a_second_column_of_names_is_told_what_it_is(tmp_path):
    table = pd.DataFrame(COUNTS.T, GENES, BARCODES)
    table.insert(0, "gene_id", IDS)
    table.to_csv(tmp_path / "x.csv")
    with pytest.raises(CellsError, match="column gene_id: 'ENSG0' is not a number; only one column may name"):
        open_expression(tmp_path / "x.csv").read()


@pytest.mark.parametrize("name", ["x.csv.bz2", "x.tsv.xz", "x.csv.zst"])
def test_a_file_that_is_packed_in_another_way_is_told_so(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CellsError, match="is packed in a way that is not read; unpack it first"):
        open_expression(tmp_path / name)


def test_bars_between_columns_are_told_by_the_header(tmp_path):
    pd.DataFrame(COUNTS, BARCODES, GENES).to_csv(tmp_path / "x.txt", sep="|", index_label="cell")
    np.testing.assert_array_equal(read_all(tmp_path / "x.txt"), COUNTS)
