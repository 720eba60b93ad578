"""Whether MLflow's server answers: asked once, with a limit of seconds, before anything is computed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from mlflow import MlflowClient
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from sqlalchemy import create_engine

from kpnn.addresses import first_line, without_credentials
from kpnn.tracking.database import database_file, prepare_database
from kpnn.tracking.open_runs import VIEW

_TIMED_OUT = "it does not answer in time"
_SEARCH = "/api/2.0/mlflow/experiments/search"


def runs_page(address: str, experiment_id: str) -> str:
    """Where a browser shows an experiment's runs with their scores.

    MLflow's UI opens its GenAI view, and columns without scores, unless the address says otherwise.

    Args:
        address: MLflow's tracking URI; a database is taken to be served where `mlflow ui` serves it by default.
        experiment_id: the experiment.
    """
    server = address if address.startswith(("http://", "https://")) else "http://127.0.0.1:5000"
    place = without_credentials(server).rstrip("/")
    return f"{place}/#/experiments/{experiment_id}/runs?viewStateShareKey={VIEW}&workflowType=machine_learning"


def limit_requests(seconds: int) -> None:
    """Makes MLflow give up on a server that hangs in mid-run after seconds instead of a quarter of an hour.

    Args:
        seconds: that one answer may take. The user's environment variables take precedence.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(seconds))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")


def server_problem(address: str, seconds: float) -> str | None:
    """Says why MLflow's server cannot be used, in one sentence without credentials; None where it can.

    Args:
        address: MLflow's tracking URI; the project's own database is made where it does not exist.
        seconds: after which a server that has not answered counts as away.

    Raises:
        SettingsError: the project's own database cannot be used as it is.
    """
    place = without_credentials(address)
    path = database_file(address)
    if path is not None:
        try:
            prepare_database(path)
        except OSError as error:
            return f"{place}: cannot be made ({error.strerror or error})"
    ask = _ask_over_http if address.startswith(("http://", "https://")) else _ask_directly
    answer = _within(seconds if path is None else max(seconds, 60.0), ask, address)
    if answer is None:
        return f"{place}: no answer within {seconds:g} s"
    return f"{place}: {answer}" if answer else None


def _within(seconds: float, ask: Callable[[str, float], str], address: str) -> str | None:
    """What `ask` returns, or None if it takes longer: a thread, since an answer may come byte by byte."""
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(ask(address, seconds)), daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else None


def _ask_over_http(address: str, seconds: float) -> str:
    try:
        answer = http_request(
            get_default_host_creds(address),
            _SEARCH,
            "POST",
            max_retries=0,
            timeout=seconds,
            raise_on_status=False,
            json={"max_results": 1},
        )
    except Exception as error:  # of any layer below
        words = _in_words(error)
        return f"no answer within {seconds:g} s" if words == _TIMED_OUT else words  # as where the thread keeps the time
    return _status_in_words(answer)


def _status_in_words(answer: Any) -> str:
    code = answer.status_code
    if code in (401, 403):
        return f"the server refuses these credentials ({code}); see MLFLOW_TRACKING_USERNAME, _PASSWORD and _TOKEN"
    if code >= 500:
        return f"the server fails ({code})"
    try:
        answer.json()
    except ValueError:
        return f"something answers ({code}), but it is not an MLflow server"
    return "" if code == 200 else f"something answers ({code}), but it is not an MLflow server"


def _ask_directly(address: str, seconds: float) -> str:  # noqa: ARG001 - the thread keeps the time
    try:
        if not address.startswith("sqlite:") and "://" in address and not address.startswith("file:"):
            # MLflow itself tries a database that is away again and again, for a quarter of an hour.
            engine = create_engine(address)
            with engine.connect():
                pass
            engine.dispose()
        MlflowClient(address).search_experiments(max_results=1)
    except Exception as error:  # of any driver
        return _in_words(error)
    return ""


def _in_words(error: BaseException) -> str:
    text = str(error)
    for sign, words in (
        ("out-of-date database schema", "its tables are of another version of MLflow: run `mlflow db upgrade`"),
        ("Can't locate revision", "its tables are of a newer version of MLflow than the one installed here"),
        ("refused", "the connection is refused: nothing listens there"),
        ("timed out", _TIMED_OUT),
        ("Name or service not known", "there is no such host"),
        ("Temporary failure in name resolution", "there is no such host"),
        ("NameResolutionError", "there is no such host"),
        ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
    ):
        if sign in text:
            return words
    return first_line(error)
