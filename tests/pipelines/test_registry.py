"""All pipelines together: what runners and readers of `kedro viz` rely on."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing.reduction import ForkingPickler

import pytest
from kedro.pipeline.node import Node

from kpnn.pipeline_registry import register_pipelines


@pytest.fixture(scope="module")
def pipelines():
    return register_pipelines()


def nodes_of(pipelines) -> Iterator[Node]:
    return (node for pipeline in pipelines.values() for node in pipeline.nodes)


def test_every_node_can_be_sent_to_another_process(pipelines) -> None:
    for node in nodes_of(pipelines):
        assert len(ForkingPickler.dumps(node)) > 0, node.name


def test_a_node_takes_at_most_four_inputs(pipelines) -> None:
    """Parameters are counted; what a node writes may be as many files as its result has tables."""
    assert {node.name: len(node.inputs) for node in nodes_of(pipelines) if len(node.inputs) > 4} == {}


def test_the_whole_study_holds_every_node_of_its_parts_once(pipelines) -> None:
    parts = ("data_engineering", "dag_pruning", "modelling", "reporting")
    names = [node.name for node in pipelines["__default__"].nodes]
    assert sorted(names) == sorted({node.name for part in parts for node in pipelines[part].nodes})


def test_parameters_that_nodes_read_are_whole_groups(pipelines) -> None:
    """So that every one of them is checked, and arrives as settings."""
    from kpnn.pipelines.parameters import GROUPS

    read = {name for node in nodes_of(pipelines) for name in node.inputs if name.startswith("params:")}
    assert read <= {f"params:{group}" for group in GROUPS}


def test_every_node_has_its_pipelines_name_as_a_tag(pipelines) -> None:
    assert all(name in node.tags for name, pipeline in pipelines.items() for node in pipeline.nodes if name[0] != "_")
    assert all(node.tags for node in pipelines["__default__"].nodes)
