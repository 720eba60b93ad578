"""Files that are not cells, or cannot be read, are called what they are."""

import gzip

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from cell_files import BARCODES, COUNTS, GENES, IDS, read_all, write_mtx

from kpnn.cells import open_expression, read_class_labels
from kpnn.cells.formats.tenx_h5_writing import write_tenx_h5
from kpnn.errors import CellsError


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("matrix.mtx.gz", "name the folder that holds it"),
        ("cells.rds", "is R's; write it as .h5ad"),
        ("cells.h5mu", "is MuData; save the modality that holds expression as .h5ad"),
        ("cells.loom", "is a loom file; save it as .h5ad"),
        ("GSE1_RAW.tar", "is an archive; unpack it first"),
        ("cells.xlsx", "is a workbook; save the sheet as CSV"),
        ("cells.parquet", "is not read; write it as .h5ad, or as CSV"),
        ("cells.counts", "no known ending"),
    ],
)
def test_what_is_not_read_is_told_by_its_name_with_advice(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CellsError, match=message):
        open_expression(tmp_path / name)


def test_a_10x_file_that_is_called_anndata_is_called_what_it_is(tmp_path):
    names = (pd.Index(BARCODES), pd.Index(GENES), pd.Index(IDS))
    write_tenx_h5(tmp_path / "a.h5ad", sp.csr_matrix(COUNTS), *names)
    with pytest.raises(CellsError, match="not an AnnData file, but a 10x file: say `format: tenx_h5`"):
        open_expression(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(read_all(tmp_path / "a.h5ad", format="tenx_h5"), COUNTS)


def test_types_of_features_that_there_are_are_named(tmp_path):
    names = (pd.Index(BARCODES), pd.Index(GENES), pd.Index(IDS))
    write_tenx_h5(tmp_path / "a.h5", sp.csr_matrix(COUNTS), *names)
    with pytest.raises(CellsError, match=r"no feature of type Peaks \(found: Gene Expression\)"):
        open_expression(tmp_path / "a.h5", feature_type="Peaks")
    folder = write_mtx(tmp_path / "m")
    (folder / "genes.tsv").write_text("".join(f"i{n}\tg{n}\tAntibody Capture\n" for n in range(len(GENES))))
    with pytest.raises(CellsError, match=r"no feature of type Gene Expression \(found: Antibody Capture\)"):
        open_expression(folder)


def molecule_info(file):
    for name in ("barcode_idx", "umi", "count"):
        file[name] = np.arange(3)
    file.create_group("barcode_info")
    file.create_group("features")


def loom(file):
    file["matrix"] = COUNTS.T
    file.create_group("row_attrs")
    file.create_group("col_attrs")


def other_groups(file):
    for name in ("assays", "images"):
        file.create_group(name)


def anndata(file):
    file["X"] = COUNTS
    file.create_group("obs")
    file.create_group("var")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (molecule_info, "a list of molecules and no count matrix; take filtered_feature_bc_matrix.h5"),
        (loom, "is a loom file"),
        (anndata, "is AnnData, not 10x; say `format: h5ad`"),
        (other_groups, r"this is not a 10x file \(groups: assays, images\)"),
    ],
)
def test_another_kind_of_hdf5_is_called_what_it_is(tmp_path, content, message):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        content(file)
    with pytest.raises(CellsError, match=message) as error:
        open_expression(tmp_path / "a.h5")
    assert "genomes" not in str(error.value)


@pytest.mark.parametrize("name", ["a.h5", "a.h5.gz", "a.h5ad", "a.h5ad.gz"])
@pytest.mark.parametrize(
    ("begin", "message"),
    [
        (gzip.compress(b"\x89HDF\r\n\x1a\n" * 100, mtime=0), r"packed by gzip, not HDF5; unpack it first \(gunzip"),
        (b"PK\x03\x04" + b"x" * 100, "a zip archive, not HDF5; unpack"),
        (b"BZh9" + b"x" * 100, "packed by bzip2"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page, not HDF5"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
    ],
    ids=["gzip", "zip", "bzip2", "web_page", "git_lfs"],  # bytes as ids: a compressor's may differ between processes
)
def test_a_file_that_is_packed_or_no_data_at_all_is_not_called_damaged(tmp_path, name, begin, message):
    (tmp_path / name).write_bytes(begin)
    with pytest.raises(CellsError, match=message) as error:
        open_expression(tmp_path / name)
    assert "damaged" not in str(error.value)


def test_a_filter_that_is_not_installed_is_not_called_damage(tmp_path):
    path = tmp_path / "a.h5"
    names = (pd.Index(BARCODES), pd.Index(GENES), pd.Index(IDS))
    write_tenx_h5(path, sp.csr_matrix(COUNTS), *names)
    with h5py.File(path, "a") as file:
        data = file["matrix/data"][:]
        del file["matrix/data"]
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((len(data),))
        settings.set_filter(32_015, h5py.h5z.FLAG_OPTIONAL)  # Zstandard
        space = h5py.h5s.create_simple((len(data),))
        node = h5py.h5d.create(file["matrix"].id, b"data", h5py.h5t.py_create(data.dtype), space, settings)
        node.write_direct_chunk((0,), data.tobytes(), 0)
    with pytest.raises(CellsError, match=r"compressed by a filter that is not installed.*hdf5plugin") as error:
        open_expression(path).read()
    assert "damaged" not in str(error.value)


def test_a_workbook_in_the_place_of_a_table_is_called_so(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"PK\x03\x04" + b"x" * 100)
    with pytest.raises(CellsError, match="Excel workbook"):
        read_class_labels(tmp_path / "labels.csv")
