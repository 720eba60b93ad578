"""Scores of whole studies that README and pages state, from the table that `benchmarks/quality.py` writes.

`python benchmarks/quality.py --write-docs` measures, keeps the rows in `docs/assets/quality.csv` and writes every text
between marks anew; `python docs/generator/quality_numbers.py rows.csv` does so with rows that `--table` wrote earlier,
and without a file writes the texts from the rows that are there. A mark names what stands between it and its end:

    <!-- quality: kang full -->0.998<!-- /quality -->      a column of a study
    <!-- quality: kang arms -->0.998 / 0.999<!-- /quality -->
    <!-- quality: table --> ... <!-- /quality -->          all studies
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pandas as pd

import kpnn

ROOT = Path(__file__).resolve().parents[2]
KEPT = Path("docs", "assets", "quality.csv")
PAGES = (Path("README.md"), Path("docs", "benchmarks.md"), Path("docs", "worked_studies.md"))
"""Where marks stand."""
SCORES = ("full", "pruned", "logistic", "gradient_boosting", "dense")
COLUMNS = ("study", "seed", *SCORES, "lower", "upper", "verdict", "seconds", "kpnn")
TITLES = {
    "demo": "demo",
    "pbmc68k": "PBMC68k, T cell or not",
    "kang": "Kang et al. 2018, interferon-beta",
    "breast_cancer": "breast cancer (scikit-learn), groups of features",
    "digits": "digits 3 against 8, a hierarchy of pixels",
    "digits_even": "even and odd digits, the same hierarchy",
    "wine": "wine (scikit-learn), groups of features",
    "diabetes": "diabetes (scikit-learn), groups of features",
    "pbmc68k_cd8": "PBMC68k, CD8 against CD4 T cells",
    "pbmc68k_monocytes": "PBMC68k, monocytes against dendritic cells",
    "pbmc68k_nk": "PBMC68k, 31 NK cells against 669 others",
    "kang_few_cells": "Kang, 120 cells",
    "kang_rare_class": "Kang, 50 stimulated cells and 900 others",
    "kang_few_counts": "Kang, 1,000 cells, a tenth of the counts",
    "tcr_eight": "TCR twin, eight planted regulators",
    "tcr_few": "TCR twin, one planted regulator",
    "tcr_many_sparse": "TCR twin, thirty planted regulators, sparse counts",
    **{
        f"{scenario}_{fold_change}": f"simulated `{scenario}`, fold change {fold_change}"
        for scenario in ("single", "uneven", "redundant", "deep", "cyclic")
        for fold_change in (1.3, 2.0)
    },
}
"""What the table calls a study, in its order; others stand below under their own names."""
_MARKED = re.compile(r"(<!-- quality: (?P<what>[^>]+?) -->)(?P<text>.*?)(<!-- /quality -->)", re.DOTALL)


def kept_rows(root: Path) -> pd.DataFrame:
    """The rows that the pages state, one a study.

    Args:
        root: of the repository.
    """
    return pd.read_csv(root / KEPT, dtype={"kpnn": str})


def merged(kept: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Rows of studies that were measured anew in the place of their old ones; of several seeds the first.

    Args:
        kept: what was there.
        measured: as `benchmarks/quality.py --table` writes it; without the column `kpnn` it is of this version.
    """
    new = measured.sort_values("seed").drop_duplicates("study")
    if "kpnn" not in new:
        new = new.assign(kpnn=kpnn.__version__)
    of_others = kept[~kept["study"].isin(new["study"])]
    rows = pd.concat([part.reindex(columns=list(COLUMNS)) for part in (of_others, new) if len(part)])
    places = {study: place for place, study in enumerate(TITLES)}
    return rows.sort_values("study", key=lambda names: names.map(lambda name: places.get(name, len(places))))


def written_anew(text: str, rows: pd.DataFrame) -> str:
    """A page with what stands between marks as the rows say.

    Args:
        text: of the page.
        rows: one a study.

    Raises:
        KeyError: a mark names a study or column that the rows do not have.
    """
    return _MARKED.sub(lambda found: f"{found[1]}{_stated(found['what'], rows)}{found[4]}", text)


def _stated(what: str, rows: pd.DataFrame) -> str:
    if what == "table":
        return f"\n\n{_table(rows)}\n\n"
    study, column = what.split()
    row = rows.set_index("study").loc[study]
    return f"{row['full']:.3f} / {row['pruned']:.3f}" if column == "arms" else f"{row[column]:.3f}"


def _table(rows: pd.DataFrame) -> str:
    lines = [
        "| study | `full` | `pruned` | logistic | boosting | dense | `pruned` against `full` | kpnn |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows.to_dict("records"):
        scores = ("" if pd.isna(row[name]) else f"{row[name]:.3f}" for name in SCORES)
        verdict = "" if pd.isna(row["verdict"]) else row["verdict"].partition(" (")[0]
        answer = f"{verdict}: {row['lower']:+.3f} to {row['upper']:+.3f}" if verdict else ""
        if verdict and row["lower"] == row["upper"]:
            answer = "the same network"
        cells = (TITLES.get(row["study"], row["study"]), *scores, answer, row["kpnn"])
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def take(measured: pd.DataFrame | None, root: Path = ROOT) -> None:
    """Keeps rows, if there are new ones, and writes the pages' marked texts anew.

    Args:
        measured: as `benchmarks/quality.py --table` writes it.
        root: of the repository.
    """
    rows = kept_rows(root)
    if measured is not None:
        rows = merged(rows, measured)
        rows.round(6).to_csv(root / KEPT, index=False)
    for page in PAGES:
        text = (root / page).read_text(encoding="utf-8")
        (root / page).write_text(written_anew(text, rows), encoding="utf-8")


def main() -> None:
    """Takes the rows of a file, or those that are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, nargs="?", help="what `benchmarks/quality.py --table` wrote")
    options = parser.parse_args()
    take(pd.read_csv(options.rows) if options.rows else None)


if __name__ == "__main__":
    main()
