"""A reactor whose descriptors a test serves by hand, and a worker's process that is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.task import Clock

from pybootd.workers.messages import Message, Order


class Reactor(Clock):
    """A clock that knows readers and writers."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []
        self.writers: list[Any] = []
        self.stopped = 0

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def addWriter(self, writer: Any) -> None:
        self.writers.append(writer)

    def removeWriter(self, writer: Any) -> None:
        if writer in self.writers:
            self.writers.remove(writer)

    def callWhenRunning(self, function: Callable[..., Any], *arguments: Any) -> None:
        function(*arguments)

    def stop(self) -> None:
        self.stopped += 1

    def turn(self) -> None:
        """Everybody looks once at what there is."""
        for reader in tuple(self.readers):
            reader.doRead()
        for writer in tuple(self.writers):
            writer.doWrite()


class FakeProcess:
    """A process that does what the test says; C{orders} is what it was told."""

    def __init__(self, reactor: Any, received: Callable[[Message], None], lost: Callable[[str], None]) -> None:
        self.pid = 4711
        self.tell = received
        self.lost = lost
        self.takes = True
        self.orders: list[Order] = []
        self.handed: list[Sequence[int]] = []
        self.closed = self.killed = 0

    def hand(self, order: Order, descriptors: Sequence[int]) -> bool:
        if self.takes:
            self.orders.append(order)
            self.handed.append(descriptors)
        return self.takes

    def send(self, order: Order) -> None:
        self.orders.append(order)

    def close(self) -> None:
        self.closed += 1

    def kill(self) -> None:
        self.killed += 1
