"""An arrow between two nodes says direction and sign, the same in every format."""

import json
from pathlib import Path

import networkx as nx
import pytest
from engineering import signs_by_pair

from kpnn.app.init.networks import look_at_network
from kpnn.errors import PknError
from kpnn.pkn.readers import read_edges

SEPARATORS = {"csv": ",", "tsv": "\t", "txt": " "}
FORMATS = [*SEPARATORS, "sif", "graphml", "json"]
ARROWS = {
    ("A", "-->", "B"): {("A", "B"): 1},
    ("A", "->", "B"): {("A", "B"): 1},
    ("A", "==>", "B"): {("A", "B"): 1},
    ("A", "\N{RIGHTWARDS ARROW}", "B"): {("A", "B"): 1},
    ("A", "--|", "B"): {("A", "B"): -1},
    ("A", "-|", "B"): {("A", "B"): -1},
    ("A", "\N{EN DASH}|", "B"): {("A", "B"): -1},
    ("A", "\N{LEFT TACK}", "B"): {("A", "B"): -1},
    ("A", "<--", "B"): {("B", "A"): 1},
    ("A", "..>", "B"): {("A", "B"): 0},
    ("A", "<-", "B"): {("B", "A"): 1},
    ("A", "|--", "B"): {("B", "A"): -1},
    ("A", "<->", "B"): {("A", "B"): 1, ("B", "A"): 1},
    ("A", "|-|", "B"): {("A", "B"): -1, ("B", "A"): -1},
    ("A", "|->", "B"): {("A", "B"): 1, ("B", "A"): -1},
    ("A", "<-|", "B"): {("A", "B"): -1, ("B", "A"): 1},
}


def write(folder: Path, ending: str, rows: list[tuple[str, str, str]], called: str = "sign") -> Path:
    """Writes nodes with what stands between them."""
    path = folder / f"a.{ending}"
    if ending in SEPARATORS:
        between = SEPARATORS[ending]
        lines = [["parent", "child", called], *([first, second, said] for first, said, second in rows)]
        path.write_text("".join(between.join(line) + "\n" for line in lines), encoding="utf-8")
    elif ending == "sif":
        path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    elif ending == "graphml":
        graph = nx.MultiDiGraph()
        graph.add_edges_from((first, second, {called: said}) for first, said, second in rows)
        nx.write_graphml(graph, path)
    else:
        edges = [{"source": [first], "target": [second], "attributes": {called: said}} for first, said, second in rows]
        path.write_text(json.dumps({"vertices": {}, "edges": edges}))
    return path


@pytest.mark.parametrize("called", ["sign", "interaction"])
@pytest.mark.parametrize("ending", FORMATS)
def test_an_arrow_means_the_same_in_every_format(tmp_path, ending, called):
    rows, expected = [], {}
    for number, ((first, arrow, second), edges) in enumerate(ARROWS.items()):
        rows.append((f"{first}{number}", arrow, f"{second}{number}"))
        expected |= {(f"{parent}{number}", f"{child}{number}"): sign for (parent, child), sign in edges.items()}
    path = write(tmp_path, ending, rows, called)
    edges = read_edges(path)
    assert signs_by_pair(edges) == expected
    assert "7 arrows point back" in str(edges.attrs["account"])
    turned = read_edges(path, direction="child_to_parent")
    assert signs_by_pair(turned) == {(child, parent): sign for (parent, child), sign in expected.items()}


@pytest.mark.parametrize("line", ["--", "---", "undirected", "\N{EM DASH}\N{EM DASH}"])
@pytest.mark.parametrize("ending", FORMATS)
def test_an_arrow_without_a_head_is_an_undirected_edge(tmp_path, ending, line):
    path = write(tmp_path, ending, [("A", "-->", "B"), ("B", line, "C")])
    with pytest.raises(PknError, match=r"1 of 2 edges are undirected \(B and C\).*`undirected: drop`"):
        read_edges(path)
    assert signs_by_pair(read_edges(path, undirected="drop")) == {("A", "B"): 1}


@pytest.mark.parametrize("ending", FORMATS)
def test_a_dash_is_a_minus_but_beside_arrows(tmp_path, ending):
    plus_and_minus = write(tmp_path, ending, [("A", "+", "B"), ("B", "-", "C")])
    assert signs_by_pair(read_edges(plus_and_minus)) == {("A", "B"): 1, ("B", "C"): -1}
    of_reactome = write(tmp_path, ending, [("A", "->", "B"), ("B", "-", "C")])
    with pytest.raises(PknError, match=r"undirected \(B and C\)"):
        read_edges(of_reactome)


@pytest.mark.parametrize("called", ["sign", "interaction"])
@pytest.mark.parametrize("ending", FORMATS)
def test_what_is_no_arrow_is_one_message_that_lists_what_is(tmp_path, ending, called):
    path = write(tmp_path, ending, [("A", "-->", "B"), ("B", "-o", "C"), ("C", "binds", "D")], called)
    with pytest.raises(PknError, match=r"-o.* is not a sign \(1, -1.*activation.*--> .*--\| .*<-- .*--- or undirected"):
        read_edges(path)


@pytest.mark.parametrize("ending", [ending for ending in FORMATS if ending != "sif"])
def test_words_of_a_column_of_interactions_that_are_no_signs_leave_the_sign_unknown(tmp_path, ending):
    path = write(tmp_path, ending, [("A", "binds", "B"), ("B", "inhibits", "C")], "interaction")
    edges = read_edges(path)
    assert signs_by_pair(edges) == {("A", "B"): 0, ("B", "C"): -1}
    assert "`interaction` is taken for the sign, which is unknown where it says binds" in str(edges.attrs["account"])
    with pytest.raises(PknError, match="`interaction`: binds is not a sign"):
        read_edges(path, columns={"sign": "interaction"})


@pytest.mark.parametrize("ending", [ending for ending in FORMATS if ending != "sif"])
def test_numbers_of_interactions_are_no_signs(tmp_path, ending):
    path = write(tmp_path, ending, [("A", "1", "B"), ("B", "2", "C")], "interaction")
    assert signs_by_pair(read_edges(path)) == {("A", "B"): 0, ("B", "C"): 0}


@pytest.mark.parametrize(
    ("text", "options", "pairs"),
    [
        (
            "Gene1\tGene2\tDirection\nA\tB\t->\nB\tC\t|-\nC\tD\t-\n",
            {"columns": {"parent": "Gene1", "child": "Gene2", "sign": "Direction"}, "undirected": "drop"},
            {("A", "B"): 1, ("C", "B"): -1},
        ),
        (
            "A\t-->\tB\nC\t--|\tD\n",
            {"columns": {"parent": 1, "sign": 2, "child": 3}},
            {("A", "B"): 1, ("C", "D"): -1},
        ),
        ("A\tB\t<--\nB\tC\t\n", {"columns": {"parent": 1, "child": 2, "sign": 3}}, {("B", "A"): 1, ("B", "C"): 0}),
        ("parent\tchild\tinteraction\nA\tB\t--|\n", {}, {("A", "B"): -1}),
    ],
)
def test_init_finds_the_column_of_arrows(tmp_path, text, options, pairs):
    path = tmp_path / "a.tsv"
    path.write_text(text)
    found = look_at_network(path)
    assert found.options == options
    assert signs_by_pair(found.edges) == signs_by_pair(read_edges(path, **options)) == pairs
