"""Edge lists as people have them: CSV, TSV, SIF with signs, GraphML, corneto's JSON graphs.

Each reader only says what stands in its file, as text. What a sign, a cost, an undirected edge or a direction means is
decided once, for all of them.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pandas as pd

from kpnn.errors import PknError, some_names
from kpnn.text_tables import read_string_table, read_text

EdgeFormat = Literal["table", "sif", "graphml", "corneto"]
Direction = Literal["parent_to_child", "child_to_parent"]
Undirected = Literal["error", "drop"]

_POSITIVE = ("1", "+", "+1", "1.0", "activation", "activates", "stimulation", "stimulates", "up", "positive", "->")
_NEGATIVE = ("-1", "-", "-1.0", "inhibition", "inhibits", "repression", "represses", "down", "negative", "-|")
_UNKNOWN = ("", "0", "0.0", "unknown", "na", "nan", "none", "?", "pp", "pd", "interacts", "interaction")
_SIGNS = {**dict.fromkeys(_POSITIVE, 1), **dict.fromkeys(_NEGATIVE, -1), **dict.fromkeys(_UNKNOWN, 0)}
_UNDIRECTED_RELATIONS = ("undirected", "--")
_YES, _NO = ("1", "1.0", "true", "yes", "directed"), ("", "0", "0.0", "false", "no", "na", "nan", "undirected")
_FIELDS = ("parent", "child", "sign", "cost", "stimulation", "inhibition", "directed")
# Attributes of graphs and columns of tables that mean a field without being named. A weight is none of them: it may be
# a sign, but is as often a confidence, or the 1.0 that a program gives every edge.
_USUAL_NAMES = {"sign": ("sign", "interaction"), "cost": ("cost",), "directed": ("is_directed", "directed")}
_GRAPHML = "http://graphml.graphdrawing.org/xmlns"

_log = logging.getLogger(__name__)


def read_edges(
    path: str | Path,
    *,
    format: EdgeFormat | None = None,
    columns: Mapping[str, str | int] | None = None,
    direction: Direction = "parent_to_child",
    undirected: Undirected = "error",
) -> pd.DataFrame:
    """Reads an edge list.

    Args:
        path: the file; text may be gzipped.
        format: `table` (CSV or TSV), `sif`, `graphml` or `corneto` (JSON, as `Graph.save_json` writes it);
            by default told by the name.
        columns: which columns of a table are `parent`, `child`, and optionally `sign`, `cost`, `directed` (yes or no),
            or `stimulation` and `inhibition` (two columns of yes and no, as OmniPath has them), where they have other
            names. Numbers, counted from 1, are columns of a table without a header. Of GraphML and corneto: which
            attributes of an edge are `sign`, `cost` or `directed`.
        direction: whether an edge's source (or `parent` column) is the parent (regulator -> target, the usual way) or
            the child (the computing direction).
        undirected: what to do with edges that have no direction: `error`, or `drop` them with a warning.

    Returns:
        `parent`, `child`, `sign` (1, -1, 0 = unknown), and `cost` where the file has it; as the file orders them.

    Raises:
        PknError: the file is unusable; file, line and what was found are in the message.
    """
    place = Path(path)
    chosen = format or _format_of(place)
    for what, value, known in (
        ("format", chosen, get_args(EdgeFormat)),
        ("direction", direction, get_args(Direction)),
        ("undirected", undirected, get_args(Undirected)),
    ):
        if value not in known:
            raise PknError(f"{path}: {what} must be one of {', '.join(known)}, found {value}")
    named = dict(columns or {})
    strange = sorted(set(named) - set(_FIELDS))
    if strange:
        raise PknError(f"{path}: columns: no field {some_names(strange)} (there are {', '.join(_FIELDS)})")
    if chosen == "sif" and named:
        raise PknError(f"{path}: SIF has no columns to be named: it is source, relation, target")
    read: dict[str, Callable[[Path, dict[str, Any]], pd.DataFrame]] = {
        "table": _table,
        "sif": _sif,
        "graphml": _graphml,
        "corneto": _corneto,
    }
    found = read[chosen](place, named)
    if found.empty:
        raise PknError(f"{path}: no edges")
    edges = _understood(_directed_edges(found, path, undirected), path)
    return edges if direction == "parent_to_child" else edges.assign(parent=edges["child"], child=edges["parent"])


def signs_of(column: pd.Series, where: str) -> pd.Series:
    """Signs in any of the usual spellings (1, +, activation, stimulation...) as 1, -1 or 0.

    Numbers between -1 and 1, such as a regulon's weights, say their sign.

    Raises:
        PknError: a spelling is none of them.
    """
    texts = column.astype(str).str.strip().str.lower()
    numbers = pd.to_numeric(texts.where(~texts.isin(_SIGNS)), errors="coerce")
    signs = texts.map(_SIGNS).fillna(np.sign(numbers.where(numbers.abs() <= 1)))
    if signs.isna().any():
        raise PknError(
            f"{where}: {some_names(column[signs.isna()].unique())} is no sign (1, -1, empty, activation..., or a "
            "number between -1 and 1)"
        )
    return signs.astype("int8")


def _format_of(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".pkl", ".pickle")):
        raise PknError(f"{path}: pickled graphs can run any program and are not read; save it with Graph.save_json")
    for ending, found in ((".sif", "sif"), (".graphml", "graphml"), (".xml", "graphml"), (".json", "corneto")):
        if name.endswith(ending):
            return found
    return "table"


def _directed_edges(found: pd.DataFrame, path: str | Path, undirected: Undirected) -> pd.DataFrame:
    """The edges that have a direction; the one place that decides about those that have none."""
    if "directed" not in found:
        return found
    is_directed = _yes_or_no(found["directed"].replace("", "yes"), f"{path}: `directed`")
    without = found[~is_directed]
    if without.empty:
        return found
    pairs = some_names([f"{row.parent} and {row.child}" for row in without.itertuples()], 3)
    if undirected == "error":
        raise PknError(
            f"{path}: {len(without):,} of {len(found):,} edges are undirected ({pairs}); a PKN needs directions: "
            "`undirected: drop` leaves them out"
        )
    _log.warning("%s: %s of %s edges are undirected and left out: %s", path, len(without), len(found), pairs)
    if is_directed.any():
        return found[is_directed].reset_index(drop=True)
    raise PknError(f"{path}: no edges but undirected ones")


def _understood(found: pd.DataFrame, path: str | Path) -> pd.DataFrame:
    """Names, signs and costs of what a reader found.

    Args:
        found: text: `parent`, `child`, where the file has it `sign`, or `stimulation` and `inhibition`, and `cost`; the
            index says which row, line or edge it is, and `attrs` how the file calls the fields.
        path: the file, for errors.
    """
    names = found.attrs.get("names", {})
    edges = pd.DataFrame({"parent": found["parent"], "child": found["child"]})
    for field in ("parent", "child"):
        empty = [row + 1 for row, name in enumerate(edges[field]) if not name]
        if empty:
            called = names.get(field, field)
            raise PknError(f"{path}: empty `{called}` in row {some_names(empty)} (rows count below the header)")
    if "stimulation" in found:
        said = [
            _yes_or_no(found[field], f"{path}: `{names.get(field, field)}`").astype("int8")
            for field in ("stimulation", "inhibition")
        ]
        edges["sign"] = said[0] - said[1]
    elif "sign" in found:
        edges["sign"] = signs_of(found["sign"], f"{path}: `{names.get('sign', 'sign')}`")
    else:
        edges["sign"] = 0
    if "cost" in found and (found["cost"] != "").any():
        costs = pd.to_numeric(found["cost"].replace("", "1"), errors="coerce")
        wrong = ~(costs.gt(0) & costs.lt(float("inf")))
        if wrong.any():
            raise PknError(
                f"{path}: `{names.get('cost', 'cost')}` must be a finite number above 0, found "
                f"{some_names(found.loc[wrong, 'cost'].unique())}"
            )
        edges["cost"] = costs.astype(float)
    return edges


def _yes_or_no(column: pd.Series, where: str) -> pd.Series:
    texts = column.astype(str).str.strip().str.lower()
    known = texts.isin([*_YES, *_NO])
    if not known.all():
        raise PknError(f"{where} must be yes or no (1 or 0), found {some_names(column[~known].unique())}")
    return texts.isin(_YES)


def _table(path: Path, columns: dict[str, str | int]) -> pd.DataFrame:
    numbered = [name for name in columns.values() if isinstance(name, int)]
    if numbered and len(numbered) < len(columns):
        raise PknError(f"{path}: columns: either all names, or all numbers (of a table without a header)")
    named = {"parent": "parent", "child": "child", **{field: str(name) for field, name in columns.items()}}
    if numbered and not {"parent", "child"} <= set(columns):
        raise PknError(f"{path}: columns: a table without a header needs the numbers of `parent` and `child`")
    given = {"stimulation", "inhibition"} & set(named)
    if given and (len(given) < 2 or "sign" in named):
        raise PknError(f"{path}: columns: name either `sign`, or both `stimulation` and `inhibition`")
    table = read_string_table(
        path,
        PknError,
        needs=named.values(),
        has_header=not numbered,
        without_header="or number them: `columns: {parent: 1, child: 2, sign: 3}`",
    )
    for field, usual in _USUAL_NAMES.items():
        for name in usual:
            is_new = field not in named and not (field == "sign" and given)
            # A column `interaction` of a table may hold anything; a graph's attribute of that name is a sign.
            if name in table and is_new and name != "interaction":
                named[field] = name
    found = pd.DataFrame({field: table[name] for field, name in named.items()})
    found.attrs["names"] = named
    return found


def _sif(path: Path, _columns: dict[str, Any]) -> pd.DataFrame:
    rows: list[tuple[str, str, str, int]] = []
    for number, line in enumerate(read_text(path, PknError).splitlines(), 1):
        fields = [field.strip() for field in (line.split("\t") if "\t" in line else line.split())]
        if not line.strip() or line.startswith("#"):
            continue
        if len(fields) == 1:
            continue  # a node without edges
        if len(fields) == 2 or not all(fields):
            raise PknError(f"{path}, line {number}: needs source, relation and target; found {some_names(fields)}")
        rows += [(fields[0], target, fields[1], number) for target in fields[2:]]
    edges = pd.DataFrame(rows, columns=["parent", "child", "sign", "line"])
    is_undirected = edges["sign"].str.lower().isin(_UNDIRECTED_RELATIONS)
    edges["directed"] = [("no" if undirected else "yes") for undirected in is_undirected]
    edges.loc[is_undirected, "sign"] = ""
    for relation, line in edges.drop_duplicates("sign")[["sign", "line"]].itertuples(index=False):
        try:
            signs_of(pd.Series([relation]), "")
        except PknError:
            raise PknError(
                f"{path}, line {line}: {relation!r} is no sign (1, -1, activation, inhibition, unknown...)"
            ) from None
    return edges.drop(columns="line")


def _graphml(path: Path, columns: dict[str, Any]) -> pd.DataFrame:
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
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise PknError(f"{path}: declares a document type or XML entities, which graphs do not need; refused")
    try:
        tree = ElementTree.fromstring(text)
    except ElementTree.ParseError as cause:
        raise PknError(f"{path}, line {cause.position[0]}: is no XML ({cause})") from None
    for element in tree.iter():
        if isinstance(element.tag, str) and "}" not in element.tag:
            element.tag = f"{{{_GRAPHML}}}{element.tag}"
    graph = tree.find(f"{{{_GRAPHML}}}graph")
    if graph is None:
        raise PknError(f"{path}: holds no graph; this is no GraphML")
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


def _corneto(path: Path, columns: dict[str, Any]) -> pd.DataFrame:
    try:
        graph = json.loads(read_text(path, PknError))
    except (ValueError, RecursionError) as cause:
        raise PknError(f"{path}: is no JSON ({cause})") from None
    if not isinstance(graph, dict) or not isinstance(graph.get("edges"), list):
        raise PknError(f"{path}: holds no list of edges; this is no corneto graph")
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
    rows: list[tuple[str, str, str, dict[str, Any]]], columns: dict[str, Any], path: Path
) -> pd.DataFrame:
    """Edges of a graph with the attributes that mean something.

    Args:
        rows: source, target, `no` where the format itself says that the edge is undirected, and the edge's attributes.
        columns: which attributes the user names.
        path: the file, for errors.
    """
    strange = sorted(set(columns) - {"sign", "cost", "directed"})
    if strange:
        raise PknError(f"{path}: columns: edges of a graph have no {some_names(strange)} to be named")
    found = pd.DataFrame([row[:3] for row in rows], columns=["parent", "child", "directed"], dtype=object)
    attributes = [row[3] for row in rows]
    for field, usual in _USUAL_NAMES.items():
        choices = (str(columns[field]),) if field in columns else usual
        there = [name for name in choices if any(name in each for each in attributes)]
        if field in columns and not there:
            known = sorted({name for each in attributes for name in each if not name.startswith("__")})
            raise PknError(f"{path}: no edge has the attribute {columns[field]} (found: {some_names(known) or 'none'})")
        if there:
            values = [str(each.get(there[0], "")).strip() for each in attributes]
            if field == "directed":
                values = [already or value for already, value in zip(found[field], values, strict=True)]
            found[field] = values
    return found
