"""Settings of the `priors` pipeline."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from kpnn.errors import near_names
from kpnn.pipelines.download.settings import FetchSettings, Fingerprint
from kpnn.settings_base import Settings


class PriorFile(Settings):
    """One file of public knowledge.

    Attributes:
        address: where it is.
        licence: under what terms it may be used, as its makers say; kept beside the file.
        reference: what to cite.
        sha256: its fingerprint, where one version and no other is wanted.
        kind: `edges`: edges or sets of genes, checked by reading them; `names`: a table of names for `rename`.
        at_least: fewest edges (or lines of names) that it must hold.
        options: how its edges are read, as in the catalog (`kpnn.pkn.readers.read_edges`).
    """

    address: str
    licence: str
    reference: str = ""
    sha256: Fingerprint | None = None
    kind: Literal["edges", "names"] = "edges"
    at_least: int = Field(default=1, ge=1)
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value


class PriorsSettings(FetchSettings):
    """Which knowledge to fetch; see `conf/base/parameters_priors.yml`.

    Attributes:
        wanted: names of the files to fetch; None: all.
        files: name that a file gets -> what it is.
    """

    wanted: tuple[str, ...] | None = None
    files: dict[str, PriorFile] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _knows_what_is_wanted(self) -> PriorsSettings:
        for name in self.wanted or ():
            if name not in self.files:
                raise ValueError(f"wanted: there is no file {name}; {near_names(name, self.files)}")
        return self

    @property
    def chosen(self) -> dict[str, PriorFile]:
        """The files that are wanted: all, if nothing is said."""
        return {name: file for name, file in self.files.items() if self.wanted is None or name in self.wanted}
