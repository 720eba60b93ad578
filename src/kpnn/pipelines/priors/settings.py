"""Settings of the `priors` pipeline."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from kpnn.errors import PknError, near_names
from kpnn.pipelines.download.settings import FetchSettings, Fingerprint
from kpnn.pkn.edge_options import checked_options
from kpnn.pkn.formats import format_of_name
from kpnn.pkn.readers import read_edges
from kpnn.settings_base import Settings

_OPTIONS = {name: one.default for name, one in inspect.signature(read_edges).parameters.items() if name != "path"}


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

    @model_validator(mode="after")
    def _files_can_be_read_so(self) -> PriorsSettings:
        for name, file in self.files.items():
            unknown = [option for option in file.options if option not in _OPTIONS]
            if unknown:
                raise ValueError(
                    f"files.{name}.options.{unknown[0]}: no such option; {near_names(unknown[0], _OPTIONS)}"
                )
            if file.kind == "edges":
                given = {option: file.options.get(option, default) for option, default in _OPTIONS.items()}
                try:
                    checked_options(f"files.{name}.options", given["format"] or format_of_name(Path(name)), given)
                except PknError as error:
                    raise ValueError(str(error)) from None
        return self

    @property
    def chosen(self) -> dict[str, PriorFile]:
        """The files that are wanted: all, if nothing is said."""
        return {name: file for name, file in self.files.items() if self.wanted is None or name in self.wanted}
