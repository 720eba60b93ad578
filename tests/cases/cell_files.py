"""Small files of cells in several formats, all with the same counts."""

import anndata as ad
import numpy as np
import pandas as pd

from kpnn.cells import open_expression

N = 30
GENES = ["CD3E", "HLA-A", "NF-κB", "GAPDH"]
IDS = [f"ENSG{number}" for number in range(len(GENES))]
BARCODES = [f"{'ACGT'[n % 4]}{'ACGT'[n // 4 % 4]}{'ACGT'[n // 16]}ACGTACGTACGTA-1" for n in range(N)]
COUNTS = np.random.default_rng(1).poisson(2.0, (N, len(GENES))).astype(np.float32)


def read_all(path, **options):
    """The counts, in the order of the constants above."""
    read = open_expression(path, **options).read()
    assert list(read.obs_names) == BARCODES
    return read[:, GENES].X.toarray()


def write_mtx(folder, kind="integer", separator=" ", genes="both"):
    folder.mkdir()
    lines = [f"%%MatrixMarket matrix coordinate {kind} general", "%"]
    rows, columns = np.nonzero(COUNTS.T)
    lines.append(separator.join(map(str, (len(GENES), N, len(rows)))))
    values = [f"{value:g}" if kind == "integer" else f"{value:.4e}" for value in COUNTS.T[rows, columns]]
    lines += [
        separator.join((str(row + 1), str(column + 1), value))
        for row, column, value in zip(rows, columns, values, strict=True)
    ]
    (folder / "matrix.mtx").write_text("\n".join(lines) + "\n")
    (folder / "barcodes.tsv").write_text("\n".join(BARCODES) + "\n")
    both = "\n".join(f"{id_}\t{gene}" for id_, gene in zip(IDS, GENES, strict=True))
    (folder / "genes.tsv").write_text((both if genes == "both" else "\n".join(GENES)) + "\n")
    return folder


def write_h5ad(path, **var):
    ad.AnnData(COUNTS, pd.DataFrame(index=BARCODES), pd.DataFrame(var, index=GENES)).write_h5ad(path)
    return path


def labels_of(barcodes):
    return pd.DataFrame({"barcode": barcodes, "T": [n % 2 for n in range(len(barcodes))]}).astype({"T": "int8"})
