"""
A TCP connection that costs the reactor no turn which it does not need.

Twisted's waits for the reactor's next turn before it reads, for a client's bytes are expected later than the client,
and before it closes, for what was written waits in its buffer.  Here a request has mostly come with its connection, and
an answer has mostly left before its connection is to end: then the reactor never hears of it.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.tcp import Server
from twisted.logger import Logger
from twisted.python.failure import Failure

TOGETHER = 16
"""Connections that a port takes in a turn of the reactor."""

_CORK = getattr(socket, "TCP_CORK", None)


def served(port: Any) -> None:
    """
    Have a port make connections of this kind.

    Twisted's takes ever more of them in a turn as long as more come.  Here each is answered in that turn, and clients
    that come back at once would keep everybody else waiting: machines that ask for an address, and files by TFTP.
    """
    accept = port.doRead

    def some() -> None:
        port.numberAccepts = TOGETHER
        accept()

    port.transport = Served
    port.doRead = some


class Served(Server):
    """A connection from a client, whose protocol calls L{begin}."""

    _log = Logger()
    _begun = False
    _wanted = False
    _reading = False
    _finished = False

    def begin(self) -> None:
        """
        Take what the client has sent already, and have the reactor tell of what it sends later.

        To be called once, when the protocol is ready; it may have lost its connection afterwards.
        """
        try:
            why = self.doRead()
        except Exception:
            self._log.failure("A new connection failed")
            why = CONNECTION_LOST
        self._begun = True
        if not self.connected:
            return
        if why is not None:
            self.connectionLost(Failure(why))
        elif self._wanted:
            super().startReading()

    def startReading(self) -> None:
        if not self._wanted:  # after each answer it is said again
            self._wanted = True
            if self._begun:
                super().startReading()

    def stopReading(self) -> None:
        self._wanted = False
        super().stopReading()

    def doRead(self) -> ConnectionLost | ConnectionDone | None:  # type: ignore[override]
        self._reading = True
        try:
            why = super().doRead()
        finally:
            self._reading = False
        return CONNECTION_DONE if self._finished and why is None else why

    def cork(self) -> None:
        """
        Keep the last packet back until the connection is closed, so that it says that too.

        A client that finds its answer whole before it hears of the end closes first.  Then it is the client's port
        that cannot be used for a minute (TIME-WAIT, RFC 9293 3.6); some thousand requests in a second leave it none.
        """
        if _CORK is not None:
            with suppress(OSError):  # no TCP, or no connection any more
                self.socket.setsockopt(socket.IPPROTO_TCP, _CORK, True)

    def finish(self) -> None:
        """
        Close; nothing that was written waits in the buffer.

        What was read last is left to whoever is at work on it, and the connection ends then.
        """
        if self._reading:
            self._finished = True
            self.disconnecting = True
        else:
            self.loseConnection()
