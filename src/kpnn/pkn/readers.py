"""Edge lists as people have them: CSV, TSV, SIF with signs, GraphML, corneto's JSON graphs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from xml.etree import ElementTree

import pandas as pd

from kpnn.errors import PknError, some_names
from kpnn.text_tables import read_string_table, read_text

EdgeFormat = Literal["table", "sif", "graphml", "corneto"]
Direction = Literal["parent_to_child", "child_to_parent"]

_POSITIVE = ("1", "+", "+1", "1.0", "activation", "activates", "stimulation", "stimulates", "up", "positive", "->")
_NEGATIVE = ("-1", "-", "-1.0", "inhibition", "inhibits", "repression", "represses", "down", "negative", "-|")
_UNKNOWN = ("", "0", "0.0", "unknown", "na", "nan", "none", "?", "pp", "pd", "interacts", "interaction")
_SIGNS = {**dict.fromkeys(_POSITIVE, 1), **dict.fromkeys(_NEGATIVE, -1), **dict.fromkeys(_UNKNOWN, 0)}
_YES, _NO = ("1", "1.0", "true", "yes"), ("", "0", "0.0", "false", "no", "na", "nan")
_FIELDS = ("parent", "child", "sign", "cost", "stimulation", "inhibition")


def read_edges(
    path: str | Path,
    *,
    format: EdgeFormat | None = None,
    columns: Mapping[str, str] | None = None,
    direction: Direction = "parent_to_child",
) -> pd.DataFrame:
    """Reads an edge list.

    Args:
        path: the file; text may be gzipped.
        format: `table` (CSV or TSV), `sif`, `graphml` or `corneto` (JSON, as `Graph.save_json` writes it);
            by default told by the name.
        columns: for a table with other column names: which of them are `parent`, `child`, and optionally
            `sign`, `cost`, or `stimulation` and `inhibition` (two columns of yes and no, as OmniPath has them).
        direction: of SIF, GraphML and corneto: whether an edge's source is the parent (regulator -> target, the
            usual way) or the child (the computing direction).

    Returns:
        `parent`, `child`, `sign` (1, -1, 0 = unknown), and `cost` where the file has it; as the file orders them.

    Raises:
        PknError: the file is unusable; file, line and what was found are in the message.
    """
    place = Path(path)
    chosen = format or _format_of(place)
    if chosen not in get_args(EdgeFormat):
        raise PknError(f"{path}: no format {chosen} (there are {', '.join(get_args(EdgeFormat))})")
    if direction not in get_args(Direction):
        raise PknError(f"{path}: direction must be parent_to_child or child_to_parent, found {direction}")
    if chosen == "table":
        return _read_table(place, dict(columns or {}))
    if columns:
        raise PknError(f"{path}: only a table has columns to be named, not {chosen}")
    read: dict[str, Callable[[Path], pd.DataFrame]] = {"sif": _sif, "graphml": _graphml, "corneto": _corneto}
    edges = read[chosen](place)
    if edges.empty:
        raise PknError(f"{path}: no edges")
    return edges if direction == "parent_to_child" else edges.rename(columns={"parent": "child", "child": "parent"})


def _format_of(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".pkl", ".pickle")):
        raise PknError(f"{path}: pickled graphs can run any program and are not read; save it with Graph.save_json")
    for ending, found in ((".sif", "sif"), (".graphml", "graphml"), (".xml", "graphml"), (".json", "corneto")):
        if name.endswith(ending):
            return found
    return "table"


def _read_table(path: Path, columns: dict[str, str]) -> pd.DataFrame:
    strange = sorted(set(columns) - set(_FIELDS))
    if strange:
        raise PknError(f"{path}: columns: no field {some_names(strange)} (there are {', '.join(_FIELDS)})")
    named = {"parent": "parent", "child": "child", **columns}
    table = read_string_table(path, PknError, needs=named.values())
    for field in ("sign", "cost"):
        if field not in columns and field in table:
            named[field] = field
    edges = pd.DataFrame({"parent": table[named["parent"]], "child": table[named["child"]]})
    for field in ("parent", "child"):
        empty = [row + 1 for row, name in enumerate(edges[field]) if not name]
        if empty:
            raise PknError(f"{path}: empty `{named[field]}` in row {some_names(empty)} (rows count below the header)")
    if "stimulation" in named or "inhibition" in named:
        edges["sign"] = _two_columns(table, named, path)
    else:
        edges["sign"] = signs_of(table[named["sign"]], f"{path}: `{named['sign']}`") if "sign" in named else 0
    if "cost" in named:
        costs = pd.to_numeric(table[named["cost"]].replace("", "1"), errors="coerce")
        wrong = ~(costs.gt(0) & costs.lt(float("inf")))
        if wrong.any():
            found = table.loc[wrong, named["cost"]].unique()
            raise PknError(f"{path}: `{named['cost']}` must be a finite number above 0, found {some_names(found)}")
        edges["cost"] = costs.astype(float)
    return edges


def signs_of(column: pd.Series, where: str) -> pd.Series:
    """Signs in any of the usual spellings (1, +, activation, stimulation...) as 1, -1 or 0.

    Raises:
        PknError: a spelling is none of them.
    """
    texts = column.astype(str).str.strip().str.lower()
    signs = texts.map(_SIGNS)
    if signs.isna().any():
        raise PknError(f"{where}: {some_names(column[signs.isna()].unique())} is no sign (1, -1, empty, activation...)")
    return signs.astype("int8")


def _two_columns(table: pd.DataFrame, named: dict[str, str], path: Path) -> pd.Series:
    if not {"stimulation", "inhibition"} <= set(named) or "sign" in named:
        raise PknError(f"{path}: columns: name either `sign`, or both `stimulation` and `inhibition`")
    said = {}
    for field in ("stimulation", "inhibition"):
        texts = table[named[field]].str.lower()
        if not texts.isin([*_YES, *_NO]).all():
            wrong = table.loc[~texts.isin([*_YES, *_NO]), named[field]].unique()
            raise PknError(f"{path}: `{named[field]}` must be yes or no (1 or 0), found {some_names(wrong)}")
        said[field] = texts.isin(_YES).astype("int8")
    return said["stimulation"] - said["inhibition"]


def _sif(path: Path) -> pd.DataFrame:
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
    known = edges["sign"].str.lower().isin(_SIGNS)
    if not known.all():
        line, relation = edges.loc[~known, ["line", "sign"]].iloc[0]
        raise PknError(f"{path}, line {line}: {relation!r} is no sign (1, -1, activation, inhibition, unknown...)")
    edges["sign"] = signs_of(edges["sign"], str(path))
    return edges.drop(columns="line")


def _graphml(path: Path) -> pd.DataFrame:
    text = read_text(path, PknError)
    if "<!ENTITY" in text:
        raise PknError(f"{path}: defines XML entities, which graphs do not need; refused")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as cause:
        raise PknError(f"{path}, line {cause.position[0]}: is no XML ({cause})") from None
    names = {key.get("id"): key.get("attr.name") for key in root.iter() if _tag(key) == "key"}
    graphs = [node for node in root.iter() if _tag(node) == "graph"]
    if not graphs:
        raise PknError(f"{path}: holds no graph; this is no GraphML")
    rows: list[tuple[str, str, str, str]] = []
    for edge in (node for node in graphs[0].iter() if _tag(node) == "edge"):
        source, target = edge.get("source"), edge.get("target")
        if not source or not target:
            raise PknError(f"{path}: edge {edge.get('id', len(rows) + 1)} has no source or target")
        if edge.get("directed", graphs[0].get("edgedefault", "directed")) == "undirected":
            raise PknError(f"{path}: the edge of {source} and {target} is undirected; a PKN needs directions")
        data = {names.get(item.get("key")): (item.text or "").strip() for item in edge if _tag(item) == "data"}
        sign = data.get("sign", data.get("interaction", data.get("weight", "")))
        rows.append((source, target, sign, data.get("cost", "")))
    labels = _graphml_labels(graphs[0], names)
    edges = pd.DataFrame(rows, columns=["parent", "child", "sign", "cost"])
    edges["sign"] = signs_of(edges["sign"], str(path))
    edges["parent"], edges["child"] = (
        edges[side].map(lambda node: labels.get(node, node)) for side in ("parent", "child")
    )
    if (edges["cost"] == "").all():
        return edges.drop(columns="cost")
    costs = pd.to_numeric(edges["cost"].replace("", "1"), errors="coerce")
    if not (costs.gt(0) & costs.lt(float("inf"))).all():
        raise PknError(f"{path}: `cost` must be a finite number above 0")
    return edges.assign(cost=costs.astype(float))


def _graphml_labels(graph: Any, names: Mapping[str | None, str | None]) -> dict[str, str]:
    """Names of the nodes: their `name` or `label`, where the file has one; ids otherwise."""
    labels = {}
    for node in (part for part in graph.iter() if _tag(part) == "node"):
        data = {names.get(item.get("key")): (item.text or "").strip() for item in node if _tag(item) == "data"}
        label = data.get("name") or data.get("label")
        if label and node.get("id"):
            labels[node.get("id")] = label
    return labels


def _tag(node: Any) -> str:
    return str(node.tag).rsplit("}", 1)[-1]


def _corneto(path: Path) -> pd.DataFrame:
    try:
        graph = json.loads(read_text(path, PknError))
    except (ValueError, RecursionError) as cause:
        raise PknError(f"{path}: is no JSON ({cause})") from None
    if not isinstance(graph, dict) or not isinstance(graph.get("edges"), list):
        raise PknError(f"{path}: holds no list of edges; this is no corneto graph")
    rows = []
    for number, edge in enumerate(graph["edges"], 1):
        ends = [_only_node(edge.get(side)) if isinstance(edge, dict) else "" for side in ("source", "target")]
        if not all(ends):
            raise PknError(f"{path}: edge {number} does not join one node to one node: {str(edge)[:80]}")
        attributes = edge.get("attributes") or {}
        sign = attributes.get("interaction", "") if isinstance(attributes, dict) else ""
        rows.append((*ends, str(sign)))
    edges = pd.DataFrame(rows, columns=["parent", "child", "sign"])
    edges["sign"] = signs_of(edges["sign"], str(path))
    return edges


def _only_node(end: Any) -> str:
    """The name of one end's only node; empty if there are more or none."""
    return str(end[0]).strip() if isinstance(end, list) and len(end) == 1 else ""
