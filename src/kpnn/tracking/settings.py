"""How MLflow's server is dealt with."""

from __future__ import annotations

from pydantic import Field

from kpnn.settings_base import MOST_SECONDS_OF_A_SERVER, Settings


class ServerSettings(Settings):
    """What a run asks of MLflow's server.

    Attributes:
        required: a server that is not there ends the run before its first node; false: the run goes on without it.
        connect_seconds: how long the server may take to answer, before the first node.
        request_seconds: how long it may take for any one answer afterwards.
    """

    required: bool = True
    connect_seconds: float = Field(5.0, gt=0, le=MOST_SECONDS_OF_A_SERVER)
    request_seconds: int = Field(60, ge=1, le=MOST_SECONDS_OF_A_SERVER)
