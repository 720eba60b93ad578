"""Legal but unusual files of cells are read, and large losses are said aloud."""

import logging

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from cell_files import BARCODES, COUNTS, GENES, IDS, N, labels_of, read_all, write_h5ad, write_mtx

from kpnn.cells import CountLimits, InMemory, Transform, check_class_labels, match, open_expression, read_class_labels
from kpnn.cells.expression import Repair
from kpnn.errors import CellsError, SettingsError

# Legal variants


@pytest.mark.parametrize("kind", ["integer", "real", "float", "double"])
@pytest.mark.parametrize("separator", [" ", "\t", "  "])
def test_every_spelling_of_matrix_market_gives_the_same_counts(tmp_path, kind, separator):
    np.testing.assert_array_equal(read_all(write_mtx(tmp_path / "m", kind, separator)), COUNTS)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", ["array integer", "array real", "coordinate pattern"])
def test_dense_matrices_and_patterns_of_matrix_market_are_read(tmp_path, kind, turned):
    folder = write_mtx(tmp_path / "m")
    matrix = COUNTS if turned else COUNTS.T
    rows, columns = np.nonzero(matrix)
    sizes = [*map(str, matrix.shape), *([str(len(rows))] if "pattern" in kind else [])]
    if "pattern" in kind:
        entries = [f"{row + 1} {column + 1}" for row, column in zip(rows, columns, strict=True)]
    else:
        entries = [f"{value:g}" for value in matrix.T.ravel()]
    lines = [f"%%MatrixMarket matrix {kind} general", " ".join(sizes), *entries]
    (folder / "matrix.mtx").write_text("\n".join(lines) + "\n")
    np.testing.assert_array_equal(read_all(folder), (COUNTS > 0) if "pattern" in kind else COUNTS)
    (folder / "matrix.mtx").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(CellsError, match="entries where line 2 says"):
        open_expression(folder).read()
    (folder / "matrix.mtx").write_text("\n".join([*lines[:-1], "1 2 3 4"]) + "\n")
    with pytest.raises(CellsError, match="entries must be"):
        open_expression(folder).read()


def test_a_matrix_market_file_of_another_kind_is_named(tmp_path):
    with pytest.raises(
        CellsError, match=r"line 1: must be `matrix coordinate integer.*found 'matrix coordinate complex"
    ):
        open_expression(write_mtx(tmp_path / "m", "complex"))


@pytest.mark.parametrize("gene_names", ["symbol", "id"])
def test_genes_of_one_column_have_one_name_whichever_is_asked_for(tmp_path, gene_names):
    folder = write_mtx(tmp_path / "m", genes="one")
    np.testing.assert_array_equal(read_all(folder, gene_names=gene_names), COUNTS)
    (folder / "genes.tsv").write_text("ENSG0\tCD3E\nHLA-A\nENSG2\tNF-κB\nENSG3\tGAPDH\n")
    with pytest.raises(CellsError, match=r"genes.tsv, line 2: needs an identifier and a symbol"):
        open_expression(folder)


@pytest.mark.parametrize(
    ("separator", "quote"), [("  ", ""), *((separator, quote) for separator in " \t,;" for quote in ("", '"'))]
)
def test_a_table_as_r_writes_it_is_read_whatever_separates_it(tmp_path, separator, quote):
    lines = [separator.join(f"{quote}{barcode}{quote}" for barcode in BARCODES)]
    lines += [
        separator.join([f"{quote}{gene}{quote}", *(f"{value:g}" for value in COUNTS[:, column])])
        for column, gene in enumerate(GENES)
    ]
    (tmp_path / "x.txt").write_text("\n".join(lines) + "\n")
    np.testing.assert_array_equal(read_all(tmp_path / "x.txt"), COUNTS)


def test_comments_above_a_table_are_passed_over_and_lines_keep_their_numbers(tmp_path):
    table = pd.DataFrame(COUNTS.astype(int), BARCODES, GENES).to_csv(index_label="Cell_Index")
    path = tmp_path / "x.csv"
    path.write_text("####\n## Instrument, version 1.9\n####\n" + table)
    np.testing.assert_array_equal(read_all(path), COUNTS)
    lines = path.read_text().split("\n")
    lines[5] += ",9"
    path.write_text("\n".join(lines))
    with pytest.raises(CellsError, match="line 6: 6 columns where there should be 5"):
        open_expression(path).read()
    labels = tmp_path / "labels.csv"
    labels.write_text("## made by hand\nbarcode,T\na,0\nb,2\n")
    with pytest.raises(CellsError, match="label T must be 0 or 1, found 2"):
        read_class_labels(labels)


@pytest.mark.parametrize("turned", [False, True])
def test_the_orientation_of_a_table_is_told_by_labels_and_network(tmp_path, turned):
    cells = [f"{3000 + n}" for n in range(N)]
    table = pd.DataFrame(COUNTS.astype(int), cells, GENES)
    (table.T if turned else table).to_csv(tmp_path / "x.csv")
    matched = match(open_expression(tmp_path / "x.csv"), labels_of(cells), GENES)
    np.testing.assert_array_equal(matched.counts.toarray(), COUNTS)
    with pytest.raises(CellsError, match="cannot tell cells from genes"):
        match(open_expression(tmp_path / "x.csv"), labels_of(["a", "b"]), ["X"])


def test_identifiers_that_are_partly_missing_trouble_nobody_who_does_not_ask(tmp_path):
    ids = pd.Categorical([None, *IDS[1:]])
    path = write_h5ad(tmp_path / "a.h5ad", gene_ids=ids)
    np.testing.assert_array_equal(read_all(path), COUNTS)
    by_id = open_expression(path, gene_names="id")
    np.testing.assert_array_equal(by_id.read(genes=IDS[1:]).X.toarray(), COUNTS[:, 1:])
    with pytest.raises(CellsError, match="no gene ENSG0"):
        by_id.read(genes=IDS)
    memory = InMemory(ad.read_h5ad(path), gene_names="id")
    assert list(memory.genes) == ["", *IDS[1:]]


@pytest.mark.parametrize("layout", ["0.7", "oldest"])
def test_identifiers_of_old_layouts_are_identifiers_and_not_codes(tmp_path, layout):
    path = write_h5ad(tmp_path / "a.h5ad")
    codes = np.array([2, 0, 3, 1], dtype=np.int8)
    stored = np.array(IDS, dtype="S8")[[1, 3, 0, 2]]
    with h5py.File(path, "a") as file:
        if layout == "0.7":
            file["var/gene_ids"] = codes
            file["var/__categories/gene_ids"] = stored
        else:
            names = np.array([gene.encode() for gene in GENES])
            table = np.array(list(zip(names, codes, strict=True)), dtype=[("index", "S12"), ("gene_ids", "i1")])
            del file["var"]
            file["var"] = table
            file["uns/gene_ids_categories"] = stored
    np.testing.assert_array_equal(open_expression(path, gene_names="id").read(genes=IDS).X.toarray(), COUNTS)


@pytest.mark.filterwarnings("ignore")
def test_a_zarr_store_of_structured_arrays_is_read(tmp_path):
    import zarr

    root = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    root.create_array("X", data=COUNTS)
    for table, names in (("obs", BARCODES), ("var", GENES)):
        rows = [(name.encode(), place) for place, name in enumerate(names)]
        root.create_array(table, data=np.array(rows, dtype=[("index", "S20"), ("number", "<i4")]))
    np.testing.assert_array_equal(read_all(tmp_path / "a.zarr"), COUNTS)


def test_a_matrix_of_cells_by_genes_is_told_by_its_sizes(tmp_path):
    folder = write_mtx(tmp_path / "m")
    head, *lines = (folder / "matrix.mtx").read_text().splitlines()
    turned = [line if line.startswith("%") else " ".join([*line.split()[1::-1], line.split()[2]]) for line in lines]
    (folder / "matrix.mtx").write_text("\n".join([head, *turned]))
    np.testing.assert_array_equal(read_all(folder), COUNTS)


def test_a_gene_without_a_symbol_goes_by_its_identifier(tmp_path):
    folder = write_mtx(tmp_path / "m")
    (folder / "genes.tsv").write_text("ENSG0\t\nENSG1\tHLA-A\nENSG2\tNF-κB\nENSG3\tGAPDH\n")
    assert list(open_expression(folder).genes) == ["ENSG0", "HLA-A", "NF-κB", "GAPDH"]


# Advice


def test_scaled_values_beside_good_ones_are_refused_with_the_good_ones_name():
    cells = ad.AnnData(COUNTS, pd.DataFrame(index=BARCODES), pd.DataFrame(index=GENES))
    cells.raw = cells
    cells.layers["counts"] = COUNTS
    cells.X = COUNTS - COUNTS.mean(axis=0)
    with pytest.raises(CellsError, match=r"negative.*also holds raw, counts: say `values: raw` or `values: counts`"):
        InMemory(cells).read()
    cells.X = np.where(np.arange(N)[:, None] == 3, np.nan, COUNTS)
    with pytest.raises(CellsError, match=rf"4 missing.*in cell {BARCODES[3]}"):
        InMemory(cells).read()


def test_a_file_says_the_same_as_the_object(tmp_path):
    cells = ad.AnnData(COUNTS - 1, pd.DataFrame(index=BARCODES), pd.DataFrame(index=GENES))
    cells.layers["counts"] = COUNTS
    cells.write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(CellsError, match="say `values: counts`"):
        open_expression(tmp_path / "a.h5ad").read()
    with pytest.raises(CellsError, match=r"has no raw \(found: X, counts\)"):
        open_expression(tmp_path / "a.h5ad", values="raw")


@pytest.mark.parametrize("oldest", [False, True])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_matrix])
@pytest.mark.parametrize(
    ("held", "chosen"),
    [
        ({"X": "scaled", "raw": "logs"}, "raw"),
        ({"X": "scaled", "raw": "logs", "counts": "counts"}, "counts"),
        ({"X": "logs", "raw": "counts", "spliced": "counts"}, "raw"),
        ({"X": "counts", "counts": "counts", "raw": "logs"}, "X"),
        ({"X": "logs", "cpm": "normalized"}, "cpm"),
        ({"X": "scaled"}, "X"),
    ],
)
def test_the_matrix_that_is_most_like_counts_is_found(tmp_path, held, chosen, form, oldest, caplog):
    caplog.set_level(logging.INFO)
    shares = COUNTS / COUNTS.sum(axis=1, keepdims=True)
    kinds = {"counts": COUNTS, "logs": np.log1p(shares * 99.9), "normalized": shares * 99.9, "scaled": COUNTS - 1.5}
    names = (pd.DataFrame(index=BARCODES), pd.DataFrame(index=GENES))
    cells = ad.AnnData(form(kinds[held.get("raw", held["X"])].astype(np.float32)), *names)
    if "raw" in held:
        cells.raw = cells
    for name, kind in held.items():
        if name != "raw":
            where = cells if name == "X" else cells.layers
            values = form(kinds[kind].astype(np.float32))
            cells.X = values if name == "X" else cells.X
            if where is not cells:
                where[name] = values
    cells.write_h5ad(tmp_path / "a.h5ad")
    if oldest and "raw" in held:
        with h5py.File(tmp_path / "a.h5ad", "a") as file:
            file["raw.X"], file["raw.var"] = file["raw/X"], file["raw/var"]
            del file["raw"]
    for opened in (open_expression, lambda path, values: InMemory(ad.read_h5ad(path), values=values)):
        handle = opened(tmp_path / "a.h5ad", values="auto")
        assert f"values: auto takes {chosen} ({held[chosen].replace('logs', 'logarithms')})" in caplog.text
        caplog.clear()
        if held[chosen] != "scaled":
            np.testing.assert_allclose(handle.read().X.toarray(), kinds[held[chosen]], rtol=1e-6)
        else:
            with pytest.raises(CellsError, match="negative"):
                handle.read()


def test_text_among_the_labels_says_where_labels_are_named():
    table = pd.DataFrame({"barcode": ["a", "b"], "cell_type": ["CD4+ T", "B"], "T": ["1", "0"]})
    with pytest.raises(CellsError, match=r"label cell_type must be 0 or 1.*data_engineering.outputs"):
        check_class_labels(table)
    assert list(check_class_labels(table, outputs=["T"]).columns) == ["barcode", "T"]


# What is said aloud


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize(
    ("values", "uns", "log1p", "warned"),
    [
        (COUNTS, {}, True, ""),
        (np.log1p(COUNTS), {}, True, "its values are not whole numbers and none is above"),
        (np.log1p(COUNTS), {}, False, ""),
        (np.log1p(COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e4).round(1), {}, True, "its values are not whole"),
        (np.log1p(COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e4).round(2), {}, True, "its values are not whole"),
        (np.where(COUNTS > 1, COUNTS - 0.5, COUNTS), {}, True, ""),
        (COUNTS, {"log1p": {"base": None}}, True, "its `uns` says that log1p was taken already"),
        (COUNTS, {"log1p": {"base": None}}, False, ""),
        (COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e4, {}, True, ""),
        (np.where(COUNTS > 2, COUNTS - 0.5, COUNTS), {}, True, ""),
    ],
)
def test_a_second_logarithm_is_a_warning(tmp_path, on_disk, values, uns, log1p, warned, caplog):
    cells = ad.AnnData(values.astype(np.float32), pd.DataFrame(index=BARCODES), pd.DataFrame(index=GENES), uns=uns)
    cells.write_h5ad(tmp_path / "a.h5ad")
    matched = match(
        open_expression(tmp_path / "a.h5ad"), labels_of(BARCODES), GENES, in_memory_cells=0 if on_disk else None
    )
    matched.to_anndata(Transform(log1p=log1p), GENES)
    assert [record.levelno for record in caplog.records] == ([logging.WARNING] if warned else [])
    assert warned in caplog.text


@pytest.mark.parametrize(("n_lost", "is_said"), [(2, False), (10, True)])
def test_losing_many_labelled_cells_is_a_warning_with_examples_and_the_cause(tmp_path, n_lost, is_said, caplog):
    names = [f"s1_{name}" if place < n_lost else name for place, name in enumerate(BARCODES)]
    matched = match(open_expression(write_h5ad(tmp_path / "a.h5ad")), labels_of(names), GENES)
    assert len(matched.labels) == N - n_lost
    assert bool(caplog.records) is is_said
    if is_said:
        assert f"{n_lost} of {N} labelled cells are not in" in caplog.text
        assert f"s1_{BARCODES[0]}, s1_{BARCODES[1]}" in caplog.text
        assert f"{n_lost} of them differ from a cell of the file only in what comes before or after" in caplog.text


def test_losing_all_labelled_cells_names_the_cause_too(tmp_path):
    names = [name.removesuffix("-1") for name in BARCODES]
    with pytest.raises(CellsError, match=r"none of the 30 labelled cells.*30 of them differ"):
        match(open_expression(write_h5ad(tmp_path / "a.h5ad")), labels_of(names), GENES)


def test_losing_most_genes_or_poor_cells_is_a_warning(tmp_path, caplog):
    handle = open_expression(write_h5ad(tmp_path / "a.h5ad"))
    match(handle, labels_of(BARCODES), [*GENES, "X1", "X2"])
    assert not caplog.records
    match(handle, labels_of(BARCODES), [*GENES, *(f"X{number}" for number in range(9))])
    assert "9 of 13 genes of the network are not in" in caplog.text
    caplog.clear()
    limits = CountLimits(min_counts_per_cell=float(np.median(COUNTS.sum(axis=1))))
    match(handle, labels_of(BARCODES), GENES, limits=limits)
    assert "labelled cells have fewer than min_counts_per_cell" in caplog.text
    caplog.clear()
    most = int(np.sort((COUNTS > 0).sum(axis=0))[-1])
    match(handle, labels_of(BARCODES), GENES, limits=CountLimits(min_cells_per_gene=most))
    assert f"of 4 genes of the network are seen in fewer than min_cells_per_gene = {most} labelled cells" in caplog.text


FORMATS = ["csv", "h5ad dense", "h5ad csr", "h5ad csc", "zarr csr", "mtx", "memory"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", FORMATS)
def test_missing_and_negative_values_are_taken_for_what_the_user_says(tmp_path, kind):
    wrong = COUNTS.copy()
    wrong[3, 1], wrong[5, 0], wrong[5, 2] = np.nan, -1.5, np.nan
    handles = []
    for options in ({}, {"fill": 0}, {"floor": 0}, {"fill": 2.0, "floor": 0}):
        cells = ad.AnnData(wrong, pd.DataFrame(index=BARCODES), pd.DataFrame(index=GENES))
        form = {"dense": np.asarray, "csr": sp.csr_matrix, "csc": sp.csc_matrix}.get(kind.split()[-1])
        cells.X = wrong if form is None else form(wrong)
        place = tmp_path / f"{len(handles)}.{kind.split()[0]}"
        if kind == "csv":
            pd.DataFrame(wrong, BARCODES, GENES).to_csv(place, na_rep="NA" if len(handles) % 2 else "")
        elif kind.startswith("h5ad"):
            cells.write_h5ad(place)
        elif kind.startswith("zarr"):
            cells.write_zarr(place)
        elif kind == "mtx":
            write_mtx(place, "real")
            text = (place / "matrix.mtx").read_text().split("\n")
            rows, columns = np.nonzero(COUNTS.T)
            at = {(column, row): number + 3 for number, (row, column) in enumerate(zip(rows, columns, strict=True))}
            assert {(3, 1), (5, 0), (5, 2)} <= set(at)
            for (cell, gene), value in (((3, 1), "nan"), ((5, 0), "-1.5"), ((5, 2), "nan")):
                text[at[cell, gene]] = f"{gene + 1} {cell + 1} {value}"
            (place / "matrix.mtx").write_text("\n".join(text))
        if kind == "memory":
            handle = InMemory(cells)
            handle.repair = Repair(**options)
        else:
            handle = open_expression(place, **options)
        handles.append(handle)
    for handle, message in zip(handles[:3], ("fill: 0", "floor: 0", "fill: 0"), strict=True):
        with pytest.raises(CellsError, match=message):
            handle.read()
    read = handles[3].read(BARCODES, GENES)
    expected = COUNTS.copy()
    expected[3, 1], expected[5, 0], expected[5, 2] = 2.0, 0.0, 2.0
    np.testing.assert_array_equal(read.X.toarray(), expected)
    # Sums over all genes are of the same values, whichever genes are asked for.
    some = handles[3].read(BARCODES, GENES[3:])
    np.testing.assert_array_equal(some.obs["total_counts"], expected.sum(axis=1))


@pytest.mark.parametrize("options", [{"fill": -1}, {"floor": float("nan")}])
def test_a_repair_that_would_make_no_counts_is_refused(tmp_path, options):
    with pytest.raises(SettingsError, match="must be a finite number of at least 0"):
        open_expression(write_h5ad(tmp_path / "a.h5ad"), **options)
