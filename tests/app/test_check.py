"""`kpnn check`: what a run would do, and what would end it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from kedro.framework.project import configure_project

from kedro_project import make_project
from kpnn.app.check import estimate
from kpnn.app.check.estimate import estimate_work, spoken
from kpnn.app.cli import cli
from kpnn.pipelines.parameters import all_settings

GENES = [f"G{number}" for number in range(8)]
RAW = {"raw_expression": "ExpressionDataset", "class_labels": "ClassLabelsDataset", "edges": "EdgeListDataset"}
FILES = {"raw_expression": "cells.csv", "class_labels": "labels.csv", "edges": "edges.csv"}
SMALL = {
    "modelling": {"fit": {"ensemble": 3}, "tuning": {"n_trials": 0}},
    "controls": {"rewired": 2, "permuted_genes": 1, "logistic": True},
    "interpretation": {"control_inputs": 1, "permuted_labels": 0, "seeds": 2, "alternative_dags": 4},
}


def write_table(folder: Path, name: str, table: pd.DataFrame) -> None:
    table.to_csv(folder / FILES[name], index=False)


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    """A project with the study `mine`; the folder of its raw data."""
    root = make_project(tmp_path / "project").root
    raw = root / "data" / "01_raw" / "mine"
    raw.mkdir()
    barcodes = [f"ACGTACGT{number:04d}" for number in range(40)]
    counts = pd.DataFrame(np.random.default_rng(0).poisson(4, (40, 8)) + 1, columns=GENES)
    write_table(raw, "raw_expression", counts.assign(barcode=barcodes)[["barcode", *GENES]])
    write_table(raw, "class_labels", pd.DataFrame({"barcode": barcodes, "out": np.arange(40) % 2}))
    edges = [("out", "A"), ("out", "B"), *(("A" if n < 5 else "B", f"{gene}_gene") for n, gene in enumerate(GENES))]
    edges += [("B", "UNMEASURED_gene")]
    write_table(raw, "edges", pd.DataFrame(edges, columns=["parent", "child"]))
    conf = root / "conf" / "mine"
    conf.mkdir()
    entries = {
        name: {"type": f"kpnn.datasets.raw.{kind}", "filepath": f"data/01_raw/mine/{FILES[name]}"}
        for name, kind in RAW.items()
    }
    entries["raw_expression"]["orientation"] = "cells_by_genes"
    (conf / "catalog.yml").write_text(yaml.safe_dump(entries))
    (conf / "parameters.yml").write_text(yaml.safe_dump(SMALL))
    monkeypatch.chdir(root)
    configure_project("kpnn")
    return raw


def check(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["check", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def files_in(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if path.is_file()}


def test_it_says_what_a_run_will_do_and_writes_nothing(study):
    before = files_in(Path())
    code, output = check("mine")
    assert code == 0
    assert files_in(Path()) == before
    lines = output.splitlines()
    assert max(map(len, lines)) <= 80
    told = {line.strip() for line in lines}
    assert any(line.split() == ["labelled", "cells", "40", "8"] for line in told)
    assert any(line.startswith("dropped: such as UNMEASURED") for line in told)
    assert any(line.split() == ["full", "DAG", "11", "10", "8"] for line in told)
    assert "outputs     out above 8 genes" in told
    assert any(line.startswith("coverage    8 of the network's 9 genes are measured (89%)") for line in told)
    assert "controls    2 rewired, 1 permuted genes, logistic" in told
    assert lines[-1] == "All checks passed. To run it: kedro run --env mine"


def test_what_the_run_will_warn_of_stands_in_it(study):
    table = pd.read_csv(study / "labels.csv")
    more = pd.DataFrame({"barcode": [f"TTTTACGT{number:04d}" for number in range(10)], "out": 1})
    write_table(study, "class_labels", pd.concat([table, more]))
    code, output = check("mine")
    assert code == 0
    assert "- 10 of 50 labelled cells are not in" in output.split("Warnings")[1]


def test_models_of_fewer_networks_than_asked_for_are_told_of_before_the_run(study):
    code, output = check("mine")
    assert code == 0 and "Warnings" not in output
    # 20 cells of either class in five folds: 16 of each are left to train on.
    many = SMALL | {"modelling": {"fit": {"ensemble": 18}, "tuning": {"n_trials": 0}}}
    Path("conf/mine/parameters.yml").write_text(yaml.safe_dump(many))
    code, output = check("mine")
    assert code == 0
    assert "a model has as few as" in " ".join(output.split("Warnings")[1].split())


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("class_labels", lambda table: table.assign(out=2), "must be 0 or 1"),
        ("edges", lambda table: table.replace("out", "top"), "class label out is not a node of the network"),
        ("raw_expression", lambda table: table.assign(G0=-1), "negative or non-finite values"),
    ],
    ids=["labels", "edges", "expression"],
)
def test_what_would_end_a_run_ends_the_check_with_the_same_message(study, name, change, message):
    write_table(study, name, change(pd.read_csv(study / FILES[name])))
    code, output = check("mine")
    assert code == 2
    assert output.count("Error: ") == 1 and message in output


def test_files_that_are_not_there_and_wrong_parameters_are_one_message(study):
    (study / "edges.csv").unlink()
    code, output = check("mine")
    assert code == 2
    assert "nothing to read for edges (data/01_raw/mine/edges.csv)" in output.replace(f"{Path().absolute()}/", "")
    Path("conf/mine/parameters.yml").write_text("controls: {rewirred: 1}\n")
    assert "controls.rewirred: no such parameter; did you mean rewired?" in check("mine")[1]
    assert "did you mean mine?" in check("mina")[1]


def test_outside_a_project_it_says_how_to_get_one(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, output = check("mine")
    assert code == 2 and "kpnn init STUDY --cells" in output


def test_networks_are_counted_as_they_are_trained():
    work = estimate_work(all_settings(SMALL), n_cells=100, n_edges=50, n_folds=5)
    assert work.of_arms == 2 * 5 * 3  # arms, folds, networks of an ensemble
    assert work.of_controls == 3 * 5 * 3  # logistic regression is none
    assert work.of_weights == 2 * (5 * 1 + 2) + 4  # further starts and other DAGs on the first fold's cells
    assert work.networks == work.of_arms + work.of_controls + work.of_weights
    asked = SMALL | {"interpretation": {**SMALL["interpretation"], "replicates": 7, "rewired_full": 2}}
    more = estimate_work(all_settings(asked), n_cells=100, n_edges=50, n_folds=5)
    assert more.of_weights == work.of_weights + 2 * 5 * 7 + 2 * 5 * 3  # both arms; folds and networks of `full`
    larger = estimate_work(all_settings(SMALL), n_cells=10_000, n_edges=50_000, n_folds=5)
    assert larger.seconds > 10 * work.seconds


def test_an_epoch_takes_no_longer_than_the_cells_that_it_may_see(monkeypatch):
    monkeypatch.setattr(estimate, "usable_cores", lambda: 2)
    small, large, largest = (
        estimate_work(all_settings(shipped()), n_cells=n_cells, n_edges=50_000, n_folds=5).seconds
        for n_cells in (31_250, 312_500, 3_125_000)
    )
    whole = estimate_work(
        all_settings(shipped() | {"modelling": {"fit": {"epoch_cells": None}}}),
        n_cells=312_500,
        n_edges=50_000,
        n_folds=5,
    ).seconds
    assert small < large < 2.5 * small
    assert largest == large
    assert whole > 4 * large


def shipped() -> dict[str, object]:
    """The parameters of conf/base, which a study has that states nothing."""
    files = sorted((Path(__file__).parents[2] / "conf" / "base").glob("parameters*.yml"))
    return {name: group for file in files for name, group in (yaml.safe_load(file.read_text()) or {}).items()}


@pytest.mark.parametrize(
    ("size", "measured"),
    [
        ({"n_cells": 3000, "n_edges": 892}, 140),
        # The others by their CPU time, on a machine that others used too; ten outputs keep one core busy at the end.
        ({"n_cells": 2000, "n_edges": 3836}, 307 / 2),
        ({"n_cells": 700, "n_edges": 418, "n_outputs": 10}, 260),
    ],
    ids=["demo", "sets_of_genes", "ten_cell_types"],
)
def test_two_idle_cores_took_what_is_estimated_within_a_factor_of_two(monkeypatch, size, measured):
    monkeypatch.setattr(estimate, "usable_cores", lambda: 2)
    work = estimate_work(all_settings(shipped()), n_folds=5, **size)
    assert work.cores == 2
    assert work.seconds / 2 < measured < 2 * work.seconds


def test_more_cores_count_only_where_they_are_used(monkeypatch):
    monkeypatch.setattr(estimate, "usable_cores", lambda: 16)
    size = {"n_cells": 5000, "n_edges": 5000, "n_folds": 5}
    cores = {
        executor: estimate_work(all_settings({"modelling": {"execution": {"executor": executor}}}), **size).cores
        for executor in ("threads", "sequential", "processes")
    }
    assert cores == {"threads": 2, "sequential": 1, "processes": 16}


def test_times_are_said_as_a_person_says_them():
    assert [spoken(seconds) for seconds in (5, 150, 9000)] == ["1 minute", "2 minutes", "2.5 hours"]
