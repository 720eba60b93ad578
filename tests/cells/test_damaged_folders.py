"""Byte-level damage to Zarr stores, 10x folders and text: values, or one clear error."""

import gzip
import shutil

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from kpnn.cells import open_expression
from kpnn.errors import CellsError

COUNTS = np.random.default_rng(3).poisson(0.7, (8, 4)).astype(np.float32)
BARCODES, GENES = [f"ACGTACGTACG{'ACGT'[n % 4]}{'ACGT'[n // 4]}A-1" for n in range(8)], ["A", "B_1", "C", "D"]


def make(kind, folder):
    cells = ad.AnnData(COUNTS, pd.DataFrame(index=BARCODES), pd.DataFrame(index=GENES))
    if "zarr" in kind:
        ad.settings.zarr_write_format = 3 if "3" in kind else 2
        cells.write_zarr(folder)
        return
    folder.mkdir()
    if "mtx" in kind:
        rows, columns = np.nonzero(COUNTS)
        entries = "".join(f"{c + 1} {r + 1} {COUNTS[r, c]:.0f}\n" for r, c in zip(rows, columns, strict=True))
        header = f"%%MatrixMarket matrix coordinate integer general\n4 8 {len(rows)}\n"
        files = {
            "matrix.mtx": header + entries,
            "genes.tsv": "".join(f"E{gene}\t{gene}\n" for gene in GENES),
            "barcodes.tsv": "\n".join(BARCODES) + "\n",
        }
    else:
        files = {"cells.csv": cells.to_df().to_csv()}
    for name, text in files.items():
        raw = text.encode()
        (folder / (f"{name}.gz" if "gz" in kind else name)).write_bytes(gzip.compress(raw) if "gz" in kind else raw)


def damage(folder, rng):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    file = files[rng.integers(len(files))]
    raw = bytearray(file.read_bytes())
    if rng.random() < 0.05:
        file.unlink()
    elif rng.random() < 0.3:
        file.write_bytes(raw[: rng.integers(len(raw))])
    else:
        for at in rng.integers(len(raw), size=rng.integers(1, 6)):
            raw[at] = rng.integers(256)
        file.write_bytes(raw)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["zarr 2", "zarr 3", "mtx", "mtx gz", "csv", "csv gz"])
def test_damaged_files_give_values_or_a_clear_error(tmp_path, kind):
    good, bad = tmp_path / "good", tmp_path / ("bad.zarr" if "zarr" in kind else "bad")
    make(kind, good)

    def read():
        path = bad if "csv" not in kind else next(bad.iterdir(), bad)
        return open_expression(path).read()

    shutil.copytree(good, bad)
    np.testing.assert_array_equal(read().X.toarray(), COUNTS)
    refused = 0
    for seed in range(40):
        shutil.rmtree(bad)
        shutil.copytree(good, bad)
        damage(bad, np.random.default_rng(seed))
        try:
            values = read().X.data
        except CellsError as error:
            refused += 1
            assert str(bad) in str(error)
        else:
            assert np.isfinite(values).all()
            assert (values >= 0).all()
    assert refused > 5


def test_a_store_that_links_to_files_outside_of_it_is_refused(tmp_path):
    make("zarr 2", tmp_path / "cells.zarr")
    obs = tmp_path / "cells.zarr" / "obs"
    obs.rename(tmp_path / "cells.zarr" / "other")
    obs.symlink_to("other")  # within the store
    assert list(open_expression(tmp_path / "cells.zarr").barcodes) == BARCODES
    obs.unlink()
    (tmp_path / "cells.zarr" / "other").rename(tmp_path / "outside")
    obs.symlink_to(tmp_path / "outside")
    with pytest.raises(CellsError, match=rf"cells.zarr: obs is a link to {tmp_path / 'outside'}, outside of it"):
        open_expression(tmp_path / "cells.zarr")
