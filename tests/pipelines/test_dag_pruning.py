"""The `dag_pruning` pipeline: what it keeps, what it says, what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.plotly import JSONDataset as PlotlyDataset

from kpnn.errors import SettingsError
from kpnn.pipelines.dag_pruning import create_pipeline, nodes
from kpnn.pipelines.dag_pruning.settings import DagSelectionSettings
from kpnn.pkn import Dag, Pkn, select_dag, shortest_path_dag
from kpnn.reporting.figures.network import draw_hidden_part

PAIRS = [("R", n) for n in "ABC"] + [("A", "B"), ("B", "A"), ("A", "D"), ("D", "A")]
PAIRS += [("A", "g1"), ("B", "g1"), ("B", "g2"), ("C", "g2"), ("C", "g3"), ("D", "g3"), ("D", "g4")]


@pytest.fixture
def pkn() -> Pkn:
    return Pkn.from_edges(pd.DataFrame(PAIRS, columns=["parent", "child"]), outputs=["R"])


class Kept(MemoryDataset):
    """Stays in memory after its last reader."""

    def _release(self) -> None:
        pass


def run(pkn: Pkn, parameters: dict[str, Any], folder: Path) -> DataCatalog:
    names = ["pruned_dag", "dag_selection", "compression", "hidden_node_membership", "optimal_neuron_sets"]
    names += ["random_dags", "size_path", "size_path_edges", "dag_drawing"]
    datasets: dict[str, Any] = {name: Kept() for name in names}
    datasets |= {
        "pkn": Kept(pkn),
        "full_dag": Kept(shortest_path_dag(pkn)),
        "params:dag_selection": Kept(parameters),
        "dag_selection": JSONDataset(filepath=str(folder / "dag_selection.json")),
        "compression": JSONDataset(filepath=str(folder / "compression.json")),
        "dag_drawing": PlotlyDataset(filepath=str(folder / "dag_drawing.json")),
    }
    catalog = DataCatalog(datasets)
    SequentialRunner().run(create_pipeline(), catalog)
    return catalog


def test_the_pipeline_keeps_the_dag_its_proof_its_alternatives_and_a_drawing(pkn: Pkn, tmp_path: Path) -> None:
    catalog = run(pkn, {"n_random_dags": 2, "size_path": [1, 2]}, tmp_path)
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
    assert set(catalog.load("random_dags")["draw"]) == {0, 1}
    path = catalog.load("size_path")
    assert path["n_edges"].is_monotonic_increasing
    assert path["status"].iloc[-1] == "full"
    assert catalog.load("size_path_edges").groupby("step").size().tolist() == path["n_edges"].tolist()
    drawn = {name for trace in catalog.load("dag_drawing").data for name in (trace.text or ())}
    assert drawn == set(dag.neurons)


def test_the_summary_is_ready_for_json(pkn: Pkn) -> None:
    selection = nodes.select(pkn, shortest_path_dag(pkn), {})
    _, alternatives, summary = nodes.find_alternatives(selection, {})
    _, report, _ = nodes.summarise(selection, shortest_path_dag(pkn), summary, {})
    assert json.loads(json.dumps(report)) == report
    assert alternatives.loc[alternatives["rank"] == 0, "node"].tolist() == list(selection.dag.hidden)


def test_selection_from_the_full_dag_and_induced_edges_are_parameters(pkn: Pkn) -> None:
    full = shortest_path_dag(pkn)
    within = nodes.select(pkn, full, {"select_from": "full_dag"})
    pairs = set(zip(full.edges["parent"], full.edges["child"], strict=True))
    assert set(zip(within.dag.edges["parent"], within.dag.edges["child"], strict=True)) <= pairs
    selection = nodes.select(pkn, full, {})
    induced, report, compression = nodes.summarise(selection, full, {}, {"edges": "induced"})
    assert set(induced.neurons) == set(selection.dag.neurons)
    assert len(induced.edges) > len(selection.dag.edges)
    assert report["edges"] == "induced"
    assert compression["pruned"]["n_edges"] == len(induced.edges)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"solvr": "HIGHS"}, "dag_selection.solvr"),
        ({"coverage": 0}, "dag_selection.coverage"),
        ({"solver": "CBC"}, "dag_selection.solver"),
        ({"alternatives": {"mosst": 3}}, "dag_selection.alternatives.mosst"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_named(pkn: Pkn, parameters: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        nodes.select(pkn, shortest_path_dag(pkn), parameters)


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
    selection = replace(select_dag(pkn), status="time_limit")
    membership, _, summary = nodes.find_alternatives(selection, {})
    assert set(membership["membership"]) == {"unknown"}
    assert summary == {"neuron_sets_listed": 0}
