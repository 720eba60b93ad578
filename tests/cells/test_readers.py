"""Every format gives the same cells, genes and values, whatever part is asked for."""

import gzip
import shutil
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.io
import scipy.sparse as sp

from kpnn.cells import open_expression
from kpnn.cells.formats.tenx_h5_writing import write_tenx_h5
from kpnn.errors import CellsError

TENX = Path(__file__).parents[3] / "shared" / "data" / "tenx"
needs_tenx = pytest.mark.skipif(not TENX.is_dir(), reason="the 10x example files are not beside the project")

N_CELLS, SYMBOLS = 40, ["CD3E", "HLA_A", "MATR3", "ACTB", "MATR3", "TP53-AS1", "MATR3", "GAPDH"]
IDS = [f"ENSG{number:05d}" for number in range(len(SYMBOLS))]
BARCODES = [f"{'ACGT'[n % 4]}{'ACGT'[n // 4 % 4]}{'ACGT'[n // 16]}ACGTACGTACGTA-1" for n in range(N_CELLS)]


def values() -> np.ndarray:
    rng = np.random.default_rng(7)
    return rng.poisson(0.8, (N_CELLS, len(SYMBOLS))).astype(np.float32)


def adata(matrix) -> ad.AnnData:
    var = pd.DataFrame({"gene_ids": IDS}, index=SYMBOLS)
    return ad.AnnData(matrix, obs=pd.DataFrame(index=BARCODES), var=var)


def write_mtx(folder: Path, packed: bool, features: bool) -> Path:
    folder.mkdir()
    scipy.io.mmwrite(folder / "matrix.mtx", sp.coo_matrix(values().T.astype(int)))
    (folder / "barcodes.tsv").write_text("\n".join(BARCODES) + "\n")
    third = "\tGene Expression" if features else ""
    name = "features.tsv" if features else "genes.tsv"
    rows = "".join(f"{id_}\t{symbol}{third}\n" for id_, symbol in zip(IDS, SYMBOLS, strict=True))
    (folder / name).write_text(rows)
    if packed:
        for file in list(folder.iterdir()):
            with file.open("rb") as plain, gzip.open(f"{file}.gz", "wb") as target:
                shutil.copyfileobj(plain, target)
            file.unlink()
    return folder


def write(kind: str, folder: Path):
    matrix = values()
    frame = pd.DataFrame(matrix.astype(int), index=BARCODES, columns=SYMBOLS)
    if kind.startswith("tenx"):
        layout = {"tenx older": "genome", "tenx newer": "features"}[kind]
        names = (pd.Index(BARCODES), pd.Index(SYMBOLS), pd.Index(IDS))
        write_tenx_h5(folder / "a.h5", sp.csr_matrix(matrix), *names, layout=layout)
        return open_expression(folder / "a.h5")
    if kind.startswith("mtx"):
        return open_expression(write_mtx(folder / "m", "gz" in kind, "features" in kind))
    if kind.startswith(("h5ad", "zarr")):
        store, form = kind.split()[:2]
        form_of = {"dense": np.asarray, "csr": sp.csr_matrix, "csc": sp.csc_matrix}
        cells = adata(form_of[form](matrix))
        where = "X"
        if "raw" in kind:
            cells.raw = cells
            cells.X = cells.X * 0
            where = "raw"
        if "layer" in kind:
            cells.layers["counts"] = cells.X.copy()
            cells.X = None
            where = "counts"
        path = folder / f"a.{store}"
        if store == "h5ad":
            cells.write_h5ad(path)
        else:
            ad.settings.zarr_write_format = 3 if "v3" in kind else 2
            cells.write_zarr(path)
        return open_expression(path, values=where)
    turned = "genes_by_cells" in kind
    table = frame.T if turned else frame
    ending = "tsv" if "tsv" in kind else "csv"
    path = folder / (f"a.{ending}.gz" if "gz" in kind else f"a.{ending}")
    text = table.to_csv(sep="\t" if ending == "tsv" else ",", quoting=2 if "quoted" in kind else 0)
    if "without corner" in kind:
        text = text[len('"",') :]
    if "windows" in kind:
        text = "\ufeff" + text.replace("\n", "\r\n")
    raw = text.encode()
    path.write_bytes(gzip.compress(raw) if "gz" in kind else raw)
    return open_expression(path)


KINDS = [
    "tenx older",
    "tenx newer",
    "mtx genes",
    "mtx features gz",
    "h5ad dense",
    "h5ad csr",
    "h5ad csc",
    "h5ad csr raw",
    "h5ad csc raw",
    "h5ad csr layer",
    "zarr csr",
    "zarr dense v3",
    "zarr csc layer v3",
    "table genes_by_cells csv",
    "table cells_by_genes csv",
    "table genes_by_cells tsv gz",
    "table cells_by_genes tsv windows",
    "table genes_by_cells csv quoted without corner",
]


@pytest.fixture(params=KINDS)
def handle(request, tmp_path):
    return write(request.param, tmp_path)


def joined(how: str) -> pd.DataFrame:
    frame = pd.DataFrame(values(), index=BARCODES, columns=SYMBOLS)
    return frame.T.groupby(level=0, sort=False).agg(how).T


@pytest.mark.parametrize("how", ["max", "sum"])
def test_all_of_the_file_reads_as_it_was_written_with_repeated_genes_joined(handle, how):
    cells = handle.read(join=how)
    pd.testing.assert_frame_equal(cells.to_df(), joined(how), check_names=False)
    assert cells.X.dtype == np.float32
    assert sp.issparse(cells.X)
    assert cells.X.format == "csr"
    assert cells.X.has_canonical_format


def test_some_cells_and_genes_come_in_the_order_asked_for(handle):
    barcodes, genes = [BARCODES[31], BARCODES[2], BARCODES[17], BARCODES[3]], ["MATR3", "HLA_A", "CD3E"]
    cells = handle.read(barcodes, genes)
    pd.testing.assert_frame_equal(cells.to_df(), joined("max").loc[barcodes, genes], check_names=False)
    whole = values().sum(axis=1)[[31, 2, 17, 3]]
    np.testing.assert_array_equal(cells.obs["total_counts"], whole)


def test_a_cell_or_gene_that_is_not_there_is_named(handle):
    with pytest.raises(CellsError, match=r"a\.|m.*no cell TTTT"):
        handle.read(barcodes=[BARCODES[0], "TTTT-9"])
    with pytest.raises(CellsError, match="no gene NOT1"):
        handle.read(genes=["CD3E", "NOT1"])


def test_no_cells_are_no_error(handle):
    assert handle.read(barcodes=[]).shape == (0, len(set(SYMBOLS)))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith("table")])
def test_genes_can_be_named_by_identifier(kind, tmp_path):
    opened = write(kind, tmp_path)
    opened.gene_names = "id"
    cells = opened.read(genes=[IDS[4], IDS[0]])
    np.testing.assert_array_equal(cells.X.toarray(), values()[:, [4, 0]])


def test_the_oldest_h5ad_layout_reads_as_scanpy_reads_it():
    path = Path(sc.__file__).parent / "datasets" / "10x_pbmc68k_reduced.h5ad"
    reference = sc.datasets.pbmc68k_reduced().raw.to_adata()
    cells = open_expression(path, values="raw").read()
    pd.testing.assert_frame_equal(cells.to_df(), reference.to_df(), check_names=False)


@needs_tenx
@pytest.mark.parametrize("name", ["cellranger_v2.h5", "cellranger_v3.h5"])
def test_cell_rangers_own_files_read_as_scanpy_reads_them(name):
    reference = sc.read_10x_h5(TENX / name)
    handle = open_expression(TENX / name, gene_names="id")
    cells = handle.read()
    np.testing.assert_array_equal(cells.X.toarray(), reference.X.toarray())
    assert list(cells.obs_names) == list(reference.obs_names)
    assert list(handle.symbols) == list(reference.var_names)
    assert list(cells.var_names) == list(reference.var["gene_ids"])


@needs_tenx
def test_a_file_of_several_genomes_asks_which_naming_them():
    path = TENX / "multiple_genomes.h5"
    with pytest.raises(CellsError, match=r"several genomes .another_genome, hg19_chr21"):
        open_expression(path)
    with pytest.raises(CellsError, match="no genome mm10"):
        open_expression(path, genome="mm10")
    reference = sc.read_10x_h5(path, genome="hg19_chr21")
    np.testing.assert_array_equal(
        open_expression(path, genome="hg19_chr21", gene_names="id").read().X.toarray(), reference.X.toarray()
    )


def test_features_of_another_kind_are_no_genes_and_not_in_the_totals(tmp_path):
    path = tmp_path / "a.h5"
    names = (pd.Index(BARCODES), pd.Index(SYMBOLS), pd.Index(IDS))
    write_tenx_h5(path, sp.csr_matrix(values()), *names)
    with h5py.File(path, "r+") as file:
        kinds = file["matrix/features/feature_type"][:]
        kinds = kinds.astype("S20")
        kinds[0] = b"Antibody Capture"
        del file["matrix/features/feature_type"]
        file["matrix/features/feature_type"] = kinds
    cells = open_expression(path).read()
    assert "CD3E" not in cells.var_names
    np.testing.assert_array_equal(cells.obs["total_counts"], values()[:, 1:].sum(axis=1))
    antibodies = open_expression(path, feature_type="Antibody Capture").read()
    assert list(antibodies.var_names) == ["CD3E"]


@pytest.mark.parametrize("orientation", ["genes_by_cells", "cells_by_genes"])
def test_reads_of_no_gene_are_not_in_the_totals_of_a_table(tmp_path, orientation):
    counts = pd.DataFrame({"c0": [1, 2, 90], "c1": [3, 0, 80]}, index=["G0", "G1", "__no_feature"])
    path = tmp_path / "htseq.tsv"
    (counts if orientation == "genes_by_cells" else counts.T).to_csv(path, sep="\t")
    cells = open_expression(path, orientation=orientation).read(genes=["G0"])
    assert cells.obs["total_counts"].tolist() == [3, 3]
    assert cells.X.toarray().ravel().tolist() == [1, 3]


def test_a_decimal_comma_is_called_one(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("cell;G0;G1\nc0;0,5;1\n")
    with pytest.raises(CellsError, match=r"column G0: '0,5' is not a number; decimals stand behind a point"):
        open_expression(path, orientation="cells_by_genes").read()


def test_an_option_of_another_format_is_refused_by_name(tmp_path):
    write("tenx newer", tmp_path)
    with pytest.raises(CellsError, match="no option orientation"):
        open_expression(tmp_path / "a.h5", orientation="auto")


def test_a_table_whose_sides_cannot_be_told_apart_asks_for_its_orientation(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(",g1,g2\nc1,1,2\nc2,3,4\n")
    with pytest.raises(CellsError, match="orientation: genes_by_cells"):
        open_expression(path).read()
    cells = open_expression(path, orientation="genes_by_cells").read()
    assert list(cells.obs_names) == ["g1", "g2"]


def test_reading_a_few_cells_of_a_10x_file_does_not_hold_the_others(tmp_path):
    import tracemalloc

    rng = np.random.default_rng(0)
    n_cells, per_cell = 60_000, 100
    counts = sp.csr_matrix(
        (
            np.ones(n_cells * per_cell, np.int32),
            rng.integers(0, 1000, n_cells * per_cell),
            np.arange(n_cells + 1) * per_cell,
        ),
        shape=(n_cells, 1000),
    )
    barcodes = pd.Index([f"cell{number:06d}" for number in range(n_cells)])
    genes = pd.Index([f"g{number}" for number in range(1000)])
    write_tenx_h5(tmp_path / "a.h5", counts, barcodes, genes, genes)
    wanted = list(barcodes[rng.choice(n_cells, 20, replace=False)])
    tracemalloc.start()
    cells = open_expression(tmp_path / "a.h5").read(wanted)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert cells.n_obs == 20
    # All 6 million entries are 72 MB as the file holds them.
    assert peak < 60e6
