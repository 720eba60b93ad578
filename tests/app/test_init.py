"""`kpnn init`: what it sees in a user's files, what it writes, and that a run can follow."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
import yaml
from anndata import AnnData
from click.testing import CliRunner
from kedro.framework.project import configure_project

from kpnn.app.cli import cli
from kpnn.app.init.expression import look_at_cells, open_cells
from kpnn.app.init.genes import GeneNames, kind_and_species, look_at_genes
from kpnn.app.init.knowledge import NetworkFiles
from kpnn.app.init.labelling import Asked
from kpnn.app.init.networks import look_at_network
from kpnn.app.init.study import Files, StudyPlan, plan_study
from kpnn.app.init.values import best_of, look_at_values
from kpnn.cells import InMemory
from kpnn.cells.formats.tenx_h5_writing import write_tenx_h5
from kpnn.errors import CellsError, GenomeError, NoMatrixError, PknError, SettingsError

SYMBOLS = [f"GENE{number}" for number in range(12)]
SIGNALLING = "source,target,sign\nREC1,KIN1,1\nREC2,KIN1,-1\nKIN1,TFA,1\nKIN1,TFB,1\n"


def make_counts(n_cells: int = 60, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(3, (n_cells, len(SYMBOLS))).astype(np.float32)
    counts[:, 0] += 1  # nobody is empty
    return counts


def logarithms(counts: np.ndarray) -> np.ndarray:
    return np.log1p(counts / counts.sum(axis=1, keepdims=True) * 10_000)


def scaled(counts: np.ndarray) -> np.ndarray:
    return (counts - counts.mean(axis=0)) / counts.std(axis=0)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A user's folder: cells in two formats, a table of labels, three kinds of knowledge."""
    folder = tmp_path_factory.mktemp("files")
    counts = make_counts()
    barcodes = [f"cell{number}" for number in range(len(counts))]
    obs = pd.DataFrame(
        {
            "condition": pd.Categorical(["stim" if number % 2 else "ctrl" for number in range(len(counts))]),
            "kind": [("T", "B", "NK")[number % 3] for number in range(len(counts))],
            "donor": [f"d{number % 5}" for number in range(len(counts))],
        },
        index=barcodes,
    )
    var = pd.DataFrame({"feature_name": SYMBOLS}, index=[f"ENSG{number:011d}" for number in range(len(SYMBOLS))])
    AnnData(scaled(counts), obs=obs, var=var, layers={"counts": counts}).write_h5ad(folder / "cells.h5ad")
    (folder / "mtx").mkdir()
    with gzip.open(folder / "mtx" / "matrix.mtx.gz", "wb") as file:
        scipy.io.mmwrite(file, sp.coo_matrix(counts.T.astype(int)))
    for name, lines in (
        ("barcodes", barcodes),
        ("features", [f"{i}\t{s}" for i, s in zip(var.index, SYMBOLS, strict=True)]),
    ):
        with gzip.open(folder / "mtx" / f"{name}.tsv.gz", "wt") as file:
            file.write("\n".join(lines) + "\n")
    table = obs.assign(condition=obs["condition"].astype(str), note="x")
    table.iloc[:3, 0] = ""
    table.rename_axis("cell").to_csv(folder / "labels.csv")
    (folder / "signalling.csv").write_text(SIGNALLING)
    regulon = [(regulator, gene) for regulator, part in (("TFA", SYMBOLS[:7]), ("TFB", SYMBOLS[5:])) for gene in part]
    pd.DataFrame(regulon, columns=["tf", "target"]).assign(mor=1).to_csv(folder / "regulon.csv", index=False)
    sets = (("SET_A", SYMBOLS[:6]), ("SET_B", [*SYMBOLS[6:], "UNMEASURED"]))
    (folder / "sets.gmt").write_text("".join("\t".join([name, "about", *genes]) + "\n" for name, genes in sets))
    edges = [("one", "TFA"), *((regulator, f"{gene}_gene") for regulator, gene in regulon if regulator == "TFA")]
    pd.DataFrame(edges, columns=["parent", "child"]).to_csv(folder / "edges.csv", index=False)
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs `kpnn` in an empty folder, in this process; returns its exit code and what it printed."""
    root = tmp_path / "empty"
    root.mkdir()
    monkeypatch.chdir(root)
    configure_project("kpnn")

    def command(*options: str | Path) -> tuple[int, str]:
        done = CliRunner().invoke(cli, [str(option) for option in options])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    return command


def written(study: str, name: str) -> dict:
    return yaml.safe_load(Path("conf", study, f"{name}.yml").read_text())


@pytest.mark.parametrize(
    ("make", "kind", "parameters"),
    [
        (lambda counts: counts, "counts", {}),
        (logarithms, "logarithms", {"log1p": False, "library_size": None}),
        (lambda counts: np.log1p(counts), "logarithms", {"log1p": False, "library_size": None}),
        (lambda counts: counts / counts.sum(axis=1, keepdims=True) * 1e6, "normalized", {"library_size": None}),
        (scaled, "scaled", {}),
        (np.zeros_like, "nothing", {}),
    ],
    ids=["counts", "log of ten thousand", "log of counts", "per million", "scaled", "empty"],
)
def test_what_the_numbers_are_is_seen_from_some_cells(make, kind, parameters):
    handle = InMemory(AnnData(make(make_counts())))
    found = look_at_values(handle)
    assert found.kind == kind
    if found.is_usable:
        assert found.parameters == parameters
    else:
        assert best_of([found]) is None


def test_counts_are_taken_before_logarithms_and_scaled_values_never():
    counts = make_counts()
    kinds = [look_at_values(InMemory(AnnData(make(counts))), make.__name__) for make in (scaled, logarithms, np.array)]
    assert best_of(kinds).name == "array"
    assert best_of(kinds[:2]).name == "logarithms"


def test_a_file_without_x_is_looked_at_where_it_has_values(tmp_path):
    counts = make_counts()
    path = tmp_path / "cells.h5ad"
    obs, var = (pd.DataFrame(index=names) for names in ([f"cell{number}" for number in range(60)], SYMBOLS))
    AnnData(obs=obs, var=var, layers={"raw_counts": counts}).write_h5ad(path)
    found = look_at_cells(open_cells(path, {}), path, {}, SYMBOLS[:3])
    assert found.options == {"values": "raw_counts"}
    assert (found.values.kind, found.genes.n_found, found.handle.n_cells) == ("counts", 3, 60)


def test_genes_are_named_by_what_meets_the_network():
    symbols = GeneNames("gene names", {}, pd.Index([f"ENSG{number:011d}" for number in range(4)]))
    column = GeneNames("column", {"gene_names": "id", "id_column": "feature_name"}, pd.Index(["TP53", "MYC", "A", "B"]))
    found = look_at_genes([symbols, column], ["MYC", "TP53", "JUN"])
    assert found.chosen is column
    assert (found.n_wanted, found.n_found, found.advice) == (3, 2, "")
    assert kind_and_species(symbols.names) == ("Ensembl ids", "human")
    assert kind_and_species(["ENSMUSG00000000001", "ENSMUSG00000000002.3"]) == ("Ensembl ids", "mouse")
    assert kind_and_species(["Trp53", "Myc", "Actb"]) == ("symbols", "mouse")


def test_two_species_are_told_by_their_spelling():
    found = look_at_genes([GeneNames("gene names", {}, pd.Index(["Myc", "Jun", "Fos"]))], ["MYC", "JUN", "TP53"])
    assert found.n_found == 0
    assert "orthologues" in found.advice
    panel = look_at_genes(
        [GeneNames("gene names", {}, pd.Index(["Myc", "Jun", "X"]))], [f"G{n}" for n in range(97)] + ["MYC"]
    )
    assert "orthologues" in panel.advice


def test_names_of_a_small_panel_are_of_the_right_kind_where_the_network_knows_many_of_them():
    panel, network = [f"G{n}" for n in range(10)], [f"G{n}" for n in range(8, 200)]
    assert look_at_genes([GeneNames("gene names", {}, pd.Index(panel))], network).advice == ""
    assert look_at_genes([GeneNames("gene names", {}, pd.Index(panel))], network[2:]).advice != ""


@pytest.mark.parametrize(
    ("text", "options", "edges"),
    [
        ("parent,child\nA,B\n", {}, [("A", "B", 0)]),
        ("TF,target,weight\nA,B,-1\nA,C,1\n", {"columns": {"parent": "TF", "child": "target", "sign": "weight"}},
         [("A", "B", -1), ("A", "C", 1)]),
        ("source,target,weight\nA,B,0.9\nA,C,1\n", {}, [("A", "B", 0), ("A", "C", 0)]),
        ("A,B,Activation\nA,C,Repression\n", {"columns": {"parent": 1, "child": 2, "sign": 3}},
         [("A", "B", 1), ("A", "C", -1)]),
        ("parent,child,is_directed\nA,B,1\nB,C,0\n", {"undirected": "drop"}, [("A", "B", 0)]),
    ],
    ids=["plain", "weights below zero are signs", "confidences are no signs", "no header", "undirected"],
)  # fmt: skip
def test_how_a_table_of_edges_is_read_is_found_out(tmp_path, text, options, edges):
    path = tmp_path / "network.csv"
    path.write_text(text)
    found = look_at_network(path)
    assert found.options == options
    assert list(found.edges[["parent", "child", "sign"]].itertuples(index=False, name=None)) == edges


def test_a_table_that_names_no_edges_is_an_error(tmp_path):
    path = tmp_path / "network.csv"
    path.write_text("name,size\nA,1\nB,2\n")
    with pytest.raises(PknError, match="no column parent"):
        look_at_network(path)


def test_a_study_from_anndata_is_written_checked_and_explained(files, run):
    knowledge = [
        "--signalling",
        files / "signalling.csv",
        "--regulon",
        files / "regulon.csv",
        "--receptors",
        "REC1,REC2",
    ]
    code, output = run(
        "init", "mine", "--cells", files / "cells.h5ad", "--label", "condition", "--group", "donor", *knowledge
    )
    assert code == 0, output
    assert "All checks passed. To run it: kedro run --env mine" in output
    assert max(map(len, output.split("Study mine")[1].splitlines())) <= 80
    assert "scaled" in output and "not taken" in output
    cells = written("mine", "catalog")["raw_expression"]
    assert (cells["values"], cells["gene_names"], cells["id_column"]) == ("counts", "id", "feature_name")
    assert written("mine", "catalog")["class_labels"]["filepath"] is None
    said = written("mine", "parameters_data_engineering")["data_engineering"]
    assert (said["label"], said["positive"], said["classes"]) == ("condition", "stim", ["ctrl", "stim"])
    assert said["receptors"] == {"stim": ["REC1", "REC2"]}
    assert written("mine", "parameters")["cross_validation"]["group_by"] == "donor"
    assert Path("pyproject.toml").is_file() and Path("conf/base/catalog.yml").is_file()
    assert [path for path in Path("data").rglob("*") if path.is_file() and path.name != ".gitkeep"] == []
    assert [path.name for path in Path("mlruns").iterdir()] == [".gitkeep"]
    again, output = run("check", "mine")
    assert again == 0 and "outputs     stim above 12 genes" in output


def test_a_study_from_10x_a_table_of_labels_and_gene_sets(files, run):
    code, output = run(
        "init", "sets", "--cells", files / "mtx" / "matrix.mtx.gz", "--classes-file", files / "labels.csv",
        "--label", "condition", "--gene-sets", files / "sets.gmt",
    )  # fmt: skip
    assert code == 0, output
    assert written("sets", "parameters_data_engineering")["data_engineering"]["new_roots"] is True
    assert "stim 29, ctrl 28" in output  # three are blank
    assert "--group donor" in output  # the table has donors, and nobody named them


def test_one_class_against_the_rest_is_predicted_by_the_one_root_of_a_network(files, run):
    code, output = run(
        "init", "one", "--cells", files / "mtx", "--classes-file", files / "labels.csv", "--label", "kind",
        "--positive", "NK", "--network", files / "edges.csv",
    )  # fmt: skip
    assert code == 0, output
    assert written("one", "parameters_data_engineering")["data_engineering"]["output_nodes"] == {"NK": "one"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label", "conditon"], "--label conditon: no such column in .*; did you mean condition?"),
        (["--label", "condition", "--group", "doner"], "--group doner: no such column in .*; did you mean donor?"),
        (["--label", "condition", "--positive", "stin"], "stin .*did you mean stim?"),
        ([], "--label is needed: .*Perhaps condition \\(ctrl, stim\\)"),
        (["--label", "condition", "--receptors", "REC3"], "receptor REC3 \\(is it REC"),
        (["--label", "condition", "--receptors", "stin=REC1"], "there is no such class \\(classes: stim\\)"),
        (["--label", "condition", "--values", "count"], "has no count \\(found: "),
        (["--label", "condition", "--gene-sets", "x.gmt"], "in one of three ways"),
    ],
)  # fmt: skip
def test_a_name_that_is_not_there_is_one_message_and_nothing_is_written(files, run, options, message):
    receptors = [] if "--receptors" in options else ["--receptors", "REC1"]
    code, output = run(
        "init", "mine", "--cells", files / "cells.h5ad", "--signalling", files / "signalling.csv",
        "--regulon", files / "regulon.csv", *receptors, *options,
    )  # fmt: skip
    assert code == 2
    assert pd.Series([output]).str.contains(message.replace("?", "\\?"))[0], output
    assert output.startswith("Error: ") and output.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_a_study_is_not_overwritten_unless_that_is_asked_for(files, run):
    options = ["--cells", files / "cells.h5ad", "--label", "kind", "--gene-sets", files / "sets.gmt"]
    assert run("init", "mine", *options)[0] == 0
    Path("conf/mine/parameters.yml").write_text("# mine\n")
    code, output = run("init", "mine", *options)
    assert (code, Path("conf/mine/parameters.yml").read_text()) == (2, "# mine\n")
    assert "--force" in output
    assert run("init", "mine", "--force", *options)[0] == 0
    assert Path("conf/mine/parameters.yml").read_text() != "# mine\n"
    for name in ("base", "local", "a/b"):
        assert run("init", name, *options)[0] == 2


def test_what_is_not_said_is_asked_for_where_that_is_wanted(files, run):
    options = ["--cells", files / "cells.h5ad", "--gene-sets", files / "sets.gmt", "--interactive"]
    done = CliRunner().invoke(cli, ["init", "mine", *map(str, options)], input="condition\n\nctrl\ndonor\n")
    assert done.exit_code == 0, done.output
    assert written("mine", "parameters_data_engineering")["data_engineering"]["positive"] == "ctrl"
    assert written("mine", "parameters")["cross_validation"]["group_by"] == "donor"


def plan(folder: Path, asked: Asked, obs: dict, *, edges: str) -> StudyPlan:
    """A study of 12 cells with these columns and this table of edges."""
    counts = make_counts(12)
    index = [f"cell{number}" for number in range(12)]
    table = pd.DataFrame(obs, index=index)
    AnnData(counts, obs=table, var=pd.DataFrame(index=SYMBOLS)).write_h5ad(folder / "few.h5ad")
    (folder / "few.csv").write_text(edges)
    return plan_study("few", Files(folder / "few.h5ad", NetworkFiles(folder / "few.csv")), asked)


EDGES = "parent,child\n" + "".join(f"P{number % 2},{gene}_gene\n" for number, gene in enumerate(SYMBOLS))


def test_labels_mean_to_init_what_they_mean_to_a_run(tmp_path):
    truth = [1.0, 0.0] * 5 + [np.nan] * 2  # as pandas has it where labels are missing
    found = plan(tmp_path, Asked("sick"), {"sick": truth}, edges=EDGES).labels
    assert (found.parameters["positive"], found.sizes) == ("sick", {"sick": 5, "not sick": 5})
    assert found.parameters["classes"] == {"sick": ["1"], "not sick": ["0"]}
    assert list(found.labels.outputs) == ["sick"]
    given = ["none", "IFN", "none", "IFN"] * 2 + ["nan", "", "N/A", "null"]  # a control is as good a treatment
    found = plan(tmp_path, Asked("drug"), {"drug": given}, edges=EDGES).labels
    assert found.sizes == {"IFN": 4, "none": 4}


def test_a_class_may_have_commas_in_its_name(tmp_path):
    kinds = {"kind": ["T cell, CD4+", "B", "NK"] * 4}
    found = plan(tmp_path, Asked("kind", classes="B, T cell, CD4+"), kinds, edges=EDGES).labels
    assert found.parameters["classes"] == ["B", "T cell, CD4+"]
    with pytest.raises(SettingsError, match="no cell has T cell"):
        plan(tmp_path, Asked("kind", classes="B, T cell"), kinds, edges=EDGES)


def test_a_protein_that_is_called_like_a_class_is_not_the_class(tmp_path):
    edges = EDGES + "top,P0\ntop,P1\nP0,CD4\nCD4,X\n"
    found = plan(tmp_path, Asked("kind"), {"kind": ["CD4", "NK", "B"] * 4}, edges=edges).knowledge
    assert found.parameters == {"new_roots": True, "output_nodes": {"CD4": "CD4_class"}}
    assert "class CD4 is called CD4_class: a node of its name has parents" in found.notes


@pytest.mark.parametrize("names", ["Parent,Child", "TF,Target", "upstream,downstream"])
def test_columns_of_edges_are_found_whatever_their_case_and_where_there_are_two_by_their_place(names, tmp_path):
    edges = EDGES.replace("parent,child", names)
    found = plan(tmp_path, Asked("kind"), {"kind": ["A", "B"] * 6}, edges=edges).knowledge
    assert found.genes == sorted(SYMBOLS)
    assert set(found.entries["edges"].edges["parent"]) == {"P0", "P1"}


def test_versions_of_ensembls_ids_are_named_where_they_stand_in_the_way():
    ids = [f"ENSG{number:011d}" for number in range(20)]
    names = [GeneNames("symbols", {}, pd.Index(SYMBOLS)), GeneNames("ids", {}, pd.Index([f"{one}.3" for one in ids]))]
    found = look_at_genes(names, ids)
    assert found.n_found == 0
    assert "20 would be found without the versions of Ensembl's ids" in found.advice
    assert look_at_genes([GeneNames("ids", {}, pd.Index(ids))], ids).advice == ""


def test_of_several_genomes_the_command_says_which_option_chooses_and_of_no_other_fault(tmp_path: Path) -> None:
    counts, names = sp.csr_matrix(make_counts()), pd.Index(SYMBOLS)
    cells = tmp_path / "genome.h5"
    write_tenx_h5(cells, counts, pd.Index([f"c{number}" for number in range(60)]), names, names, layout="genome")
    with h5py.File(cells, "a") as file:
        file.copy(file["GRCh38"], "mm10")
    with pytest.raises(GenomeError, match=r"several genomes \(GRCh38, mm10\).*\(--genome\)"):
        open_cells(cells, {})
    assert open_cells(cells, {"genome": "mm10"}).n_cells == 60
    cells.write_text("nothing of the kind")
    with pytest.raises(CellsError) as other:
        open_cells(cells, {})
    assert "--genome" not in str(other.value)


def test_where_a_file_has_no_x_the_matrix_most_like_counts_is_opened(tmp_path: Path) -> None:
    cells = AnnData(obs=pd.DataFrame(index=["c1", "c2"]), var=pd.DataFrame(index=["A", "B"]))
    cells.layers["counts"] = sp.csr_matrix([[1.0, 0.0], [0.0, 3.0]])
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert open_cells(tmp_path / "cells.h5ad", {}).values == "counts"
    with pytest.raises(NoMatrixError, match="has no X"):
        open_cells(tmp_path / "cells.h5ad", {"values": "X"})
