"""What the nodes of the `data_engineering` pipeline hand each other."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from kpnn.cells import ClassLabels, Embedding, Expression, Matched, StreamedMatch
from kpnn.handed_on import HandedOn
from kpnn.pkn import Dag, Pkn
from kpnn.pkn.account import ReadAccount
from kpnn.pkn.coverage import Coverage


@dataclass(frozen=True, eq=False)
class CheckedLabels(HandedOn):
    """Class labels that can be used, and the cells that they are of.

    Attributes:
        of_cells: the labels, their columns named as the user has them.
        expression: the opened file; a file from afar is fetched once.
        batches: donor, sample, batch of each labelled cell, as far as columns of such names hold them; index the
            barcodes.
    """

    of_cells: ClassLabels
    expression: Expression
    batches: pd.DataFrame


@dataclass(frozen=True, eq=False)
class StatedNetwork(HandedOn):
    """The network as the files have it.

    Attributes:
        pkn: its edges, inputs and outputs.
        sources: the files.
        node_of: label column -> the output node that predicts it.
        accounts: what was read of the files, and what was left out.
    """

    pkn: Pkn
    sources: tuple[str, ...]
    node_of: dict[str, str]
    accounts: tuple[ReadAccount, ...] = ()


@dataclass(frozen=True, eq=False)
class MatchedStudy(HandedOn):
    """Labelled cells and a network that name the same genes.

    Attributes:
        cells: the labelled cells with the genes of `pkn`'s inputs, in their order.
        labels: the labels, their columns named as the output nodes; of all labelled cells.
        stated_pkn: the network as the files have it.
        pkn: the same, pruned to measured genes.
        sources: the files that cells, labels and network come from.
        columns: what else is to be known about each cell, the groups among it, index the barcodes.
        batches: as in `CheckedLabels`.
        embedding: place of each cell in two dimensions, if the file says it.
        coverage: how the network's genes and those of the expression file meet.
        accounts: as in `StatedNetwork`.
    """

    cells: Matched | StreamedMatch
    labels: ClassLabels
    stated_pkn: Pkn
    pkn: Pkn
    sources: tuple[str, ...]
    columns: pd.DataFrame
    coverage: Coverage
    accounts: tuple[ReadAccount, ...]
    batches: pd.DataFrame
    embedding: Embedding | None = None


@dataclass(frozen=True, eq=False)
class PreparedStudy(HandedOn):
    """A study about which nothing is wrong.

    Attributes:
        matched: its cells and its network.
        full_dag: the DAG of the `full` arm.
        most_edges: with `full_dag: most_edges`, no DAG of the network holds more edges; else None.
        folds: `repeat`, `fold`, `barcode`: which cells each fold holds out.
    """

    matched: MatchedStudy
    full_dag: Dag
    most_edges: int | None
    folds: pd.DataFrame
