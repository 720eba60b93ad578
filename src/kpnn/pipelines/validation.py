"""Parameters become typed settings at the pipelines' edge."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kpnn.errors import SettingsError

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], parameters: dict[str, Any], where: str) -> Model:
    """Turns a group of parameters into typed settings.

    Args:
        model: the settings' class.
        parameters: what the YAML files and `--params` say.
        where: the group's name, for errors.

    Raises:
        SettingsError: a parameter is unknown or has a value that makes no sense; all of them are named.
    """
    try:
        return model(**(parameters or {}))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join([where, *(str(part) for part in problem['loc'])])}: {problem['msg']} "
            f"(found {problem['input']!r})"
            for problem in error.errors()
        )
        raise SettingsError(problems) from None
