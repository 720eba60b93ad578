"""What every group of settings has in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

MOST_SECONDS_OF_A_SERVER = 86_400
"""Longest time that a server is waited for: a day."""


_Group = TypeVar("_Group", bound=BaseModel)


class Settings(BaseModel):
    """Typed settings: an unknown name is an error, and nothing changes once it is read.

    Numbers are finite and no larger than what the libraries that compute with them take (32 bits), and neither true
    nor false is a number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    largest_number: ClassVar[float] = 2**31 - 1

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        kinds = set(_kinds(cls.model_fields[str(info.field_name)].annotation))
        if kinds & {int, float} and not kinds & {bool, Any} and any(isinstance(one, bool) for one in _single(value)):
            raise PydanticCustomError("demand", "must be a number, not true or false")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _is_no_giant(cls, value: Any, info: ValidationInfo) -> Any:
        if Any in _kinds(cls.model_fields[str(info.field_name)].annotation):
            return value  # whoever knows what may stand there looks at it
        for one in _single(value):
            if isinstance(one, int | float) and abs(one) > cls.largest_number:
                raise PydanticCustomError("demand", f"must be a number of at most {cls.largest_number:,}")
        return value


def of_kind(settings: Mapping[str, BaseModel], kind: type[_Group]) -> _Group:
    """The one group of settings, among those of all pipelines, that is of a class.

    Args:
        settings: of all pipelines, by group.
        kind: the group's class.
    """
    [found] = (group for group in settings.values() if isinstance(group, kind))
    return found


def _kinds(annotation: Any) -> Iterator[Any]:
    """A field's type, and all types that it is put together from."""
    yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)


def _single(value: Any) -> Iterator[Any]:
    """A value, or all values in a list or table of them; settings within settings look after themselves."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _single(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _single(inner)
    else:
        yield value
