"""The database that keeps the trials of every search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from kpnn.addresses import first_line, without_credentials
from kpnn.errors import SettingsError


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Connects to the database that keeps the trials, creating it (and an SQLite file's folder) where needed.

    Raises:
        SettingsError: the URL makes no sense or no database answers; user and password are not shown.
    """
    try:
        parsed = make_url(url)
    except SQLAlchemyError:
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
        shown = without_credentials(url)
        raise SettingsError(f"tuning.storage = {shown} cannot be reached: {first_line(error)}") from None
