"""From raw files to matched cells, PKN, full DAG and folds, through the catalog as a user has it."""

import logging
import os
import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from kedro.io import DatasetError

from in_process import OUTPUTS, Study
from kpnn.cells import CellsOnDisk
from kpnn.errors import KpnnError
from kpnn.pipelines import simulate
from kpnn.pkn.assembly import with_new_roots


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """The demo's raw files, made once."""
    from kedro_project import make_project

    root = make_project(tmp_path_factory.mktemp("raw") / "project").root
    before = Path.cwd()
    os.chdir(root)
    try:
        Study().run(simulate.create_pipeline())
    finally:
        os.chdir(before)
    return root


@pytest.fixture
def folder(raw, tmp_path, monkeypatch):
    root = tmp_path / "project"
    shutil.copytree(raw, root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def demo(folder):
    return folder / "data" / "01_raw" / "demo"


def test_simulate_writes_the_three_formats_and_the_truth(demo):
    assert sorted(path.name for path in demo.iterdir()) == ["ClassLabels.csv", "Data.h5", "Edgelist.csv", "truth.json"]
    assert Study().load("truth")["scenario"] == "cyclic"


def test_everything_fits_together(demo):
    data = Study().engineer()
    cells, pkn, dag, folds = (data[name] for name in OUTPUTS[:4])
    assert tuple(cells.var["node"]) == pkn.inputs == dag.inputs
    assert list(cells.obs.columns) == ["RECEPTOR", "total_counts"]
    assert cells.obs["RECEPTOR"].dtype == np.int8
    assert cells.X.dtype == np.float32
    assert sp.issparse(cells.X)
    assert cells.X.format == "csr"
    median = data["data_summary"]["transform"]["library_size"]
    raw, counts = Study().load("raw_expression").read(cells.obs_names), cells.layers["counts"].toarray()
    totals = raw.obs["total_counts"].to_numpy()
    np.testing.assert_array_equal(cells.obs["total_counts"], totals)
    assert median == cells.uns["transform"]["library_size"] == np.median(totals)
    np.testing.assert_allclose(cells.X.toarray(), np.log1p(counts * (median / totals)[:, None]), rtol=1e-4)
    assert sorted(folds["barcode"]) == sorted(cells.obs_names)
    assert list(folds.columns) == ["repeat", "fold", "barcode"]


def test_the_summary_tells_what_was_dropped_and_fingerprints_the_files(demo):
    summary = Study().engineer()["data_summary"]
    steps = {step["name"]: step for step in summary["steps"]}
    assert steps["in the expression file"]["cells"] == 3_200
    assert steps["labelled cells"]["cells"] == 3000
    unmeasured = steps["columns of genes in the network"]
    assert (unmeasured["dropped"], len(unmeasured["examples"])) == (12, 5)
    assert steps["repeated genes joined (max)"]["dropped"] == 5
    assert len(summary["files"]) == 3
    assert all(len(fingerprint) == 64 for fingerprint in summary["files"].values())


def test_genes_that_were_not_measured_are_pruned_away(demo):
    data = Study().engineer()
    known = set(pd.read_csv(demo / "Edgelist.csv")["child"])
    assert len({name for name in known if name.endswith("_gene")} - set(data["pkn"].inputs)) == 12


def test_the_full_dag_of_a_network_with_cycles_can_be_its_largest_acyclic_part(demo):
    few = Study().engineer()
    most = Study().engineer(data_engineering={"full_dag": "most_edges"})
    assert len(few["full_dag"].edges) < len(most["full_dag"].edges) < len(most["pkn"].edges)
    assert most["full_dag"].inputs == few["full_dag"].inputs == most["pkn"].inputs
    account = most["data_summary"]["full_dag"]
    assert (account["choice"], account["edges"]) == ("most_edges", len(most["full_dag"].edges))
    assert account["edges"] <= account["bound"] < account["edges_of_network"] == len(most["pkn"].edges)
    assert (account["status"] == "optimal") == (account["edges"] == account["bound"])
    assert few["data_summary"]["full_dag"] == {
        "choice": "shortest_paths",
        "edges": len(few["full_dag"].edges),
        "edges_of_network": len(few["pkn"].edges),
    }


def test_groups_stay_together_and_come_along(demo):
    labels = pd.read_csv(demo / "ClassLabels.csv")
    labels["donor"] = [f"d{number % 20}" for number in range(len(labels))]
    labels.to_csv(demo / "ClassLabels.csv", index=False)
    data = Study().engineer(cross_validation={"group_by": "donor"})
    fold_of = data["folds"].set_index("barcode")["fold"]
    donors = data["matched_cells"].obs["donor"].astype(str)
    assert fold_of.loc[donors.index].groupby(donors.to_numpy()).nunique().max() == 1


def test_more_cells_than_may_be_in_memory_are_streamed_to_the_same_file(demo):
    whole = Study().engineer()["matched_cells"]
    streamed = Study().engineer(data_engineering={"in_memory_cells": 100})["matched_cells"]
    again = streamed[whole.obs_names]
    np.testing.assert_array_equal(again.X.toarray(), whole.X.toarray())
    assert CellsOnDisk.open("data/05_model_input/demo/matched_cells.h5ad").shape == whole.shape


def test_control_inputs_replace_the_expression_only_when_asked_for(demo):
    whole = Study().engineer()["matched_cells"]
    control = Study().engineer(data_engineering={"control_inputs": True})["matched_cells"]
    assert list(control.obs_names) == list(whole.obs_names)
    assert set(np.round(control.var["fold_change"], 2)) == {0.5, 2.0}


@pytest.mark.parametrize("form", ["h5ad", "zarr", "csv"])
def test_the_same_study_in_another_format_gives_the_same_cells(demo, form):
    plain = {"library_size": None}  # the other file joins repeated genes, so its totals differ
    original = Study().engineer(data_engineering=plain)["matched_cells"]
    raw = Study().load("raw_expression").read()
    path = demo / f"Data.{form}"
    if form == "csv":
        raw.to_df().T.to_csv(path)
    else:
        getattr(raw, f"write_{form}")(path)
    entry = {"type": "kpnn.datasets.raw.ExpressionDataset", "filepath": str(path)}
    again = Study(more={"raw_expression": entry}).engineer(data_engineering=plain)["matched_cells"]
    pd.testing.assert_frame_equal(again.to_df(), original.to_df())


def test_signalling_and_regulon_take_the_place_of_an_edge_list(demo, folder):
    edges = pd.read_csv(demo / "Edgelist.csv")
    below = edges["child"].str.endswith("_gene")
    regulon = edges[below].assign(child=edges.loc[below, "child"].str.removesuffix("_gene"))
    regulon.rename(columns={"parent": "source", "child": "target", "sign": "mor"}).to_csv(
        demo / "r.tsv", sep="\t", index=False
    )
    edges[~below & (edges["parent"] != "RECEPTOR")].to_csv(demo / "s.csv", index=False)
    receptors = list(edges.loc[edges["parent"] == "RECEPTOR", "child"])
    kind = {"type": "kpnn.datasets.raw.EdgeListDataset"}
    more = {
        "edges": {**kind, "filepath": None},
        "signalling": {**kind, "filepath": "data/01_raw/demo/s.csv"},
        "regulon": {
            **kind,
            "filepath": "data/01_raw/demo/r.tsv",
            "columns": {"parent": "source", "child": "target", "sign": "mor"},
        },
    }
    original = Study().engineer()
    assembled = Study(more=more).engineer(data_engineering={"receptors": {"RECEPTOR": receptors}})
    pd.testing.assert_frame_equal(assembled["pkn"].edges, original["pkn"].edges)
    assert len(assembled["data_summary"]["files"]) == 4
    with pytest.raises(KpnnError, match="no receptors named"):
        Study(more=more).engineer()


def test_real_cells_of_scanpy_with_the_users_network(folder, shared_data):
    shutil.copytree(shared_data / "pbmc68k", folder / "data" / "01_raw" / "pbmc68k")
    data = Study("pbmc68k").engineer()
    assert data["matched_cells"].shape == (700, 153)
    assert (len(data["pkn"].nodes), len(data["pkn"].edges)) == (1_203, 4_091)
    assert data["full_dag"].inputs == data["pkn"].inputs
    import scanpy as sc

    reference = sc.datasets.pbmc68k_reduced().raw.to_adata()[:, data["matched_cells"].var_names].to_df()
    ours = data["matched_cells"].to_df().loc[reference.index]
    np.testing.assert_allclose(ours, reference, rtol=1e-6)


def test_several_outputs_are_one_column_each(folder, shared_data):
    raw = folder / "data" / "01_raw" / "pbmc68k"
    raw.mkdir()
    shutil.copy(shared_data / "pbmc68k" / "edges_multi_output.csv", raw / "edges.csv")
    shutil.copy(shared_data / "pbmc68k" / "class_labels_multi_output.csv", raw / "class_labels.csv")
    data = Study("pbmc68k").engineer()
    outputs = ("T_cell", "B_cell", "Monocyte")
    assert data["pkn"].outputs == data["full_dag"].outputs == outputs
    assert tuple(data["matched_cells"].obs.columns[:3]) == outputs
    two = Study("pbmc68k").engineer(data_engineering={"outputs": ["Monocyte", "T_cell"]})
    assert two["pkn"].outputs == ("Monocyte", "T_cell")
    assert "B_cell" not in two["pkn"].nodes


def change_labels(demo, change):
    labels = pd.read_csv(demo / "ClassLabels.csv")
    change(labels).to_csv(demo / "ClassLabels.csv", index=False)


BAD = {
    "labels missing": (lambda demo: (demo / "ClassLabels.csv").unlink(), "ClassLabels.csv: no such file"),
    "expression missing": (lambda demo: (demo / "Data.h5").unlink(), "Data.h5: no such file.*--pipeline simulate"),
    "edges without parent": (
        lambda demo: (demo / "Edgelist.csv").write_text("from,to\nA,B\n"),
        "Edgelist.csv: no column parent, child",
    ),
    "no gene in common": (
        lambda demo: (demo / "Edgelist.csv").write_text("parent,child\nRECEPTOR,KIN\nKIN,FOO_gene\n"),
        "Data.h5: has none of the network's 1 genes; the network names FOO",
    ),
    "no leaf with the suffix": (
        lambda demo: (demo / "Edgelist.csv").write_text("parent,child\nRECEPTOR,KIN\nKIN,FOO\n"),
        "Edgelist.csv: no leaf ends in '_gene'",
    ),
    "a label that is not an output": (
        lambda demo: change_labels(demo, lambda table: table.rename(columns={"RECEPTOR": "OTHER"})),
        "class label OTHER is not a node of the network.*roots: RECEPTOR",
    ),
    "a label that is not a root": (
        lambda demo: change_labels(demo, lambda table: table.rename(columns={"RECEPTOR": "KIN01"})),
        "class label KIN01 is not a root",
    ),
    "labels that are not 0 or 1": (
        lambda demo: change_labels(demo, lambda table: table.assign(RECEPTOR=7)),
        "ClassLabels.csv: label RECEPTOR must be 0 or 1, found 7",
    ),
    "one class only": (
        lambda demo: change_labels(demo, lambda table: table.assign(RECEPTOR=1)),
        "class 0 of `RECEPTOR` has 0 cells",
    ),
    "no cell in common": (
        lambda demo: change_labels(demo, lambda table: table.assign(barcode=["x" + name for name in table["barcode"]])),
        "Data.h5: has none of the 3,000 labelled cells",
    ),
    "a truncated file": (
        lambda demo: (demo / "Data.h5").write_bytes((demo / "Data.h5").read_bytes()[:50_000]),
        "Data.h5: cannot be read as HDF5",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_error_before_anything_is_written(demo, case):
    spoil, message = BAD[case]
    spoil(demo)
    study = Study()
    # Kedro may wrap what a dataset says; the command line shows the innermost message.
    with pytest.raises((KpnnError, DatasetError), match=f"(?s){message}"):
        study.engineer()
    assert study.written() == []


@pytest.mark.parametrize(
    ("group", "changes", "message"),
    [
        ("data_engineering", {"log2p": True}, "data_engineering.log2p: no such parameter; did you mean log1p"),
        ("data_engineering", {"library_size": -1}, "data_engineering.library_size: .*must be a number above 0"),
        ("data_engineering", {"outputs": ["NONE"]}, "no label NONE .found: RECEPTOR"),
        ("cross_validation", {"n_splits": 1}, "cross_validation.n_splits"),
        ("cross_validation", {"group_by": "donor"}, "group_by: the class labels have no column donor"),
        (
            "data_engineering",
            {"control_inputs": True, "in_memory_cells": 9},
            "control_inputs needs the cells in memory",
        ),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(demo, group, changes, message):
    study = Study()
    with pytest.raises(KpnnError, match=message):
        study.engineer(**{group: changes})
    assert study.written() == []


def test_labels_for_cells_that_the_file_does_not_have_are_reported_not_fatal(demo):
    extra = pd.DataFrame({"barcode": [f"GHOST-{number}" for number in range(7)], "RECEPTOR": 1})
    change_labels(demo, lambda table: pd.concat([table, extra]))
    summary = Study().engineer()["data_summary"]
    step = next(step for step in summary["steps"] if step["name"] == "labelled cells")
    assert (step["dropped"], step["examples"][0]) == (7, "GHOST-0")


def test_a_simulation_of_another_scenario_is_one_parameter(folder):
    study = Study()
    study.run(simulate.create_pipeline(), simulate={"scenario": "deep", "n_cells": 60, "n_unlabelled": 0})
    assert study.load("truth")["scenario"] == "deep"
    assert study.load("raw_expression").n_cells == 60
    with pytest.raises(KpnnError, match=r"simulate\.scenario"):
        study.run(simulate.create_pipeline(), simulate={"scenario": "unheard of"})


def test_matched_cells_written_by_something_else_are_refused(folder):
    path = folder / "data" / "05_model_input" / "demo" / "matched_cells.h5ad"
    path.parent.mkdir()
    ad.AnnData(np.ones((2, 2))).write_h5ad(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(Exception, match=r"matched_cells.h5ad"):
        Study().load("matched_cells")


def test_the_summary_says_what_was_read_of_the_network_and_how_much_of_the_data_it_covers(demo, caplog):
    edges = pd.read_csv(demo / "Edgelist.csv")
    edges.loc[len(edges)] = edges.iloc[0]
    edges.to_csv(demo / "Edgelist.csv", index=False)
    with caplog.at_level(logging.INFO, logger="kpnn"):
        summary = Study().engineer()["data_summary"]
    genes = {child for child in edges["child"] if child.endswith("_gene")}
    measured = set(Study().load("raw_expression").genes)
    common = len({gene.removesuffix("_gene") for gene in genes} & measured)
    assert summary["coverage"] == {
        "network_genes": len(genes),
        "measured_genes": len(measured),
        "common": common,
    }
    assert f"{common:,} of the network's {len(genes):,} genes are measured" in caplog.text
    [read] = summary["network_files"]
    assert (read["read"], read["kept"]) == (len(edges), len(edges) - 1)
    assert "1 repeated" in read["said"]


def test_sets_of_genes_are_a_network_below_new_roots(demo, folder):
    edges = pd.read_csv(demo / "Edgelist.csv")
    below = edges[edges["child"].str.endswith("_gene")]
    sets = {
        parent: [child.removesuffix("_gene") for child in children]
        for parent, children in below.groupby("parent")["child"]
    }
    lines = ["\t".join([f"SET_{name}", "http://x", *genes]) for name, genes in sets.items()]
    (demo / "h.gmt").write_text("\n".join(lines) + "\n")
    kind = {"type": "kpnn.datasets.raw.EdgeListDataset"}
    more = {"edges": {**kind, "filepath": "data/01_raw/demo/h.gmt"}}
    alone = Study(more=more).engineer(data_engineering={"new_roots": True})
    assert alone["pkn"].outputs == ("RECEPTOR",)
    assert set(alone["pkn"].hidden) <= {f"SET_{name}" for name in sets}
    names = sorted(f"SET_{name}" for name in sets)
    pd.DataFrame({"parent": "ALL", "child": names}).to_csv(demo / "above.csv", index=False)
    more = {
        "edges": {**kind, "filepath": None},
        "signalling": {**kind, "filepath": "data/01_raw/demo/above.csv"},
        "regulon": {**kind, "filepath": "data/01_raw/demo/h.gmt"},
    }
    under = Study(more=more).engineer(data_engineering={"new_roots": True})["pkn"]
    assert set(under.hidden) == {*alone["pkn"].hidden, "ALL"}
    assert [(row.parent, row.child) for row in under.edges.itertuples() if row.parent == "RECEPTOR"] == [
        ("RECEPTOR", "ALL")
    ]


def test_several_classes_take_the_place_of_a_networks_one_root_rather_than_share_its_one_number():
    edges = pd.DataFrame(
        [("ALL", "P1", 1, 2.0), ("ALL", "P2", -1, 3.0), ("P1", "A_gene", 0, 1.0), ("P2", "B_gene", 0, 1.0)],
        columns=["parent", "child", "sign", "cost"],
    )
    several = with_new_roots(edges, ["x", "y"])
    below = {(row.parent, row.child): (row.sign, row.cost) for row in several.itertuples()}
    assert below == {
        ("P1", "A_gene"): (0, 1.0),
        ("P2", "B_gene"): (0, 1.0),
        **{(output, "P1"): (1, 2.0) for output in "xy"},
        **{(output, "P2"): (-1, 3.0) for output in "xy"},
    }
    one = with_new_roots(edges, ["x"])
    assert [(row.parent, row.child) for row in one.itertuples()][4:] == [("x", "ALL")]
    two_roots = with_new_roots(edges[edges["parent"] != "ALL"], ["x", "y"])
    assert [(row.parent, row.child) for row in two_roots.itertuples()][2:] == [
        (output, root) for output in "xy" for root in ("P1", "P2")
    ]


@pytest.mark.parametrize("turned", [False, True])
def test_a_table_need_not_say_which_of_its_sides_holds_the_cells(demo, turned):
    usual = Study().engineer()["matched_cells"]
    table = pd.DataFrame(usual.layers["counts"].toarray(), index=usual.obs_names, columns=usual.var_names)
    (table.T if turned else table).to_csv(demo / "table.csv")
    more = {"raw_expression": {"type": "kpnn.datasets.raw.ExpressionDataset", "filepath": str(demo / "table.csv")}}
    data = Study(more=more).engineer()
    found = data["matched_cells"]
    assert found.obs_names.tolist() == usual.obs_names.tolist()
    np.testing.assert_array_equal(
        found.layers["counts"].toarray(), usual[:, found.var_names].layers["counts"].toarray()
    )
    assert data["data_summary"]["coverage"]["measured_genes"] == usual.n_vars
