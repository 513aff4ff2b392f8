"""
One transfer at work: its state machine, the file behind it, and the socket that it uses.

The state machine says which blocks are due; they are read, put behind their headers and sent here.  Whoever owns
the session calls L{Session.expire} when its deadline has passed.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from struct import Struct
from typing import Protocol

from pybootd.content.content import Content
from pybootd.errors import ContentError
from pybootd.tftp import packet
from pybootd.tftp.options import Agreement
from pybootd.tftp.sender import Sender
from pybootd.tftp.transfer import State, Transfer

_HEADER = Struct("!HH")

WINDOWS_A_TURN = 8
"""Datagrams of one client that are looked at in one wake-up, so that a fast one does not hold up the others."""


class Owner(Protocol):
    """Who is told of a session's life."""

    def ended(self, session: Session, failure: str) -> None:
        """It is over; C{failure} is empty when the client has the whole file."""

    def writable(self, session: Session) -> None:
        """The socket takes no more for now: call L{Session.pump} when it does."""


class Session:
    """One client's read transfer."""

    def __init__(
        self,
        transfer: Transfer,
        agreement: Agreement,
        content: Content,
        sock: socket.socket,
        client: tuple[str, int],
        owner: Owner,
        sender: Sender,
        clock: Callable[[], float],
        mtu: int = 1500,
    ) -> None:
        self.transfer = transfer
        self.content = content
        self.client = client
        self._agreement = agreement
        self._blksize = agreement.blksize
        self._body = content.body
        self._socket = sock
        self._owner = owner
        self._sender = sender
        self._clock = clock
        self._mtu = mtu
        self._open = True
        self._waiting = False

    @property
    def arrived(self) -> int:
        """Bytes that the client has said to have."""
        blocks = max(0, self.transfer.acked)
        size = self.content.size
        sent = blocks * self._blksize
        return sent if size is None else min(sent, size)

    @property
    def resent(self) -> int:
        """Blocks that were sent more than once."""
        return self.transfer.resent

    def receive(self, datagram: bytes) -> None:
        """A datagram from the client."""
        before = self.transfer.acked
        self.transfer.receive(datagram, self._clock())
        if self.transfer.acked > before:
            self._body.discard(self.transfer.acked * self._blksize)
        self.pump()

    def expire(self, now: float) -> None:
        """Time has passed."""
        self.transfer.expire(now)
        self.pump()

    def pump(self) -> None:
        """Send what is due, as far as it is here and the socket takes it."""
        while self._open:
            transfer = self.transfer
            if transfer.state not in (State.ASKED, State.SENDING):
                self.close("" if transfer.state is State.DONE else transfer.reason)
                return
            first, count = transfer.due
            if not count or self._waiting:
                return
            try:
                packets = self._packets(first, count)
                if not packets:
                    return
                sent = self._sender.send(self._socket, packets, self.client, self._mtu)
            except ContentError as error:
                self._fail(packet.ErrorCode.UNDEFINED, str(error))
                return
            except OSError as error:
                self.close(f"cannot send to it: {error.strerror}")
                return
            if sent:
                transfer.sent(sent, self._clock())
            if sent < len(packets):
                transfer.socket_waits()
                self._owner.writable(self)
                return

    def close(self, failure: str) -> None:
        """It is over, in whatever way; idempotent."""
        if self._open:
            self._open = False
            self._body.close()
            self._owner.ended(self, failure)

    def _fail(self, code: int, reason: str) -> None:
        with contextlib.suppress(OSError):  # then the client learns it by our silence
            self._socket.sendto(packet.error(code, reason), self.client)
        self.close(reason)

    def _packets(self, first: int, count: int) -> list[bytes]:
        """The packets of these blocks; fewer where the file ends or its bytes are not here yet."""
        if first == 0:
            return [self._agreement.oack or b""]
        size = self._blksize
        data = self._body.read((first - 1) * size, count * size)
        if data is None and count > 1:
            data = self._body.read((first - 1) * size, size)
            count = 1
        if data is None:
            self.transfer.source_waits()
            self._waiting = True
            self._body.wait(self._ready)
            return []
        whole = len(data) // size
        if whole < count:
            self.transfer.last = first + whole
            whole += 1
        return [_HEADER.pack(packet.DATA, (first + i) & 0xFFFF) + data[i * size : (i + 1) * size] for i in range(whole)]

    def _ready(self) -> None:
        self._waiting = False
        self.pump()
