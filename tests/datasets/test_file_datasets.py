"""Every dataset of the catalog: on any file system, with versions, whole or not at all, in other processes."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
from pathlib import Path

import anndata as ad
import fsspec
import h5py
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from kedro.io import AbstractDataset, DataCatalog, DatasetError
from kedro.pipeline import Pipeline, node
from kedro.runner import ParallelRunner
from scipy.sparse import csr_matrix

from kpnn.cells import Transform, match, open_expression
from kpnn.cells.formats.storage import inspection
from kpnn.datasets.base import FileDataset
from kpnn.files import settled, written_whole
from kpnn.pkn import Dag, Pkn

EDGES = pd.DataFrame({"parent": ["OUT", "TF", "TF"], "child": ["TF", "A_gene", "B_gene"]})
TABLE = pd.DataFrame({"barcode": ["AC", "GT"], "value": [0.5, 2.0]})
TEXT_TABLE = TABLE.astype(str)


def some_cells() -> ad.AnnData:
    counts = csr_matrix(np.array([[1, 0, 2], [0, 3, 0]], dtype=np.float32))
    # HDF5 takes a slash for a folder; what stands in its place in the file may be part of a name too.
    obs = pd.DataFrame({"CD4+/CD25 T Reg": [0, 1], "50 %2F": [1, 0], "%25": [2, 3]}, index=["AC", "GT"])
    return ad.AnnData(counts, obs, pd.DataFrame(index=["A", "B", "C"]))


def same_table(found, saved):
    pd.testing.assert_frame_equal(found, saved, check_dtype=False)


def same_network(found, saved):
    same_table(found.edges, saved.edges)
    assert (found.inputs, found.outputs) == (saved.inputs, saved.outputs)


def same_values(found, saved):
    same_table(found.to_df(), saved.to_df())


def same_cells(found, saved):
    same_values(found, saved)
    same_table(found.obs, saved.obs)


def same_cells_on_disk(found, saved):
    assert found.isbacked
    same_cells(found.to_memory(), saved)


def same_files(found, saved):
    assert {p.relative_to(found).as_posix(): p.read_bytes() for p in found.rglob("*") if p.is_file()} == saved


def equal(found, saved):
    assert found == saved


NAMED = pd.DataFrame(
    {"node": ["NA", "007", "nan"], "output": "1", "gene": ["1e5", "True", "MARCH1"], "weight": [1, np.nan, 2]}
)

KINDS = {  # type, file name, something to save, how to compare
    "parquet": ("tables.TableDataset", "t.parquet", TABLE, same_table),
    "parquet with its index": ("tables.TableDataset", "t.parquet", TABLE.set_index("barcode"), same_table),
    "csv": ("tables.TableDataset", "t.csv", TABLE, same_table),
    "csv of names": ("tables.TableDataset", "t.csv", NAMED, same_table),
    "json": ("documents.JSONDataset", "d.json", {"a": [1, None], "ü": "µ"}, equal),
    "text": ("documents.TextDataset", "page.html", "<p>α → β</p>\n", equal),
    "figure": ("documents.PlotlyDataset", "f.json", go.Figure(go.Scatter(x=[1, 2], y=[3, 4])), equal),
    "files": ("files.FilesDataset", "parts", {"a.svg": b"<svg/>", "tables/b.csv": b"x\n1\n"}, same_files),
    "cells": ("cells.MatchedCellsDataset", "cells.h5ad", some_cells(), same_cells),
    "cells on disk": ("cells.MatchedCellsDataset", "cells.h5ad", some_cells(), same_cells_on_disk),
    "pkn": ("networks.PknDataset", "p.parquet", Pkn.from_edges(EDGES), same_network),
    "dag": ("networks.DagDataset", "d.parquet", Dag.from_edges(EDGES, outputs=["OUT"]), same_network),
    "expression": ("raw.ExpressionDataset", "c.h5", some_cells(), lambda a, b: same_values(a.read(), b)),
    "labels": ("raw.ClassLabelsDataset", "l.csv", TEXT_TABLE, same_table),
    "edges": ("raw.EdgeListDataset", "e.csv", EDGES, lambda a, b: same_table(a[["parent", "child"]], b)),
}
PLACES = {"here": "{tmp}/new/{name}", "elsewhere": "memory://{tmp}/new/{name}"}


def dataset(kind: str, filepath: str, **more) -> FileDataset:
    options = {"stream_above_entries": 1} if kind == "cells on disk" else {}
    entry = {"type": f"kpnn.datasets.{KINDS[kind][0]}", "filepath": filepath}
    return AbstractDataset.from_config(kind, {**entry, **options, **more})


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_loaded_wherever_it_lies(kind, place, versioned, tmp_path):
    _, name, saved, compare = KINDS[kind]
    path = PLACES[place].format(tmp=tmp_path, name=name)
    kept = dataset(kind, path, versioned=versioned)
    assert not kept.exists()
    kept.save(saved)
    assert kept.exists()
    compare(kept.load(), saved)
    compare(dataset(kind, path, versioned=versioned).load(), saved)
    compare(pickle.loads(pickle.dumps(kept)).load(), saved)
    if not versioned:
        kept.save(saved)  # again, over the first
        compare(kept.load(), saved)
    fs, root = fsspec.core.url_to_fs(PLACES[place].format(tmp=tmp_path, name=""))
    assert [Path(entry).name for entry in fs.ls(root.rstrip("/"), detail=False)] == [name]


def test_every_version_stays_and_the_latest_is_loaded(tmp_path):
    path = str(tmp_path / "t.csv")
    for value in (1, 2):
        dataset("csv", path, versioned=True).save(pd.DataFrame({"a": [value]}))
    kept = dataset("csv", path, versioned=True)
    assert len(kept.list_versions()) == 2
    assert kept.load()["a"].tolist() == [2]
    oldest = AbstractDataset.from_config(
        "t",
        {"type": "kpnn.datasets.tables.TableDataset", "filepath": path, "versioned": True},
        load_version=kept.list_versions(full_path=False)[1],
    )
    assert oldest.load()["a"].tolist() == [1]


def test_versions_beside_a_file_of_the_same_name_are_refused_in_words(tmp_path):
    dataset("csv", str(tmp_path / "t.csv")).save(TABLE)
    with pytest.raises(DatasetError, match="versioning was enabled on a dataset already saved"):
        dataset("csv", str(tmp_path / "t.csv"), versioned=True).save(TABLE)


def test_what_is_not_there_is_named_unless_it_is_optional(tmp_path):
    path = str(tmp_path / "t.csv")
    with pytest.raises(DatasetError, match=rf"{path}: no such file; run the pipeline that writes it"):
        dataset("csv", path).load()
    for versioned in (False, True):
        maybe = dataset("csv", path, optional=True, versioned=versioned)
        assert maybe.load() is None
        assert not maybe.exists()  # Kedro's --only-missing-outputs asks this
    (tmp_path / "t.csv").write_bytes(b"")
    with pytest.raises(DatasetError):  # what is there must be readable
        dataset("csv", path, optional=True).load()


def test_a_table_of_another_suffix_and_folds_elsewhere_are_refused():
    with pytest.raises(DatasetError, match=r"kept as \.parquet or \.csv"):
        dataset("csv", "t.xlsx")
    with pytest.raises(DatasetError, match="on a disk of this machine"):
        AbstractDataset.from_config(
            "store", {"type": "kpnn.datasets.fold_store.FoldStoreDataset", "filepath": "s3://bucket/models"}
        )


def test_a_catalog_writes_its_datasets_down_again(tmp_path):
    entries = {
        "t": {"type": "kpnn.datasets.tables.TableDataset", "filepath": f"{tmp_path}/t.csv", "versioned": True},
        "x": {"type": "kpnn.datasets.raw.ExpressionDataset", "filepath": f"{tmp_path}/c.h5", "genome": "GRCh38"},
    }
    config = DataCatalog.from_config(entries).to_config()[0]
    for name, entry in entries.items():
        assert entry.items() <= config[name].items()


# --- whole or not at all ------------------------------------------------------------------------------------------


def content_of(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(part for part in path.rglob("*") if part.is_file())
    return {part.relative_to(path.parent).as_posix(): part.read_bytes() for part in files}


def killed_while_saving(kept: FileDataset, data, monkeypatch, at: str, count: int) -> bool:
    """Saves in a process that ends, as by `kill -9`, at the count-th call of `at`; says whether it came that far."""
    process = os.fork()
    if process == 0:
        owner, name = (Path, at) if at in ("rename", "replace") else (os, at)
        original, calls = getattr(owner, name), []

        def killing(*arguments, **options):
            calls.append(1)
            if len(calls) == count:
                os._exit(9)
            return original(*arguments, **options)

        setattr(owner, name, killing)
        try:
            kept.save(data)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9


NEW = {
    "csv": TABLE.assign(value=7.0),
    "files": {"a.svg": b"<svg>new</svg>", "tables/c.csv": b"y\n2\n"},
    "dag": Dag.from_edges(EDGES.assign(child=["TF", "A_gene", "C_gene"]), outputs=["OUT"]),
}


@pytest.mark.parametrize("at", ["fsync", "rename", "replace", "rmdir", "unlink"])
@pytest.mark.parametrize("kind", NEW)
def test_a_killed_save_leaves_the_old_or_the_new_whole_and_the_next_one_works(kind, at, tmp_path, monkeypatch):
    _, name, old, compare = KINDS[kind]
    whole = []
    for folder, data in (("old", old), ("new", NEW[kind])):
        reference = tmp_path / folder / name
        dataset(kind, str(reference)).save(data)
        whole.append(content_of(reference))
    kills = 0
    for count in range(1, 9):
        path = tmp_path / f"{count}" / name
        kept = dataset(kind, str(path))
        kept.save(old)
        if not killed_while_saving(kept, NEW[kind], monkeypatch, at, count):
            break
        kills += 1
        again = dataset(kind, str(path))
        again.load()
        assert content_of(path) in whole
        again.save(NEW[kind])
        compare(again.load(), NEW[kind])
        assert [entry.name for entry in path.parent.iterdir()] == [name]
    if at in ("fsync", "rename" if kind == "files" else "replace"):
        assert kills > 0


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    kept = dataset("json", str(tmp_path / "d.json"))
    kept.save({"a": 1})
    with pytest.raises(DatasetError):
        kept.save({"a": 2, "b": object()})
    assert kept.load() == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["d.json"]


def test_a_file_does_not_take_the_place_of_a_folder(tmp_path):
    (tmp_path / "t.csv").mkdir()
    (tmp_path / "t.csv" / "kept").write_text("x")
    with pytest.raises(OSError), written_whole(tmp_path / "t.csv") as partial:
        partial.write_text("y")
    assert (tmp_path / "t.csv" / "kept").read_text() == "x"


def test_a_folder_is_settled_only_where_its_name_is_free(tmp_path):
    for name in ("folder", ".folder.previous"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("x")
    assert (settled(tmp_path / "folder") / "folder").is_file()
    shutil.rmtree(tmp_path / "folder")
    assert (settled(tmp_path / "folder") / ".folder.previous").is_file()
    assert not settled(tmp_path / "other").exists()


# --- other processes ----------------------------------------------------------------------------------------------


def count_genes(cells: ad.AnnData) -> pd.DataFrame:
    return pd.DataFrame({"genes": [cells.n_vars]})


def count_edges(dag: Dag) -> dict[str, int]:
    return {"edges": len(dag.edges)}


def test_the_parallel_runner_reads_and_writes_them(tmp_path):
    from kedro.io import SharedMemoryDataCatalog

    entries = {}
    for name, kind in (("cells", "cells"), ("dag", "dag"), ("genes", "csv"), ("edges", "json")):
        suffix = KINDS[kind][1]
        entries[name] = {"type": f"kpnn.datasets.{KINDS[kind][0]}", "filepath": f"{tmp_path}/{name}/{suffix}"}
    catalog = SharedMemoryDataCatalog.from_config(entries)
    catalog["cells"].save(some_cells())
    catalog["dag"].save(KINDS["dag"][2])
    steps = Pipeline([node(count_genes, "cells", "genes"), node(count_edges, "dag", "edges")])
    ParallelRunner(max_workers=2).run(steps, catalog)
    assert catalog["genes"].load()["genes"].tolist() == [3]
    assert catalog["edges"].load() == {"edges": 3}


@pytest.mark.parametrize("kind", ["tables.TableDataset", "networks.DagDataset", "documents.JSONDataset"])
@pytest.mark.parametrize(
    "content", [b"", b"PAR1 and half of", b'{"a": ', b"\xff\xfe\x00"], ids=["no", "half", "open", "bytes"]
)
def test_a_file_that_is_damaged_is_one_message_that_names_it(tmp_path, kind, content):
    path = tmp_path / ("a.json" if "JSON" in kind else "a.parquet")
    path.write_bytes(content)
    dataset = AbstractDataset.from_config("a", {"type": f"kpnn.datasets.{kind}", "filepath": str(path)})
    with pytest.raises(DatasetError) as refused:
        dataset.load()
    assert str(refused.value).startswith(f"{path}: cannot be read; it is damaged, or something else (")
    assert "run the pipeline that writes it first" in str(refused.value)


def kept_cells(path: Path) -> AbstractDataset:
    kind = "kpnn.datasets.cells.MatchedCellsDataset"
    return AbstractDataset.from_config("a", {"type": kind, "filepath": str(path)})


def test_cells_that_hdf5_would_read_for_ever_are_refused_at_once(tmp_path):
    kept_cells(tmp_path / "a.h5ad").save(some_cells())
    raw = bytearray((tmp_path / "a.h5ad").read_bytes())
    raw[(start := raw.find(b"GCOL\x01") + 16) : start + 16] = bytes(16)  # the first name: free space of no size
    (tmp_path / "b.h5ad").write_bytes(raw)
    with pytest.raises(DatasetError, match=r"b.h5ad: damaged HDF5: a heap of names does not end: `kedro run --pipe"):
        kept_cells(tmp_path / "b.h5ad").load()


def test_cells_of_another_process_are_looked_into_before_they_are_read(tmp_path, monkeypatch):
    kept_cells(tmp_path / "a.h5ad").save(some_cells())
    shutil.copy(tmp_path / "a.h5ad", tmp_path / "b.h5ad")
    looked = []

    def crashes(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        looked.append(Path(command[-3]).name)
        return subprocess.CompletedProcess(command, -signal.SIGSEGV)

    monkeypatch.setattr(inspection.subprocess, "run", crashes)
    assert kept_cells(tmp_path / "a.h5ad").load().n_obs == 2
    with pytest.raises(DatasetError, match=r"b.h5ad: damaged HDF5: libhdf5 crashes on it .*: `kedro run"):
        kept_cells(tmp_path / "b.h5ad").load()
    assert looked == ["b.h5ad"]


def test_a_file_that_asks_for_more_memory_than_there_is_is_named(tmp_path):
    class Giant(FileDataset):
        def _read(self, path: Path) -> np.ndarray:
            return np.empty(2**55)

        def _write(self, path: Path, data: object) -> None:
            path.write_text(str(data))

    dataset = Giant(filepath=str(tmp_path / "a"))
    dataset.save("x")
    with pytest.raises(DatasetError, match=r"/a: takes more memory than there is, or is damaged \(Unable to allocate"):
        dataset.load()


def test_cells_that_pass_from_file_to_file_have_the_same_names_as_those_in_memory(tmp_path):
    raw = some_cells()
    raw.obs = pd.DataFrame(index=raw.obs_names)
    raw.write_h5ad(tmp_path / "raw.h5ad")
    labels = pd.DataFrame({"barcode": ["AC", "GT"], "A/B": [0, 1]})
    for in_memory_cells in (None, 0):
        handle = open_expression(tmp_path / "raw.h5ad")
        found = match(handle, labels, ["A", "B", "C"], in_memory_cells=in_memory_cells)
        kept = dataset("cells", str(tmp_path / "cells.h5ad"))
        kept.save(found.to_anndata(Transform(), ["A", "B", "C"]))
        assert kept.load().obs["A/B"].tolist() == [0, 1]
        with h5py.File(tmp_path / "cells.h5ad") as file:
            assert "A%2FB" in file["obs"]
