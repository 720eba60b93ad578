"""Compiling the kernels beside the first steps of a run."""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from kpnn import compiling
from kpnn.nn import build_kpnn
from kpnn.nn.compiled_model import CompiledModel
from kpnn.nn.engine import kernels
from kpnn.nn.engine.examples import CALLS, example_cells, example_network
from kpnn.nn.fit_data import fit_data
from kpnn.pkn import Dag


def test_each_process_compiles_what_its_share_names(monkeypatch):
    called = []
    for name in CALLS:
        monkeypatch.setitem(CALLS, name, lambda name=name: called.append(name))
    for names in compiling._SHARES:
        monkeypatch.setattr(sys, "argv", ["-c", *names])
        monkeypatch.setitem(sys.modules, "kpnn.nn", sys.modules["kpnn.nn"])
        exec(compiling._PROGRAM, {})
    assert called == list(CALLS)


def test_the_program_does_without_keras():
    program = f"{compiling._PROGRAM}\nassert 'keras' not in sys.modules and 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_examples_have_the_types_of_real_models_and_cells(small_dag):
    model = build_kpnn(small_dag)
    X, y = np.ones((4, len(small_dag.inputs))), np.tile([0, 1], 2)
    real = CompiledModel.of(model, training=True).network
    assert numba.typeof(example_network()) == numba.typeof(real)
    assert numba.typeof(example_cells()) == numba.typeof(next(fit_data(model, X, y, "training").blocks()))


@pytest.fixture(scope="module")
def small_dag():
    import pandas as pd

    edges = pd.DataFrame({"parent": ["output", "hidden"], "child": ["hidden", "gene"], "sign": 0})
    return Dag(edges, ["gene"], ["output"])


def test_examples_run_every_kernel():
    for name, call in CALLS.items():
        call()
        assert getattr(kernels, name).signatures


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_kernels_are_kept_only_where_they_are_newer_than_their_source(cache):
    assert not compiling._is_kept("train_epoch")
    version = f"py{compiling.sys.version_info.major}{compiling.sys.version_info.minor}"
    index = cache / "engine_1" / f"kernels.train_epoch-1.{version}.nbi"
    index.parent.mkdir()
    index.touch()
    assert compiling._is_kept("train_epoch")
    assert not compiling._is_kept("loss_of")
    os.utime(index, (0, 0))
    assert not compiling._is_kept("train_epoch")


def test_compiling_starts_once_and_is_waited_for(cache, monkeypatch):
    monkeypatch.setattr(compiling, "_PROGRAM", "import time; time.sleep(0.2)")
    compiling.compile_beside()
    processes = list(compiling._at_work)
    assert len(processes) == len(compiling._SHARES)
    compiling.compile_beside()
    assert compiling._at_work == processes
    compiling.wait_until_compiled()
    assert [process.returncode for process in processes] == [0] * len(processes)
    assert compiling._at_work == []


def test_a_compilation_that_never_ends_is_ended(cache, monkeypatch):
    monkeypatch.setattr(compiling, "_PROGRAM", "import time; time.sleep(600)")
    monkeypatch.setattr(compiling, "_WAIT_SECONDS", 0.05)
    compiling.compile_beside()
    processes = list(compiling._at_work)
    compiling.wait_until_compiled()
    assert all(process.returncode for process in processes)
