"""What else a file knows about its cells: cell type, batch, donor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kpnn.cells.expression import Expression


def described_cells(expression: Expression, columns: Sequence[str], barcodes: pd.Index) -> pd.DataFrame:
    """Reads columns of the cells.

    Args:
        expression: an opened file that holds them, as AnnData does in `obs`.
        columns: their names.
        barcodes: of which cells.

    Returns:
        Text, index the barcodes, a column for each name; missing is empty.

    Raises:
        CellsError: there is no such column, or no such cell.
    """
    rows = expression.locate(barcodes) if len(columns) else np.zeros(0, dtype=int)
    return pd.DataFrame({name: expression.cell_column(name)[rows].to_numpy() for name in columns}, index=barcodes)
