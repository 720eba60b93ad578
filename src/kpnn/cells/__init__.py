"""Cells: expression readers, class labels, matching with a PKN's genes, folds, streams."""

from kpnn.cells.expression import Expression
from kpnn.cells.in_memory import InMemory
from kpnn.cells.labels import check_class_labels, read_class_labels
from kpnn.cells.matching import Limits, Matched, match
from kpnn.cells.opening import open_expression
from kpnn.cells.selection import TopGenes, keep_genes
from kpnn.cells.steps import Step
from kpnn.cells.stream import CellStream
from kpnn.cells.streaming_match import StreamedMatch
from kpnn.cells.transform import Transform

__all__ = [
    "CellStream",
    "Expression",
    "InMemory",
    "Limits",
    "Matched",
    "Step",
    "StreamedMatch",
    "TopGenes",
    "Transform",
    "check_class_labels",
    "keep_genes",
    "match",
    "open_expression",
    "read_class_labels",
]
