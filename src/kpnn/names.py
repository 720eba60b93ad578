"""A user's names in name spaces that do not take every name: made legal, and kept apart."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

_LONGEST = 200  # characters; MLflow takes 250, and some of its keys have a prefix


def legal_name(name: str, *, apart: bool = False) -> str:
    """The name as MLflow takes it, on any system and in any of its databases.

    A legal name stays. Another has each character that is not a letter, a digit or one of `_.- ` replaced by `_`, and
    ends in a short hash of the original, so that `A/B` and `A:B` stay apart, and each is the same in every run.

    Args:
        name: any text.
        apart: give it its hash although it is legal.

    Examples:
        >>> legal_name("roc_auc_T cell")
        'roc_auc_T cell'
        >>> legal_name("A/B"), legal_name("A:B")
        ('A_B-998d3e', 'A_B-5a33e1')
    """
    text = unicodedata.normalize("NFC", name)
    legal = re.sub(r"[^\w.\- ]", "_", text)[:_LONGEST].strip(" .")
    if name and legal == name and not apart:
        return name
    return f"{legal}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}".lstrip("-")


def legal_names(names: Iterable[str]) -> dict[str, str]:
    """Legal names that stay apart even where case does not count, by the original.

    Args:
        names: that stand in one place, such as the metrics of a run.
    """
    legal = {name: legal_name(name) for name in names}
    alike = Counter(known.casefold() for known in legal.values())
    return {name: legal_name(name, apart=alike[known.casefold()] > 1) for name, known in legal.items()}
