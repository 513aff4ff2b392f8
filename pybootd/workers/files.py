"""HTTP bodies in a worker: parts of files on their way into connections that the main process accepted."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from pybootd.content.content import Content
from pybootd.content.local import InThread, LocalFiles
from pybootd.http.sendfile import Pump
from pybootd.workers.messages import Ended, Progress, Report, SendFile, sentence

PROGRESS = 0.25
"""Seconds between two reports on one transfer."""


class Connection:
    """A connection without the buffer and the channel that L{Pump} hands back: they are in the main process."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def getHandle(self) -> socket.socket:
        return self._socket

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """The header is out: begin."""
        if isinstance(producer, Pump):
            producer.resumeProducing()
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """There is nobody who waits for it."""


class FileSender:
    """All HTTP bodies of one worker."""

    def __init__(self, reactor: Any, files: LocalFiles, tell: Callable[[Report], None], in_thread: InThread) -> None:
        self._reactor = reactor
        self._files = files
        self._tell = tell
        self._in_thread = in_thread
        self._parts: dict[int, _Part] = {}

    def begin(self, order: SendFile, descriptors: Sequence[int]) -> None:
        """Send; both descriptors belong to it from now on."""
        sock = socket.socket(fileno=descriptors[0])
        # it never does; but this object takes it for one that blocks, and what it duplicates would do so from then on,
        # in the main process too
        sock.setblocking(False)
        try:
            content = self._files.adopt(descriptors[1])
        except OSError:
            sock.close()
            with suppress(OSError):
                os.close(descriptors[1])
            self._tell(Ended(order.number, 0, "The worker process could not take it"))
            return
        part = self._parts[order.number] = _Part(order, sock, content, self._tell, self._reactor, self._parts.pop)
        part.start(self._in_thread)

    def drop(self, number: int) -> None:
        """Give one up, and say nothing more."""
        part = self._parts.get(number)
        if part is not None:
            part.drop()

    def close(self) -> None:
        """Give all of them up."""
        for number in tuple(self._parts):
            self.drop(number)


class _Part:
    """One of them."""

    def __init__(
        self,
        order: SendFile,
        sock: socket.socket,
        content: Content,
        tell: Callable[[Report], None],
        reactor: Any,
        forget: Callable[[int], object],
    ) -> None:
        self._order = order
        self._socket = sock
        self._content = content
        self._tell = tell
        self._reactor = reactor
        self._forget = forget
        self._sent = 0
        self._told_at = reactor.seconds()
        self._pump: Pump | None = None
        self._silent = False

    def start(self, in_thread: InThread) -> None:
        file = self._content.body.fileno()
        if file is None:  # an adopted file always has one
            return
        connection, order = Connection(self._socket), self._order
        self._pump = Pump(
            self._reactor, connection, file, order.begin, order.end, self._progressed, self._done, in_thread
        )
        self._pump.start(None)

    def drop(self) -> None:
        self._silent = True
        if self._pump is not None:
            self._pump.stopProducing()

    def _progressed(self, count: int) -> None:
        self._sent += count
        now = self._reactor.seconds()
        if now - self._told_at >= PROGRESS:
            self._told_at = now
            self._tell(Progress(self._order.number, self._sent))

    def _done(self, problem: str | None) -> None:
        self._forget(self._order.number)
        self._content.body.close()
        self._socket.close()
        if not self._silent:
            self._tell(Ended(self._order.number, self._sent, sentence(problem or "")))
