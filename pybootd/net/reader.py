"""A socket in the reactor: who reads it says what is done when there is something to read."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer


@implementer(IReadDescriptor)
class SocketReader:
    """The reactor's side of a socket of our own; subclasses add C{doRead}."""

    prefix = "socket"
    """By which Twisted's log calls it."""

    def __init__(self, sock: socket.socket, reactor: Any) -> None:
        self._socket = sock
        self._reactor = reactor

    def start(self) -> None:
        """Begin to read."""
        self._reactor.addReader(self)

    def pause(self) -> None:
        """Read no more; what is to be said can still be sent."""
        self._reactor.removeReader(self)

    def stop(self) -> None:
        """Stop reading, and close."""
        self._reactor.removeReader(self)
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:
        return self.prefix

    def connectionLost(self, reason: object) -> None:
        """
        The reactor gives it up: at its own end, or for an error that is pending.

        An error says that the network was down, or that an answer of before did not arrive; the socket is as good as
        ever once it is taken note of.
        """
        try:
            pending = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except OSError:
            pending = 0
        if pending:
            self._reactor.addReader(self)
        else:
            self._socket.close()

    def doRead(self) -> None:
        """There is something to read."""
