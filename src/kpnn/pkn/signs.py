"""Signs in any of the usual spellings."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kpnn.errors import PknError, some_names

_POSITIVE = ("1", "+", "+1", "1.0", "activation", "activates", "stimulation", "stimulates", "up", "positive", "->")
_NEGATIVE = ("-1", "-", "-1.0", "inhibition", "inhibits", "repression", "represses", "down", "negative", "-|")
_UNKNOWN = ("", "0", "0.0", "unknown", "na", "nan", "none", "?", "pp", "pd", "interacts", "interaction")
_SIGNS = {**dict.fromkeys(_POSITIVE, 1), **dict.fromkeys(_NEGATIVE, -1), **dict.fromkeys(_UNKNOWN, 0)}


def signs_of(column: pd.Series, where: str) -> pd.Series:
    """Signs in any of the usual spellings (1, +, activation, stimulation...) as 1, -1 or 0.

    Numbers between -1 and 1, such as a regulon's weights, say their sign.

    Raises:
        PknError: a spelling is none of them.
    """
    said = pd.Series(column.unique(), dtype=object)
    texts = said.astype(str).str.strip().str.lower()
    numbers = pd.to_numeric(texts.where(~texts.isin(_SIGNS)), errors="coerce")
    signs = texts.map(_SIGNS).fillna(np.sign(numbers.where(numbers.abs() <= 1)))
    if signs.isna().any():
        raise PknError(
            f"{where}: {some_names(said[signs.isna()])} is not a sign (1, -1, empty, activation..., or a number "
            "between -1 and 1)"
        )
    return column.map(dict(zip(said, signs, strict=True))).astype("int8")
