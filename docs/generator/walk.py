"""A stranger's ten minutes: every command of `docs/get_started.md`, typed in order in an empty folder.

Nothing is changed but the size: the demo has fewer cells and trains less, and the files that the page calls
`cells.h5ad`, `omnipath.tsv` and `collectri.csv` are made from a simulated study. What opens a browser is left out.
`make walk` does it; a command that fails ends it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from page_commands import blocks_of, commands_of

from kpnn.app.project import lay_down_project
from kpnn.simulation import simulate

PAGE = Path(__file__).resolve().parents[1] / "get_started.md"
SMALL = {
    "parameters_simulate.yml": {"simulate": {"n_cells": 160}},
    "parameters_modelling.yml": {
        "modelling": {"tuning": {"n_trials": 0, "recipes": []}, "fit": {"max_epochs": 3, "ensemble": 2}},
        "controls": {"permuted_genes": 1},
    },
    "parameters_reporting.yml": {
        "interpretation": {"control_inputs": 0, "permuted_labels": 0, "seeds": 0, "alternative_dags": 0}
    },
}
"""What is smaller than in the page's own run."""
NOT_HERE = {"source"}
"""First words of commands that set up what is set up already."""


def small_project(folder: Path) -> None:
    """Lays down a project whose demo is small.

    Args:
        folder: an empty folder.
    """
    lay_down_project(folder)
    for name, smaller in SMALL.items():
        path = folder / "conf" / "base" / name
        path.write_text(yaml.safe_dump(_merged(yaml.safe_load(path.read_text()), smaller)), encoding="utf-8")


def _merged(values: dict, changes: dict) -> dict:
    """Values with some of them changed, group within group."""
    changed = {
        name: _merged(values[name], change) if isinstance(change, dict) else change for name, change in changes.items()
    }
    return {**values, **changed}


def files_of_the_page(folder: Path) -> None:
    """Makes the files that the page's reader brings.

    Args:
        folder: where they are looked for.
    """
    drawn = simulate("cyclic", n_cells=160, seed=5, n_signalling=8, n_regulators=8, n_genes=60, predictive_genes=10)
    cells = drawn.to_anndata()
    cells.var_names_make_unique()
    cells.obs["condition"] = drawn.labels.set_index("barcode").iloc[:, 0].map({0: "ctrl", 1: "stim"})
    cells.obs["donor"] = [f"donor{number % 4}" for number in range(cells.n_obs)]
    cells.write_h5ad(folder / "cells.h5ad")
    edges = drawn.edges.replace({"KIN1": "IFNAR1", "KIN2": "IFNAR2"})
    to_genes = edges["child"].str.endswith("_gene")
    signalling = edges[~to_genes & (edges["parent"] != drawn.truth.output)]
    names = {"parent": "source", "child": "target"}
    signalling[["parent", "child"]].rename(columns=names).to_csv(folder / "omnipath.tsv", sep="\t", index=False)
    regulon = edges[to_genes].assign(child=edges["child"].str.removesuffix("_gene"))
    regulon[["parent", "child"]].rename(columns=names).to_csv(folder / "collectri.csv", index=False)


def type_in(words: tuple[str, ...], folder: Path) -> None:
    """Runs a command as the page has it; ends the walk where it fails.

    Args:
        words: the command.
        folder: the project.
    """
    began = time.monotonic()
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": beside, "KEDRO_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    print(f"$ {' '.join(words)}\n  {time.monotonic() - began:.0f} s", flush=True)
    if done.returncode != 0:
        sys.exit(f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}\nended with {done.returncode}")


def run_the_pages_python(folder: Path) -> None:
    """Runs the page's code; the cells that it calls `X` and `y` are drawn.

    Args:
        folder: the project, whose demo has been simulated.
    """
    (code,) = blocks_of(PAGE, "python")
    before, _, training = code.rstrip().rpartition("\n")
    names: dict[str, object] = {}
    os.chdir(folder)
    exec(before, names)
    dag = names["selection"].dag  # type: ignore[attr-defined]
    names["X"] = np.random.default_rng(0).random((40, len(dag.inputs)), dtype=np.float32)
    names["y"] = np.arange(40) % 2
    exec(training, names)
    print(f"python: {names['history'].n_epochs} epochs")  # type: ignore[attr-defined]


def main() -> None:
    """Goes through the page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small_project(folder)
        files_of_the_page(folder)
        settings = next(block for block in blocks_of(PAGE, "yaml") if "fold_change" in block)
        (folder / "conf" / "mine").mkdir()
        (folder / "conf" / "mine" / "parameters.yml").write_text(settings, encoding="utf-8")
        for command in commands_of(PAGE):
            if command.typed and command.words[0] not in NOT_HERE:
                type_in(command.words, folder)
        for study in ("demo", "mine", "mystudy"):
            if not (folder / "data" / "08_reporting" / study / "report.html").is_file():
                sys.exit(f"the study {study} has no report")
        run_the_pages_python(folder)
    print("Every command of the page works.")


if __name__ == "__main__":
    main()
