"""Ports for servers that tests start on the loopback interface."""

from __future__ import annotations

import secrets
import socket
from contextlib import closing


def free_port() -> int:
    """A port that nothing listens on, and that nobody is given meanwhile who asks for any.

    It lies below those that the system hands out, from 32,768 on (`ip_local_port_range`) or higher: of these another
    process may get the very one before the server that it is meant for has started. Kedro-viz takes none from
    49,152 on.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
