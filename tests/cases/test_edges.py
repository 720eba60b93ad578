"""Every option of an edge list means the same in every format."""

import json
import logging

import networkx as nx
import pandas as pd
import pytest
from engineering import signs_by_pair

from kpnn.errors import PknError
from kpnn.pipelines.data_engineering.network import state_pkn
from kpnn.pkn.readers import read_edges

EDGES = [("T", "LCK", 1), ("LCK", "NF-κB (p65)", -1), ("NF-κB (p65)", "HLA-A_gene", 0), ("LCK", "CD4+/CD25_gene", 1)]
UNDIRECTED = ("LCK", "FYN")
FORMATS = ["csv", "tsv", "txt", "sif", "graphml", "json"]


def write(path, edges, undirected=None, attribute="sign", more=None):
    """Writes edges with signs, and at most one without direction, in the format that the name says."""
    ending = path.suffix[1:]
    more = more or {}
    if ending in ("csv", "tsv", "txt"):
        table = pd.DataFrame(edges, columns=["parent", "child", attribute]).assign(**more)
        if undirected:
            table = table.assign(is_directed=True)
            table.loc[len(table)] = {**dict.fromkeys(table, 0), "parent": undirected[0], "child": undirected[1]}
        table.to_csv(path, sep={"csv": ",", "tsv": "\t", "txt": " "}[ending], index=False)
    elif ending == "sif":
        lines = [f"{parent}\t{sign}\t{child}" for parent, child, sign in edges]
        if undirected:
            lines.append(f"{undirected[0]}\tundirected\t{undirected[1]}")
        path.write_text("\n".join(lines))
    elif ending == "graphml":
        graph = nx.MultiDiGraph()
        graph.add_edges_from((parent, child, {attribute: sign, **more}) for parent, child, sign in edges)
        nx.write_graphml(graph, path)
        if undirected:
            edge = f'<edge source="{undirected[0]}" target="{undirected[1]}" directed="false"/>'
            path.write_text(path.read_text().replace("</graph>", f"{edge}</graph>"))
    else:
        rows = [
            {"source": [parent], "target": [child], "attributes": {attribute: sign, **more, "__edge_type": "directed"}}
            for parent, child, sign in edges
        ]
        if undirected:
            kind = {"__edge_type": "undirected"}
            rows.append({"source": [undirected[0]], "target": [undirected[1]], "attributes": kind})
        path.write_text(json.dumps({"vertices": {}, "edges": rows}))
    return path


@pytest.mark.parametrize("ending", FORMATS)
def test_names_of_every_kind_and_signs_come_through(tmp_path, ending):
    assert signs_by_pair(read_edges(write(tmp_path / f"a.{ending}", EDGES))) == {
        (parent, child): sign for parent, child, sign in EDGES
    }


@pytest.mark.parametrize("ending", FORMATS)
def test_direction_turns_edges_round(tmp_path, ending):
    turned = [(child, parent, sign) for parent, child, sign in EDGES]
    path = write(tmp_path / f"a.{ending}", turned)
    edges = read_edges(path, direction="child_to_parent")
    assert signs_by_pair(edges) == {(parent, child): sign for parent, child, sign in EDGES}
    assert list(edges.columns[:2]) == ["parent", "child"]
    with pytest.raises(PknError, match="direction must be one of parent_to_child, child_to_parent, found up"):
        read_edges(path, direction="up")


@pytest.mark.parametrize("ending", FORMATS)
def test_an_undirected_edge_is_refused_or_dropped_aloud(tmp_path, ending, caplog):
    path = write(tmp_path / f"a.{ending}", EDGES, UNDIRECTED)
    with pytest.raises(PknError, match=r"1 of 5 edges are undirected \(LCK and FYN\).*`undirected: drop`"):
        read_edges(path)
    assert not caplog.records
    assert len(read_edges(path, undirected="drop")) == len(EDGES)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "LCK and FYN" in caplog.text
    with pytest.raises(PknError, match="undirected must be one of error, drop, found keep"):
        read_edges(path, undirected="keep")


def test_a_graph_of_undirected_edges_alone_has_no_edges_left(tmp_path):
    nx.write_graphml(nx.Graph([("A", "B")]), tmp_path / "a.graphml")
    with pytest.raises(PknError, match="no edges but undirected ones"):
        read_edges(tmp_path / "a.graphml", undirected="drop")


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt", "graphml", "json"])
def test_a_weight_is_a_sign_only_where_the_user_says_so(tmp_path, ending):
    weights = [("T", "LCK", 1.0), ("LCK", "FOS", -0.25), ("FOS", "A_gene", 0.333), ("FOS", "B_gene", 0.0)]
    path = write(tmp_path / f"a.{ending}", weights, attribute="weight")
    assert set(read_edges(path)["sign"]) == {0}
    named = read_edges(path, columns={"sign": "weight"})
    assert signs_by_pair(named) == {("T", "LCK"): 1, ("LCK", "FOS"): -1, ("FOS", "A_gene"): 1, ("FOS", "B_gene"): 0}


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt", "graphml", "json"])
def test_what_says_signs_by_its_own_name_does_so_in_every_format(tmp_path, ending):
    by_mor = [("T", "LCK", 1), ("LCK", "FOS", -0.5)]
    path = write(tmp_path / f"a.{ending}", by_mor, attribute="mor")
    assert signs_by_pair(read_edges(path)) == {("T", "LCK"): 1, ("LCK", "FOS"): -1}
    both = {"is_stimulation": 1, "is_inhibition": 0}
    path = write(tmp_path / f"b.{ending}", by_mor, attribute="weight", more=both)
    assert signs_by_pair(read_edges(path)) == {("T", "LCK"): 1, ("LCK", "FOS"): 1}
    path = write(tmp_path / f"c.{ending}", by_mor, attribute="sign", more=both)
    assert signs_by_pair(read_edges(path)) == {("T", "LCK"): 1, ("LCK", "FOS"): -1}


@pytest.mark.parametrize("ending", ["csv", "graphml", "json"])
def test_a_confidence_is_not_taken_for_a_sign(tmp_path, ending):
    path = write(tmp_path / f"a.{ending}", [("T", "LCK", 900), ("LCK", "FOS", 150)], attribute="score")
    with pytest.raises(PknError, match="900, 150 is not a sign"):
        read_edges(path, columns={"sign": "score"})


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt", "graphml", "json"])
def test_costs_are_read_by_their_own_name_or_the_one_that_is_said(tmp_path, ending):
    path = write(tmp_path / f"a.{ending}", EDGES, more={"cost": 2.5, "effort": 4})
    assert set(read_edges(path)["cost"]) == {2.5}
    assert set(read_edges(path, columns={"cost": "effort"})["cost"]) == {4.0}


@pytest.mark.parametrize("ending", FORMATS)
def test_a_field_that_the_file_lacks_is_named(tmp_path, ending):
    path = write(tmp_path / f"a.{ending}", EDGES)
    with pytest.raises(PknError, match=r"absent|SIF has no columns"):
        read_edges(path, columns={"sign": "absent"})


def test_a_default_of_graphml_counts(tmp_path):
    (tmp_path / "a.graphml").write_text(
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
        '<key id="s" for="edge" attr.name="sign" attr.type="int"><default>-1</default></key>'
        '<key id="l" for="node" attr.name="label" attr.type="string"/>'
        '<graph edgedefault="directed"><node id="n1"><data key="l">LCK</data></node><node id="n2"/><node id="n3"/>'
        '<edge source="n1" target="n2"/><edge source="n1" target="n3"><data key="s">1</data></edge></graph></graphml>'
    )
    assert signs_by_pair(read_edges(tmp_path / "a.graphml")) == {("LCK", "n2"): -1, ("LCK", "n3"): 1}


@pytest.mark.parametrize("begin", ["<!DOCTYPE graphml SYSTEM 'http://x/y.dtd'>", "<!DOCTYPE g [<!ENTITY a 'b'>]>"])
def test_xml_that_could_fetch_or_expand_anything_is_refused(tmp_path, begin):
    (tmp_path / "a.graphml").write_text(f"{begin}<graphml><graph edgedefault='directed'/></graphml>")
    with pytest.raises(PknError, match="document type or XML entities"):
        read_edges(tmp_path / "a.graphml")


def test_a_table_without_a_header_says_so_and_can_be_read_by_numbers(tmp_path):
    path = tmp_path / "trrust.tsv"
    path.write_text("TF1\tA\tActivation\t1;2\nTF1\tB\tRepression\t3\nTF2\tA\tUnknown\t4\n")
    with pytest.raises(PknError, match=r"the first line seems to be data.*columns: \{parent: 1, child: 2, sign: 3\}"):
        read_edges(path)
    edges = read_edges(path, columns={"parent": 1, "child": 2, "sign": 3})
    assert signs_by_pair(edges) == {("TF1", "A"): 1, ("TF1", "B"): -1, ("TF2", "A"): 0}
    for columns, message in (
        ({"parent": 1, "child": "target"}, "either all names, or all numbers"),
        ({"parent": 1}, "needs the numbers of `parent` and `child`"),
        ({"parent": 1, "child": 9}, "no column 9"),
    ):
        with pytest.raises(PknError, match=message):
            read_edges(path, columns=columns)


def test_comments_above_the_header_are_no_edges_and_lines_keep_their_numbers(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("## from OmniPath\n## 2026\nparent,child\nA,B\nA,C,D\n")
    with pytest.raises(PknError, match="line 5: 3 columns where the header has 2"):
        read_edges(path)
    path.write_text("## from OmniPath\nparent,child\nA,B\n")
    assert signs_by_pair(read_edges(path)) == {("A", "B"): 0}


def test_pairs_that_stand_twice_with_other_signs_are_unknown():
    edges = pd.DataFrame([("T", "A", 1), ("T", "A", -1), ("A", "B_gene", 1), ("A", "B_gene", 1)])
    edges.columns = ["parent", "child", "sign"]
    pkn = state_pkn(edges, ["T"], suffix="_gene", source="edges")
    assert signs_by_pair(pkn.edges) == {("T", "A"): 0, ("A", "B_gene"): 1}


def test_a_measured_gene_with_children_is_refused_and_told_how_to_be_named():
    edges = pd.DataFrame([("T", "FOS"), ("FOS", "JUN_gene"), ("JUN_gene", "MYC_gene")], columns=["parent", "child"])
    with pytest.raises(PknError, match=r"JUN_gene ends in '_gene' like a measured gene but has children.*'JUN'"):
        state_pkn(edges, ["T"], suffix="_gene", source="edges")
    without = edges.replace("JUN_gene", "JUN")
    assert state_pkn(without, ["T"], suffix="_gene", source="edges").inputs == ("MYC_gene",)
    assert state_pkn(edges, ["T"], suffix="", source="edges").inputs == ("MYC_gene",)
