"""Settings of the `download` pipeline."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from kpnn.settings_base import MOST_SECONDS_OF_A_SERVER, Settings


def _is_a_fingerprint(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("must be 64 hexadecimal digits in lower case")
    return value


Fingerprint = Annotated[str, AfterValidator(_is_a_fingerprint)]
"""SHA-256 of a file."""


class Expectation(Settings):
    """What a file must hold; what is not said is not checked.

    Attributes:
        edges: number of edges.
        nodes: number of nodes.
        inputs: number of leaves.
        outputs: names of the roots.
        cells: number of cells.
        genes: number of genes (columns, repeated names counted).
        positives: label -> number of cells of class 1.
    """

    edges: int | None = Field(default=None, ge=0)
    nodes: int | None = Field(default=None, ge=0)
    inputs: int | None = Field(default=None, ge=0)
    outputs: tuple[str, ...] | None = None
    cells: int | None = Field(default=None, ge=0)
    genes: int | None = Field(default=None, ge=0)
    positives: dict[str, int] | None = None


class RemoteFile(Settings):
    """One file of the study.

    Attributes:
        kind: what it is, and so how it is checked.
        sha256: its fingerprint, where it is known beforehand.
        expect: what it must hold.
    """

    kind: Literal["edges", "class_labels", "expression"]
    sha256: Fingerprint | None = None
    expect: Expectation = Expectation()


class FetchSettings(Settings):
    """Where fetched files belong, and how long to try.

    Attributes:
        folder: where the files are written.
        attempts: connections without a byte gained before giving up.
        first_wait_seconds: pause after the first failure, doubled after every further one.
        timeout_seconds: longest silence of the server.
    """

    folder: str = Field(default="data/01_raw/demo", min_length=1)
    attempts: int = Field(default=5, ge=1, le=1000)
    first_wait_seconds: float = Field(default=1.0, ge=0, le=MOST_SECONDS_OF_A_SERVER)
    timeout_seconds: float = Field(default=30.0, gt=0, le=MOST_SECONDS_OF_A_SERVER)

    @field_validator("files", check_fields=False)
    @classmethod
    def _plain_names(cls, files: dict[str, Any]) -> dict[str, Any]:
        for name in files:
            if not name or "/" in name or "\\" in name or name.startswith("."):
                raise ValueError(f"{name!r} is not a plain file name")
        return files


class DownloadSettings(FetchSettings):
    """Which files of a study to fetch; see `conf/tcr/parameters_download.yml`.

    Attributes:
        address: where the files are; redirects are followed.
        files: name of a file at that address -> what it is.
    """

    address: str = ""
    files: dict[str, RemoteFile] = Field(default_factory=dict)

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value
