"""What goes wrong between a run and MLflow, and whose fault it is."""

from __future__ import annotations

import requests
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from kpnn.addresses import first_line

SERVER_ERRORS = (MlflowException, requests.RequestException, SQLAlchemyError, OSError)
"""What a tracking server that is away, slow or full raises."""

_REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


def failure(error: BaseException) -> str:
    """What went wrong, in one line without credentials: the server fails, or it refuses what it was given.

    Args:
        error: one of `SERVER_ERRORS`.
    """
    refused = isinstance(error, MlflowException) and error.error_code in _REFUSALS
    return f"{'it refuses a value: ' if refused else ''}{first_line(error)}"
