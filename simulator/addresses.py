"""Taking an address before anything serves on it. No server lives here, so that `up` need not load one."""

from __future__ import annotations

import os
import socket

BACKLOG = 1024


class CannotStartError(Exception):
    """One line for the user: what is wrong and what to do."""


def listening(host: str, port: int, *, is_reserved: bool = False) -> socket.socket:
    """Return the public socket, listening already; port 0 takes a free one. Raises CannotStartError for a taken one.

    `is_reserved`: somebody holds the port for it, by `reserve`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=is_reserved)
    except (OSError, OverflowError) as error:
        raise _cannot_listen(host, port, error) from error


def _cannot_listen(host: str, port: int, error: Exception) -> CannotStartError:
    number = getattr(error, "errno", None) or 0
    reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or str(error)
    return CannotStartError(
        f"cannot listen on {host}:{port}: {reason}; choose another port with --port, 0 takes a free one"
    )


def reserve(host: str, port: int) -> socket.socket:
    """Bind an address so that nobody else gets it before the server listens; port 0 takes a free one.

    The socket never listens, so no connection goes to it. Raises CannotStartError for a taken port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Without SO_REUSEPORT: two sandboxes would share the port in silence otherwise.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            port = probe.getsockname()[1]
        held = socket.socket(family, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except (OSError, OverflowError) as error:
        raise _cannot_listen(host, port, error) from error
    return held
