"""Cells: expression readers, class labels, matching with a PKN's genes, folds, and where matched cells are kept."""

from kpnn.cells.account import Step
from kpnn.cells.batches import BatchByClass, batch_columns, batch_warnings, batches_by_class, names_batches
from kpnn.cells.classes import LabelSettings
from kpnn.cells.depth import DepthByClass, depth_by_class, depth_by_column, depth_warnings, warn_of_depth
from kpnn.cells.described import UMAP, Embedding, described_cells, embedding_of
from kpnn.cells.expression import Expression
from kpnn.cells.formats import open_expression
from kpnn.cells.formats.in_memory import InMemory
from kpnn.cells.labelling import ClassLabels, label_cells
from kpnn.cells.labels import check_class_labels, read_class_labels, read_label_table
from kpnn.cells.matched import DEPTH, Matched, PendingCells, StreamedMatch
from kpnn.cells.matching import CountLimits, match
from kpnn.cells.store import CellsInMemory, CellsOnDisk, CellStore
from kpnn.cells.transforms import LibrarySize, Transform, settled_library_size

__all__ = [
    "DEPTH",
    "UMAP",
    "BatchByClass",
    "CellStore",
    "CellsInMemory",
    "CellsOnDisk",
    "ClassLabels",
    "CountLimits",
    "DepthByClass",
    "Embedding",
    "Expression",
    "InMemory",
    "LabelSettings",
    "LibrarySize",
    "Matched",
    "PendingCells",
    "Step",
    "StreamedMatch",
    "Transform",
    "batch_columns",
    "batch_warnings",
    "batches_by_class",
    "check_class_labels",
    "depth_by_class",
    "depth_by_column",
    "depth_warnings",
    "described_cells",
    "embedding_of",
    "label_cells",
    "match",
    "names_batches",
    "open_expression",
    "read_class_labels",
    "read_label_table",
    "settled_library_size",
    "warn_of_depth",
]
