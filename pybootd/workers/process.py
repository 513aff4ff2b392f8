"""One worker's process and the channel to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from pybootd.text import printable
from pybootd.workers.channel import Channel, pair
from pybootd.workers.messages import Message, Order

CHANNEL = 0
"""The channel's descriptor in the worker."""

LINES = 20
"""Of what a worker writes to its standard error, which it does when Python itself fails: more are lost."""


class Running(Protocol):
    """A worker's process."""

    pid: int

    def hand(self, order: Order, descriptors: Sequence[int]) -> bool:
        """See L{Channel.hand}."""

    def send(self, order: Order) -> None:
        """See L{Channel.send}."""

    def close(self) -> None:
        """Make it end; it is told when it has."""

    def kill(self) -> None:
        """Make it end at once."""


def command() -> tuple[Sequence[str], Mapping[str, str]]:
    """What starts a worker, and its environment: the same Python, which finds the same modules in the same order."""
    path = os.pathsep.join(entry for entry in sys.path if entry.startswith("/"))
    return (sys.executable, "-P", "-m", "pybootd.workers"), {**os.environ, "PYTHONPATH": path}


class Process(ProcessProtocol):
    """See L{Running}."""

    log = Logger()

    def __init__(self, reactor: Any, received: Callable[[Message], None], lost: Callable[[str], None]) -> None:
        """
        @param received: is told of each message.
        @param lost: is told once when the process has ended, and how.
        @raise OSError: it cannot be started.
        """
        self.pid = 0
        self._received = received
        self._lost = lost
        self._lines = 0
        own, its = pair()
        self._channel = Channel(own, reactor, self._message, self.kill)
        arguments, environment = command()
        try:
            self._transport = reactor.spawnProcess(
                self, arguments[0], arguments, environment, childFDs={CHANNEL: its.fileno(), 1: "r", 2: "r"}
            )
        except OSError:
            own.close()
            raise
        finally:
            its.close()
        self.pid = self._transport.pid or 0
        self._channel.start()

    def hand(self, order: Order, descriptors: Sequence[int]) -> bool:
        return self._channel.hand(order, descriptors)

    def send(self, order: Order) -> None:
        self._channel.send(order)

    def close(self) -> None:
        self._channel.close()

    def kill(self) -> None:
        """It does not answer any more, or does not end."""
        with suppress(ProcessExitedAlready, OSError):
            self._transport.signalProcess("KILL")

    def _message(self, message: Message, descriptors: Sequence[int]) -> None:
        for fd in descriptors:  # none of its messages has any
            os.close(fd)
        self._received(message)

    # the process

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        for line in data.decode("utf-8", "replace").splitlines():
            self._lines += 1
            if self._lines <= LINES:
                self.log.warn("worker process {pid}: {line}", pid=self.pid, line=printable(line, 300))

    def processEnded(self, reason: Failure) -> None:
        self._channel.drain()  # what it told before it ended
        self._lost(_how(reason.value))


def _how(end: Any) -> str:
    if isinstance(end, ProcessDone):
        return "ended"
    if getattr(end, "signal", None):
        return f"was ended by signal {end.signal}"
    return f"failed with status {getattr(end, 'exitCode', None)}"
