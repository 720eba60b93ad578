"""Files that are damaged, or are something else, give one clear error that names the file, or the right result."""

import gzip
import shutil
import signal
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpnn.cells import open_expression, read_class_labels
from kpnn.cells.formats.storage import inspection
from kpnn.cells.formats.storage.inspection import damage_of
from kpnn.cells.formats.tenx_h5_writing import write_tenx_h5
from kpnn.errors import CellsError

N, GENES = 12, ["A", "B_1", "C", "B_1", "D"]
BARCODES = pd.Index([f"ACGTACGTACGT{n:02d}-1" for n in range(N)])


def counts() -> sp.csr_matrix:
    return sp.csr_matrix(np.random.default_rng(3).poisson(0.7, (N, len(GENES))).astype(np.int32))


def tenx(path: Path, layout="features") -> Path:
    write_tenx_h5(
        path, counts(), BARCODES, pd.Index(GENES), pd.Index([f"E{n}" for n in range(len(GENES))]), layout=layout
    )
    return path


def h5ad(path: Path, values=None) -> Path:
    var = pd.DataFrame(index=pd.Index(GENES))
    ad.AnnData(
        values if values is not None else counts().astype(np.float32), pd.DataFrame(index=BARCODES), var
    ).write_h5ad(path)
    return path


@pytest.mark.parametrize("name", ["a.h5", "a.h5ad"])
@pytest.mark.parametrize("content", [b"", b"this is not HDF5", b"\x89HDF\r\n\x1a\n" + b"\0" * 40])
def test_a_file_that_is_no_hdf5_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CellsError, match=rf"{name}"):
        open_expression(tmp_path / name)


@pytest.mark.parametrize("name", ["a.h5", "a.h5ad", "a.csv", "a.csv.gz"])
def test_a_folder_in_the_place_of_a_file_is_named(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(CellsError, match=rf"{name}: is a folder"):
        open_expression(
            tmp_path / name, format="table" if "csv" in name else "tenx_h5" if name.endswith("h5") else "h5ad"
        )


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CellsError, match=r"missing.h5: no such file"):
        open_expression(tmp_path / "missing.h5")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("indptr", lambda a: a[:-1], "indptr has 12 entries for 12 rows"),
        ("indptr", lambda a: a + 1, "indptr runs from 1"),
        ("indptr", lambda a: a[[0, 2, 1, *range(3, N + 1)]], "indptr falls after row 1"),
        ("indices", lambda a: a + 3, "column index [5-7] where there are 5 columns"),
        ("indices", lambda a: a - 1, "column index -1"),
        ("data", lambda a: a[:-2], "indptr runs from 0"),
        ("data", lambda a: -a, "negative or non-finite values .* in cell ACGT"),
        ("data", lambda a: np.where(np.arange(len(a)) == 3, np.nan, a.astype(float)), "non-finite"),
        ("data", lambda a: np.where(np.arange(len(a)) == 3, np.inf, a.astype(float)), "non-finite"),
        ("shape", lambda a: a + 1, "13"),
        ("barcodes", lambda a: a[:5], "5 barcodes where the shape says 12"),
        ("features/name", lambda a: a[:2], "2 gene names where the shape says 5"),
        ("features/name", lambda a: np.array([b"\xff\xfe"] * 5), "not UTF-8"),
        ("features", None, "no group `features`"),
        ("data", None, "no such dataset"),
        ("indptr", lambda a: a.astype(str).astype("S"), "has type"),
    ],
)
def test_a_10x_file_whose_parts_do_not_fit_says_which(tmp_path, name, change, message):
    path = tenx(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        old = file[f"matrix/{name}"][:] if change else None
        del file[f"matrix/{name}"]
        if change:
            file[f"matrix/{name}"] = change(old)
    with pytest.raises(CellsError, match=message) as error:
        open_expression(path).read()
    assert "a.h5" in str(error.value)


def test_negative_values_in_a_gene_that_is_not_asked_for_are_found_by_the_sum(tmp_path):
    values = counts().toarray().astype(np.float32)
    values[4, 4] = -1000
    with pytest.raises(CellsError, match=r"sum over all genes is .* in cell ACGTACGTACGT04-1"):
        open_expression(h5ad(tmp_path / "a.h5ad", values)).read(genes=["A"])


def test_a_barcode_that_stands_twice_is_an_error_only_when_it_is_asked_for(tmp_path):
    path = tenx(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        names = file["matrix/barcodes"][:]
        names[7] = names[2]
        file["matrix/barcodes"][:] = names
    handle = open_expression(path)
    assert handle.read([BARCODES[4]]).n_obs == 1
    with pytest.raises(CellsError, match=f"barcode {BARCODES[2]} occurs more than once"):
        handle.read([BARCODES[4], BARCODES[2]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty, or holds nothing but empty lines"),
        (b",c1,c2\n", "no rows"),
        (b",c1,c2\ng1,1\n", "columns"),
        (b",c1,c2\ng1,1,2\ng2,1\n", "line 3: 2 columns where there should be 3"),
        (b",c1,c2\ng1,1,x\n", "line 2, column c2: 'x' is not a number"),
        (b",c1,c2\ng1,1,\n", "line 2, column c2: '' is not a number"),
        (b",c1,c2\ng1,1,NA\n", "line 2, column c2: 'NA' is not a number"),
        (b",c1,c2\ng1,1,-2\n", "negative"),
        (b",c1,c2\ng1,1,nan\n", "non-finite"),
        (b",c1,c2\ng1,1,1e300\n", "non-finite"),
        (b",c1,c2\n\xe9t\xe9,1,2\n", "line 2: byte 0xe9 is not UTF-8"),
        (b",c1,c\xff\ng1,1,2\n", "line 1: byte 0xff is not UTF-8"),
        (b",c1,c2\ng1,1,2\n\ng2,1,2\n", "line 3: has no name"),
        (b',c1,c2\n"g1,1,2\n', "line 2: a quoted name that does not end"),
        (b",c1,c2\n\0\0,1,2\n", "line 2: holds a NUL byte"),
        (b",c1,\ng1,1,2\n", "line 1: column 3 has no name"),
        (b",c1,c1\ng1,1,2\n", "barcode c1 occurs more than once"),
    ],
)
def test_a_text_matrix_with_a_fault_says_the_line(tmp_path, text, message):
    for name, raw in (("a.csv", text), ("b.csv.gz", gzip.compress(text))):
        path = tmp_path / name
        path.write_bytes(raw)
        with pytest.raises(CellsError, match=message) as error:
            open_expression(path, orientation="genes_by_cells").read()
        assert name in str(error.value)


def test_a_gzip_that_breaks_off_is_named(tmp_path):
    rows = b"".join(b"g%d,1,2\n" % n for n in range(20_000))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b",c1,c2\n" + rows)[:-300])
    with pytest.raises(CellsError, match=r"a.csv.gz: cannot be read"):
        open_expression(tmp_path / "a.csv.gz", orientation="genes_by_cells").read()


@pytest.mark.parametrize("packed", ["gzip", "zip"])
def test_a_table_that_would_fill_memory_is_not_unpacked(tmp_path, monkeypatch, packed):
    monkeypatch.setattr("kpnn.text_tables._MOST_UNPACKED", 2**20)
    text = b"barcode,T\n" + b"c1,1\n" * 1_000_000
    path = tmp_path / f"l.csv.{packed}"
    if packed == "gzip":
        path.write_bytes(gzip.compress(text))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("l.csv", text)
    with pytest.raises(CellsError, match=r"l\.csv\.\w+: unpacks to more than [\d.]+ MB, 200 times its size"):
        read_class_labels(path)


def test_a_header_of_a_million_columns_reads_in_seconds(tmp_path):
    n = 1_000_000
    with (tmp_path / "a.csv").open("w") as file:
        file.write("," + ",".join(f"c{number}" for number in range(n)) + "\n")
        for gene in ("g1", "g2"):
            file.write(gene + ",1" * n + "\n")
    cells = open_expression(tmp_path / "a.csv", orientation="genes_by_cells").read([f"c{n - 1}", "c5"])
    np.testing.assert_array_equal(cells.X.toarray(), np.ones((2, 2)))
    with pytest.raises(CellsError, match=r"1,000,001 columns; an expression matrix"):
        read_class_labels(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("matrix.mtx", "integer", "complex", "line 1: must be"),
        ("matrix.mtx", "general", "symmetric", "line 1: must be"),
        ("matrix.mtx", " integer general", "", "line 1: must be .* found 'matrix coordinate'"),
        ("matrix.mtx", "%%MatrixMarket", "Hello", "line 1: is not a Matrix Market"),
        ("matrix.mtx", "3 2 4\n", "3 3 4\n", "3 x 3, but there are 3 features and 2 barcodes"),
        ("matrix.mtx", "3 2 4\n", "3 2 5\n", "4 entries where line 3 says 5"),
        ("matrix.mtx", "3 2 4\n", "3 x 4\n", "must be three sizes"),
        ("matrix.mtx", "\n2 1 7\n", "\n4 1 7\n", "an index outside the sizes"),
        ("matrix.mtx", "\n2 1 7\n", "\n2 1 seven\n", "entries must be gene, cell and value"),
        ("matrix.mtx", "\n2 1 7\n", "\n2 1 -7\n", "negative"),
        ("genes.tsv", "E2\tB", "E2", "line 2: needs an identifier and a symbol"),
        ("barcodes.tsv", "c1\nc2\n", "", "barcodes.tsv: is empty"),
    ],
)
def test_an_mtx_folder_with_a_fault_says_file_and_line(tmp_path, file, old, new, message):
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "matrix.mtx").write_text(
        "%%MatrixMarket matrix coordinate integer general\n%\n3 2 4\n1 1 5\n2 1 7\n3 1 1\n1 2 2\n"
    )
    (folder / "genes.tsv").write_text("E1\tA\nE2\tB\nE3\tC\n")
    (folder / "barcodes.tsv").write_text("c1\nc2\n")
    np.testing.assert_array_equal(open_expression(folder).read().X.toarray(), [[5, 7, 1], [2, 0, 0]])
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    with pytest.raises(CellsError, match=message):
        open_expression(folder).read()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (b"barcode,T\n", "no rows"),
        (b"T,cell\n1,c1\n0,c2\n", "no column barcode.*columns: .barcode: "),
        (b"barcode\nc1\n", "no column but the barcodes"),
        (b"barcode,T\nc1,2\n", "label T must be 0 or 1, found 2 in row 1"),
        (b"barcode,T\nc1,\n", "label T must be 0 or 1"),
        (b"barcode,T\nc1,1\nc1,0\n", "barcode c1 occurs more than once"),
        (b"barcode,T\n,1\n", "empty barcode in row 1"),
        (b"barcode,T,T\nc1,1,1\n", "column T occurs more than once"),
        (b"barcode,T\nc1,1,1\n", "line 2: 3 columns where the header has 2"),
        (b"barcode,T\nc\xe9,1\n", "line 2: byte 0xe9 is not UTF-8"),
        ("barcode,T\nc1,1\n".encode("utf-16"), "is UTF-16"),
    ],
)
def test_class_labels_with_a_fault_say_where(tmp_path, text, message):
    (tmp_path / "l.csv").write_bytes(text)
    with pytest.raises(CellsError, match=message) as error:
        read_class_labels(tmp_path / "l.csv")
    assert "l.csv" in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        b"barcode,T\nc1,1\nc2,0\n",
        b"\xef\xbb\xbfbarcode,T\r\nc1,1\r\nc2,0\r\n",
        b"barcode\tT\rc1\t1\rc2\t0",
        b'"barcode";"T"\n"c1";"1.0"\n"c2";"FALSE"\n\n',
        gzip.compress(b"barcode,T\nc1,1\nc2,0\n", mtime=0),
    ],
)
def test_class_labels_are_the_same_whatever_program_wrote_them(tmp_path, text):
    (tmp_path / "l.csv").write_bytes(text)
    labels = read_class_labels(tmp_path / "l.csv")
    assert labels.to_dict("list") == {"barcode": ["c1", "c2"], "T": [1, 0]}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_in_the_place_of_labels_give_labels_or_a_clear_error(tmp_path, raw):
    (tmp_path / "l.csv").write_bytes(b"barcode,T\n" + raw)
    try:
        labels = read_class_labels(tmp_path / "l.csv")
    except CellsError as error:
        assert "l.csv" in str(error)
    else:
        assert set(labels["T"]) <= {0, 1}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_in_the_place_of_a_text_matrix_give_values_or_a_clear_error(tmp_path, raw):
    (tmp_path / "a.csv").write_bytes(b",c1,c2\n" + raw)
    try:
        cells = open_expression(tmp_path / "a.csv", orientation="genes_by_cells").read()
    except CellsError as error:
        assert "a.csv" in str(error)
    else:
        assert np.isfinite(cells.X.data).all()


def with_endless_heap(good: Path, bad: Path, where: str) -> Path:
    raw = bytearray(good.read_bytes())
    start = raw.find(b"GCOL")
    at = start + 16
    while raw[at : at + 2] != b"\0\0":  # up to the free space
        at += 16 + -(-int.from_bytes(raw[at + 8 : at + 16], "little") // 8) * 8
    if where == "its free space":
        raw[at + 8 : at + 16] = bytes(8)
    else:  # the heap claims to be longer than it is, and zeros follow its free space
        raw[start + 8 : start + 16] = (1 << 20).to_bytes(8, "little")
        raw[at + 8 : at + 16] = (16).to_bytes(8, "little")
        raw[at + 16 : at + 40] = bytes(24)
    bad.write_bytes(raw)
    return bad


@pytest.mark.parametrize("where", ["its free space", "beyond its free space"])
def test_a_heap_that_libhdf5_would_read_for_ever_is_refused_at_once(tmp_path, where):
    bad = with_endless_heap(h5ad(tmp_path / "a.h5ad"), tmp_path / "b.h5ad", where)
    with pytest.raises(CellsError, match=r"b.h5ad: damaged HDF5: a heap of names does not end"):
        open_expression(bad)


def test_a_file_that_would_keep_its_reader_for_ever_only_keeps_a_process_of_its_own(tmp_path):
    good = h5ad(tmp_path / "a.h5ad")
    bad = with_endless_heap(good, tmp_path / "b.h5ad", "its free space")
    (tmp_path / "c.h5").write_bytes(b"no HDF5 at all")
    assert damage_of(good) is None
    assert damage_of(tmp_path / "c.h5") is None  # its reader says so, in words
    assert "b.h5ad: damaged HDF5: reading its names does not end" in damage_of(bad, cpu_seconds=2)


def test_what_cannot_be_opened_does_not_hide_what_would_keep_a_reader_for_ever(tmp_path):
    bad = with_endless_heap(h5ad(tmp_path / "a.h5ad"), tmp_path / "b.h5ad", "its free space")
    with h5py.File(bad) as file:
        at = h5py.h5o.get_info(file["X"].id).addr
    raw = bytearray(bad.read_bytes())
    raw[at : at + 16] = b"\xff" * 16
    bad.write_bytes(raw)
    with h5py.File(bad) as file, pytest.raises((KeyError, OSError, RuntimeError)):
        file["X"]
    assert "b.h5ad: damaged HDF5: reading its names does not end" in damage_of(bad, cpu_seconds=2)


@pytest.mark.parametrize("suffix", [".h5ad", ".h5"])
def test_a_file_is_opened_only_after_a_process_of_its_own_has_looked_into_it_and_once(tmp_path, monkeypatch, suffix):
    good = (h5ad if suffix == ".h5ad" else tenx)(tmp_path / f"a{suffix}")
    bad, looked = Path(shutil.copy(good, tmp_path / f"b{suffix}")), []

    def look(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        name = Path(command[-3]).name
        looked.append(name)
        return subprocess.CompletedProcess(command, 0 if name == good.name else -signal.SIGSEGV)

    monkeypatch.setattr(inspection.subprocess, "run", look)
    open_expression(good).read()
    with pytest.raises(CellsError, match=f"b{suffix}: damaged HDF5: libhdf5 crashes on it"):
        open_expression(bad)
    assert looked == [good.name, bad.name]


FUZZER = textwrap.dedent("""
    import sys
    from pathlib import Path
    import numpy as np
    from kpnn.cells import open_expression
    from kpnn.cells.formats.storage import hdf5
    from kpnn.errors import CellsError

    hdf5.damage_of = lambda path: None  # readers alone: the look before them takes a third of a second a file
    source, target, first, last = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    original = source.read_bytes()
    read = refused = 0
    for seed in range(first, last):
        print(seed, file=sys.stderr, flush=True)
        rng = np.random.default_rng(seed)
        raw = bytearray(original)
        kind = rng.integers(3)
        if kind == 0:
            raw = raw[: rng.integers(len(raw))]
        elif kind == 1:
            for at in rng.integers(len(raw), size=rng.integers(1, 20)):
                raw[at] = rng.integers(256)
        else:
            start = rng.integers(len(raw))
            raw[start : start + 64] = rng.integers(0, 256, 64, dtype=np.uint8).tobytes()
        target.write_bytes(raw)
        try:
            cells = open_expression(target).read()
            assert np.isfinite(cells.X.data).all() and (cells.X.data >= 0).all()
            read += 1
        except CellsError as error:
            assert target.name in str(error), error
            refused += 1
    print(read, refused)
""")


@pytest.mark.parametrize("kind", ["newer", "older", "h5ad"])
def test_hundreds_of_damaged_hdf5_files_never_crash_hang_or_raise_anything_else(tmp_path, kind):
    source = (
        h5ad(tmp_path / "good.h5ad")
        if kind == "h5ad"
        else tenx(tmp_path / "good.h5", "genome" if kind == "older" else "features")
    )
    target = tmp_path / f"bad{source.suffix}"
    (tmp_path / "fuzz.py").write_text(FUZZER)
    # In a process of its own: a crash inside libhdf5 would end this one.
    done = subprocess.run(
        [sys.executable, str(tmp_path / "fuzz.py"), str(source), str(target), "0", "250"],
        capture_output=True,
        text=True,
        timeout=600,  # it takes four seconds; this only ends what hangs, however busy the machine is
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    read, refused = (int(number) for number in done.stdout.split())
    assert read > 20
    assert refused > 100
