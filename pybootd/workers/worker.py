"""A worker at work: what comes over its channel, and who does it."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogBeginner

from pybootd.content.local import LocalFiles
from pybootd.threads import Threads
from pybootd.workers.blocks import BlockSender
from pybootd.workers.channel import Channel
from pybootd.workers.files import FileSender
from pybootd.workers.messages import Drop, Look, Looked, Message, Report, Said, SendBlocks, SendFile, sentence

WAITING = 1000
"""Lines for the log that wait for the main process; more are lost."""


class Worker:
    """Everything in this process."""

    def __init__(self, sock: socket.socket, reactor: Any) -> None:
        """@param sock: this end of the channel."""
        self._reactor = reactor
        self._channel = Channel(sock, reactor, self._received, self._orphaned)
        threads = Threads(reactor)
        files = LocalFiles(threads.run, reactor.callLater)
        self._blocks = BlockSender(reactor, files, self._tell)
        self._files = FileSender(reactor, files, self._tell, threads.run)

    def start(self) -> None:
        """Say that it is ready, and listen."""
        globalLogBeginner.beginLoggingTo([cast(ILogObserver, self.observe)], redirectStandardIO=False)
        self._channel.start()
        self._tell(Looked(0))

    def observe(self, event: LogEvent) -> None:
        """A line for the log: the main process writes it."""
        level = event.get("log_level", LogLevel.info)
        if level < LogLevel.warn and not str(event.get("log_namespace", "")).startswith("pybootd."):
            return
        text = formatEvent(event)
        failure = event.get("log_failure")
        if failure is not None:
            text = f"{text}: {failure.getErrorMessage()}"
        self._tell(Said(level.name, sentence(text)))

    def _tell(self, report: Report) -> None:
        if isinstance(report, Said) and self._channel.waiting >= WAITING:
            return
        self._channel.send(report)

    def _received(self, message: Message, descriptors: Sequence[int]) -> None:
        if isinstance(message, SendBlocks) and len(descriptors) == 2:
            self._blocks.begin(message, descriptors)
            return
        if isinstance(message, SendFile) and len(descriptors) == 2:
            self._files.begin(message, descriptors)
            return
        for fd in descriptors:
            with suppress(OSError):
                os.close(fd)
        if isinstance(message, Drop):
            self._blocks.drop(message.number)
            self._files.drop(message.number)
        elif isinstance(message, Look):
            self._blocks.look()
            self._tell(Looked(message.number))

    def _orphaned(self) -> None:
        """The main process has gone, or wants this one to go."""
        self._blocks.close()
        self._files.close()
        self._reactor.stop()
