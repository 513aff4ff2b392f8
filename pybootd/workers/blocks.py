"""TFTP transfers in a worker: sessions like those of the main process, which gave them their sockets and files."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from attrs import evolve

from pybootd.content.local import LocalFiles
from pybootd.tftp.blocks import Runs
from pybootd.tftp.hub import Hub, hub
from pybootd.tftp.options import Agreement
from pybootd.tftp.ports import Ports
from pybootd.tftp.sender import Offload, Sender
from pybootd.tftp.session import Session
from pybootd.tftp.sweep import Sweep
from pybootd.tftp.transfer import Transfer
from pybootd.workers.messages import Ended, Progress, Report, SendBlocks, sentence

PROGRESS = 0.25
"""Seconds between two reports on all transfers."""


class BlockSender:
    """All TFTP transfers of one worker."""

    def __init__(
        self,
        reactor: Any,
        files: LocalFiles,
        tell: Callable[[Report], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._files = files
        self._tell = tell
        self._clock = clock
        self._hub: Hub = hub(reactor, clock)
        self._ports = Ports(self._hub, reactor.callLater)
        self._runs = Runs()
        self._offload = Offload()
        self._sessions: dict[int, Session] = {}
        self._numbers: dict[Session, int] = {}
        self._told: dict[int, int] = {}
        self._told_at = clock()
        self._sweep = Sweep(reactor, self._hub, lambda: tuple(self._numbers), self._swept)

    def begin(self, order: SendBlocks, descriptors: Sequence[int]) -> None:
        """Go on with a transfer; both descriptors belong to it from now on."""
        sock = socket.socket(fileno=descriptors[0])
        try:
            content = evolve(self._files.adopt(descriptors[1]), size=order.size)
        except OSError:
            sock.close()
            with suppress(OSError):
                os.close(descriptors[1])
            self._tell(Ended(order.number, 0, "the worker process could not take it"))
            return
        now = self._clock()
        agreement = Agreement(
            blksize=order.blksize, windowsize=order.windowsize, widest=order.widest, variable=order.variable
        )
        transfer = Transfer(agreement, None, now, timeout=order.timeout, retries=order.retries)
        transfer.go_on(order.acked, order.rtt, order.resent)
        sender = Sender(sock, (order.host, order.port), self._offload, order.mtu, connected=True)
        port = self._ports.adopt(sock)
        session = Session(transfer, agreement, content, self._runs, sender, port, self._hub, self)
        self._sessions[order.number], self._numbers[session] = session, order.number
        session.pump(now)
        self._sweep.start()

    def drop(self, number: int) -> None:
        """Give one up, and say nothing more."""
        session = self._sessions.get(number)
        if session is not None:
            self._forget(session)
            session.leave()

    def look(self) -> None:
        """See what has happened to all of them."""
        self._hub.look()

    def close(self) -> None:
        """Give all of them up."""
        for number in tuple(self._sessions):
            self.drop(number)
        self._sweep.stop()
        self._hub.close()

    # what sessions tell

    def answered(self, session: Session) -> bool:
        """They were answered before they came here."""
        return False

    def ended(self, session: Session, failure: str) -> None:
        """One is over."""
        number = self._numbers.get(session)
        if number is not None:
            self._forget(session)
            self._tell(Ended(number, session.arrived, sentence(failure), session.transfer.resent))

    def _forget(self, session: Session) -> None:
        number = self._numbers.pop(session)
        del self._sessions[number]
        self._told.pop(number, None)

    # time

    def _swept(self, now: float) -> None:
        if now - self._told_at >= PROGRESS:
            self._told_at = now
            self._report()

    def _report(self) -> None:
        for number, session in self._sessions.items():
            if session.arrived != self._told.get(number):
                self._told[number] = session.arrived
                self._tell(Progress(number, session.arrived, session.transfer.resent))
