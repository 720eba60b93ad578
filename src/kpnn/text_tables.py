"""Text tables (CSV, TSV, plain or gzipped) read strictly: what is wrong is said with file and line."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from kpnn.errors import KpnnError, some_names
from kpnn.file_kinds import N_BYTES, kind_by_beginning

MOST_COLUMNS = 10_000
"""A table of names and labels with more columns than this is some other file."""

_ROWS_AT_ONCE = 256

_AROUND_NAME = re.compile("^[\\s\ufeff\u200b\u2060]+|[\\s\ufeff\u200b\u2060]+$")
"""What stands around a name and is not seen: blanks, byte-order marks (each of joined files has one), empty marks."""

_MOST_UNPACKED = 200 * 2**20
_MOST_TIMES = 200
"""What a packed table may unpack to: so many bytes, or so many times its size. Tables of names pack to a tenth."""


def read_text(path: str | Path, error: type[KpnnError]) -> str:
    """Reads a UTF-8 text file, plain, gzipped or alone in a zip archive, with or without a byte-order mark.

    Args:
        path: the file.
        error: what to raise.

    Raises:
        KpnnError: of the given class; no such file, a folder, a broken gzip stream, an empty file,
            or bytes that are not UTF-8 (with the line they stand in).
    """
    place = Path(path)
    if place.is_dir():
        raise error(f"{path}: is a folder, not a file")
    try:
        raw = place.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = _unpacked(gzip.GzipFile(fileobj=io.BytesIO(raw)), len(raw), path, error)
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except (OSError, EOFError, zlib.error) as cause:
        raise error(f"{path}: cannot be read ({cause})") from None
    if raw[:4] == b"PK\x03\x04":
        raw = _only_file_of_zip(raw, path, error)
    _refuse_other_kinds(raw[:N_BYTES], path, error)
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise error(f"{path}: is UTF-16 text; save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = raw.count(b"\n", 0, cause.start) + 1
        raise error(f"{path}, line {line}: byte {raw[cause.start]:#04x} is not UTF-8 text; save it as UTF-8") from None
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise error(f"{path}, line {line}: holds a NUL byte; this is not a text table")
    if not text.strip():
        raise error(f"{path}: is empty")
    return text


@contextmanager
def opened(path: Path, error: type[KpnnError]) -> Iterator[io.BufferedReader]:
    """A file, plain or gzipped, to be read piece by piece; what goes wrong within the block names the file.

    Args:
        path: the file.
        error: what to raise.

    Raises:
        KpnnError: of the given class; the file cannot be read, or its gzip stream is broken.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            unpacked: Any = gzip.GzipFile(fileobj=raw) if packed else raw
            stream = io.BufferedReader(unpacked, 1 << 20)
            _refuse_other_kinds(stream.peek(N_BYTES)[:N_BYTES], path, error)
            yield stream
    except KpnnError:
        raise
    except (OSError, EOFError, zlib.error) as cause:
        raise error(f"{path}: cannot be read ({cause})") from None


def _refuse_other_kinds(begin: bytes, path: str | Path, error: type[KpnnError]) -> None:
    """Says what a file is that begins like something well known that is no text table."""
    found = kind_by_beginning(begin)
    if found is not None:
        raise error(f"{path}: is {found[0]}, not a text table; {found[1]}")


def _unpacked(packed: IO[bytes] | gzip.GzipFile, size: int, path: str | Path, error: type[KpnnError]) -> bytes:
    """What a packed file holds; one that would fill memory is not unpacked to its end."""
    most = max(_MOST_UNPACKED, _MOST_TIMES * size)
    raw = packed.read(most + 1)
    if len(raw) > most:
        raise error(
            f"{path}: unpacks to more than {most / 1e6:,.0f} MB, {_MOST_TIMES} times its size, and is not read; unpack "
            "it yourself if it is what it should be"
        )
    return raw


def _only_file_of_zip(raw: bytes, path: str | Path, error: type[KpnnError]) -> bytes:
    """What a zip archive holds, if that is one file: some databases pack their tables so."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            files = [part for part in archive.infolist() if not part.is_dir()]
            if len(files) == 1:
                with archive.open(files[0]) as packed:
                    return _unpacked(packed, len(raw), path, error)
    except KpnnError:
        raise
    except Exception as cause:  # a damaged archive can be wrong in any way
        raise error(
            f"{path}: is an Excel workbook or another zip archive that cannot be unpacked ({cause}); save it as CSV"
        ) from None
    raise error(f"{path}: is an Excel workbook or another zip archive of {len(files)} files; save it as CSV")


def separator_of(header: str, path: str | Path) -> str:
    """The column separator: by the file's name, else the candidate that the header holds most of, else bar or blank."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    if ".tsv" in suffixes:
        return "\t"
    if not any(separator in header for separator in ",\t;"):
        return next((separator for separator in "| " if separator in header.strip()), ",")
    return max(",\t;", key=header.count)


def column_name(text: str) -> str:
    """The name of a column as it counts, in files and where a user names one: without what is not seen around it."""
    return _AROUND_NAME.sub("", text)


def unquoted(field: str) -> str:
    """A field without the quotes around it, of formats in which quotes mean nothing: spreadsheets add them."""
    return field[1:-1].strip() if len(field) > 1 and field[0] == field[-1] == '"' else field


def header_names(line: str, separator: str) -> list[str]:
    """The names of columns in a header; the one rule for all tables.

    Args:
        line: the header.
        separator: the column separator; of a blank, several count as one.

    Raises:
        csv.Error: a quoted name does not end.
    """
    line = line.strip(" ") if separator == " " else line
    if '"' not in line:
        return [column_name(name) for name in line.split(None if separator == " " else separator)]
    return [column_name(name) for name in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]


def is_above_header(line: str, below: str, path: str | Path) -> bool:
    """Whether a line is no header yet: it is empty, or says something about the file, as instruments' software writes.

    A line that begins with one `#` is the header if it has as many names as the line below it.

    Args:
        line: the first line that is not passed over.
        below: the one below it.
        path: the file, whose name may tell the separator.
    """
    line, below = column_name(line), column_name(below)
    if not line or line.startswith("##"):
        return True
    if not line.startswith("#") or not below or below.startswith("#"):
        return line.startswith("#")
    separator = separator_of(below, path)
    return len(header_names(line, separator)) != len(header_names(below, separator))


def read_string_table(
    path: str | Path,
    error: type[KpnnError],
    *,
    needs: Iterable[str] | Callable[[list[str]], Iterable[str]] = (),
    has_header: bool = True,
    names_rows: bool = False,
    if_missing: str = "",
) -> pd.DataFrame:
    """Reads a small table; every cell stays the text that it is.

    Args:
        path: CSV or TSV, plain or gzipped; comma, tab, semicolon and blank are told apart by the header. Empty lines
            and lines that begin with `#` may stand above it.
        error: what to raise.
        needs: columns that must be there, or what says so of the header.
        has_header: whether the first line names the columns; if not, they are called `1`, `2`...
        names_rows: whether the first column may name the rows and have no name itself, as R writes it, so that the
            header is one shorter than all rows. It always may where it only counts them.
        if_missing: what the user can do where a column is missing.

    Returns:
        One row per line, all columns of type str, surrounding white space removed; empty cells are "". Columns
        without a name and without content are left out.

    Raises:
        KpnnError: of the given class; see `read_text`, and a missing or repeated column, or a line with
            more or fewer columns than the header.
    """
    text = read_text(path, error)
    # A lone carriage return is a line end too (old spreadsheets write it).
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        n_above, start, text = _from_first_line(text, path, has_header=has_header)
        separator = separator_of(start, path)
        header = header_names(start, separator)
    except csv.Error as cause:
        raise error(f"{path}: no header can be read ({cause})") from None
    if start.count(separator) >= MOST_COLUMNS:
        raise error(f"{path}: {start.count(separator) + 1:,} columns; an expression matrix in the place of a table?")
    header[:1] = [name.removeprefix("#").strip() for name in header[:1]]
    if not has_header:
        header = [str(number) for number in range(1, len(header) + 1)]
    needed = needs(header) if callable(needs) else needs
    missing = [name for name in needed if name not in header]
    if missing:
        advice = [_is_data(header, text, separator), if_missing]
        raise error(
            f"{path}: no column {some_names(missing)} (found: {some_names(header)})"
            + "".join(f"; {one}" for one in advice if one)
        )
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated:
        raise error(f"{path}: column {some_names(repeated)} occurs more than once; blanks around a name do not count")
    if separator == " ":
        text = "\n".join(line.strip(" ") for line in text.split("\n"))
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    if has_header:
        next(reader)
    is_short = has_header and separator in " \t" and _is_one_shorter(header, text, separator)
    columns: list[list[str]] = [[] for _ in range(len(header) + is_short)]
    try:
        for rows in _blocks(reader, len(columns)):
            for place, column in enumerate(columns):
                column += [row[place].strip() for row in rows]
        if is_short and not _names_rows(columns[0], by_name=names_rows):
            raise _WrongLine(2, f"{len(columns)} columns where the header has {len(header)}")
    except _WrongLine as wrong:
        raise error(f"{path}, line {n_above + wrong.number}: {wrong.reason}") from None
    header = [""] * is_short + header
    if not columns[0]:
        raise error(f"{path}: has a header but no rows")
    named = [pair for pair in zip(header, columns, strict=True) if pair[0] or any(pair[1])]
    unnamed = [place for place, name in enumerate(header, 1) if not name and any(columns[place - 1])]
    if len(unnamed) > 1 or not named:
        raise error(f"{path}: columns {some_names(unnamed or range(1, len(header) + 1))} have no name")
    return frame_of_texts(dict(named))


def _is_one_shorter(header: list[str], text: str, separator: str) -> bool:
    """Whether the line below the header has one column more than it."""
    below = next((line for line in text.split("\n", 3)[1:3] if line.strip()), "")
    try:
        return len(header_names(below, separator)) == len(header) + 1
    except csv.Error:
        return False


def _names_rows(column: list[str], *, by_name: bool) -> bool:
    """Whether a column without a name says what the rows are called: it counts them, or has a name for each."""
    counts = all(name == str(number) for number, name in enumerate(column, 1))
    return counts or (by_name and all(column) and len(set(column)) == len(column))


def _from_first_line(text: str, path: str | Path, *, has_header: bool) -> tuple[int, str, str]:
    """How many lines stand above the header or the first row, that line, and the text from there on."""
    at = n_above = 0
    line, below_at = _line_from(text, at)
    while below_at < len(text):
        below, _ = _line_from(text, below_at)
        if not (is_above_header(line, below, path) or (line.startswith("#") and not has_header)):
            break
        at, n_above = below_at, n_above + 1
        line, below_at = _line_from(text, at)
    return n_above, line, text[at:]


def _line_from(text: str, at: int) -> tuple[str, int]:
    """The line that begins at a place of a text, and where the next one begins."""
    end = text.find("\n", at)
    return (text[at:], len(text)) if end < 0 else (text[at:end], end + 1)


def frame_of_texts(columns: Mapping[str, list[str]]) -> pd.DataFrame:
    """Columns of text as a table.

    Args:
        columns: name -> as many texts as every other column has.

    Returns:
        The columns, of dtype object.
    """
    # pandas looks at every list for lists inside it, which takes four times as long.
    return pd.DataFrame({name: np.fromiter(texts, dtype=object, count=len(texts)) for name, texts in columns.items()})


class _WrongLine(Exception):
    def __init__(self, number: int, reason: object) -> None:
        self.number, self.reason = number, reason


def _blocks(reader: Any, n_columns: int) -> Iterator[list[list[str]]]:
    """The rows, empty ones left out, some at a time: few enough to stay in the processor's cache, three times faster.

    Raises:
        _WrongLine: a row has another number of columns, or cannot be read.
    """
    while True:
        above, rows = reader.line_num, list[list[str]]()

        def line_of(place: int, above: int = above, rows: list[list[str]] = rows) -> int:
            # A quoted value may run over several lines.
            return above + 1 + sum(1 + "".join(row).count("\n") for row in rows[:place])

        try:
            rows.extend(islice(reader, _ROWS_AT_ONCE))
        except csv.Error as cause:
            raise _WrongLine(line_of(len(rows)), cause) from None
        if not rows:
            return
        is_blank = [not (row and row[0].strip()) and not "".join(row).strip() for row in rows]
        if {len(row) for row in rows} != {n_columns}:
            for place, row in enumerate(rows):
                if len(row) != n_columns and not is_blank[place]:
                    raise _WrongLine(line_of(place), f"{len(row)} columns where the header has {n_columns}")
        if any(is_blank):
            rows = [row for row, blank in zip(rows, is_blank, strict=True) if not blank]
        yield rows


def _is_data(header: list[str], text: str, separator: str) -> str:
    """What to say where the first line looks like data: one of its names stands again below itself."""
    below = [line.split(separator) for line in text.split("\n")[1:1000]]
    for column, name in enumerate(header):
        if name and any(len(row) > column and row[column].strip() == name for row in below):
            return "the first line seems to be data: put a line with the names of the columns above it"
    return ""
