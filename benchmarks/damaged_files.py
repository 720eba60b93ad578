"""Damages files of every kind that kpnn reads, and counts what reading them comes to.

`python benchmarks/damaged_files.py --files 10000` flips bits, cuts, and writes over, inserts, repeats and moves
parts of good files, and reads each in a process of its own with a limit of memory. Good are: values, or one
`KpnnError`. Counted as faults are any other error, a crash, and more than `--seconds` of computing for one file. Before
kpnn opens an HDF5 file a process of its own looks into it, which takes a third of a second: here only into those that
crash or hang their reader, which are `looked` where that look says so.
Values that differ from those of the good file, without a word, are counted too: most formats hold no checksums.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import psutil  # type: ignore[import-untyped]

_MEMORY = 6 * 2**30
_N, _GENES = 12, ["A", "B_1", "C", "B_1", "D"]
_BARCODES = [f"ACGTACGTACGT{n:02d}-1" for n in range(_N)]
_OBO = "format-version: 1.2\n\n[Term]\nid: GO:1\nname: root\n\n[Term]\nid: GO:2\nname: leaf\nis_a: GO:1 ! root\n"
_GRAPHML = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="d0" for="edge" attr.name="sign" attr.type="int"/>
<graph edgedefault="directed"><node id="A"/><node id="B"/><node id="C_gene"/>
<edge source="A" target="B"><data key="d0">1</data></edge>
<edge source="B" target="C_gene"><data key="d0">-1</data></edge></graph></graphml>
"""
_TABLE = "parent,child,sign,cost\nA,B,1,1.5\nB,C_gene,-1,2\nA,D_gene,,1\n"
_GAF_LINE = "DB\tID1\tSYM\tinvolved_in\tGO:1\tREF\tIEA\t\tP\tname\tsyn\tprotein\ttaxon:9606\t20200101\tDB\t\t\n"
_TEXTS = {
    "edges.csv": _TABLE,
    "edges.tsv": _TABLE.replace(",", "\t"),
    "edges.sif": "A activates B\nB inhibits C_gene D_gene\n",
    "edges.graphml": _GRAPHML,
    "sets.gmt": "SET_A\tdescription\tC\tD\tE\nSET_B\tdescription\tC\tF\n",
    "terms.gaf": "!gaf-version: 2.2\n" + _GAF_LINE,
    "terms.obo": _OBO,
    "ReactomePathwaysRelation.txt": "R-HSA-1\tR-HSA-2\nR-HSA-2\tR-HSA-3\n",
    "Ensembl2Reactome.txt": "ENSG1\tR-HSA-1\thttps://r\tname\tTAS\tHomo sapiens\n",
}


def _expression(path: Path) -> Any:
    from kpnn.cells import open_expression

    options: dict[str, Any] = {"orientation": "cells_by_genes"} if path.name.startswith("cells.") else {}
    handle = open_expression(path, **options)
    columns = [list(handle.cell_column(name)) for name in handle.cell_columns]
    cells = handle.read()
    if not (np.isfinite(cells.X.data).all() and (cells.X.data >= 0).all()):
        raise AssertionError("values that are no expression")
    return cells.X.toarray().tolist(), list(cells.obs_names), list(cells.var_names), columns


def _labels(path: Path) -> Any:
    from kpnn.cells import read_class_labels

    return read_class_labels(path).to_dict("list")


def _edges(path: Path) -> Any:
    from kpnn.pkn.readers import read_edges

    return read_edges(path).to_dict("list")


def _model(path: Path) -> Any:
    from kpnn.nn import edge_weights, load_kpnn, members_of

    return [edge_weights(member).tolist() for member in members_of(load_kpnn(path))]


def _entry(kind: str) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        from kpnn.datasets import cells, documents, networks, tables

        classes = {
            "table": tables.TableDataset,
            "json": documents.JSONDataset,
            "figure": documents.PlotlyDataset,
            "dag": networks.DagDataset,
            "cells": cells.MatchedCellsDataset,
        }
        return repr(classes[kind](filepath=str(path)).load())

    return read


def _anndata(sparse: str) -> Any:
    import anndata as ad
    import scipy.sparse as sp

    counts = np.random.default_rng(3).poisson(0.7, (_N, len(_GENES))).astype(np.float32)
    make = {"dense": np.asarray, "csr": sp.csr_matrix, "csc": sp.csc_matrix}[sparse]
    obs = pd.DataFrame({"state": pd.Categorical(["a", "b"] * 6), "depth": range(_N)}, index=_BARCODES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of genes that stand twice
        return ad.AnnData(make(counts), obs, pd.DataFrame(index=_GENES))


def _make_h5ad(sparse: str) -> Callable[[Path], None]:
    return lambda path: _anndata(sparse).write_h5ad(path)


def _make_zarr(version: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        import anndata as ad

        ad.settings.zarr_write_format = version
        _anndata("csr").write_zarr(path)

    return make


def _make_tenx(layout: Literal["genome", "features"]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        from kpnn.cells.formats.tenx_h5_writing import write_tenx_h5

        ids = pd.Index([f"E{n}" for n in range(len(_GENES))])
        write_tenx_h5(path, _anndata("csr").X, pd.Index(_BARCODES), pd.Index(_GENES), ids, layout=layout)

    return make


def _make_mtx(gz: bool) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        files = {
            "matrix.mtx": "%%MatrixMarket matrix coordinate integer general\n%\n3 2 4\n1 1 5\n2 1 7\n3 1 1\n1 2 2\n",
            "features.tsv": "".join(f"E{gene}\t{gene}\tGene Expression\n" for gene in "ABC"),
            "barcodes.tsv": "c1\nc2\n",
        }
        for name, text in files.items():
            (path / (name + ".gz" * gz)).write_bytes(_packed(text, name + ".gz" * gz))

    return make


def _packed(text: str, name: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0) if name.endswith(".gz") else text.encode()


def _make_text(text: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(_packed(text, path.name))

    return make


def _make_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("edges.csv"), _TABLE)


def _dag() -> Any:
    from kpnn.pkn import Dag

    edges = pd.DataFrame({"parent": ["T", "T", "B", "B"], "child": ["B", "A_gene", "C_gene", "D_gene"]})
    return Dag.from_edges(edges, outputs=["T"])


def _make_model(path: Path) -> None:
    from kpnn.nn import build_ensemble, build_kpnn

    build_ensemble([build_kpnn(_dag(), input_normalization="standard", seed=seed) for seed in range(2)]).save(path)


def _make_entry(kind: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        from kpnn.datasets import networks

        table = pd.DataFrame({"fold": [0, 1], "barcode": ["a", "b"], "probability": [0.25, 0.75]})
        if kind == "dag":
            networks.DagDataset(filepath=str(path)).save(_dag())
        elif kind == "cells":
            _make_h5ad("csr")(path)
        elif kind == "figure":
            path.write_text(json.dumps({"data": [{"type": "scatter", "x": [1, 2], "y": [3, 4]}], "layout": {}}))
        elif kind == "json":
            path.write_text(json.dumps({"optimal": True, "edges": [1, 2, 3], "gap": 0.0}))
        elif path.suffix == ".csv":
            table.to_csv(path, index=False)
        else:
            table.to_parquet(path)

    return make


@dataclass(frozen=True)
class Kind:
    """A kind of file: its name, how a good one is made, and how it is read."""

    name: str
    make: Callable[[Path], None]
    read: Callable[[Path], Any]


_MATRIX = _anndata("dense").to_df().iloc[:, [0, 1, 2, 4]].to_csv()
KINDS = {
    "h5ad dense": Kind("a.h5ad", _make_h5ad("dense"), _expression),
    "h5ad CSR": Kind("a.h5ad", _make_h5ad("csr"), _expression),
    "h5ad CSC": Kind("a.h5ad", _make_h5ad("csc"), _expression),
    "10x h5, newer": Kind("a.h5", _make_tenx("features"), _expression),
    "10x h5, older": Kind("a.h5", _make_tenx("genome"), _expression),
    "zarr 2": Kind("a.zarr", _make_zarr(2), _expression),
    "zarr 3": Kind("a.zarr", _make_zarr(3), _expression),
    "mtx": Kind("m", _make_mtx(False), _expression),
    "mtx.gz": Kind("m", _make_mtx(True), _expression),
    "matrix csv": Kind("cells.csv", _make_text(_MATRIX), _expression),
    "matrix tsv.gz": Kind("cells.tsv.gz", _make_text(_MATRIX.replace(",", "\t")), _expression),
    "labels csv": Kind("labels.csv", _make_text("barcode,T,B\nc1,1,0\nc2,0,1\nc3,0,0\n"), _labels),
    "labels csv.gz": Kind("labels.csv.gz", _make_text("barcode,T,B\nc1,1,0\nc2,0,1\nc3,0,0\n"), _labels),
    **{name: Kind(name, _make_text(text), _edges) for name, text in _TEXTS.items()},
    "edges.csv.gz": Kind("edges.csv.gz", _make_text(_TABLE), _edges),
    "edges.csv.zip": Kind("edges.csv.zip", _make_zip, _edges),
    "catalog: parquet": Kind("t.parquet", _make_entry("table"), _entry("table")),
    "catalog: csv": Kind("t.csv", _make_entry("table"), _entry("table")),
    "catalog: json": Kind("t.json", _make_entry("json"), _entry("json")),
    "catalog: figure": Kind("f.json", _make_entry("figure"), _entry("figure")),
    "catalog: network": Kind("d.parquet", _make_entry("dag"), _entry("dag")),
    "catalog: cells": Kind("c.h5ad", _make_entry("cells"), _entry("cells")),
    ".keras": Kind("model.keras", _make_model, _model),
}
"""The catalog's own files stand here as if they had no record of their SHA-256; with one, damage is found by it."""


def damage(path: Path, rng: np.random.Generator) -> None:
    """Damages a file, or one file of a folder."""
    files = sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path]
    file = files[rng.integers(len(files))]
    raw = bytearray(file.read_bytes())
    kind = rng.integers(7)
    at, length = int(rng.integers(len(raw))), int(rng.integers(1, 65))
    if kind == 0:
        raw = raw[:at]
    elif kind == 1:
        for place in rng.integers(len(raw), size=rng.integers(1, 4)):
            raw[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        for place in rng.integers(len(raw), size=rng.integers(1, 20)):
            raw[place] = int(rng.integers(256))
    elif kind == 3:
        raw[at : at + length] = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
    elif kind == 4:
        raw[at : at + length] = bytes(length) if rng.random() < 0.5 else b"\xff" * length
    elif kind == 5:
        raw[at:at] = raw[int(rng.integers(len(raw))) :][:length]
    else:
        other = int(rng.integers(len(raw)))
        raw[at : at + length] = raw[other : other + length]
    file.write_bytes(raw)


def make_bad(good: Path, bad: Path, kind: str, seed: int) -> None:
    """Copies a good file, or folder, and damages the copy."""
    shutil.rmtree(bad) if bad.is_dir() else bad.unlink(missing_ok=True)
    shutil.copytree(good, bad) if good.is_dir() else shutil.copy(good, bad)
    damage(bad, np.random.default_rng([seed, *kind.encode()]))


def is_found_by_a_look(kind: str, seed: int) -> bool:
    """Whether the look that comes before reading an HDF5 file refuses this one."""
    from kpnn.cells.formats.storage.inspection import damage_of, is_hdf5

    with tempfile.TemporaryDirectory() as name:
        good, bad = Path(name) / "good" / KINDS[kind].name, Path(name) / KINDS[kind].name
        good.parent.mkdir()
        KINDS[kind].make(good)
        make_bad(good, bad, kind, seed)
        return is_hdf5(bad) and damage_of(bad) is not None


def files_of(kinds: list[str], n_files: int, first: int) -> list[tuple[str, int]]:
    """Which files are damaged: kind and seed. Keras takes a tenth of a second for each, so there are fewer of them."""
    each = -(-n_files // len(kinds))
    number = {kind: max(1, each // 20) if kind == ".keras" else each for kind in kinds}
    return [(kind, seed) for kind in kinds for seed in range(first, first + number[kind])]


def read_many(files: list[tuple[str, int]], begin: int) -> None:
    """The process that reads: for each file its number, and then what came of it."""
    from kpnn.cells.formats.storage import hdf5
    from kpnn.errors import KpnnError

    hdf5.damage_of = _not_asked  # type: ignore[assignment] # see the beginning: the process that waits asks
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    warnings.simplefilter("ignore")
    logging.disable()
    with tempfile.TemporaryDirectory() as name:
        made: dict[str, str] = {}
        for number, (kind, seed) in enumerate(files[begin:], begin):
            one = KINDS[kind]
            good, bad = Path(name) / kind / "good" / one.name, Path(name) / kind / one.name
            if kind not in made:
                good.parent.mkdir(parents=True)
                one.make(good)
                made[kind] = repr(one.read(good))
            print(number, end=" ", flush=True)
            make_bad(good, bad, kind, seed)
            print(_outcome(one, bad, made[kind], KpnnError), flush=True)


def _not_asked(_path: Path) -> None:
    """In the place of the look before."""


def _outcome(one: Kind, bad: Path, expected: str, refusal: type[Exception]) -> str:
    from kedro.io import DatasetError

    try:
        found = repr(one.read(bad))
    except (refusal, DatasetError) as error:
        said = str(error)
        return (
            "refused" if one.name in said and "Failed while loading" not in said else f"foreign unnamed: {said[:150]!r}"
        )
    except BaseException as error:
        return f"foreign {type(error).__name__}: {str(error)[:150]!r}"
    return "same" if found == expected else "other"


@dataclass
class Tally:
    """What became of the files of one kind."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, example: str) -> None:
        """Counts one file, and keeps the first example of each fault."""
        self.counts[what.split()[0]] += 1
        if what.split()[0] in ("foreign", "hang", "crash"):
            self.examples.setdefault(what, example)


def run(files: list[tuple[str, int]], arguments: list[str], seconds: float) -> dict[str, Tally]:
    """Has damaged files read; where one crashes or hangs its process, a new one goes on with the next."""
    tallies: dict[str, Tally] = {}
    begin = 0
    while begin < len(files):
        command = [sys.executable, __file__, *arguments, "--read-from", str(begin)]
        with tempfile.TemporaryFile("w+") as told:
            process = subprocess.Popen(command, stdout=told)
            size, busy, hung = -1, 0.0, False
            while process.poll() is None and not hung:
                time.sleep(0.5)
                now, used = told.seek(0, 2), sum(psutil.Process(process.pid).cpu_times()[:2])
                size, busy = (size, busy) if now == size else (now, used)
                hung = size > 0 and used - busy > seconds
            if hung:
                process.kill()
            process.wait()
            told.seek(0)
            lines = told.read().splitlines()
        if not lines:
            raise SystemExit("the reading process ended before its first file")
        for line in lines:
            number, _, what = line.partition(" ")
            kind, seed = files[int(number)]
            if not what:
                found = is_found_by_a_look(kind, seed)
                what = "looked" if found else "hang" if hung else f"crash {process.returncode}"
            tallies.setdefault(kind, Tally()).add(what, f"seed {seed}")
            begin = int(number) + 1
    return tallies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=3000, help="damaged files, over all kinds")
    parser.add_argument("--first", type=int, default=0, help="the first seed; other seeds are other damages")
    parser.add_argument("--seconds", type=float, default=20, help="of computing that reading one file may take")
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--read-from", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    files = files_of(options.kinds, options.files, options.first)
    if options.read_from is not None:
        read_many(files, options.read_from)
        return
    arguments = ["--files", str(options.files), "--first", str(options.first), "--kinds", *options.kinds]
    tallies = run(files, arguments, options.seconds)
    for kind, tally in tallies.items():
        print(f"{kind:30} {dict(sorted(tally.counts.items()))}")
        for what, example in tally.examples.items():
            print(f"    {what} ({example})")
    total = sum((tally.counts for tally in tallies.values()), Counter[str]())
    print(f"{sum(total.values()):,} damaged files: {dict(sorted(total.items()))}")
    sys.exit(1 if total.keys() & {"foreign", "hang", "crash"} else 0)


if __name__ == "__main__":
    main()
