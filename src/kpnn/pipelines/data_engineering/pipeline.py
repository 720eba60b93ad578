"""Wiring of the `data_engineering` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node

from kpnn.pipelines.data_engineering import nodes
from kpnn.pipelines.data_engineering.knowledge import joined_knowledge

_SETTINGS = "params:data_engineering"
_FOLDS = "params:cross_validation"


def create_pipeline() -> Pipeline:
    """From raw expression, class labels and edges to matched cells, PKN, full DAG, folds and a summary."""
    return Pipeline(
        [
            node(
                nodes.check_labels,
                ["class_labels", "raw_expression", _SETTINGS, _FOLDS],
                "labels",
                name="check_labels",
            ),
            node(
                joined_knowledge,
                ["edges", "signalling", "regulon", _SETTINGS],
                "network",
                name="assemble_network",
            ),
            node(nodes.state_network, ["network", "labels", _SETTINGS], "stated_network", name="state_network"),
            node(
                nodes.match_cells,
                ["labels", "stated_network", _SETTINGS],
                "matched_study",
                name="match_cells",
            ),
            node(nodes.prepare_study, ["matched_study", _SETTINGS, _FOLDS], "prepared_study", name="prepare_study"),
            node(
                nodes.finish,
                ["prepared_study", _SETTINGS],
                ["matched_cells", "pkn", "full_dag", "folds"],
                name="finish_data_engineering",
            ),
            node(nodes.summarise_data, ["prepared_study", _SETTINGS], "data_summary", name="summarise_data"),
        ],
        namespace="data_engineering",
        prefix_datasets_with_namespace=False,
    )
