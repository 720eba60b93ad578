"""Every option acts in every format, or is refused in words: none is accepted and does nothing."""

import pytest
from knowledge_files import write

from kpnn.errors import PknError
from kpnn.pkn.readers import read_edges

PROTEINS = ("edges.csv", "edges.sif", "edges.graphml", "edges.json")
WITH_COLUMNS = ("edges.csv", "edges.graphml", "edges.json")
SETS = ("sets.gmt", "goa.gaf", "Ensembl2Reactome.txt", "ReactomePathwaysRelation.txt", "go.obo")
FILES = (*PROTEINS, *SETS)

LEVELS = {"column": "level", "rule": "levels", "levels": {"A": 1, "B": 1.5, "C": 3}}
OPTIONS = {
    "direction": ({"direction": "child_to_parent"}, PROTEINS),
    "undirected": ({"undirected": "drop"}, PROTEINS),
    "complexes_members": ({"complexes": "members"}, PROTEINS),
    "complexes_drop": ({"complexes": "drop"}, PROTEINS),
    "only": ({"only": {"level": ["A"]}}, WITH_COLUMNS),
    "only_limits": ({"only": {"n": {"at_least": 2}}}, WITH_COLUMNS),
    "costs_levels": ({"costs": LEVELS}, WITH_COLUMNS),
    "costs_number": ({"costs": {"column": "n", "rule": "number"}}, WITH_COLUMNS),
    "costs_items": ({"costs": {"column": "references", "rule": "items"}}, WITH_COLUMNS),
    "costs_score": ({"costs": {"column": "n", "rule": "score", "best": 4}}, WITH_COLUMNS),
    "columns_cost": ({"columns": {"cost": "n"}}, WITH_COLUMNS),
}


def rows(edges):
    return [tuple(row) for row in edges.itertuples(index=False)]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_acts_or_is_refused(tmp_path, name, option):
    path = write(tmp_path, name)
    asked, honoured_by = OPTIONS[option]
    plain = read_edges(path)
    if name in honoured_by:
        changed = read_edges(path, **asked)
        # No edge of these files is undirected: there is nothing to drop.
        assert (rows(changed) == rows(plain)) == (option == "undirected")
        return
    with pytest.raises(PknError) as refused:
        read_edges(path, **asked)
    assert name in str(refused.value)
    refusals = (next(iter(asked)), "SIF has no columns", "there is no column", "no child, sign")
    assert any(words in str(refused.value) for words in refusals)


@pytest.mark.parametrize("name", FILES)
def test_costs_by_rows_names_and_sizes_act_in_every_format(tmp_path, name):
    path = write(tmp_path, name)
    plain = read_edges(path)
    assert set(read_edges(path, costs={"rule": "rows", "worst": 3})["cost"]) == {3.0}
    first = plain["child"].iloc[0]
    (tmp_path / "names.csv").write_text(f"old,new\n{first},RENAMED\n")
    by = {"filepath": str(tmp_path / "names.csv"), "from": "old", "to": "new"}
    assert "RENAMED" in set(read_edges(path, rename=by)["child"])
    largest = int(plain.groupby("parent")["child"].nunique().max())
    kept = read_edges(path, sizes={"at_least": largest})
    assert 0 < len(kept) <= len(plain)
    assert set(kept.groupby("parent")["child"].nunique()) == {largest}
    with pytest.raises(PknError, match="no edges left"):
        read_edges(path, sizes={"at_least": largest + 1})


@pytest.mark.parametrize("name", ["edges.csv", "sets.gmt"])
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"format": "xgmml"}, "format must be one of table, sif"),
        ({"direction": "up"}, "direction must be one of"),
        ({"undirected": "keep"}, "undirected must be one of"),
        ({"complexes": "split"}, "complexes must be one of keep, members, drop, found split"),
        ({"columns": {"sing": "x"}}, "columns: no field sing"),
        ({"costs": {"column": "n", "rule": "number", "wosrt": 2}}, "costs.wosrt: no such option; did you mean worst"),
        ({"costs": {"rule": "number"}}, "rule number needs a column"),
        ({"costs": {"rule": "rows", "column": "n"}}, "rule rows takes no column"),
        ({"costs": {"column": "n", "rule": "levels"}}, "`levels` belongs to the rule levels"),
        ({"costs": "level"}, "costs: must be a group of options"),
        ({"rename": {"filepath": "x.csv", "from": "a"}}, "say which columns hold the names"),
        ({"rename": {"filepath": "x.csv", "from": "a", "to": 2}}, "either both names, or both numbers"),
        ({"sizes": {}}, "sizes: needs at_least, at_most or both"),
        ({"sizes": {"at_least": 5, "at_most": 2}}, "at_least 5 is above at_most 2"),
        ({"only": {"level": []}}, "only.level: needs a value, a list of values"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_before_the_file_is_read(tmp_path, name, asked, message):
    with pytest.raises(PknError, match=message):
        read_edges(tmp_path / name, **asked)


@pytest.mark.parametrize("name", WITH_COLUMNS)
def test_evidence_becomes_costs_by_the_rule_that_is_said(tmp_path, name):
    path = write(tmp_path, name)

    def costs(**rule):
        return list(read_edges(path, costs=rule)["cost"])

    assert costs(**LEVELS) == [1, 1.5, 3, 1]
    assert costs(column="n", rule="number") == [1.25, 2, 1.5, 2]
    assert costs(column="n", rule="number", worst=1.2) == pytest.approx([1.05, 1.2, 1.1, 1.2])
    assert costs(column="references", rule="items") == [1.25, 2, 1.5, 2]
    assert costs(column="n", rule="score", best=4) == [1, 1.75, 1.5, 2]
    for rule, message in (
        ({**LEVELS, "levels": {"A": 1}}, "no cost is said for B, C"),
        ({"column": "level", "rule": "number"}, "needs numbers, found A, B, C"),
        ({"column": "n", "rule": "score", "best": 2}, "found 4, above costs.best = 2"),
        ({"column": "leven", "rule": "number"}, r"costs: there is no column leven; did you mean level\?"),
    ):
        with pytest.raises(PknError, match=message):
            read_edges(path, costs=rule)
    with pytest.raises(PknError, match="say what edges cost once"):
        read_edges(path, costs=LEVELS, columns={"cost": "n"})


@pytest.mark.parametrize("name", WITH_COLUMNS)
def test_edges_are_chosen_by_value_entry_number_and_yes_or_no(tmp_path, name):
    path = write(tmp_path, name)

    def kept(**only):
        return len(read_edges(path, only=only))

    assert kept(level="A") == 2
    assert kept(level=["A", "B"]) == 3
    assert kept(references="p1") == 2
    assert kept(n=[1, 2]) == 2
    assert kept(n={"at_most": 2}) == 2
    assert kept(level="A", n=4) == 1
    for only, message in (
        ({"level": "D"}, r"no edge has level D \(found: A, B, C\)"),
        ({"levle": "A"}, "there is no column levle; did you mean level"),
        ({"level": True}, "only.level must be yes or no"),
        ({"level": {"at_least": 1}}, "only.level: needs numbers"),
        ({"level": "C", "n": {"at_least": 4}}, "no edges left"),
    ):
        with pytest.raises(PknError, match=message):
            read_edges(path, only=only)
