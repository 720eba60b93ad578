"""What is wrong with a group of parameters, in words that name each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import isclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kpnn.addresses import without_credentials
from kpnn.errors import SettingsError, near_names

Model = TypeVar("Model", bound=BaseModel)

_LONGEST = 100  # characters of a value in a message


def validated(model: type[Model], parameters: Mapping[str, Any] | None, where: str) -> Model:
    """Turns a group of parameters into typed settings.

    Args:
        model: the settings' class.
        parameters: what the YAML files and `--params` say about the group; None: nothing.
        where: the group's name, for errors.

    Raises:
        SettingsError: a parameter is unknown or has a value that makes no sense; all of them are named, one a line.
    """
    try:
        return model.model_validate({} if parameters is None else parameters)
    except ValidationError as error:
        raise SettingsError("\n".join(_worded(error, model, where))) from None


def _worded(error: ValidationError, model: type[BaseModel], where: str) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        place = ".".join([where, *(str(part) for part in problem["loc"])])
        yield f"{place}: {_words(problem, model)}"


def _words(problem: ErrorDetails, model: type[BaseModel]) -> str:
    if problem["type"] == "extra_forbidden":
        name, beside = str(problem["loc"][-1]), _names_beside(problem, model)
        return "no such parameter" + (f"; {near_names(name, beside)}" if beside else "")
    if problem["type"] == "model_type":
        return f"must be a group of parameters, found {_shown(problem['input'])}"
    message = problem["msg"].removeprefix("Value error, ")  # pydantic's own words
    return message if isinstance(problem["input"], Mapping) else f"{message} (found {_shown(problem['input'])})"


def _shown(value: Any) -> str:
    text = without_credentials(repr(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _names_beside(problem: ErrorDetails, model: type[BaseModel]) -> list[str]:
    """The known parameters beside an unknown one; none where that is below a choice of kinds."""
    for part in problem["loc"][:-1]:
        field = model.model_fields.get(str(part))
        if field is None or not isclass(field.annotation) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return list(model.model_fields)
