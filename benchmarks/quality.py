"""Does every arm reach what the data allow? Whole studies with default parameters, beside baselines on the same folds.

Run `python benchmarks/quality.py` for all studies, or `--studies demo kang`. `--seeds 10` trains each with ten values
of `modelling.seed` on the same folds; `--jitter` multiplies every value by 1 + 1e-6 noise, another for each seed, which
is what another processor's rounding does. Each study runs as a user's would: files, an environment, `kedro run`.
`--write-docs` states the scores in README and the pages (docs/generator/quality_numbers.py).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import kpnn
from _studies import STUDIES, RawStudy
from kpnn.datasets.networks import DagDataset
from kpnn.reporting import ArmTables, Study, answer

PROJECT = Path(__file__).parents[1]
PIPELINES = ("data_engineering", "dag_pruning", "modelling", "reporting")
BASELINES = ("logistic", "gradient_boosting", "dense")
CONTROLS = {
    "rewired": 0,
    "permuted_genes": 0,
    "logistic": True,
    "gradient_boosting": True,
    "dense": True,
}
ARMS_ONLY = dict.fromkeys(CONTROLS, 0) | dict.fromkeys(BASELINES, False)


def lay_out(
    project: Path, name: str, study: RawStudy, jitter: np.random.Generator | None, controls: Mapping[str, Any]
) -> None:
    """Writes a study's files and its environment into a copy of the project."""
    raw, conf = project / "data" / "01_raw" / name, project / "conf" / name
    raw.mkdir(parents=True, exist_ok=True)
    conf.mkdir(exist_ok=True)
    cells = study.expression.copy()
    if jitter is not None:
        cells.X = cells.X.astype(np.float64)
        cells.X.data *= 1.0 + 1e-6 * jitter.standard_normal(len(cells.X.data))
    cells.write_h5ad(raw / "cells.h5ad")
    study.labels.to_csv(raw / "labels.csv", index=False)
    study.edges.to_csv(raw / "edges.csv", index=False)
    files = {"raw_expression": "cells.h5ad", "class_labels": "labels.csv", "edges": "edges.csv"}
    types = {"raw_expression": "Expression", "class_labels": "ClassLabels", "edges": "EdgeList"}
    catalog = {
        entry: {"type": f"kpnn.datasets.raw.{types[entry]}Dataset", "filepath": f"data/01_raw/{name}/{file}"}
        for entry, file in files.items()
    }
    (conf / "catalog.yml").write_text(json.dumps(catalog, indent=2))
    (conf / "parameters.yml").write_text(json.dumps({**study.parameters, "controls": dict(controls)}, indent=2))


def run(project: Path, name: str, seed: int, pipelines: Sequence[str]) -> float:
    """Runs a study; returns its seconds."""
    begun = time.perf_counter()
    for pipeline in pipelines:
        command = [sys.executable, "-m", "kpnn", "--env", name, "--pipeline", pipeline]
        command += ["--params", f"modelling.seed={seed}"]
        variables = os.environ | {"KEDRO_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
        done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{name}, {pipeline}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
    return time.perf_counter() - begun


def results(project: Path, name: str) -> dict[str, Any]:
    """ROC-AUC of every arm and baseline (mean over folds within repeats), and the comparison that the report prints."""
    output = project / "data" / "07_model_output" / name
    dags = {"full": project / "data" / "03_primary" / name, "pruned": project / "data" / "04_feature" / name}
    tables = [
        ArmTables(
            arm,
            pd.read_parquet(output / arm / "predictions.parquet"),
            pd.read_csv(output / arm / "fold_metrics.csv"),
            dag=DagDataset(filepath=str(folder / f"{arm}_dag.parquet")).load(),
            members=pd.read_parquet(output / arm / "member_predictions.parquet"),
        )
        for arm, folder in dags.items()
    ]
    found: dict[str, Any] = {arm.name: float(arm.fold_metrics["roc_auc"].mean()) for arm in tables}
    if (output / "controls" / "summary.csv").is_file():
        controls = pd.read_csv(output / "controls" / "summary.csv").set_index("arm")["roc_auc"]
        found |= {baseline: float(controls[baseline]) for baseline in BASELINES if baseline in controls}
    said = answer(Study(arms=tuple(tables))).comparison
    if said is None:
        raise SystemExit(f"{name}: no fold is scored")
    return found | {"lower": said.interval.lower, "upper": said.interval.upper, "verdict": said.verdict}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", nargs="*", default=list(STUDIES), choices=list(STUDIES))
    parser.add_argument("--seeds", type=int, default=1, help="values of modelling.seed, from 42 on")
    parser.add_argument("--jitter", action="store_true", help="other rounding for every seed")
    parser.add_argument("--arms-only", action="store_true", help="leave out the baselines")
    parser.add_argument("--no-report", action="store_true", help="leave out node weights and the report")
    parser.add_argument("--table", type=Path, help="where to write one row per study and seed, as CSV")
    parser.add_argument("--write-docs", action="store_true", help="state the scores in README and the pages")
    options = parser.parse_args()
    controls = ARMS_ONLY if options.arms_only else CONTROLS
    pipelines = PIPELINES[:3] if options.no_report else PIPELINES
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        shutil.copytree(PROJECT / "conf", project / "conf")
        shutil.copy(PROJECT / "pyproject.toml", project)
        (project / "src").symlink_to(PROJECT / "src")
        for name in options.studies:
            study = STUDIES[name]()
            environment = f"quality_{name}"  # of its own: the project ships studies of some of these names
            for seed in range(42, 42 + options.seeds):
                if seed == 42 or options.jitter:
                    lay_out(
                        project, environment, study, np.random.default_rng(seed) if options.jitter else None, controls
                    )
                seconds = run(project, environment, seed, pipelines)
                found = results(project, environment)
                rows.append({"study": name, "seed": seed, **found, "seconds": round(seconds), "kpnn": kpnn.__version__})
                print(pd.DataFrame(rows[-1:]).to_string(index=False, header=len(rows) == 1, float_format="%.4f"))
                sys.stdout.flush()
                if options.table:
                    pd.DataFrame(rows).to_csv(options.table, index=False)
    table = pd.DataFrame(rows)
    if options.write_docs:
        sys.path.insert(0, str(PROJECT / "docs" / "generator"))
        from quality_numbers import take  # type: ignore[import-not-found] # it lies with the documentation

        take(table)
    if options.seeds > 1:
        spread = table.groupby("study")[["full", "pruned"]].std(ddof=1).add_suffix(" sd")
        print(spread.join(table.groupby("study")["verdict"].agg(lambda v: v.value_counts().to_dict())).to_string())


if __name__ == "__main__":
    main()
