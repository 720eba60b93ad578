"""What an expression file holds: which of its matrices to take, and by which names its genes meet the network's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kpnn.app.init.genes import GeneLook, GeneNames, look_at_genes
from kpnn.app.init.values import MatrixValues, best_of, look_at_values
from kpnn.cells import Expression, open_expression
from kpnn.cells.formats.anndata_file import AnnDataFile
from kpnn.cells.matching import turned_round
from kpnn.errors import CellsError, GenomeError, NoMatrixError, some_names

_MOST_MATRICES = 8
"""Matrices of one file that are looked at: some files hold dozens of layers."""
_USUAL_COLUMN = "gene_ids"
"""The column of `var` in which 10x and scanpy keep their genes' other names."""
_MOST_COLUMNS = 40
"""Columns of `var` that are looked at for names of genes."""


@dataclass(frozen=True)
class CellsLook:
    """What the expression file holds and what is taken of it.

    Attributes:
        path: the file or folder.
        options: what the catalog says about it beside the path.
        handle: the file, opened by these options.
        values: the matrix that is taken.
        matrices: all that were looked at.
        genes: how its genes meet the network's.
        wider: the other matrices that could be taken and measure more of the network's genes -> how many.
    """

    path: Path
    options: dict[str, Any]
    handle: Expression = field(repr=False)
    values: MatrixValues
    matrices: tuple[MatrixValues, ...]
    genes: GeneLook
    wider: Mapping[str, int] = field(default_factory=dict)


def open_cells(path: Path, options: dict[str, Any]) -> Expression:
    """Opens the file to look at the names in it.

    Args:
        path: the file or folder.
        options: what the user said about it.

    Raises:
        CellsError: it cannot be opened.
    """
    try:
        return open_expression(path, **options)
    except GenomeError as error:
        raise GenomeError(f"{error} (--genome)") from None
    except NoMatrixError:
        if "values" in options:
            raise
        return open_expression(path, **options, values="auto")


def look_at_cells(handle: Expression, path: Path, options: dict[str, Any], wanted: Iterable[str]) -> CellsLook:
    """Looks at the values of some cells in every matrix of the file, and at the names of its genes.

    Args:
        handle: the file, by `open_cells`; it knows which of its sides holds the cells.
        path: the file or folder.
        options: what the user said about it.
        wanted: genes of the network.

    Raises:
        CellsError: there is no matrix that a network can be trained on, or none of the network's genes in it.
    """
    # Files of other formats hold one matrix, which has no name.
    handles = dict(_by_matrix(path, options, handle)) if isinstance(handle, AnnDataFile) else {"": handle}
    found = [look_at_values(one, name) for name, one in handles.items()]
    chosen = best_of(found)
    if chosen is None:
        held = "; ".join(f"{one.name or 'its values'}: {one.kind} ({one.why})" for one in found)
        advice = "name a file of counts"
        if isinstance(handle, AnnDataFile):
            others = handle.other_values if "values" in options else ()
            advice = "add the matrix of counts as a layer, or as .raw"
            advice = f"leave --values out, or name another ({some_names(others)})" if others else advice
        raise CellsError(f"{path}: holds no counts, logarithms or other values that are not scaled ({held}); {advice}")
    taken, more = handles[chosen.name], {"values": chosen.name} if chosen.name not in ("", "X") else {}
    known = list(wanted)
    genes = look_at_genes(_names_of(taken, path, options | more), known)
    if not genes.n_found:
        advice = turned_round(handle, genes=known) or (f"; {genes.advice}" if genes.advice else "")
        raise CellsError(f"{path}: has none of the network's {genes.n_wanted:,} genes{advice}")
    wider = {}
    for name in (one.name for one in found if one.is_usable and one.n_genes > chosen.n_genes):
        n_found = look_at_genes(_names_of(handles[name], path, options | {"values": name}), known).n_found
        if n_found > genes.n_found:
            wider[name] = n_found
    return CellsLook(path, options | more | genes.chosen.options, taken, chosen, tuple(found), genes, wider)


def _by_matrix(path: Path, options: dict[str, Any], handle: AnnDataFile) -> Iterator[tuple[str, Expression]]:
    yield handle.values, handle
    for name in handle.other_values[:_MOST_MATRICES] if "values" not in options else ():
        yield name, open_expression(path, **options, values=name)


def _names_of(handle: Expression, path: Path, options: dict[str, Any]) -> Iterator[GeneNames]:
    yield GeneNames("gene names", {}, handle.symbols)
    if not isinstance(handle, AnnDataFile):
        if handle.gene_ids is not None:
            yield GeneNames("gene ids", {"gene_names": "id"}, handle.gene_ids)
        return
    for column in sorted(handle.gene_columns, key=lambda name: name != _USUAL_COLUMN)[:_MOST_COLUMNS]:
        try:
            ids = open_expression(path, **options, gene_names="id", id_column=column).gene_ids
        except CellsError:  # a damaged column troubles only who needs it
            continue
        # What repeats says something else of genes: numbers of cells could pass for Entrez' ids.
        if ids is not None and ids.nunique() > len(ids) / 2:
            more = {} if column == _USUAL_COLUMN else {"id_column": column}
            yield GeneNames(f"column {column} of var", {"gene_names": "id", **more}, ids)
