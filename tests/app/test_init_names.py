"""Names of a user's classes, columns and folders go through the configuration that `kpnn init` writes as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from kpnn.app.init.as_yaml import yaml_of
from kpnn.app.init.expression import look_at_cells, open_cells
from kpnn.app.init.knowledge import NetworkFiles
from kpnn.app.init.labelling import Asked
from kpnn.app.init.study import Files, configuration, plan_study
from kpnn.errors import CellsError

CLASSES = ("1e5", "${x}", "off", "4E1", "0x1f", "12:30", "T: CD4+ #1", "'a' \"b\"", "\\${y}", "yes")
GENES = [f"GENE{number}" for number in range(6)]


def read_back(text: str) -> object:
    """What Kedro's loader of configurations makes of YAML."""
    return OmegaConf.to_container(OmegaConf.create(text), resolve=True)


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12)
LIKE_OTHERS = st.from_regex(r"[-+]?[\d._:eExo]{1,6}|\\{0,3}\$\{[a-z]{0,2}\}?|true|off|~|null", fullmatch=True)


@settings(max_examples=40)
@given(NAMES | LIKE_OTHERS, st.lists(NAMES | LIKE_OTHERS, max_size=3))
@example("\xa0", [])  # a space that is none of YAML's
@example("\u3000CD4\u2009", ["\u3000CD4\u2009"])
def test_every_text_is_read_back_as_it_was(name, names):
    assert read_back(f"here: {yaml_of(name)}\nlist: {yaml_of(names)}\n") == {"here": name, "list": names}


def _write(folder: Path, classes: tuple[str, ...]) -> Files:
    n_cells = 30 * len(classes)
    obs = pd.DataFrame(
        {"state": [classes[n % len(classes)] for n in range(n_cells)]}, [f"c{n}" for n in range(n_cells)]
    )
    counts = np.random.default_rng(0).poisson(3, (n_cells, len(GENES))).astype(np.float32) + 1
    AnnData(counts, obs, pd.DataFrame(index=GENES)).write_h5ad(folder / "cells.h5ad")
    edges = "one,TF\n" + "".join(f"TF,{gene}_gene\n" for gene in GENES)
    (folder / "edges.csv").write_text(f"parent,child\n{edges}")
    return Files(folder / "cells.h5ad", NetworkFiles(folder / "edges.csv"))


@pytest.mark.parametrize("pair", zip(CLASSES[::2], CLASSES[1::2], strict=True), ids=range(5))
def test_classes_and_folders_of_any_name_are_the_same_in_the_configuration(tmp_path, pair):
    folder = tmp_path / "a ${b} {c} #1"
    folder.mkdir()
    files = _write(folder, pair)
    written = configuration(plan_study("mine", files, Asked(label="state")), tmp_path)
    asked = read_back(written["parameters_data_engineering.yml"])["data_engineering"]
    assert sorted(asked["classes"]) == sorted(pair) and asked["positive"] in pair
    catalog = read_back(written["catalog.yml"])
    assert tmp_path / catalog["raw_expression"]["filepath"] == files.cells


def test_anndata_that_lies_on_its_side_is_told_so(tmp_path):
    cells = AnnData(np.ones((len(GENES), 9), np.float32), pd.DataFrame(index=GENES))
    cells.write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(CellsError, match=r"none of the network's 6 genes; what it calls genes are cells.*`adata\.T`"):
        look_at_cells(open_cells(tmp_path / "a.h5ad", {}), tmp_path / "a.h5ad", {}, GENES)


def test_labels_that_lie_on_their_side_are_told_so(tmp_path):
    files = _write(tmp_path, ("a", "b"))
    cells = open_cells(files.cells, {})
    pd.DataFrame({"drug": ["a", "b"] * 30}, cells.barcodes).T.to_csv(tmp_path / "labels.csv")
    with pytest.raises(CellsError, match=r"--label drug: no such column.*drug is a line of it: turn the table"):
        plan_study("mine", replace(files, classes=tmp_path / "labels.csv"), Asked(label="drug"))


def test_scaled_values_are_told_what_to_do_about_by_what_the_file_can_hold(tmp_path):
    scaled = pd.DataFrame(np.random.default_rng(0).normal(size=(9, len(GENES))), columns=GENES)
    scaled.to_csv(tmp_path / "a.csv")
    AnnData(scaled).write_h5ad(tmp_path / "a.h5ad")
    for name, advice in (("a.csv", "name a file of counts"), ("a.h5ad", "as a layer, or as .raw")):
        handle = open_cells(tmp_path / name, {} if name == "a.h5ad" else {"orientation": "cells_by_genes"})
        with pytest.raises(CellsError, match=f"holds no counts.*{advice}"):
            look_at_cells(handle, tmp_path / name, {}, GENES)
