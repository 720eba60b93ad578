"""`kpnn init --prior`: public knowledge takes the place of a file; the server is a local one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from anndata import AnnData
from click.testing import CliRunner
from kedro.framework.project import configure_project

from kedro_project import REPOSITORY, make_project
from kpnn.app.cli import cli

sys.path.insert(0, str(REPOSITORY / "tests" / "pipelines"))
from local_server import Server

GENES = [f"G{number}" for number in range(6)]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose priors lie on a local server, and cells in it."""
    served = Server({"hallmark": "".join(f"SET{n}\tabout\t{GENES[n]}\t{GENES[-1]}\n" for n in range(4)).encode()})
    root = make_project(tmp_path / "project").root
    path = root / "conf" / "base" / "parameters_priors.yml"
    parameters = yaml.safe_load(path.read_text())
    parameters["priors"]["files"]["hallmark.gmt"] |= {"address": served.address + "hallmark", "at_least": 2}
    path.write_text(yaml.safe_dump(parameters))
    obs = pd.DataFrame({"condition": ["ctrl", "stim"] * 15}, index=[f"cell{number}" for number in range(30)])
    counts = np.random.default_rng(0).poisson(4, (30, 6)).astype(np.float32)
    AnnData(counts + 1, obs=obs, var=pd.DataFrame(index=GENES)).write_h5ad(root / "cells.h5ad")
    monkeypatch.chdir(root)
    configure_project("kpnn")
    yield root
    served.http.shutdown()
    served.http.server_close()


def init(*options: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["init", "mine", "--cells", "cells.h5ad", "--label", "condition", *options])
    return done.exit_code, done.output


def test_what_is_fetched_lies_with_the_studys_data_locked_and_licensed(project):
    code, output = init("--prior", "hallmark")
    assert code == 0, output
    raw = project / "data" / "01_raw" / "mine"
    assert {"hallmark.gmt", "priors.lock.json", "priors.licences.txt"} == {path.name for path in raw.iterdir()}
    entry = yaml.safe_load(Path("conf/mine/catalog.yml").read_text())["edges"]
    assert entry["filepath"] == "data/01_raw/mine/hallmark.gmt"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prior", "hallmark", "--gene-sets", "x.gmt"], "--prior hallmark stands in the place of --gene-sets"),
        (["--prior", "hallmark", "--prior", "reactome"], "the same part of a network; take one of them"),
        (["--prior", "omnipath", "--network", "x.csv"], "in one of three ways"),
    ],
)
def test_knowledge_is_not_named_twice_and_nothing_is_fetched(project, options, message):
    code, output = init(*options)
    assert code == 2 and message in output
    assert not (project / "data" / "01_raw" / "mine").exists()
