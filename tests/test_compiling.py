"""Compiling the kernels beside the first steps of a run."""

from __future__ import annotations

import os

import pytest

from kpnn import compiling
from kpnn.nn.engine import kernels


def test_the_program_calls_every_kernel_of_training_and_prediction():
    exec(compiling._PROGRAM, {})
    called = (kernels.train_epoch, kernels.loss_of, kernels.logits_of, kernels.values_of, kernels.output_gradients_of)
    assert [kernel.py_func.__name__ for kernel in called[:2] + called[3:] if not kernel.signatures] == []


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_kernels_are_kept_only_where_they_are_newer_than_their_source(cache):
    assert not compiling._are_kept()
    version = f"py{compiling.sys.version_info.major}{compiling.sys.version_info.minor}"
    index = cache / "engine_1" / f"kernels.train_epoch-1.{version}.nbi"
    index.parent.mkdir()
    index.touch()
    assert compiling._are_kept()
    os.utime(index, (0, 0))
    assert not compiling._are_kept()


def test_compiling_starts_once_and_is_waited_for(cache, monkeypatch):
    monkeypatch.setattr(compiling, "_PROGRAM", "import time; time.sleep(0.2)")
    compiling.compile_beside()
    process = compiling._at_work
    assert process is not None
    compiling.compile_beside()
    assert compiling._at_work is process
    compiling.wait_until_compiled()
    assert process.returncode == 0
    assert compiling._at_work is None


def test_a_compilation_that_never_ends_is_ended(cache, monkeypatch):
    monkeypatch.setattr(compiling, "_PROGRAM", "import time; time.sleep(600)")
    monkeypatch.setattr(compiling, "_WAIT_SECONDS", 0.05)
    compiling.compile_beside()
    process = compiling._at_work
    compiling.wait_until_compiled()
    assert process.returncode != 0
