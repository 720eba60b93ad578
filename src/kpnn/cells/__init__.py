"""Cells: expression readers, class labels, matching with a PKN's genes, folds."""

from kpnn.cells.expression import Expression
from kpnn.cells.labels import check_class_labels, read_class_labels
from kpnn.cells.matching import Limits, Matched, Step, gene_of, match
from kpnn.cells.opening import open_expression
from kpnn.cells.transform import Transform

__all__ = [
    "Expression",
    "Limits",
    "Matched",
    "Step",
    "Transform",
    "check_class_labels",
    "gene_of",
    "match",
    "open_expression",
    "read_class_labels",
]
