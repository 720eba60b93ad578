"""MLflow's own database in the project: made whole or not at all, and mended where a killed start left half."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from mlflow.store.db.utils import _get_latest_schema_revision
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from kpnn.errors import SettingsError
from kpnn.files import held_alone, written_whole

_log = logging.getLogger(__name__)


def database_file(address: str) -> Path | None:
    """The file of an SQLite database, or None for every other address.

    Args:
        address: MLflow's tracking URI.
    """
    if not address.startswith("sqlite:"):
        return None
    try:
        name = make_url(address).database
    except ArgumentError:
        return None
    return Path(name) if name and name != ":memory:" else None


def prepare_database(path: Path) -> None:
    """Makes MLflow's database where there is none, or where a start that was killed left half of one without any run.

    It is made beside its place and renamed, so that no other process sees half of it.

    Args:
        path: of the SQLite file.

    Raises:
        SettingsError: the database holds runs and is of another version of MLflow, or is not a database.
    """
    with held_alone(path.parent):
        if path.exists():
            problem = _problem(path)
            if problem is None:
                return
            if _has_runs(path):
                raise SettingsError(
                    f"{path}: {problem}, and it holds runs. Keep a copy of it, then run `mlflow db upgrade "
                    f"sqlite:///{path}`; or name another database in MLFLOW_TRACKING_URI"
                )
            _log.warning("%s: %s, and holds no run (an earlier start was cut off): making it anew", path, problem)
        _make(path)


def _make(path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    migrations = logging.getLogger("mlflow.store.db.utils")
    before = migrations.level
    migrations.setLevel(logging.WARNING)  # that tables are made is nothing that a user need know
    try:
        with written_whole(path) as partial:
            store = SqlAlchemyStore(f"sqlite:///{partial}", str(path.parent / "artifacts"))
            store.engine.dispose()
    finally:
        migrations.setLevel(before)
    for suffix in ("-journal", "-wal", "-shm"):  # of the database that was there
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _problem(path: Path) -> str | None:
    """What is wrong with a database, or None: its schema is the one that this MLflow works with."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
            found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise SettingsError(f"{path}: MLflow's database cannot be read ({error})") from None
        found = None
    except sqlite3.DatabaseError:
        raise SettingsError(
            f"{path}: is not an SQLite database; move it away, or name another in MLFLOW_TRACKING_URI"
        ) from None
    if found is None:
        return "MLflow's tables are not complete"
    if found[0] != _get_latest_schema_revision():
        return "MLflow's tables are of another version of MLflow"
    return None


def _has_runs(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=30)) as database:
        try:
            return bool(database.execute("SELECT 1 FROM runs LIMIT 1").fetchone())
        except sqlite3.OperationalError:
            return False
