"""The way to dask: a cluster of this machine, or a scheduler that runs already."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from kpnn.addresses import first_line
from kpnn.errors import SettingsError

if TYPE_CHECKING:
    from kpnn.training.settings import ExecutionSettings


def cluster_and_client(settings: ExecutionSettings, n_workers: int, seconds: float) -> tuple[Any, Any]:
    """A cluster of this machine, or None, and a client of it or of the scheduler that is named.

    Args:
        settings: which scheduler.
        n_workers: of this machine's cluster.
        seconds: in which the scheduler has to answer.

    Raises:
        SettingsError: no scheduler answers.
    """
    from distributed import Client, LocalCluster

    # A connection that ends is a traceback there, at INFO and at any time; what it means to the user is said here.
    logging.getLogger("distributed.batched").setLevel(logging.WARNING)
    if settings.scheduler is None:
        cluster = LocalCluster(n_workers=n_workers, threads_per_worker=1, processes=True, dashboard_address=None)
        return cluster, Client(cluster)
    try:
        if (there := _what_answers(settings.scheduler, seconds)) != "Scheduler":
            raise SettingsError(f"no scheduler answers (a {there.lower()} of dask does)")
        return None, Client(settings.scheduler, timeout=seconds)
    except (OSError, TimeoutError) as error:
        raise SettingsError(f"no scheduler answers ({first_line(error) or f'nothing in {seconds:g} s'})") from None


def _what_answers(address: str, seconds: float) -> str:
    """`Scheduler`, or what else of dask listens there: a client would wait for its welcome for ever.

    Raises:
        OSError: nothing of dask answers.
        TimeoutError: nothing answers in time.
    """
    from distributed import Security
    from distributed.core import rpc

    async def ask() -> str:
        async with rpc(address, timeout=seconds, connection_args=Security().get_connection_args("client")) as there:
            return str((await there.identity())["type"])

    with ThreadPoolExecutor(1) as beside:  # a notebook's own thread runs a loop already
        # Connecting has its own limit, and says more when it ends.
        return beside.submit(asyncio.run, asyncio.wait_for(ask(), seconds + 2)).result()
