"""
Sockets that systemd opened for this server (sd_listen_fds(3)).

With them it needs no privileges for its ports at all.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, MutableMapping
from functools import cache
from pathlib import Path

from pybootd.errors import EnvironmentProblem

FIRST = 3
"""The descriptor at which systemd begins."""


def sockets(environ: MutableMapping[str, str], pid: int) -> Iterator[socket.socket]:
    """
    The sockets that were handed over to the process C{pid}.

    The variables that tell of them are taken out of C{environ}, so that no child believes them.
    """
    whose, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if whose != str(pid) or not (count.isascii() and count.isdigit()):
        return
    for number in range(FIRST, FIRST + int(count)):
        try:
            yield socket.socket(fileno=number)
        except OSError:
            continue  # a FIFO or a file: not for us


@cache
def _given() -> tuple[socket.socket, ...]:
    environ = os.environ if "LISTEN_PID" in os.environ else _begun_with()
    return tuple(sockets(environ, os.getpid()))


def _begun_with() -> MutableMapping[str, str]:
    """
    The environment that this process began with, as far as the system tells.

    C{twisted.internet.endpoints} takes the variables away when it is imported, which under twistd happens before
    anything of ours is.
    """
    try:
        entries = os.fsdecode(Path("/proc/self/environ").read_bytes()).split("\0")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def inherited(kind: socket.SocketKind, port: int, what: str) -> socket.socket | None:
    """
    The socket for this port that systemd opened, if it opened one.

    @param what: the line of the configuration that wants the port, for the message.
    @raise EnvironmentProblem: it cannot be used.
    """
    for sock in _given():
        if sock.type != kind or sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.getsockname()[1] != port:
            continue
        if sock.family != socket.AF_INET:
            raise EnvironmentProblem(f"{what}: systemd's socket is for IPv6; its unit must say 0.0.0.0:{port}")
        sock.setblocking(False)
        sock.set_inheritable(False)
        return sock
    return None
