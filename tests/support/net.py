"""A socket and a reactor without a network: what comes in is said by the test, what goes out is kept."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.task import Clock


class ReaderReactor(Clock):
    """Virtual time, and the readers of the moment."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)


class FakeSocket:
    """
    Takes and gives what the real calls do.

    @ivar incoming: what the next calls return; an exception among it is raised.
    @ivar sent: what was sent: the arguments of each call.
    @ivar failing: raised by every attempt to send.
    """

    def __init__(self, port: int = 67) -> None:
        self.incoming: deque[Any] = deque()
        self.sent: list[tuple[Any, ...]] = []
        self.failing: OSError | None = None
        self.closed = False
        self._port = port

    def getsockopt(self, level: int, option: int) -> int:
        return 0  # no error is pending

    def getsockname(self) -> tuple[str, int]:
        return "0.0.0.0", self._port

    def fileno(self) -> int:
        return -1 if self.closed else 7

    def close(self) -> None:
        self.closed = True

    def _next(self, *arguments: Any) -> Any:
        found = self.incoming.popleft() if self.incoming else BlockingIOError()
        if isinstance(found, Exception):
            raise found
        return found

    recv = recvfrom = recvmsg = _next

    def _out(self, *arguments: Any) -> int:
        if self.failing is not None:
            raise self.failing
        self.sent.append(arguments)
        return 1

    send = sendto = sendmsg = _out
