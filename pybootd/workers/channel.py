"""
The way between the main process and one worker: a pair of sockets that keeps messages apart and in order, carries
descriptors, and tells each side of the other's end (C{SOCK_SEQPACKET}, unix(7)).
"""

from __future__ import annotations

import os
import socket
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pybootd.workers.messages import LARGEST, Message, decode, encode

AVAILABLE = hasattr(socket, "SOCK_SEQPACKET") and hasattr(socket, "SCM_RIGHTS") and os.uname().sysname == "Linux"
"""Whether this system has such sockets."""

DESCRIPTORS = 2
"""With one message, at most."""

ROUNDS = 64
"""Messages taken in one go; then the rest of the process gets its turn."""

_SPACE = socket.CMSG_SPACE(DESCRIPTORS * array("i").itemsize) if AVAILABLE else 0
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)

Received = Callable[[Message, Sequence[int]], None]


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


@implementer(IReadDescriptor, IWriteDescriptor)
class Channel:
    """One end at work."""

    log = Logger()

    def __init__(self, sock: socket.socket, reactor: Any, received: Received, closed: Callable[[], None]) -> None:
        """
        @param received: is called with each message, and with its descriptors, which it then owns.
        @param closed: is called once when the other side has gone; not after L{close}.
        """
        sock.setblocking(False)
        self._socket = sock
        self._reactor = reactor
        self._received = received
        self._closed = closed
        self._waiting: deque[bytes] = deque()
        self._open = True

    def start(self) -> None:
        """Begin to listen."""
        self._reactor.addReader(self)

    @property
    def waiting(self) -> int:
        """How many messages wait for the other side."""
        return len(self._waiting)

    def hand(self, message: Message, descriptors: Sequence[int]) -> bool:
        """
        Send a message with descriptors, at once or not at all.

        @return: whether it has left; then the other side has descriptors of its own.
        """
        if not self._open or self._waiting:
            return False
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))]
        try:
            self._socket.sendmsg([encode(message)], rights)
        except OSError:
            return False  # it is full, has gone, or too many descriptors are on their way
        return True

    def send(self, message: Message) -> None:
        """Send a message, if need be later; to nobody where the other side has gone."""
        if not self._open:
            return
        self._waiting.append(encode(message))
        if len(self._waiting) == 1:
            self.doWrite()
            if self._waiting:
                self._reactor.addWriter(self)

    def drain(self) -> None:
        """Take everything that the other side sent, which has gone; then close."""
        while self._open:
            try:
                data, descriptors = self._receive()
            except OSError:
                break
            if not data:
                break
            self._take(data, descriptors)
        self.close()

    def close(self) -> None:
        """Close this end; the other one learns of it.  Idempotent."""
        if not self._open:
            return
        self._open = False
        self._waiting.clear()
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        self._socket.close()

    # the reactor's side

    def doRead(self) -> None:
        for _ in range(ROUNDS):
            if not self._open:
                return
            try:
                data, descriptors = self._receive()
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", ()
            if not data:
                self._lost()
                return
            self._take(data, descriptors)

    def doWrite(self) -> None:
        while self._waiting:
            try:
                self._socket.send(self._waiting[0])
            except BlockingIOError:
                return
            except OSError:
                self._waiting.clear()  # the reader learns that the other side has gone
            else:
                self._waiting.popleft()
        self._reactor.removeWriter(self)

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:
        return "workers"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops, or has seen the other side go."""
        self._lost()

    def _receive(self) -> tuple[bytes, Sequence[int]]:
        data, rights, _, _ = self._socket.recvmsg(LARGEST, _SPACE, _CLOEXEC)
        descriptors = array("i")
        for level, kind, content in rights:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
        return data, descriptors

    def _take(self, data: bytes, descriptors: Sequence[int]) -> None:
        try:
            message = decode(data)
        except ValueError as error:
            self.log.error("between main process and worker: {reason}", reason=str(error))
            for fd in descriptors:
                with suppress(OSError):
                    os.close(fd)
            return
        try:
            self._received(message, descriptors)
        except Exception:
            self.log.failure("a message between main process and worker failed")

    def _lost(self) -> None:
        if self._open:
            self.close()
            self._closed()
