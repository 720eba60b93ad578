"""Tables and networks as R, spreadsheets and other programs leave them: read, or told what they are."""

import gzip
import logging

import pandas as pd
import pytest
from engineering import signs_by_pair

from kpnn.cells import open_expression, read_class_labels, read_label_table
from kpnn.errors import CellsError, PknError
from kpnn.pipelines.data_engineering.network import state_pkn
from kpnn.pkn.readers import read_edges

PAIRS = {("A", "B"): 1, ("B", "C"): -1}


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", '"parent" "child" "sign"\n"1" "A" "B" 1\n"2" "B" "C" -1\n'),
        ("a.tsv", "parent\tchild\tsign\n1\tA\tB\t1\n2\tB\tC\t-1\n"),
        ("a.csv", '"","parent","child","sign"\n"1","A","B",1\n"2","B","C",-1\n'),
        ("a.csv", "parent,child,sign\nA,B,1\n,,\nB,C,-1\n , ,\n"),
        ("a.txt", "parent|child|sign\nA|B|1\nB|C|-1\n"),
        ("a.sif", "source\tinteraction\ttarget\nA\t1\tB\nB\t-1\tC\n"),
        ("a.sif", '"A"\t"1"\t"B"\n"B"\t"-1"\t"C"\n'),
        ("a.sif", "A up-regulates B\nB downregulates C\n"),
        ("a.csv", "parent,child,sign\nA,B,Activating\nB,C,suppressive\n"),
        ("a.csv", "parent,child,stim,inhib\nA,B,T,F\nB,C,n,y\n"),
    ],
)
def test_edges_as_other_programs_write_them_are_read(tmp_path, name, text):
    columns = {"stimulation": "stim", "inhibition": "inhib"} if "stim," in text else None
    assert signs_by_pair(read_edges(write(tmp_path, name, text), columns=columns)) == PAIRS


def test_rows_that_are_named_are_so_only_where_their_names_can_be_told(tmp_path):
    path = write(tmp_path, "a.tsv", "parent\tchild\nA\tB\t0.9\nB\tC\t0.8\n")
    with pytest.raises(PknError, match="line 2: 3 columns where the header has 2"):
        read_edges(path)
    cells = write(tmp_path, "cells.tsv", "state\tdonor\nc1\ta\td1\nc2\tb\td1\n")
    assert read_label_table(cells).to_numpy().tolist() == [["c1", "a", "d1"], ["c2", "b", "d1"]]
    twice = write(tmp_path, "twice.tsv", "state\tdonor\nc1\ta\td1\nc1\tb\td1\n")
    with pytest.raises(CellsError, match="line 2: 3 columns where the header has 2"):
        read_label_table(twice)


def test_quotes_around_the_names_of_sets_and_genes_are_no_part_of_them(tmp_path):
    edges = read_edges(write(tmp_path, "a.gmt", '"S 1"\t"of mine"\t"A"\t"B"\n'))
    assert set(signs_by_pair(edges)) == {("S 1", "A"), ("S 1", "B")}


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.gml", "networkx reads it and writes GraphML"),
        ("a.gexf.gz", "networkx reads it"),
        ("a.cys", "is Cytoscape's; export"),
        ("a.owl", "a model of pathways; export its edges"),
        ("a.rds", "is R's; write it by `write.csv"),
        ("a.gmx", "turn it into GMT"),
        ("a.xlsx", "is a workbook; save the sheet as CSV"),
    ],
)
def test_a_network_of_a_kind_that_is_not_read_is_told_by_its_name(tmp_path, name, advice):
    with pytest.raises(PknError, match=advice):
        read_edges(write(tmp_path, name, "x"))


@pytest.mark.parametrize(
    ("begin", "kind"),
    [
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (b"BZh9" + b"x" * 100, "packed by bzip2"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "HDF5"),
    ],
    ids=["web_page", "git_lfs", "bzip2", "hdf5"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_no_text_table_is_called_what_it_is(tmp_path, begin, kind, packed):
    raw = gzip.compress(begin) if packed else begin
    for read, name in ((read_edges, "a.csv"), (read_class_labels, "l.csv"), (open_expression, "x.csv")):
        with pytest.raises((PknError, CellsError), match=f"is {kind}, not a text table; ") as error:
            read(write(tmp_path, name, raw))
        assert "damaged" not in str(error.value)


def test_a_graph_of_another_programs_json_is_told_so(tmp_path):
    for text in ('{"elements": {"nodes": [], "edges": []}}', '{"nodes": [], "links": []}'):
        with pytest.raises(PknError, match=r"not a corneto graph; of Cytoscape's or networkx's JSON"):
            read_edges(write(tmp_path, "a.json", text))


def test_columns_that_nobody_knows_are_told_how_to_be_named(tmp_path):
    with pytest.raises(PknError, match=r"found: TF, target, importance\); say which .* `columns: \{parent: 1, child"):
        read_edges(write(tmp_path, "a.tsv", "TF\ttarget\timportance\nA\tB\t12.3\n"))


def test_what_is_no_sign_can_be_left_out_and_the_message_says_how(tmp_path):
    path = write(tmp_path, "a.tsv", "A\tB\tEFFECT\nJAK1\tSTAT1\tup-regulates activity\nJAK1\tTYK2\tform complex\n")
    columns = {"parent": "A", "child": "B", "sign": "EFFECT"}
    with pytest.raises(PknError, match=r"form complex is not a sign .*; `only: \{EFFECT: \[\.\.\.\]\}` leaves edges"):
        read_edges(path, columns=columns)
    edges = read_edges(path, columns=columns, only={"EFFECT": ["up-regulates activity"]})
    assert signs_by_pair(edges) == {("JAK1", "STAT1"): 1}


@pytest.mark.parametrize(("weights", "is_said"), [("0.9 0.3", True), ("0.9 -0.3", False), ("1 1", False)])
def test_fractions_that_are_named_as_signs_and_never_negative_are_a_warning(tmp_path, weights, is_said, caplog):
    first, second = weights.split()
    path = write(tmp_path, "a.csv", f"parent,child,weight\nA,B,{first}\nB,C,{second}\n")
    read_edges(path, columns={"sign": "weight"})
    assert [record.levelno for record in caplog.records] == ([logging.WARNING] if is_said else [])
    assert ("how sure an edge is" in caplog.text) == is_said
    caplog.clear()
    read_edges(path)
    assert not caplog.records


def test_a_table_of_names_that_lacks_most_of_them_is_a_warning(tmp_path, caplog):
    edges = write(tmp_path, "a.csv", "parent,child\n" + "".join(f"A,N{number}\n" for number in range(9)))
    names = write(tmp_path, "names.csv", "human,mouse\nA,a\nN1,n1\nZ,z\n")
    by = {"filepath": str(names), "from": "human", "to": "mouse"}
    read_edges(edges, rename=by)
    assert "lacks 8 of 10 names, which are left as they are: N0, N2, N3 and 5 more; it names A, N1, Z" in caplog.text
    caplog.clear()
    write(tmp_path, "names.csv", "human,mouse\n" + "".join(f"N{number},n{number}\n" for number in range(6)))
    read_edges(edges, rename=by)
    assert not caplog.records


def test_a_network_that_stands_on_its_head_is_told_so():
    edges = pd.DataFrame([("A_gene", "TF"), ("B_gene", "TF"), ("TF", "T")], columns=["parent", "child"])
    with pytest.raises(PknError, match=r"it has parents; its genes \(A_gene, B_gene\) are: .*child_to_parent"):
        state_pkn(edges, ["T"], suffix="_gene", source="edges")


@pytest.mark.parametrize(
    ("begin", "kind"),
    [
        ('<?xml version="1.0"?>\n<!DOCTYPE pathway SYSTEM "KGML.dtd">\n<!-- made -->\n<pathway name="x">', "KEGG's"),
        ('<?xml version="1.0"?><rdf:RDF xmlns:bp="b">', "BioPAX"),
        ('<sbml level="3">', "SBML"),
    ],
    ids=["kegg", "biopax", "sbml"],
)
def test_a_model_of_a_pathway_that_is_called_xml_is_told_what_it_is(tmp_path, begin, kind):
    with pytest.raises(PknError, match=f"is .*{kind}.*, not GraphML; export its edges as SIF or as a table"):
        read_edges(write(tmp_path, "a.xml", begin))


def test_sets_of_the_same_name_are_joined_and_that_is_said(tmp_path):
    edges = read_edges(write(tmp_path, "a.gmt", "S\tof mine\tA\tB\nT\tx\tA\nS\tof yours\tB\tC\n"))
    assert set(signs_by_pair(edges)) == {("S", "A"), ("S", "B"), ("S", "C"), ("T", "A")}
    assert "1 sets have several lines, whose genes are joined: S" in str(edges.attrs["account"])
