"""Edges in GraphML and in corneto's JSON graphs: attributes say what an edge is."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx as nx
import pandas as pd

from kpnn.errors import PknError, some_names
from kpnn.pkn.formats.stated import Stated, signs_by_interaction, with_usual_names
from kpnn.text_tables import column_name, read_text

_GRAPHML = "http://graphml.graphdrawing.org/xmlns"

_MODELS = {"pathway": "a model of a pathway (KEGG's or WikiPathways')", "sbml": "SBML", "rdf:rdf": "BioPAX"}
_OTHER_XML = re.compile(r"\A(?:\s|<\?.*?\?>|<!.*?>)*<(pathway|sbml|rdf:RDF)[\s>]", re.IGNORECASE | re.DOTALL)
"""The first element of what databases of pathways write as XML, behind what may stand above it."""


def read_graphml(path: Path, columns: Mapping[str, str | int]) -> Stated:
    """Reads GraphML; `label` or `name` of a node is its name.

    Raises:
        PknError: it is not GraphML, declares entities, or an edge or attribute is missing.
    """
    tree, is_directed = _graphml_tree(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of keys without a type
            graph = nx.parse_graphml(ElementTree.tostring(tree, encoding="unicode"), force_multigraph=True)
    except (nx.NetworkXError, ValueError, KeyError, TypeError, AttributeError) as cause:
        raise PknError(f"{path}: cannot be read as GraphML ({cause})") from None
    labels = {node: str(data.get("name") or data.get("label") or node).strip() for node, data in graph.nodes(data=True)}
    usual = graph.graph.get("edge_default", {})
    rows = [(labels[source], labels[target], "", {**usual, **data}) for source, target, data in graph.edges(data=True)]
    rows += [(labels.get(source, source), labels.get(target, target), "no", {}) for source, target in is_directed]
    return _with_attributes(rows, columns, path)


def _graphml_tree(path: Path) -> tuple[ElementTree.Element, list[tuple[str, str]]]:
    """The file's elements without undirected edges, which networkx does not read beside directed ones; and those."""
    text = read_text(path, PknError)
    other = _OTHER_XML.search(text)
    if other is not None:
        raise PknError(f"{path}: is {_MODELS[other[1].lower()]}, not GraphML; export its edges as SIF or as a table")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise PknError(f"{path}: declares a document type or XML entities, which graphs do not need; refused")
    try:
        tree = ElementTree.fromstring(text)
    except ElementTree.ParseError as cause:
        raise PknError(f"{path}, line {cause.position[0]}: is not XML ({cause})") from None
    for element in tree.iter():
        if isinstance(element.tag, str) and "}" not in element.tag:
            element.tag = f"{{{_GRAPHML}}}{element.tag}"
    graph = tree.find(f"{{{_GRAPHML}}}graph")
    if graph is None:
        raise PknError(f"{path}: holds no graph; this is not GraphML")
    usual = graph.get("edgedefault", "directed")
    graph.set("edgedefault", "directed")
    undirected = []
    for number, edge in enumerate(graph.findall(f"{{{_GRAPHML}}}edge"), 1):
        source, target = edge.get("source"), edge.get("target")
        if not source or not target:
            raise PknError(f"{path}: edge {edge.get('id', number)} has no source or target")
        direction = edge.attrib.pop("directed", None)
        if (direction or ("false" if usual == "undirected" else "true")) in ("false", "undirected"):
            undirected.append((source, target))
            graph.remove(edge)
    return tree, undirected


def read_corneto(path: Path, columns: Mapping[str, str | int]) -> Stated:
    """Reads a graph that corneto's `Graph.save_json` wrote.

    Raises:
        PknError: it is no such graph, or an edge does not join one node to one node.
    """
    try:
        graph = json.loads(read_text(path, PknError))
    except (ValueError, RecursionError) as cause:
        raise PknError(f"{path}: is not JSON ({cause})") from None
    if not isinstance(graph, dict) or not isinstance(graph.get("edges"), list):
        is_other = isinstance(graph, dict) and bool({"elements", "links"} & set(graph))
        advice = "; of Cytoscape's or networkx's JSON, save the network as GraphML" if is_other else ""
        raise PknError(f"{path}: holds no list of edges; this is not a corneto graph{advice}")
    rows: list[tuple[str, str, str, dict[str, Any]]] = []
    for number, edge in enumerate(graph["edges"], 1):
        source, target = [_only_node(edge.get(side)) if isinstance(edge, dict) else "" for side in ("source", "target")]
        if not source or not target:
            raise PknError(f"{path}: edge {number} does not join one node to one node: {str(edge)[:80]}")
        attributes = edge.get("attributes")
        attributes = attributes if isinstance(attributes, dict) else {}
        is_undirected = attributes.get("__edge_type", "directed") != "directed"
        rows.append((source, target, "no" if is_undirected else "", attributes))
    return _with_attributes(rows, columns, path)


def _only_node(end: Any) -> str:
    """The name of one end's only node; empty if there are more or none."""
    return str(end[0]).strip() if isinstance(end, list) and len(end) == 1 else ""


def _with_attributes(
    rows: list[tuple[str, str, str, dict[str, Any]]], columns: Mapping[str, str | int], path: Path
) -> Stated:
    """Edges of a graph with the attributes that mean something.

    Args:
        rows: source, target, `no` where the format itself says that the edge is undirected, and the edge's attributes.
        columns: which attributes the user names.
        path: the file, for errors.
    """
    found = pd.DataFrame([row[:3] for row in rows], columns=["parent", "child", "directed"], dtype=object)
    written = dict.fromkeys(name for row in rows for name in row[3] if not name.startswith("__"))
    known = [column_name(name) for name in written]
    repeated = sorted({name for name in known if known.count(name) > 1})
    if repeated:
        raise PknError(f"{path}: attribute {some_names(repeated)} occurs more than once; blanks around it do not count")
    attributes = pd.DataFrame(
        {name: [str(row[3].get(its, "")).strip() for row in rows] for its, name in zip(written, known, strict=True)},
        index=found.index,
        dtype=object,
    )
    absent = [name for name in columns.values() if name not in known]
    if absent:
        raise PknError(
            f"{path}: no edge has the attribute {some_names(absent)} (found: {some_names(sorted(known)) or 'none'})"
        )
    named = with_usual_names({field: str(name) for field, name in columns.items()}, known)
    for field, name in named.items():
        values = list(attributes[name])
        if field == "directed":
            values = [already or value for already, value in zip(found[field], values, strict=True)]
        found[field] = values
    named, signs, notes = signs_by_interaction(named, attributes)
    if signs is not None:
        found["sign"] = signs
    return Stated(found, attributes, names=named, notes=notes)
