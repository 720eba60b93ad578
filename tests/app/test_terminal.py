"""Log lines in a terminal of 80 columns, and in a file."""

import logging
import os

import pytest

from kpnn.app.terminal import Failure, TerminalFormatter, TerminalHook

LONG = "a network can learn depth instead of biology: " + "name the donor or sample in cross_validation.group_by " * 3


def formatted(message, width):
    record = logging.LogRecord("kpnn", logging.WARNING, __file__, 1, message, (), None)
    formatter = TerminalFormatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    formatter.width = lambda: width
    return formatter.format(record)


def test_a_long_line_is_broken_between_words_below_its_beginning():
    lines = formatted(LONG, 80).splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= 80
    assert all(line.startswith(" " * 17) and line[17] != " " for line in lines[1:])
    assert " ".join(" ".join(lines).split()).endswith(" ".join(LONG.split()))


@pytest.mark.parametrize("width", [None, 20])
def test_files_and_very_narrow_terminals_get_the_line_whole(width):
    assert formatted(LONG, width).splitlines() == [formatted(LONG, None)]


def test_tables_and_addresses_stay_as_they_are():
    table = "scores\n                 full         pruned\nROC-AUC         0.972          0.972"
    assert formatted(table, 80) == formatted(table, None)
    address = "http://127.0.0.1:5000/" + "x" * 90
    assert address in formatted(f"see {address}", 80).split()


def test_the_form_of_the_projects_lines_is_kept(monkeypatch):
    terminal, file = logging.StreamHandler(), logging.FileHandler(os.devnull)
    for handler in (terminal, file):
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s", "%H"))
    monkeypatch.setattr(logging.getLogger(), "handlers", [terminal, file])
    TerminalHook().after_context_created()
    assert isinstance(terminal.formatter, TerminalFormatter)
    assert type(file.formatter) is logging.Formatter
    record = logging.LogRecord("kpnn", logging.INFO, __file__, 1, "a word", (), None)
    assert terminal.formatter.format(record) == "INFO: a word"


def test_an_error_in_a_terminal_is_broken_between_words_and_elsewhere_whole(monkeypatch, capsys):
    path = "/data/of/mine/" + "x" * 90 + ".h5ad"
    message = f"{path}: has none of the network's genes; bring them to one kind of names. " * 2
    Failure(message).show()
    assert capsys.readouterr().err == f"Error: {message}\n"
    monkeypatch.setattr("kpnn.app.terminal.terminal_width", lambda: 80)
    Failure(message).show()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 3 and path in " ".join(lines).split(":")[1]
    assert all(len(line) <= 80 or path in line for line in lines)
