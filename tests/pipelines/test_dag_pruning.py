"""The `dag_pruning` pipeline: what it keeps, what it says, what it refuses."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.plotly import JSONDataset as PlotlyDataset

from kpnn.errors import SelectionError, SettingsError
from kpnn.interpretation import InterpretationSettings
from kpnn.pipelines.dag_pruning import create_pipeline, nodes
from kpnn.pipelines.dag_pruning.settings import DagSelectionSettings
from kpnn.pipelines.modelling.controls import list_controls
from kpnn.pipelines.parameters import all_settings
from kpnn.pipelines.rivals import rivals_of_kind
from kpnn.pkn import Dag, DagSelection, Pkn, induced_dag, select_dag, shortest_path_dag, widened_dag
from kpnn.reporting.figures.network import draw_hidden_part
from kpnn.training.controls import ControlSettings

PAIRS = [("R", n) for n in "ABC"] + [("A", "B"), ("B", "A"), ("A", "D"), ("D", "A")]
PAIRS += [("A", "g1"), ("B", "g1"), ("B", "g2"), ("C", "g2"), ("C", "g3"), ("D", "g3"), ("D", "g4")]


@pytest.fixture
def pkn() -> Pkn:
    return Pkn.from_edges(pd.DataFrame(PAIRS, columns=["parent", "child"]), outputs=["R"])


PARAMETERS = ("data_engineering", "dag_selection", "controls", "interpretation")


class Kept(MemoryDataset):
    """Stays in memory after its last reader."""

    def _release(self) -> None:
        pass


def run(pkn: Pkn, folder: Path, *, one_of_k: bool = False, **groups: dict[str, Any]) -> DataCatalog:
    settings = all_settings(groups)
    names = ("pruned_dag", "hidden_node_membership", "rival_dags")
    catalog = DataCatalog(
        {
            **{name: Kept() for name in names},
            **{f"params:{name}": Kept(settings[name]) for name in PARAMETERS},
            "pkn": Kept(pkn),
            "data_summary": Kept({"labels": {"one_of_k": one_of_k}}),
            "full_dag": Kept(shortest_path_dag(pkn)),
            "dag_selection": JSONDataset(filepath=str(folder / "dag_selection.json")),
            "compression": JSONDataset(filepath=str(folder / "compression.json")),
            "dag_drawing": PlotlyDataset(filepath=str(folder / "dag_drawing.json")),
        }
    )
    SequentialRunner().run(create_pipeline(), catalog)
    return catalog


def pairs_of(edges: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(edges["parent"], edges["child"], strict=True))


def depth_of(dag: Dag) -> int:
    """Edges on the longest path."""
    graph = nx.from_pandas_edgelist(dag.edges, "parent", "child", create_using=nx.DiGraph)
    return nx.dag_longest_path_length(graph)


def test_the_pipeline_keeps_the_dag_its_proof_its_rivals_and_a_drawing(pkn: Pkn, tmp_path: Path) -> None:
    catalog = run(pkn, tmp_path, dag_selection={"size_path": [1, 2]}, controls={"rewired": 2})
    dag: Dag = catalog.load("pruned_dag")
    assert dag.fingerprint == select_dag(pkn).dag.fingerprint
    report = catalog.load("dag_selection")
    assert (report["status"], report["objective"], report["gap"]) == ("optimal", len(dag.edges), 0.0)
    assert report["bound"] == report["objective"]
    assert report["alternatives"]["neuron_sets_are_all"] in (True, False)
    compression = catalog.load("compression")
    full: Dag = catalog.load("full_dag")
    assert compression["edge_compression_percent"] == pytest.approx(100 * (1 - len(dag.edges) / len(full.edges)))
    membership = catalog.load("hidden_node_membership")
    assert list(membership["node"]) == list(pkn.hidden)
    assert set(membership.loc[membership["is_selected"], "node"]) == set(dag.hidden)
    assert set(membership.loc[membership["membership"] == "all", "node"]) <= set(dag.hidden)
    rivals = catalog.load("rival_dags")
    assert list(rivals.columns) == ["kind", "replicate", "parent", "child", "sign", "cost"]
    assert len(rivals_of_kind(rivals, "rewired", dag.outputs)) == 2
    sizes = [len(step.edges) for step in rivals_of_kind(rivals, "size_path", dag.outputs)]
    assert len(sizes) == 3 and sizes == sorted(sizes)
    assert sizes[0] == len(dag.edges)
    drawn = {name for trace in catalog.load("dag_drawing").data for name in (trace.text or ())}
    assert drawn == set(dag.neurons)


def test_alternatives_are_the_other_optimal_dags_as_many_as_anyone_asks_for(tmp_path: Path) -> None:
    pairs = [("R", name) for name in "ABCD"] + [(name, gene) for name in "ABCD" for gene in ("g1", "g2")]
    many = Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), outputs=["R"])
    catalog = run(many, tmp_path, interpretation={"alternative_dags": 3})
    dag: Dag = catalog.load("pruned_dag")
    others = rivals_of_kind(catalog.load("rival_dags"), "alternative", dag.outputs)
    assert len(dag.hidden) == 1
    assert sorted(name for other in others for name in other.hidden) == sorted(set("ABCD") - set(dag.hidden))
    assert {len(other.edges) for other in others} == {len(dag.edges)}
    few = run(many, tmp_path, interpretation={"alternative_dags": 0}, dag_selection={"alternatives": {"most": 2}})
    assert len(rivals_of_kind(few.load("rival_dags"), "alternative", dag.outputs)) == 1


# g2 is reached over B, below A, or over C: equally cheap, but not equally deep, and not on one breadth-first level.
TWISTED = [("R", "A"), ("A", "B"), ("B", "A"), ("R", "C"), ("A", "g1"), ("B", "g2"), ("C", "g2")]

RULES: dict[str, tuple[list[tuple[str, str]], dict[str, Any]]] = {
    "max_depth": (TWISTED, {"max_depth": 2}),
    "select_from: full_dag": (TWISTED, {"select_from": "full_dag"}),
    "forbid_nodes and keep_edges": (PAIRS, {"forbid_nodes": ["C"], "keep_edges": [["A", "B"]]}),
    "coverage and max_parents": (PAIRS, {"coverage": 2, "max_parents": 2}),
}


@pytest.mark.parametrize("case", RULES)
def test_every_network_that_is_ever_trained_obeys_the_studys_rules(case: str, tmp_path: Path) -> None:
    pairs, rules = RULES[case]
    pkn = Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]), outputs=["R"])
    asked = {"rewired": 4, "alternative": 3, "permuted_genes": 1, "permuted_labels": 1, "logistic": True}
    catalog = run(pkn, tmp_path, dag_selection=rules, controls=asked)
    selected: Dag = catalog.load("pruned_dag")
    table = catalog.load("rival_dags")
    arms = list_controls(selected, table, None, ControlSettings(**asked))
    # Those that node weights are compared with are of the same kind as the control `alternative`.
    trained = [selected, *(arm.dag for arm in arms), *rivals_of_kind(table, "alternative", selected.outputs)]
    # Whose edges are not the PKN's: those of other PKNs, and the selected ones with genes at each other's places.
    others = ("rewired", "permuted_genes")
    is_rewired = [False, *(arm.kind in others for arm in arms), *[False] * len(trained)]
    assert sum(is_rewired) > 1
    shuffled = {arm.dag.fingerprint for arm in arms if arm.kind == "permuted_genes"}
    source = shortest_path_dag(pkn).edges if rules.get("select_from") == "full_dag" else pkn.edges
    for dag, rewired in zip(trained, is_rewired, strict=False):
        edges = pairs_of(dag.edges)
        parents = dag.edges.groupby("child")["parent"].agg(list)
        assert dag.inputs == pkn.inputs
        assert depth_of(dag) <= rules.get("max_depth", 99)
        assert rewired or edges <= pairs_of(source)
        assert not set(dag.hidden) & set(rules.get("forbid_nodes", ()))
        assert rewired or {tuple(edge) for edge in rules.get("keep_edges", ())} <= edges
        assert parents.map(len).max() <= rules.get("max_parents", 99)
        offered = source.groupby("child")["parent"].agg(len)  # a rewired PKN offers a gene as many
        covered = {gene: min(rules.get("coverage", 1), offered[gene]) for gene in dag.inputs}
        if dag.fingerprint in shuffled:  # as often as in the selected DAG, but other genes
            found = sorted(len(parents[gene]) for gene in dag.inputs)
            assert all(n >= least for n, least in zip(found, sorted(covered.values()), strict=True))
        else:
            assert all(len(parents[gene]) >= n for gene, n in covered.items())


def test_without_rules_there_are_networks_that_would_break_them(pkn: Pkn, tmp_path: Path) -> None:
    """What the test above looks for does not hold by itself."""
    twisted = Pkn.from_edges(pd.DataFrame(TWISTED, columns=["parent", "child"]), outputs=["R"])
    drawn = rivals_of_kind(run(twisted, tmp_path, controls={"rewired": 12}).load("rival_dags"), "rewired", ["R"])
    assert max(depth_of(dag) for dag in drawn) > 2
    within = {"select_from": "full_dag"}
    fewer = run(twisted, tmp_path, dag_selection=within, controls={"rewired": 12}).load("rival_dags")
    assert any("B" in dag.hidden for dag in drawn)
    assert not any("B" in dag.hidden for dag in rivals_of_kind(fewer, "rewired", ["R"]))
    drawn = rivals_of_kind(run(pkn, tmp_path, controls={"rewired": 8}).load("rival_dags"), "rewired", ["R"])
    assert any("C" in dag.hidden for dag in drawn)
    assert not all(pairs_of(dag.edges) <= pairs_of(pkn.edges) for dag in drawn)


def test_rewired_networks_are_selected_from_rewired_pkns_and_are_the_same_in_every_run(
    pkn: Pkn, tmp_path: Path
) -> None:
    tables = [run(pkn, tmp_path, controls={"rewired": n}).load("rival_dags") for n in (2, 2, 3)]
    first, again, more = (
        [dag.fingerprint for dag in rivals_of_kind(table, "rewired", pkn.outputs)] for table in tables
    )
    assert first == again == more[:2]
    other = run(pkn, tmp_path, controls={"rewired": 3, "seed": 7}).load("rival_dags")
    assert more != [dag.fingerprint for dag in rivals_of_kind(other, "rewired", pkn.outputs)]


def test_full_dags_of_rewired_pkns_are_drawn_where_interpretation_asks_for_them(pkn: Pkn, tmp_path: Path) -> None:
    none = run(pkn, tmp_path).load("rival_dags")
    assert rivals_of_kind(none, "rewired_full", pkn.outputs) == []
    asked = run(pkn, tmp_path, interpretation={"rewired_full": 2}).load("rival_dags")
    pd.testing.assert_frame_equal(asked[asked["kind"] != "rewired_full"], none)
    drawn = rivals_of_kind(asked, "rewired_full", pkn.outputs)
    assert len(drawn) == 2 and all(set(dag.inputs) == set(pkn.inputs) for dag in drawn)
    full = {"data_engineering": {"full_dag": "most_edges"}, "interpretation": {"rewired_full": 2}}
    most = rivals_of_kind(run(pkn, tmp_path, **full).load("rival_dags"), "rewired_full", pkn.outputs)
    assert sum(len(dag.edges) for dag in most) > sum(len(dag.edges) for dag in drawn)


def test_a_solver_that_prints_leaves_standard_output_as_it_was(pkn: Pkn, tmp_path: Path) -> None:
    pytest.importorskip("pyscipopt")
    before = sys.stdout
    table = run(pkn, tmp_path, dag_selection={"solver": "SCIP"}, controls={"rewired": 4}).load("rival_dags")
    assert len(rivals_of_kind(table, "rewired", pkn.outputs)) == 4
    assert sys.stdout is before


def test_a_rule_that_no_rewired_network_can_meet_leaves_it_out_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    twisted = Pkn.from_edges(pd.DataFrame(TWISTED, columns=["parent", "child"]), outputs=["R"])
    table = run(twisted, tmp_path, dag_selection={"max_depth": 2}, controls={"rewired": 12}).load("rival_dags")
    n_found = len(rivals_of_kind(table, "rewired", ["R"]))
    said = sum("is left out" in record.message for record in caplog.records)
    assert 0 < n_found < 12 and said == 12 - n_found


def test_the_size_curve_has_steps_where_none_are_named(pkn: Pkn, tmp_path: Path) -> None:
    asked = {"rewired": 0, "size_curve": True}
    table = run(pkn, tmp_path, controls=asked).load("rival_dags")
    steps = rivals_of_kind(table, "size_path", pkn.outputs)
    assert len(steps) == 4
    arms = list_controls(steps[0], table, None, ControlSettings(**asked))
    assert [arm.name for arm in arms if arm.name.startswith("size_path")] == [f"size_path_{i}" for i in range(4)]


def test_rivals_are_induced_where_the_selected_dag_is(pkn: Pkn, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"interpretation": {"alternative_dags": 3}, "dag_selection": {"edges": "induced"}}
    catalog = run(pkn, tmp_path, **asked)
    rivals = rivals_of_kind(catalog.load("rival_dags"), "alternative", pkn.outputs)
    assert rivals
    for rival in rivals:
        assert rival.fingerprint == induced_dag(pkn, rival).fingerprint


@pytest.fixture
def three() -> Pkn:
    """Three outputs above three nodes above four genes; the smallest DAG leads all of it through one of them."""
    pairs = [(output, top) for output in "OPQ" for top in "ABC"] + [(top, f"g{i}") for top in "ABC" for i in range(4)]
    return Pkn.from_edges(pd.DataFrame(pairs, columns=["parent", "child"]))


def test_of_classes_that_exclude_each_other_no_neuron_need_pass_on_everything(
    three: Pkn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    catalog = run(three, tmp_path, one_of_k=True, controls={"rewired": 1}, interpretation={"alternative_dags": 2})
    dag, report, smallest = catalog.load("pruned_dag"), catalog.load("dag_selection"), select_dag(three).dag
    assert dag.fingerprint == widened_dag(three, smallest, 2).fingerprint
    assert (report["lanes"], report["objective"]) == (2, len(smallest.edges))
    assert len(dag.edges) > len(smallest.edges)
    assert f"lanes: {len(dag.edges) - len(smallest.edges)} edges and 1 neurons added" in caplog.text
    assert catalog.load("compression")["pruned"]["n_edges"] == len(dag.edges)
    rivals = rivals_of_kind(catalog.load("rival_dags"), "alternative", three.outputs)
    assert rivals and all(len(rival.hidden) == 2 for rival in rivals)
    assert "WARNING" not in {record.levelname for record in caplog.records if "passes through" in record.getMessage()}


def test_outputs_that_are_questions_of_their_own_need_a_number_each(three: Pkn, tmp_path: Path) -> None:
    few: dict[str, Any] = {"controls": {"rewired": 0}, "interpretation": {"alternative_dags": 0}}
    catalog = run(three, tmp_path, **few)
    assert catalog.load("dag_selection")["lanes"] == 3
    assert catalog.load("pruned_dag").fingerprint == widened_dag(three, select_dag(three).dag, 3).fingerprint
    assert DagSelectionSettings().lanes_for(1, one_of_k=False) == 1


def test_nothing_is_added_where_nobody_wants_it_or_depth_is_limited(three: Pkn, tmp_path: Path) -> None:
    smallest = select_dag(three).dag.fingerprint
    few: dict[str, Any] = {"controls": {"rewired": 0}, "interpretation": {"alternative_dags": 0}}
    asked: list[tuple[bool, dict[str, Any]]] = [(False, {"lanes": 1}), (True, {"lanes": 1}), (True, {"max_depth": 9})]
    for one_of_k, selection in asked:
        catalog = run(three, tmp_path, one_of_k=one_of_k, dag_selection=selection, **few)
        assert catalog.load("pruned_dag").fingerprint == smallest


def test_lanes_and_a_limit_on_depth_are_refused_together() -> None:
    with pytest.raises(ValueError, match="lanes adds paths, which max_depth may forbid"):
        DagSelectionSettings(lanes=2, max_depth=4)


def test_no_rivals_are_a_table_without_rows(pkn: Pkn, tmp_path: Path) -> None:
    nothing: dict[str, Any] = {
        "interpretation": {"alternative_dags": 0},
        "dag_selection": {"alternatives": {"most": 1}},
        "controls": {"rewired": 0},
    }
    table = run(pkn, tmp_path, **nothing).load("rival_dags")
    assert list(table.columns) == ["kind", "replicate", "parent", "child", "sign", "cost"]
    assert len(table) == 0
    assert rivals_of_kind(table, "rewired", pkn.outputs) == []


def test_controls_that_need_a_proof_say_so_where_there_is_none(pkn: Pkn) -> None:
    selection = replace(select_dag(pkn), status="time_limit", gap=0.05)
    settings, controls = DagSelectionSettings(), ControlSettings(rewired=0, alternative=1)
    with pytest.raises(SelectionError, match=r"controls\.alternative.*gap is 5\.00%.*dag_selection\.time_limit=60"):
        nodes.find_others(selection, settings, controls, InterpretationSettings())
    alternatives, rivals = nodes.find_others(selection, settings, ControlSettings(rewired=0), InterpretationSettings())
    assert len(rivals) == 0 and alternatives.selections == ()


def summary_of(pkn: Pkn, settings: DagSelectionSettings) -> tuple[DagSelection, Dag, dict[str, Any], dict[str, Any]]:
    full = shortest_path_dag(pkn)
    selection = nodes.select(pkn, full, settings)
    alternatives = nodes.find_alternatives(selection, settings, ControlSettings(), InterpretationSettings())
    return selection, *nodes.summarise(selection, full, alternatives, settings)


def test_the_summary_is_ready_for_json(pkn: Pkn) -> None:
    _, _, report, _ = summary_of(pkn, DagSelectionSettings())
    assert json.loads(json.dumps(report)) == report


def test_where_nothing_can_be_left_out_the_log_says_so(pkn: Pkn, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    tree = Pkn.from_edges(pd.DataFrame([("T", "A"), ("A", "x_gene"), ("T", "y_gene")], columns=["parent", "child"]))
    said = "the pruned DAG is the full one: both arms train the same network"
    _, dag, _, compression = summary_of(tree, DagSelectionSettings())
    assert said in caplog.text and compression["parameter_compression_percent"] == 0
    assert len(dag.edges) == 3
    caplog.clear()
    summary_of(pkn, DagSelectionSettings())
    assert said not in caplog.text


def test_selection_from_the_full_dag_and_induced_edges_are_parameters(pkn: Pkn) -> None:
    full = shortest_path_dag(pkn)
    within = nodes.select(pkn, full, DagSelectionSettings(select_from="full_dag"))
    assert pairs_of(within.dag.edges) <= pairs_of(full.edges)
    selection, induced, report, compression = summary_of(pkn, DagSelectionSettings(edges="induced"))
    assert set(induced.neurons) == set(selection.dag.neurons)
    assert len(induced.edges) > len(selection.dag.edges)
    assert report["edges"] == "induced"
    assert compression["pruned"]["n_edges"] == len(induced.edges)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"solvr": "HIGHS"}, "dag_selection.solvr: no such parameter; did you mean solver"),
        ({"n_random_dags": 1}, "dag_selection.n_random_dags: no such parameter"),
        ({"coverage": 0}, "dag_selection.coverage"),
        ({"solver": "CBC"}, "dag_selection.solver"),
        ({"size_path": [2, 1]}, "dag_selection.size_path: .*ascending"),
        ({"alternatives": {"mosst": 3}}, "dag_selection.alternatives.mosst"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(parameters: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        all_settings({"dag_selection": parameters})


def test_the_yaml_of_the_project_states_every_parameter_at_its_default() -> None:
    path = Path(__file__).resolve().parents[2] / "conf" / "base" / "parameters_dag_pruning.yml"
    written = yaml.safe_load(path.read_text(encoding="utf-8"))["dag_selection"]
    assert DagSelectionSettings(**written) == DagSelectionSettings()
    assert set(written) == set(DagSelectionSettings.model_fields)


def test_the_drawing_gives_every_neuron_its_own_row_and_its_facts() -> None:
    table = pd.DataFrame(
        [("R", f"h{i:03d}") for i in range(150)] + [(f"h{i:03d}", f"g{i}") for i in range(150)],
        columns=["parent", "child"],
    )
    dag = Dag.from_edges(table, outputs=["R"])
    figure = draw_hidden_part(dag, dict.fromkeys(dag.hidden, "some"))
    points = [trace for trace in figure.data if trace.mode == "markers+text"]
    rows = [row for trace in points for row in trace.y]
    assert len(rows) == len(set(rows)) == 151
    assert figure.layout.height >= 15 * 151
    hover = {name: text for trace in points for name, text in zip(trace.text, trace.hovertext, strict=True)}
    assert "1 inputs" in hover["h007"]
    assert "below R" in hover["h007"]


def test_without_a_proof_no_alternatives_are_claimed(pkn: Pkn) -> None:
    selection, settings = replace(select_dag(pkn), status="time_limit"), DagSelectionSettings()
    alternatives = nodes.find_alternatives(selection, settings, ControlSettings(), InterpretationSettings())
    membership = nodes.say_membership(selection, alternatives)
    assert set(membership["membership"]) == {"unknown"}
    assert set(membership.loc[membership["is_selected"], "node"]) == set(selection.dag.hidden)
    _, report, _ = nodes.summarise(selection, shortest_path_dag(pkn), alternatives, settings)
    assert report["alternatives"]["neuron_sets_listed"] == 0
    assert report["alternatives"]["neuron_sets_are_all"] is False


@pytest.mark.parametrize("is_settled", [True, False])
def test_an_optimum_that_hangs_on_the_machine_is_said(pkn: Pkn, monkeypatch, caplog, is_settled: bool) -> None:
    found = replace(select_dag(pkn), is_unique=is_settled)
    monkeypatch.setattr(nodes, "select_dag", lambda *_, **__: found)
    nodes.select(pkn, found.dag, DagSelectionSettings(time_limit=7))
    said = "time_limit=7 s did not suffice to settle which of them tie_break=support takes" in caplog.text
    assert said is not is_settled


def test_a_study_goes_on_without_alternatives_that_time_did_not_suffice_for(pkn: Pkn, monkeypatch, caplog) -> None:
    def out_of_time(*_: Any, **__: Any) -> None:
        raise SelectionError("the optimum is not proven within time_limit=60 s")

    monkeypatch.setattr(nodes, "enumerate_dags", out_of_time)
    selection, settings = select_dag(pkn), DagSelectionSettings()
    alternatives = nodes.find_alternatives(selection, settings, ControlSettings(), InterpretationSettings())
    assert alternatives.selections == ()
    assert set(alternatives.membership["membership"]) == {"unknown"}
    assert "other optimal DAGs are not looked for: the optimum is not proven" in caplog.text
