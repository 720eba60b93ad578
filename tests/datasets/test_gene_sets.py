"""Knowledge of other shapes than edge lists becomes edges, and every reader says what it did."""

import logging
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from kpnn.datasets.raw import EdgeListDataset, RawDataError
from kpnn.errors import KpnnError, PknError
from kpnn.pipelines.data_engineering.knowledge import joined_knowledge
from kpnn.pipelines.data_engineering.settings import DataEngineeringSettings
from kpnn.pkn import Pkn, select_dag
from kpnn.pkn.assembly import assemble_edges
from kpnn.pkn.readers import read_edges

GMT = "IFN\thttp://x\tIRF1\tSTAT1\tMX1\nTNF\thttp://y\tIRF1\tNFKB1\tIRF1\nEMPTY\thttp://z\n"


def pairs(edges):
    return {(row.parent, row.child) for row in edges.itertuples()}


def file(folder, name, text):
    (folder / name).write_text(text)
    return folder / name


def account_of(edges):
    return str(edges.attrs["account"])


def test_gmt_puts_a_set_above_its_genes_and_says_what_is_empty_or_repeated(tmp_path):
    edges = read_edges(file(tmp_path, "h.gmt", GMT))
    assert pairs(edges) == {("IFN", "IRF1"), ("IFN", "STAT1"), ("IFN", "MX1"), ("TNF", "IRF1"), ("TNF", "NFKB1")}
    said = account_of(edges)
    assert "6 edges read as GMT, 5 kept, from 2 parents to 4 children" in said
    assert "left out: 1 repeated" in said
    assert "1 sets hold no gene: EMPTY" in said


@pytest.mark.parametrize("named", ["description", 2])
def test_gmt_can_be_named_by_its_descriptions(tmp_path, named):
    path = file(tmp_path, "r.gmt", "Interferon signalling\tR-HSA-913531\tIRF1\n")
    assert pairs(read_edges(path, columns={"parent": named})) == {("R-HSA-913531", "IRF1")}


def test_gmt_with_weights_as_enrichr_has_them(tmp_path):
    edges = read_edges(file(tmp_path, "e.gmt", "IFN\t\tIRF1,1.0\tHLA,DRA,0.5\n"))
    assert pairs(edges) == {("IFN", "IRF1"), ("IFN", "HLA,DRA")}
    assert "the weights of 2 genes are not used" in account_of(edges)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.gmt", "IFN IRF1 STAT1\n", "line 1: has no tabs; GMT is a set's name, its description and its genes"),
        ("a.gmt", "\tx\tIRF1\n", "line 1: the set has no name"),
        ("a.gmt", "IFN\tx\n", "no edges"),
        ("a.gaf", "!gaf-version: 2.2\nUniProtKB\tP1\tIRF1\n", "line 2: 3 columns where there should be 15 or 16 or 17"),
        ("a.obo", "format-version: 1.2\n", r"holds no \[Term\]; this is not an OBO"),
        ("Ensembl2Reactome.txt", "ENSG1\tR-HSA-2\n", "line 1: 2 columns where there should be 6 or 8"),
        ("ReactomePathwaysRelation.txt", "a\tb\na\n", "line 2: 1 columns where there should be 2"),
    ],
)
def test_a_file_that_is_none_of_its_kind_says_so(tmp_path, name, text, message):
    with pytest.raises(PknError, match=message):
        read_edges(file(tmp_path, name, text))


def test_an_archive_of_one_file_is_unpacked_and_one_of_several_is_not(tmp_path):
    path = tmp_path / "ReactomePathways.gmt.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ReactomePathways.gmt", GMT)
    assert len(read_edges(path)) == 6
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.gmt", GMT)
    with pytest.raises(PknError, match="zip archive of 2 files"):
        read_edges(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(PknError, match="cannot be unpacked"):
        read_edges(path)


def test_terms_of_an_ontology_stand_below_broader_ones(tmp_path):
    from_terms = "[Term]\nid: {0}\nname: {1}\nnamespace: p\n{2}\n"
    text = "".join(
        from_terms.format(*term)
        for term in (
            ("GO:1", "immune response", ""),
            ("GO:2", "response to interferon", "is_a: GO:1 {source=x} ! immune\nrelationship: regulates GO:3 ! c"),
            ("GO:3", "chemotaxis", "relationship: part_of GO:1 ! immune response"),
            ("GO:9", "old", "is_obsolete: true\nis_a: GO:1"),
        )
    )
    path = file(tmp_path, "go.obo", text)
    edges = read_edges(path)
    assert pairs(edges) == {("GO:1", "GO:2"), ("GO:1", "GO:3")}
    assert "1 relations but is_a and part_of (GO:2 regulates GO:3)" in account_of(edges)
    assert "1 terms are obsolete" in account_of(edges)
    assert pairs(read_edges(path, only={"relation": "is_a"})) == {("GO:1", "GO:2")}
    named = read_edges(path, rename={"filepath": str(path)})
    assert pairs(named) == {("immune response", "response to interferon"), ("immune response", "chemotaxis")}


def gaf_line(symbol, term, qualifier="involved_in", evidence="IDA"):
    fields = ["UniProtKB", f"P_{symbol}", symbol, qualifier, term, "PMID:1", evidence, "", "P", "", "", "protein"]
    return "\t".join([*fields, "taxon:9606", "20250101", "UniProt", "", ""]) + "\n"


def test_annotations_hang_genes_below_terms_but_for_those_with_not(tmp_path):
    lines = [gaf_line("IRF1", "GO:2"), gaf_line("MX1", "GO:2", evidence="IEA"), gaf_line("ACTB", "GO:3", "NOT|part_of")]
    path = file(tmp_path, "goa.gaf", "!gaf-version: 2.2\n" + "".join(lines))
    edges = read_edges(path)
    assert pairs(edges) == {("GO:2", "IRF1"), ("GO:2", "MX1")}
    assert "3 edges read as GAF, 2 kept" in account_of(edges)
    assert "1 annotations with NOT (ACTB)" in account_of(edges)
    assert pairs(read_edges(path, only={"evidence": ["IDA"]}, columns={"child": "id"})) == {("GO:2", "P_IRF1")}


def test_reactome_is_read_as_it_comes(tmp_path):
    genes = file(
        tmp_path,
        "Ensembl2Reactome.txt",
        'ENSG1\tR-HSA-2\thttp://u\tInterferon "alpha" signalling\tTAS\tHomo sapiens\n'
        "ENSMUSG1\tR-MMU-2\thttp://u\tInterferon signalling\tIEA\tMus musculus\n",
    )
    assert pairs(read_edges(genes, only={"species": "Homo sapiens"})) == {("R-HSA-2", "ENSG1")}
    assert ('Interferon "alpha" signalling', "ENSG1") in pairs(read_edges(genes, columns={"parent": "name"}))
    entities = file(
        tmp_path,
        "Ensembl2Reactome_PE_Pathway.txt",
        "ENSG1\tR-HSA-9\tIRF1 [cytosol]\tR-HSA-2\thttp://u\tInterferon\tTAS\tHomo sapiens\n",
    )
    assert pairs(read_edges(entities)) == {("R-HSA-2", "ENSG1")}
    above = file(tmp_path, "ReactomePathwaysRelation.txt", "R-HSA-1\tR-HSA-2\nR-MMU-1\tR-MMU-2\n")
    assert pairs(read_edges(above, only={"species": "HSA"})) == {("R-HSA-1", "R-HSA-2")}
    names = file(tmp_path, "ReactomePathways.txt", "R-HSA-1\tImmune System\tHomo sapiens\nR-HSA-2\tIFN\tHomo sapiens\n")
    by = {"filepath": str(names), "from": 1, "to": 2, "missing": "drop"}
    edges = read_edges(above, rename=by)
    assert pairs(edges) == {("Immune System", "IFN")}
    assert f"2 names are changed by {names}, 2 that it lacks are left out" in account_of(edges)


OMNIPATH = """source\ttarget\tsource_genesymbol\ttarget_genesymbol\tis_directed\tis_stimulation\tis_inhibition\
\tconsensus_direction\tcuration_effort
P1\tP2\tJAK1\tSTAT1\tTrue\tTrue\tFalse\tTrue\t30
P1\tP2\tJAK1\tSTAT1\tTrue\tFalse\tTrue\tTrue\t2
COMPLEX:P2_P3\tP4\tSTAT1_STAT2\tIRF1\t1\t1\t0\t0\t5
COMPLEX:P6_P7\tP4\tHLA_B\tIRF1\t1\t0\t1\t1\t1
P2\tP2\tSTAT1\tSTAT1\t1\t1\t0\t1\t1
P1\tP5\tJAK1\tTYK2\tFalse\tFalse\tFalse\tFalse\t1
P1\tP8\tJAK1\tHLA_A\t1\t1\t0\t1\t1
"""


def test_omnipath_is_read_as_it_comes_but_for_what_only_the_user_can_decide(tmp_path):
    path = file(tmp_path, "omnipath.tsv", OMNIPATH)
    with pytest.raises(PknError, match=r"1 of 7 edges are undirected \(JAK1 and TYK2\)"):
        read_edges(path)
    edges = read_edges(path, undirected="drop")
    assert list(edges["sign"]) == [1, -1, 1, -1, 1, 1]
    said = account_of(edges)
    assert "7 edges read as a table, 4 kept" in said
    assert "1 undirected (JAK1 -> TYK2), 1 of a node to itself (STAT1), 1 repeated" in said
    assert "1 pairs with both signs have an unknown one" in said
    assert "`source_genesymbol` is taken for the parent and `target_genesymbol` for the child" in said
    chosen = read_edges(path, undirected="drop", only={"consensus_direction": True, "curation_effort": {"at_least": 2}})
    assert pairs(chosen) == {("JAK1", "STAT1")}


def test_complexes_are_told_from_names_that_hold_underscores(tmp_path):
    path = file(tmp_path, "omnipath.tsv", OMNIPATH.replace("COMPLEX:P2_P3", "X"))
    edges = read_edges(path, undirected="drop", complexes="members")
    # STAT2 is not a node of its own, so STAT1_STAT2 may be a name; HLA_B is a complex by its identifier, HLA_A is not.
    assert pairs(edges) >= {("STAT1_STAT2", "IRF1"), ("HLA", "IRF1"), ("B", "IRF1"), ("JAK1", "HLA_A")}
    assert "1 complexes (HLA_B) are taken apart" in account_of(edges)
    plain = file(tmp_path, "p.csv", "parent,child\nJAK1,STAT1\nJAK1,STAT2\nSTAT1_STAT2,IRF1\nCOMPLEX:A_B,COMPLEX:B_C\n")
    apart = read_edges(plain, complexes="members")
    assert pairs(apart) == {
        ("JAK1", "STAT1"), ("JAK1", "STAT2"), ("STAT1", "IRF1"), ("STAT2", "IRF1"),
        ("A", "B"), ("A", "C"), ("B", "B"), ("B", "C"),
    }  # fmt: skip
    assert pairs(read_edges(plain, complexes="drop")) == {("JAK1", "STAT1"), ("JAK1", "STAT2")}
    assert ("COMPLEX:A_B", "COMPLEX:B_C") in pairs(read_edges(plain))


@pytest.mark.parametrize(
    ("header", "row", "sign"),
    [
        ("tf,confidence,target,mor", "IRF1,A,MX1,-1.0", -1),
        ("source,confidence,target,weight", "IRF1,B,MX1,-0.5", 0),
        ("source,target,weight,resources", "IRF1,MX1,-1,ExTRI", 0),
        ("source,target,is_stimulation,is_inhibition", "IRF1,MX1,0,1", -1),
    ],
)
def test_exports_of_dorothea_and_collectri_are_read_as_they_come(tmp_path, header, row, sign):
    edges = read_edges(file(tmp_path, "r.csv", f"{header}\n{row}\n"))
    assert [tuple(edge) for edge in edges.itertuples(index=False)] == [("IRF1", "MX1", sign)]


def test_names_change_by_a_table_and_what_is_not_one_to_one_is_said(tmp_path, caplog):
    edges = file(tmp_path, "m.csv", "parent,child,sign\nStat1,Ifi1,1\nStat1,Mx1,-1\nStat1,Gm1,1\nIrf7,Mx1,1\n")
    table = file(tmp_path, "o.tsv", "mouse\thuman\nStat1\tSTAT1\nMx1\tMX1\nMx1\tMX2\nIfi1\tMX1\nIrf7\tIRF7\nX\t\n")
    by = {"filepath": str(table), "from": "mouse", "to": "human"}
    kept = read_edges(edges, rename=by)
    assert pairs(kept) == {("STAT1", "MX1"), ("STAT1", "MX2"), ("STAT1", "Gm1"), ("IRF7", "MX1"), ("IRF7", "MX2")}
    said = account_of(kept)
    assert "4 names are changed" in said
    assert "1 that it lacks are left as they are (Gm1)" in said
    assert "1 names become several (Mx1)" in said
    assert "1 names are those of several (MX1)" in said
    assert "1 pairs with both signs have an unknown one" in said
    assert ("STAT1", "Gm1") not in pairs(read_edges(edges, rename={**by, "missing": "drop"}))
    assert pairs(read_edges(edges, rename={**by, "of": "parent"})) >= {("STAT1", "Mx1"), ("IRF7", "Mx1")}
    with pytest.raises(PknError, match=r"lacks 1 names of .*m.csv: Gm1"):
        read_edges(edges, rename={**by, "missing": "error"})
    with pytest.raises(PknError, match=r"has none of the names of .* such as Gm1, Ifi1, Irf7"):
        read_edges(edges, rename={**by, "from": "human", "to": "mouse"})
    assert not caplog.records
    lost = file(tmp_path, "l.tsv", "mouse\thuman\nIrf7\tIRF7\nMx1\tMX1\n")
    read_edges(edges, rename={**by, "filepath": str(lost), "missing": "drop"})
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "3 of 4 edges are lost in renaming" in caplog.text


def test_pairs_that_stand_twice_are_joined_alike_by_a_pkn_and_an_assembly():
    rows = [("R", "A", 1, 3.0), ("R", "A", 0, 2.0), ("R", "B", 1, 1.0), ("R", "B", -1, 2.0), ("R", "R", 1, 1.0)]
    table = pd.DataFrame(rows, columns=["parent", "child", "sign", "cost"])
    joined = [("R", "A", 1, 2.0), ("R", "B", 0, 1.0)]
    assert [tuple(edge) for edge in Pkn.from_edges(table).edges.itertuples(index=False)] == joined
    regulon = pd.DataFrame([("A", "G", 1), ("B", "G", 1)], columns=["parent", "child", "sign"])
    assembled = assemble_edges(table, regulon, {"OUT": ["R"]})
    assert [tuple(edge) for edge in assembled.iloc[:2].itertuples(index=False)] == joined
    assert set(assembled["cost"].iloc[2:]) == {1.0}


def test_evidence_keeps_the_known_pathway_among_dags_of_the_same_size(tmp_path):
    """X must be kept for G1, so that without evidence STAT may hang below it, or below JAK, as cheaply."""
    rows = [("R", "JAK", 20), ("R", "X", 5), ("JAK", "STAT", 12), ("X", "STAT", 1), ("X", "TF", 3), ("JAK", "TF2", 9)]
    text = "parent,child,n\n" + "".join(f"{parent},{child},{n}\n" for parent, child, n in rows)
    path = file(tmp_path, "s.csv", text)
    regulon = pd.DataFrame([("STAT", "G1"), ("TF", "G2"), ("TF2", "G3")], columns=["parent", "child"])

    def parents_of_stat(**options):
        edges = assemble_edges(read_edges(path, **options), regulon, {"OUT": ["R"]})
        selection = select_dag(Pkn.from_edges(edges))
        assert selection.status == "optimal"
        assert len(selection.dag.edges) == 9  # the same size whatever edges cost
        return {parent for parent, child in pairs(selection.dag.edges) if child == "STAT"}

    rule = {"column": "n", "rule": "number"}
    for worst in (1.01, 2.0):
        assert parents_of_stat(costs={**rule, "worst": worst}) == {"JAK"}
    turned = {12: 1, 1: 12}
    rows = [(parent, child, turned.get(n, n)) for parent, child, n in rows]
    path = file(tmp_path, "t.csv", "parent,child,n\n" + "".join(f"{a},{b},{n}\n" for a, b, n in rows))
    assert parents_of_stat(costs=rule) == {"X"}


def knowledge(folder, **texts):
    entries = {
        role: EdgeListDataset(filepath=None if text is None else str(file(folder, *text))).load()
        for role, text in {"edges": None, "signalling": None, "regulon": None, **texts}.items()
    }
    return entries["edges"], entries["signalling"], entries["regulon"]


def test_gene_sets_alone_or_below_a_hierarchy_are_a_network(tmp_path):
    settings = DataEngineeringSettings()
    sets = ("h.gmt", "R-2\t\tIRF1\tMX1\nR-3\t\tCCL5\n")
    below = {("R-2", "IRF1_gene"), ("R-2", "MX1_gene"), ("R-3", "CCL5_gene")}
    assert pairs(joined_knowledge(*knowledge(tmp_path, edges=sets), settings)) == below
    assert pairs(joined_knowledge(*knowledge(tmp_path, regulon=sets), settings)) == below
    hierarchy = ("ReactomePathwaysRelation.txt", "R-1\tR-2\nR-1\tR-3\n")
    chosen = DataEngineeringSettings(receptors={"IFN": ("R-1",)})
    joined = joined_knowledge(*knowledge(tmp_path, signalling=hierarchy, regulon=sets), chosen)
    assert pairs(joined) == below | {("R-1", "R-2"), ("R-1", "R-3"), ("IFN", "R-1")}
    assert [account.format for account in joined.attrs["accounts"]] == ["Reactome's pathways", "GMT"]
    assert [Path(source).name for source in joined.attrs["sources"]] == ["ReactomePathwaysRelation.txt", "h.gmt"]


def test_a_table_of_names_is_a_source_of_the_network_too(tmp_path):
    names = file(tmp_path, "n.csv", "old,new\nIRF1,Irf1\n")
    edges = read_edges(
        file(tmp_path, "h.gmt", "IFN\t\tIRF1\n"), rename={"filepath": str(names), "from": "old", "to": "new"}
    )
    edges.attrs["source"] = "h.gmt"
    joined = joined_knowledge(edges, None, None, DataEngineeringSettings())
    assert pairs(joined) == {("IFN", "Irf1_gene")}
    assert joined.attrs["sources"] == ["h.gmt", str(names)]


def test_trrusts_references_are_evidence_though_its_columns_have_no_names(tmp_path):
    text = "TF1\tA\tActivation\t1;2;3;4\nTF1\tB\tRepression\t5\nTF1\tB\tUnknown\t6;7\n"
    columns = {"parent": 1, "child": 2, "sign": 3}
    edges = read_edges(file(tmp_path, "t.tsv", text), columns=columns, costs={"column": 4, "rule": "items"})
    assert list(edges["cost"]) == [1.25, 2, 1.5]
    joined = Pkn.from_edges(edges).edges
    assert [tuple(edge) for edge in joined.itertuples(index=False)] == [("TF1", "A", 1, 1.25), ("TF1", "B", -1, 1.5)]


def test_of_several_levels_of_confidence_the_best_counts(tmp_path):
    path = file(tmp_path, "d.csv", "tf,target,dorothea_level\nA,B,D;A\nA,C,C\nA,D,\n")
    rule = {"column": "dorothea_level", "rule": "levels", "levels": {"A": 1, "C": 1.5, "D": 2}}
    edges = read_edges(path, costs=rule)
    assert list(edges["cost"]) == [1, 1.5, 2]
    assert "1 edges without dorothea_level cost 2" in account_of(edges)


def test_a_catalog_that_gives_too_much_or_too_little_is_refused(tmp_path):
    table = ("e.csv", "parent,child\nA,B_gene\n")
    for given in ({}, {"signalling": table}, {"edges": table, "regulon": table}, {"edges": table, "signalling": table}):
        with pytest.raises(PknError, match="the catalog must give either `edges`, or `regulon`"):
            joined_knowledge(*knowledge(tmp_path, **given), DataEngineeringSettings())


def test_the_catalog_takes_every_option_and_no_other(tmp_path, caplog):
    path = file(tmp_path, "r.csv", "tf,confidence,target,mor\nIRF1,A,MX1,1\nIRF1,D,ACTB,1\n")
    with caplog.at_level(logging.INFO, logger="kpnn.datasets.raw"):
        edges = EdgeListDataset(filepath=str(path), only={"confidence": ["A", "B", "C"]}).load()
    assert pairs(edges) == {("IRF1", "MX1")}
    assert "2 edges read as a table, 1 kept" in caplog.text
    assert "left out: 1 by `only: confidence` (IRF1 -> ACTB)" in caplog.text
    with pytest.raises(RawDataError, match=r"no option direcion; did you mean direction\?"):
        EdgeListDataset(filepath=str(path), direcion="child_to_parent")
    with pytest.raises(KpnnError, match="no edge has confidence E"):
        EdgeListDataset(filepath=str(path), only={"confidence": "E"}).load()
