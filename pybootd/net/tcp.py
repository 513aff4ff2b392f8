"""A bound TCP socket, opened while there are privileges."""

from __future__ import annotations

import socket

from pybootd.errors import EnvironmentProblem
from pybootd.net.inherited import inherited
from pybootd.net.udp import refused

BACKLOG = 1024
"""Connections that wait to be accepted: a hall of machines asks in one instant."""


def bind_tcp(address: str, port: int, what: str) -> socket.socket:
    """
    A listening socket.

    @param what: the line of the configuration that says so, for the message.
    @raise EnvironmentProblem: the port cannot be had; says why.
    """
    given = inherited(socket.SOCK_STREAM, port, what)
    if given is not None:
        return given  # it listens already
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise EnvironmentProblem(refused(error, address, port, "TCP", what)) from None
    return sock
