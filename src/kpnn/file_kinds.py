"""What a file is that is not what it should be, by how it begins."""

from __future__ import annotations

import re

_UNPACK = "unpack it first ({})"
_BEGINNINGS = (
    (b"\x1f\x8b", "packed by gzip", _UNPACK.format("gunzip FILE")),
    (b"PK\x03\x04", "a zip archive", _UNPACK.format("unzip FILE")),
    (b"BZh", "packed by bzip2", _UNPACK.format("bunzip2 FILE")),
    (b"\xfd7zXZ", "packed by xz", _UNPACK.format("unxz FILE")),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", _UNPACK.format("unzstd FILE")),
    (b"\x89HDF\r\n", "HDF5", "say so by its name or `format:`"),
    (b"PAR1", "Parquet", "write it as CSV"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself with `git lfs pull`"),
)
_WEB_PAGE = re.compile(rb"<!doctype\s+html|<html[\s>]", re.IGNORECASE)

N_BYTES = 512
"""How many bytes of a file's beginning are looked at."""


def kind_by_beginning(begin: bytes) -> tuple[str, str] | None:
    """What a file is that begins so, in words, and what to do; None where nothing well known begins so.

    Args:
        begin: the first `N_BYTES` bytes.
    """
    for magic, kind, advice in _BEGINNINGS:
        if begin.startswith(magic):
            return kind, advice
    if begin.lstrip()[:1] == b"<" and _WEB_PAGE.search(begin):
        return "a web page", "the download was redirected or refused"
    return None
