"""Finished folds on disk: whole or not at all, and taken up again only where they are what was written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kpnn.files import broken_seal
from kpnn.training.results import FoldResult, FoldStore, predictions_table


def a_fold(seconds: float) -> FoldResult:
    table = predictions_table(np.array(["AC", "GT"]), ["TCR"], np.array([[0], [1]]), np.array([[0.2], [0.8]]))
    history = pd.DataFrame({"member": [0], "epoch": [1], "loss": [0.7], "val_loss": [0.6]})
    sizes = {"n_edges": 3, "n_neurons": 2, "n_parameters": 5}
    return FoldResult(
        "full", 0, 0, "nested", 7, table, {"roc_auc": 0.9}, {"dropout": 0.1}, history, pd.DataFrame({"trial": [0]}),
        seconds=seconds, model=b"a network", member_predictions=table.assign(member=0), **sizes,
    )  # fmt: skip


def killed_while_saving(root: Path, at: str, count: int) -> bool:
    """Saves in a process that ends, as by `kill -9`, at the count-th call of `at`; says whether it came that far."""
    process = os.fork()
    if process == 0:
        owner = Path if at in ("rename", "replace") else os
        original, calls = getattr(owner, at), []

        def killing(*arguments, **options):
            calls.append(1)
            if len(calls) == count:
                os._exit(9)
            return original(*arguments, **options)

        setattr(owner, at, killing)
        try:
            FoldStore(root).save(a_fold(2.0), "new")
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9


@pytest.mark.parametrize("at", ["fsync", "rename", "replace", "rmdir", "unlink", "mkdir"])
def test_a_killed_save_leaves_the_old_fold_or_the_new_one_whole(at, tmp_path, caplog):
    kills = 0
    for count in range(1, 20):
        root = tmp_path / str(count)
        FoldStore(root).save(a_fold(1.0), "old")
        if not killed_while_saving(root, at, count):
            break
        kills += 1
        store = FoldStore(root)
        store.forget_others(["repeat_0_fold_0"])
        found = store.load(0, 0)
        assert found is not None and found.seconds in (1.0, 2.0) and found.model == b"a network"
        assert caplog.text == ""
        store.save(a_fold(2.0), "new")
        assert [path.name for path in root.iterdir()] == ["repeat_0_fold_0"]
    assert kills > 0 or at in ("mkdir", "replace")


DAMAGE = {
    "a table that is gone": (lambda folder: (folder / "history.parquet").unlink(), "history.parquet does not exist"),
    "half a table": (lambda folder: (folder / "trials.parquet").write_bytes(b"PAR1"), r"trials.parquet has 4 bytes"),
    "another network": (lambda folder: (folder / "model.keras").write_bytes(b"A network"), "model.keras is not what"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "it has no manifest.json"),
    "half a manifest": (lambda folder: (folder / "manifest.json").write_text('{"model'), "manifest.json cannot be"),
    "another manifest": (lambda folder: (folder / "manifest.json").write_text("[1]"), "manifest.json cannot be read"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_fold_does_not_count_and_one_line_says_so(kind, tmp_path, caplog):
    spoil, words = DAMAGE[kind]
    store = FoldStore(tmp_path)
    store.save(a_fold(1.0), "x")
    assert broken_seal(tmp_path / "repeat_0_fold_0") is None
    spoil(tmp_path / "repeat_0_fold_0")
    assert store.load(0, 0, "x") is None
    [record] = caplog.records
    assert "modelling trains it again" in record.message and words in record.message
    store.save(a_fold(2.0), "x")
    assert store.load(0, 0, "x").seconds == 2.0
