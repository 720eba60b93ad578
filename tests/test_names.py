"""Users' names where not every name is legal, and addresses where not everything may be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name

from kpnn.addresses import first_line, shown, without_credentials
from kpnn.names import legal_name, legal_names

HOSTILE = [
    "CD4+/CD25 T Reg", "A/B", "A:B", "A_B", "tcr", "TCR", "", " ", ".", "..", "../../etc/passwd", "/root", "a//b",
    "=cmd", 'quote"d', "it's", "<script>alert(1)</script>", "two\nlines", "tab\t", "\x00", "😀", "‮drow", "β-cell", "Ä",
    "A\u0308", "nan", "index", "parent", "0", "x" * 10_000, "x" * 10_001, "%2e%2e", "a b", "a  b", "trailing ",
    "Naïve CD8",
]  # fmt: skip


def check(names: list[str]) -> None:
    legal = legal_names(names)
    assert len({name.casefold() for name in legal.values()}) == len(legal)
    for name in legal.values():
        for prefix in ("", "roc_auc_", "params."):
            _validate_metric_name(prefix + name)
            _validate_param_name(prefix + name)
            _validate_tag_name(prefix + name)
        assert len(name) <= 240 and "/" not in name and ":" not in name


def test_every_name_becomes_legal_and_all_stay_apart():
    check(HOSTILE)


@given(st.lists(st.text(max_size=30), unique=True, max_size=6))
def test_so_do_names_that_nobody_thought_of(names):
    check(names)


@pytest.mark.parametrize("name", ["roc_auc", "T cell", "CD8-effector", "Naïve CD8", "sha256.Data.h5", "0"])
def test_a_legal_name_stays_as_it_is(name):
    assert legal_name(name) == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://ada:lovelace@host:5000/x", "http://***@host:5000/x"),
        ("at http://ada:love@lace@host: refused", "at http://***@host: refused"),
        ("postgresql+psycopg://ada:love/lace@host/db", "postgresql+psycopg://***@host/db"),
        ("https://host/?api_token=lovelace&x=1", "https://host/?api_token=***&x=1"),
        ("postgresql://host/db?user=ada&password=lovelace", "postgresql://host/db?user=ada&password=***"),
        ("sqlite:///data/optuna.db", "sqlite:///data/optuna.db"),
        ("tcp://host:8786, mail to me@host", "tcp://host:8786, mail to me@host"),
    ],
)
def test_credentials_of_addresses_are_hidden_and_all_else_stays(text, expected):
    assert without_credentials(text) == expected
    assert first_line(ValueError(f"{text}\nmore")) == expected
    assert shown({"a": [text, 1, None], "b": {"c": text}}) == {"a": [expected, 1, None], "b": {"c": expected}}
