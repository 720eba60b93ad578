"""One rule for the names of columns, whatever a table holds: what is not seen around a name does not count."""

import json

import networkx as nx
import numpy as np
import pytest
from cell_files import BARCODES, COUNTS, GENES, N, read_all
from engineering import signs_by_pair

from kpnn.app.init.networks import look_at_network
from kpnn.cells import read_class_labels, read_label_table
from kpnn.errors import CellsError, PknError
from kpnn.pkn.readers import read_edges
from kpnn.text_tables import read_string_table

MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
PAIRS = {("A", "B"): 1, ("B", "C"): -1}
AROUND = {
    "blanks": " parent , child ,sign  \nA,B,1\nB,C,-1\n",
    "blanks and quotes": '" parent" , "child " , "sign"\n"A", "B", "1"\n"B", "C", "-1"\n',
    "a tab": "\tparent;child;sign\nA;B;1\nB;C;-1\n",
    "hard blanks": "\xa0parent\xa0,child,sign\xa0\nA,B,1\nB,C,-1\n",
    "mark": MARK + "parent,child,sign\nA,B,1\nB,C,-1\n",
    "marks of joined files": f"## one{MARK}\n{MARK}{MARK}parent,{MARK}child,sign\nA,B,1\nB,C,-1\n",
    "empty lines above": "\n  \nparent,child,sign\nA,B,1\nB,C,-1\n",
    "comments above": "# edges of mine\n# made by hand, today\n#\nparent,child,sign\nA,B,1\nB,C,-1\n",
    "a comment and an empty line": "# made by hand\n\nparent,child,sign\nA,B,1\nB,C,-1\n",
    "a hash before the header": "# made by hand\n#parent,child,sign\nA,B,1\nB,C,-1\n",
    "empty columns": "parent,child,sign,,\nA,B,1,,\nB,C,-1,,\n",
    "blanks between": " parent  child   sign \nA B 1\n B  C  -1 \n",
}


@pytest.mark.parametrize("kind", AROUND)
def test_what_is_around_the_names_of_columns_does_not_count(tmp_path, kind):
    path = tmp_path / "a.csv"
    path.write_text(AROUND[kind], encoding="utf-8")
    assert signs_by_pair(read_edges(path)) == PAIRS
    assert signs_by_pair(look_at_network(path).edges) == PAIRS
    assert list(read_string_table(path, PknError).columns) == ["parent", "child", "sign"]


@pytest.mark.parametrize("kind", AROUND)
def test_the_same_holds_for_labels_orthologues_and_expression(tmp_path, kind):
    labels = tmp_path / "labels.csv"
    text = AROUND[kind].replace("parent", "barcode").replace("child", "T").replace("sign", "U")
    labels.write_text(text.replace("-1", "0").replace("B,C", "B,0").replace("A,B", "A,1"), encoding="utf-8")
    if kind in ("a tab", "blanks and quotes", "blanks between"):
        cells = {"A": ("B", "1"), "B": ("C", "0")}
        table = read_label_table(labels)
        assert {row.barcode: (row.T, row.U) for row in table.itertuples()} == cells
    else:
        assert read_class_labels(labels).to_numpy().tolist() == [["A", 1, 1], ["B", 0, 0]]
    (tmp_path / "names.csv").write_text(AROUND[kind], encoding="utf-8")
    (tmp_path / "edges.csv").write_text("parent,child\nA,Z\n")
    rename = {"filepath": str(tmp_path / "names.csv"), "from": " parent ", "to": "child"}
    assert signs_by_pair(read_edges(tmp_path / "edges.csv", rename=rename)) == {("B", "Z"): 0}


@pytest.mark.parametrize("above", ["", "\n \n", "# mine, of today\n", "## a\n# b\n", MARK + MARK])
@pytest.mark.parametrize("around", ["", " ", "\xa0"])
def test_expression_as_text_follows_the_rule(tmp_path, above, around):
    header = ",".join(f'{around}"{gene}"{around}' if around == " " else f"{around}{gene}{around}" for gene in GENES)
    rows = [f"{name}," + ",".join(f"{value:g}" for value in COUNTS[row]) for row, name in enumerate(BARCODES)]
    (tmp_path / "x.csv").write_text(above + "\n".join([f"cell,{header}", *rows]) + "\n", encoding="utf-8")
    np.testing.assert_array_equal(read_all(tmp_path / "x.csv"), COUNTS)
    (tmp_path / "x.csv").write_text(above + "\n".join([f"cell,{header}", *rows, "ACGT,1"]) + "\n", encoding="utf-8")
    with pytest.raises(CellsError, match=f"line {above.count(chr(10)) + N + 2}: 2 columns where there should be 5"):
        read_all(tmp_path / "x.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.graphml", "a.json"])
def test_two_names_that_become_one_are_one_message(tmp_path, name):
    path = tmp_path / name
    attributes = {"sign": 1, " sign": -1}
    if name.endswith(".csv"):
        path.write_text("parent,child,sign, sign\nA,B,1,-1\n")
    elif name.endswith(".json"):
        path.write_text(json.dumps({"edges": [{"source": ["A"], "target": ["B"], "attributes": attributes}]}))
    else:
        nx.write_graphml(nx.DiGraph([("A", "B", attributes)]), path)
    with pytest.raises(PknError, match=r"sign occurs more than once; blanks around .* do not count"):
        read_edges(path)
    if name.endswith(".csv"):
        with pytest.raises(CellsError, match="sign occurs more than once"):
            read_label_table(path)


def test_names_are_meant_as_they_count_wherever_the_user_writes_them(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(" from , to ,how sure \nA,B,3\nB,C,1\n")
    asked = {
        "columns": {"parent": " from ", "child": "to "},
        "only": {" how sure": {"at_least": 1}},
        "costs": {"rule": "number", "column": "how sure "},
    }
    assert list(read_edges(path, **asked)["cost"]) == pytest.approx([4 / 3, 2])
    labels = tmp_path / "l.csv"
    labels.write_text(" cell , T \nc1,1\n")
    assert list(read_label_table(labels, {"barcode": " cell "}).columns) == ["barcode", "T"]


def test_columns_without_a_name_that_hold_something_are_named_by_their_places(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("parent,child,,\nA,B,x,y\n")
    with pytest.raises(PknError, match="columns 3, 4 have no name"):
        read_edges(path)


def test_comments_above_a_table_without_a_header_are_no_edges(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("# TF\ttarget\tmode\n\nA\tB\tActivation\nB\tC\tRepression\n")
    assert signs_by_pair(read_edges(path, columns={"parent": 1, "child": 2, "sign": 3})) == PAIRS
