"""The database that keeps the trials of every search."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from kpnn.addresses import first_line, without_credentials
from kpnn.errors import KpnnError, SettingsError
from kpnn.files import is_disk_full

_log = logging.getLogger(__name__)

_WAITS = (2.0, 10.0, 30.0)
"""Seconds after which a database that failed is asked again: it may only be restarting."""

Found = TypeVar("Found")


class _UnreachableError(SettingsError):
    """No database answers at the address."""


class StorageFailedError(KpnnError):
    """The database that keeps the trials failed while they were made."""


def outliving_restarts(search: Callable[[bool], Found], url: str) -> Found:
    """Searches again, from the trials that are kept, where the database fails in between.

    Args:
        search: of whether it was begun before; it goes on from the stored trials, and always comes to the same end.
        url: of the database.

    Raises:
        StorageFailedError: the database does not come back; user and password are not shown.
    """
    for attempt, wait in enumerate((*_WAITS, None)):
        try:
            return search(attempt > 0)
        except (SQLAlchemyError, StorageInternalError, _UnreachableError) as error:
            cause = error.__cause__ or error
            if is_disk_full(cause):
                raise
            failed = f"tuning.storage = {without_credentials(url)} failed: {first_line(cause)}"
            said = str(error) if isinstance(error, _UnreachableError) else failed
            if wait is None:
                raise StorageFailedError(
                    f"{said}. Finished folds, and finished trials of the others, are kept: the same command goes on "
                    "from there once the database answers"
                ) from None
            _log.warning("%s. What it holds is kept; it is asked again in %g s", said, wait)
            time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Connects to the database that keeps the trials, creating it (and an SQLite file's folder) where needed.

    Raises:
        SettingsError: the URL makes no sense or no database answers; user and password are not shown.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError(
            "tuning.storage is not a database URL; give one such as sqlite:///data/06_models/demo/optuna.db"
        ) from None
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite and parsed.database not in (None, "", ":memory:"):
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    try:
        # Several processes may write to one SQLite file: wait for the lock rather than give up.
        options: dict[str, Any] = {"connect_args": {"timeout": 120}} if is_sqlite else {"pool_pre_ping": True}
        return optuna.storages.RDBStorage(url, engine_kwargs=options)
    except (SQLAlchemyError, ImportError) as error:
        said = f"tuning.storage = {without_credentials(url)} cannot be reached: {first_line(error)}"
        # A library that is missing will not come back.
        raise (SettingsError if isinstance(error, ImportError) else _UnreachableError)(said) from None
