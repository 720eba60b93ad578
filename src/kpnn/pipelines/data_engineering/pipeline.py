"""Wiring of the `data_engineering` pipeline."""

from __future__ import annotations

from kedro.pipeline import Pipeline, node, pipeline

from kpnn.pipelines.data_engineering import nodes

_SETTINGS = "params:data_engineering"
_FOLDS = "params:cross_validation"


def create_pipeline() -> Pipeline:
    """From raw expression, class labels and edges to matched cells, PKN, full DAG, folds and a summary."""
    return pipeline(
        [
            node(nodes.check_labels, ["class_labels", _SETTINGS, _FOLDS], "labels", name="check_labels"),
            node(
                nodes.assemble_network,
                ["edges", "signalling", "regulon", _SETTINGS],
                "network",
                name="assemble_network",
            ),
            node(nodes.state_network, ["network", "labels", _SETTINGS, _FOLDS], "stated_pkn", name="state_network"),
            node(
                nodes.match_cells,
                ["raw_expression", "labels", "stated_pkn", _SETTINGS, _FOLDS],
                ["matched", "measured_pkn"],
                name="match_cells",
            ),
            node(nodes.find_full_dag, "measured_pkn", "found_full_dag", name="find_full_dag"),
            node(nodes.split_cells, ["labels", "matched", _FOLDS], "split", name="split_cells"),
            node(
                nodes.finish,
                [
                    "raw_expression",
                    "class_labels",
                    "network",
                    "stated_pkn",
                    "labels",
                    "matched",
                    "measured_pkn",
                    "found_full_dag",
                    "split",
                    _SETTINGS,
                    _FOLDS,
                ],
                ["matched_cells", "pkn", "full_dag", "folds", "data_summary"],
                name="finish_data_engineering",
            ),
        ]
    )
