"""Edge lists of every kind become the same edges, or one clear error; knowledge from three tables becomes one PKN."""

import gzip
from pathlib import Path

import networkx as nx
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpnn.errors import PknError
from kpnn.pkn import Pkn
from kpnn.pkn.assembly import assemble_edges
from kpnn.pkn.readers import read_edges

SHARED = Path(__file__).parents[3] / "shared" / "data"
EDGES = [("TCR", "ZAP70", 1), ("ZAP70", "FOS", -1), ("FOS", "CD69_gene", 0), ("FOS", "HLA_A_gene", 1)]


def told(edges):
    return [(row.parent, row.child, row.sign) for row in edges.itertuples()]


TABLES = {
    "plain.csv": "parent,child,sign\nTCR,ZAP70,1\nZAP70,FOS,-1\nFOS,CD69_gene,\nFOS,HLA_A_gene,1\n",
    "tabs.tsv": "parent\tchild\tsign\nTCR\tZAP70\t+\nZAP70\tFOS\t-\nFOS\tCD69_gene\t0\nFOS\tHLA_A_gene\t+1\n",
    "windows.csv": "\ufeffparent;child;sign\r\nTCR;ZAP70;1.0\r\nZAP70;FOS;-1.0\r\n"
    "FOS;CD69_gene;NA\r\nFOS;HLA_A_gene;1\r\n",
    "words.csv": "parent,child,sign\nTCR,ZAP70,Activation\nZAP70,FOS,Repression\n"
    "FOS,CD69_gene,Unknown\nFOS,HLA_A_gene,stimulation\n",
    "signs.sif": "TCR\t1\tZAP70\nZAP70 -1 FOS\n# comment\nLONELY\nFOS\tunknown\tCD69_gene\nFOS activates HLA_A_gene\n",
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("packed", [False, True])
def test_text_edge_lists_give_the_same_edges(tmp_path, name, packed):
    path = tmp_path / (f"{name}.gz" if packed else name)
    raw = TABLES[name].encode()
    path.write_bytes(gzip.compress(raw) if packed else raw)
    assert told(read_edges(path)) == EDGES


def test_columns_of_other_names_are_named_in_yaml(tmp_path):
    (tmp_path / "o.csv").write_text(
        "source_genesymbol,target_genesymbol,is_stimulation,is_inhibition\nTCR,ZAP70,1,0\nZAP70,FOS,False,True\n"
        "FOS,CD69_gene,1,1\nFOS,HLA_A_gene,true,false\n"
    )
    columns = {
        "parent": "source_genesymbol", "child": "target_genesymbol", "stimulation": "is_stimulation",
        "inhibition": "is_inhibition",
    }  # fmt: skip
    assert told(read_edges(tmp_path / "o.csv", columns=columns)) == EDGES


def test_networkx_graphml_gives_the_same_edges(tmp_path):
    graph = nx.DiGraph()
    graph.add_edges_from((parent, child, {"sign": sign}) for parent, child, sign in EDGES)
    nx.write_graphml(graph, tmp_path / "g.graphml")
    assert sorted(told(read_edges(tmp_path / "g.graphml"))) == sorted(EDGES)


def test_cornetos_graphs_give_the_same_edges_in_either_direction(tmp_path):
    import corneto as cn

    graph = cn.Graph.from_tuples([(parent, sign, child) for parent, child, sign in EDGES])
    graph.save_json(str(tmp_path / "g.json"))
    assert told(read_edges(tmp_path / "g.json")) == EDGES
    turned = cn.Graph.from_tuples([(child, sign, parent) for parent, child, sign in EDGES])
    turned.save_json(str(tmp_path / "t.json"))
    assert told(read_edges(tmp_path / "t.json", direction="child_to_parent")) == EDGES


def test_costs_come_along(tmp_path):
    (tmp_path / "a.csv").write_text("parent,child,cost\nA,B,2.5\nA,C,\n")
    assert list(read_edges(tmp_path / "a.csv")["cost"]) == [2.5, 1.0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "from,to\nA,B\n", "no column parent, child .found: from, to."),
        ("a.csv", "parent,child\nA,\n", "empty `child` in row 1"),
        ("a.csv", "parent,child,sign\nA,B,2\n", "`sign`: 2 is not a sign"),
        ("a.csv", "parent,child,cost\nA,B,-2\n", "`cost` must be a finite number above 0"),
        ("a.csv", "parent,child\nA,B,C\n", "line 2: 3 columns"),
        ("a.sif", "A\tB\n", "line 1: needs source, relation and target"),
        ("a.sif", "A 1 B\nA phosphorylates C\n", "line 2: 'phosphorylates' is not a sign"),
        ("a.sif", "A\n", "no edges"),
        ("a.graphml", "<graphml>", "is not XML"),
        ("a.graphml", "<a/>", "holds no graph"),
        ("a.graphml", "<!DOCTYPE x [<!ENTITY a 'b'>]><graphml/>", "XML entities"),
        (
            "a.graphml",
            "<graphml><graph edgedefault='undirected'><edge source='a' target='b'/></graph></graphml>",
            "undirected",
        ),
        ("a.graphml", "<graphml><graph><edge source='a'/></graph></graphml>", "edge 1 has no source or target"),
        ("a.json", "{", "is not JSON"),
        ("a.json", "[1]", "is not a corneto graph"),
        ("a.json", '{"edges": [{"source": ["a", "b"], "target": ["c"]}]}', "edge 1 does not join one node to one"),
        ("a.pkl", "x", "pickled graphs can run any program"),
    ],
)  # fmt: skip
def test_an_edge_list_with_a_fault_names_file_and_place(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(PknError, match=message) as error:
        read_edges(tmp_path / name)
    assert name in str(error.value)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["a.csv", "a.sif", "a.graphml", "a.json"]), st.binary(max_size=120), st.booleans())
def test_any_bytes_give_edges_or_a_clear_error(tmp_path, name, raw, begun):
    beginnings = {
        "a.csv": b"parent,child\n",
        "a.sif": b"A 1 B\n",
        "a.graphml": b"<graphml><graph>",
        "a.json": b'{"edges":[',
    }
    (tmp_path / name).write_bytes((beginnings[name] if begun else b"") + raw)
    try:
        edges = read_edges(tmp_path / name)
    except PknError as error:
        assert name in str(error)
    else:
        assert {"parent", "child", "sign"} <= set(edges.columns)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not beside the project")
@pytest.mark.parametrize("name", ["edges.csv", "edges_multi_output.csv"])
def test_signalling_regulon_and_receptors_give_the_pbmc_network(name):
    import scanpy as sc

    expected = read_edges(SHARED / "pbmc68k" / name)
    receptors = {
        output: list(expected.loc[expected["parent"] == output, "child"])
        for output in ("T_cell", "B_cell", "Monocyte")
        if (expected["parent"] == output).any()
    }
    assembled = assemble_edges(
        read_edges(SHARED / "signalling_human.csv.gz"),
        read_edges(SHARED / "trrust_human.csv.gz", columns={"parent": "tf", "child": "target", "sign": "mode"}),
        receptors,
    )
    measured = [f"{gene}_gene" for gene in sc.datasets.pbmc68k_reduced().raw.var_names]
    inputs = sorted({child for child in assembled["child"] if child.endswith("_gene")})
    pkn = Pkn.from_edges(assembled, inputs=inputs, outputs=list(receptors)).pruned(measured)
    assert told(pkn.edges) == told(expected.sort_values(["parent", "child"]))


def table(*rows):
    return pd.DataFrame(rows, columns=["parent", "child", "sign"])


def test_a_known_sign_outweighs_an_unknown_one_and_two_that_disagree_are_unknown():
    edges = assemble_edges(
        table(("R", "TF", 1), ("R", "TF", 0)), table(("TF", "G", 1), ("TF", "G", -1), ("TF", "H", -1)), {"OUT": ["R"]}
    )
    assert told(edges) == [("R", "TF", 1), ("TF", "G_gene", 0), ("TF", "H_gene", -1), ("OUT", "R", 1)]


@pytest.mark.parametrize(
    ("receptors", "message"),
    [
        ({}, "no receptors named"),
        ({"OUT": []}, "no receptors named for OUT"),
        ({"OUT": ["X"]}, "receptor X of OUT is in neither table"),
        ({"TF": ["R"]}, "output TF is the name of a protein"),
    ],
)
def test_receptors_that_do_not_fit_are_named(receptors, message):
    with pytest.raises(PknError, match=message):
        assemble_edges(table(("R", "TF", 1)), table(("TF", "G", 1)), receptors)


def test_a_receptor_that_is_in_neither_table_is_left_out_aloud_with_near_names(caplog):
    signalling, regulon = table(("CD3E", "TF", 1), ("CD3D", "TF", 1)), table(("TF", "G", 1))
    edges = assemble_edges(signalling, regulon, {"OUT": ["CD3E", "cd3d", "CD3epsilon", "XYZ"]})
    assert {child for parent, child, _ in told(edges) if parent == "OUT"} == {"CD3E"}
    assert (
        "receptor cd3d (is it CD3D, CD3E?), CD3epsilon, XYZ of OUT is in neither table and is left out" in caplog.text
    )
    with pytest.raises(PknError, match=r"receptor cd3d \(is it CD3D, CD3E\?\) of OUT is in neither table"):
        assemble_edges(signalling, regulon, {"OUT": ["cd3d"]})


def test_tables_with_different_names_for_the_same_proteins_are_noticed():
    with pytest.raises(PknError, match="do both tables use the same names"):
        assemble_edges(table(("R", "P12345", 1)), table(("TF", "G", 1)), {"OUT": ["R"]})
