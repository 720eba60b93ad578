"""Sets of genes: GMT, GO's annotations (GAF) and Reactome's files. A set is the parent of its genes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from kpnn.errors import PknError, some_names
from kpnn.pkn.account import Dropped, few_of
from kpnn.pkn.formats.stated import Stated
from kpnn.text_tables import read_text, unquoted

_WITH_WEIGHT = re.compile(r"(.+),-?\d+(\.\d+)?(e-?\d+)?", re.IGNORECASE)
_GAF_COLUMNS = (
    "database", "id", "symbol", "qualifier", "term", "reference", "evidence", "with", "aspect", "name", "synonym",
    "type", "taxon", "date", "assigned_by", "extension", "form",
)  # fmt: skip
_REACTOME_COLUMNS = {
    6: ("gene", "pathway", "url", "name", "evidence", "species"),
    8: ("gene", "entity", "entity_name", "pathway", "url", "name", "evidence", "species"),
}
_REACTOME_SPECIES = re.compile(r"R-([A-Z]{3})-\d+")


def read_gmt(path: Path, columns: Mapping[str, str | int]) -> Stated:
    """Reads GMT: a set's name, its description, and its genes, separated by tabs.

    Args:
        path: the file.
        columns: `parent`: `name` (1, the usual) or `description` (2), where Reactome has its identifiers.

    Raises:
        PknError: a line has no tabs or no name.
    """
    chosen = columns.get("parent", "name")
    if chosen not in ("name", "description", 1, 2):
        raise PknError(f"{path}: columns: a set's `parent` is its name (1) or its description (2), found {chosen}")
    rows: list[tuple[str, str, str]] = []
    empty: list[str] = []
    lines_of: Counter[str] = Counter()
    n_weights = 0
    for number, line in enumerate(read_text(path, PknError).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if "\t" not in line:
            raise PknError(f"{path}, line {number}: has no tabs; GMT is a set's name, its description and its genes")
        name, description, *genes = (unquoted(field.strip()) for field in line.split("\t"))
        named = name if chosen in ("name", 1) else description
        if not named:
            raise PknError(
                f"{path}, line {number}: the set has no {'name' if chosen in ('name', 1) else 'description'}"
            )
        lines_of[named] += 1
        found = [gene for gene in genes if gene]
        weighted = [_WITH_WEIGHT.fullmatch(gene) for gene in found]
        if found and all(weighted):  # Enrichr writes `GENE,1.0`
            found = [match[1] for match in weighted if match]
            n_weights += len(found)
        if not found:
            empty.append(named)
        rows += [(named, gene, description) for gene in found]
    table = pd.DataFrame(rows, columns=["parent", "child", "description"], dtype=object)
    notes: tuple[str, ...] = (f"{len(empty):,} sets hold no gene: {few_of(empty)}",) if empty else ()
    repeated = [name for name, n_lines in lines_of.items() if n_lines > 1]
    if repeated:
        notes += (f"{len(repeated):,} sets have several lines, whose genes are joined: {few_of(repeated)}",)
    if n_weights:
        notes += (f"the weights of {n_weights:,} genes are not used",)
    return Stated(table[["parent", "child"]], table[["description"]], notes=notes)


def read_gaf(path: Path, columns: Mapping[str, str | int]) -> Stated:
    """Reads GO's annotations: a term is the parent of the genes that are annotated with it.

    Args:
        path: a GAF file, version 2.
        columns: `child`: `symbol` (the usual) or `id`.

    Raises:
        PknError: a line has too few columns.
    """
    child = _choice(path, columns, "child", ("symbol", "id"))
    table = _rows(path, {15: _GAF_COLUMNS[:15], 16: _GAF_COLUMNS[:16], 17: _GAF_COLUMNS}, comment="!")
    edges = pd.DataFrame({"parent": table["term"], "child": table[child]})
    is_denied = table["qualifier"].str.split("|").map(lambda words: "NOT" in words)
    denied = edges[is_denied]
    dropped = Dropped("annotations with NOT", len(denied), tuple(denied["child"].head(3)))
    left = table[~is_denied].reset_index(drop=True)
    return Stated(edges[~is_denied].reset_index(drop=True), left, passed_over=(dropped,) if len(denied) else ())


def read_reactome_genes(path: Path, columns: Mapping[str, str | int]) -> Stated:
    """Reads `Ensembl2Reactome.txt`, `NCBI2Reactome.txt`, `UniProt2Reactome.txt` and their `All_Levels`.

    Args:
        path: the file.
        columns: `parent`: `pathway` (its identifier, the usual) or `name`.

    Raises:
        PknError: a line has another number of columns than six (or eight, of physical entities).
    """
    parent = _choice(path, columns, "parent", ("pathway", "name"))
    table = _rows(path, _REACTOME_COLUMNS)
    return Stated(pd.DataFrame({"parent": table[parent], "child": table["gene"]}), table)


def read_reactome_pathways(path: Path, _columns: Mapping[str, str | int]) -> Stated:
    """Reads `ReactomePathwaysRelation.txt`: which pathway is the parent of which.

    The column `species` is that of the child's identifier: HSA, MMU...

    Raises:
        PknError: a line has another number of columns than two.
    """
    table = _rows(path, {2: ("parent", "child")})
    species = table["child"].str.extract(_REACTOME_SPECIES, expand=False).fillna("")
    return Stated(table, pd.DataFrame({"species": species}))


def _choice(path: Path, columns: Mapping[str, str | int], field: str, known: tuple[str, ...]) -> str:
    chosen = str(columns.get(field, known[0]))
    if chosen not in known:
        raise PknError(f"{path}: columns: `{field}` is one of {some_names(known)}, found {chosen}")
    return chosen


def _rows(path: Path, names: Mapping[int, tuple[str, ...]], comment: str = "#") -> pd.DataFrame:
    """The lines of a file without a header; quotes mean nothing in it.

    Args:
        path: the file.
        names: number of columns -> what they are called.
        comment: how lines begin that say something about the file.
    """
    rows, width = [], 0
    for number, line in enumerate(read_text(path, PknError).splitlines(), 1):
        if not line.strip() or line.startswith(comment):
            continue
        fields = [field.strip() for field in line.split("\t")]
        width = width or len(fields)
        if len(fields) != width or width not in names:
            expected = width if width in names else " or ".join(map(str, names))
            raise PknError(f"{path}, line {number}: {len(fields)} columns where there should be {expected}")
        rows.append(fields)
    if not rows:
        raise PknError(f"{path}: no edges")
    return pd.DataFrame(rows, columns=list(names[width]), dtype=object)
