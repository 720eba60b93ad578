"""What can be asked of a file of edges; every option means the same in every format that can honour it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator, model_validator

from kpnn.errors import PknError, near_names, some_names
from kpnn.pkn.formats import FORMATS, EdgeFormat
from kpnn.pkn.formats.stated import FIELDS
from kpnn.settings_base import Settings
from kpnn.text_tables import column_name

Direction = Literal["parent_to_child", "child_to_parent"]
Undirected = Literal["error", "drop"]
Complexes = Literal["keep", "members", "drop"]

_ColumnName = Annotated[str, AfterValidator(column_name)]

_Model = TypeVar("_Model", bound=BaseModel)


class Limits(Settings):
    """A closed range of numbers.

    Attributes:
        at_least: the least; None: no limit. at_most: the most.
    """

    largest_number: ClassVar[float] = float("inf")  # of a file's own column

    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Limits:
        if self.at_least is None and self.at_most is None:
            raise ValueError("needs at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least:g} is above at_most {self.at_most:g}")
        return self


class CostRule(Settings):
    """How much an edge costs to keep, by the evidence for it: 1 for the best, `worst` for the weakest and for none.

    Attributes:
        rule: `levels` looks the cost of a column's value up; `number` takes the column for a number n of references,
            `items` counts the column's entries (`;`, `|` or `,` between them), `rows` the rows that state the pair:
            each costs 1 + (worst - 1) / n; `score` takes the column for a score up to `best`: it costs
            1 + (worst - 1) * (1 - score / best).
        column: the column's name, or its number in a table without a header.
        levels: value -> cost, of the rule `levels`.
        worst: cost of the weakest evidence. At 2 an edge that nobody else reports costs as much as two that everybody
            does; close to 1, evidence only decides between DAGs of the same size. By default 2, of `levels` the
            highest of them.
        best: the highest score, of the rule `score`.
    """

    rule: Literal["levels", "number", "items", "rows", "score"]
    column: _ColumnName | int | None = None
    levels: dict[str, float] | None = None
    worst: float | None = Field(default=None, ge=1)
    best: float | None = Field(default=None, gt=0)

    @field_validator("levels", mode="before")
    @classmethod
    def _names_are_texts(cls, value: Any) -> Any:
        return {str(key): cost for key, cost in value.items()} if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _fits(self) -> CostRule:
        if (self.column is None) != (self.rule == "rows"):
            raise ValueError(f"rule {self.rule} " + ("takes no column" if self.rule == "rows" else "needs a column"))
        for name in ("levels", "best"):
            if (getattr(self, name) is not None) != (self.rule == {"levels": "levels", "best": "score"}[name]):
                raise ValueError(f"`{name}` belongs to the rule {'levels' if name == 'levels' else 'score'}")
        if self.levels is not None and not (self.levels and min(self.levels.values()) > 0):
            raise ValueError("levels need costs above 0")
        return self

    @property
    def highest(self) -> float:
        """Cost of the weakest evidence."""
        if self.worst is not None:
            return self.worst
        return 2.0 if self.levels is None else max(self.levels.values())


class Rename(Settings):
    """A table by which names are changed: orthologues, identifiers to symbols.

    Attributes:
        filepath: CSV or TSV, or an ontology in OBO, whose identifiers become names of terms.
        source: the column of the names that the network has (`from`); a number in a table without a header.
        target: the column of the names that they get (`to`).
        of: which ends of edges are renamed.
        missing: what becomes of a name that the table lacks.
    """

    filepath: str
    source: _ColumnName | int | None = Field(default=None, alias="from")
    target: _ColumnName | int | None = Field(default=None, alias="to")
    of: Literal["both", "parent", "child"] = "both"
    missing: Literal["keep", "drop", "error"] = "keep"

    @model_validator(mode="after")
    def _says_its_columns(self) -> Rename:
        is_obo = self.filepath.lower().removesuffix(".gz").endswith(".obo")
        if is_obo and (self.source is not None or self.target is not None):
            raise ValueError("an ontology has no columns: leave `from` and `to` out")
        if not is_obo and (self.source is None or self.target is None):
            raise ValueError("say which columns hold the names: `from` and `to`")
        if isinstance(self.source, int) != isinstance(self.target, int):
            raise ValueError("`from` and `to`: either both names, or both numbers (of a table without a header)")
        return self


@dataclass(frozen=True)
class EdgeOptions:
    """All that is asked of one file; see `kpnn.pkn.readers.read_edges`."""

    format: str
    columns: Mapping[str, str | int]
    direction: Direction
    undirected: Undirected
    complexes: Complexes
    only: Mapping[str, Any]
    costs: CostRule | None
    rename: Rename | None
    sizes: Limits | None


def checked_options(path: str | Path, format: str, given: Mapping[str, Any]) -> EdgeOptions:
    """Turns what a user asks for into options, all of which the format can honour.

    Args:
        path: the file, for errors.
        format: what it is read as.
        given: by the names of `read_edges`' options.

    Raises:
        PknError: an option makes no sense, or asks what files of this kind do not say.
    """
    for what, known in (
        ("format", get_args(EdgeFormat)),
        ("direction", get_args(Direction)),
        ("undirected", get_args(Undirected)),
        ("complexes", get_args(Complexes)),
    ):
        value = format if what == "format" else given[what]
        if value not in known:
            raise PknError(f"{path}: {what} must be one of {', '.join(known)}, found {value}")
    options = EdgeOptions(
        format,
        _columns(path, _table_of(path, given, "columns")),
        given["direction"],
        given["undirected"],
        given["complexes"],
        _only(path, _table_of(path, given, "only")),
        _group(CostRule, given["costs"], path, "costs"),
        _group(Rename, given["rename"], path, "rename"),
        _group(Limits, given["sizes"], path, "sizes"),
    )
    for refused, why in _beyond(options):
        if refused:
            raise PknError(f"{path}: {why}")
    return options


def _beyond(options: EdgeOptions) -> list[tuple[bool, str]]:
    """What files of a kind cannot be asked for, and whether it is."""
    kind = FORMATS[options.format]
    settled = f"in {kind.called} it is settled which end of an edge is the parent"
    columns, costs = options.columns, options.costs
    strange = some_names(sorted(set(columns) - set(kind.fields)))
    if options.format == "sif":
        no_columns = "SIF has no columns to be named: it is source, relation, target"
    else:
        known = some_names(kind.fields) or "none"
        no_columns = f"columns: {kind.called} has no {strange} to be named (there are: {known})"
    return [
        (bool(strange), no_columns),
        (
            bool({"stimulation", "inhibition"} & set(columns))
            and (not {"stimulation", "inhibition"} <= set(columns) or "sign" in columns),
            "columns: name either `sign`, or both `stimulation` and `inhibition`",
        ),
        (options.direction != "parent_to_child" and not kind.has_directions, f"direction: {settled}"),
        (options.undirected != "error" and not kind.has_directions, f"undirected: {settled}; none is undirected"),
        (options.complexes != "keep" and not kind.has_proteins, f"complexes: {kind.called} has none"),
        (bool(options.only) and not kind.has_columns, f"only: {kind.called} has no columns to choose edges by"),
        (
            costs is not None and costs.column is not None and not kind.has_columns,
            f"costs: {kind.called} has no columns of evidence; `rule: rows` counts how often a pair is stated",
        ),
        ("cost" in columns and costs is not None, "say what edges cost once: by `costs`, or by `columns: {cost: ...}`"),
    ]


def _columns(path: str | Path, columns: dict[str, str | int]) -> dict[str, str | int]:
    strange = sorted(map(str, set(columns) - set(FIELDS)))
    if strange:
        raise PknError(f"{path}: columns: no field {some_names(strange)} (there are {', '.join(FIELDS)})")
    for field, column in columns.items():
        is_number = isinstance(column, int) and not isinstance(column, bool) and column >= 1
        if not is_number and not (isinstance(column, str) and column_name(column)):
            raise PknError(
                f"{path}: columns.{field}: must be a column's name, or its number from 1 on; found {column!r}"
            )
    return {field: column_name(name) if isinstance(name, str) else name for field, name in columns.items()}


def _table_of(path: str | Path, given: Mapping[str, Any], what: str) -> dict[Any, Any]:
    value = given[what]
    if value is not None and not isinstance(value, Mapping):
        raise PknError(f"{path}: {what}: must be a group of options, found {value!r}")
    return dict(value or {})


def _only(path: str | Path, only: dict[Any, Any]) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    for column, value in ((column_name(str(column)), value) for column, value in only.items()):
        if isinstance(value, Mapping):
            wanted[column] = _group(Limits, value, path, f"only.{column}")
            continue
        values = list(value) if isinstance(value, (list, tuple, set)) else [value]
        if not values or any(one is None or isinstance(one, (list, Mapping)) for one in values):
            raise PknError(
                f"{path}: only.{column}: needs a value, a list of values, or {{at_least: ..., at_most: ...}}; "
                f"found {value!r}"
            )
        wanted[column] = values
    return wanted


def _group(model: type[_Model], given: Any, path: str | Path, where: str) -> _Model | None:
    if given is None or isinstance(given, model):
        return given
    if not isinstance(given, Mapping):
        raise PknError(f"{path}: {where}: must be a group of options, found {given!r}")
    try:
        return model.model_validate(given)
    except ValidationError as error:
        names = [field.alias or name for name, field in model.model_fields.items()]
        said = []
        for problem in error.errors(include_url=False):
            place = ".".join(map(str, (where, *problem["loc"])))
            if problem["type"] == "extra_forbidden":
                said.append(f"{place}: no such option; {near_names(str(problem['loc'][-1]), names)}")
            else:
                said.append(f"{place}: {problem['msg'].removeprefix('Value error, ')}")
        raise PknError(f"{path}: " + "; ".join(said)) from None
