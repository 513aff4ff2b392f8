"""
One read transfer at work: its state machine, its blocks, and the socket that carries them.

The state machine says what is due; it is looked up among the blocks and sent here.  As long as nothing is
lost, it goes a shorter way: the ACK is compared with the one that is expected, and the block or window that
lies ready leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

from pybootd.content.content import Content
from pybootd.errors import ContentError
from pybootd.tftp import packet
from pybootd.tftp.blocks import Blocks, Run, Runs, Step, call_length
from pybootd.tftp.hub import Hub
from pybootd.tftp.options import Agreement
from pybootd.tftp.packet import ErrorCode
from pybootd.tftp.ports import Port
from pybootd.tftp.sender import Ancillary, Sender
from pybootd.tftp.transfer import State, Transfer

LARGEST = 256
"""Bytes of a client's datagram that are looked at: an ACK has four, an ERROR a sentence."""

SPLIT = 16
"""
Blocks: in windows up to this size the first one leaves by itself, so that the client wakes up while the kernel cuts
the others: 1.12 times the throughput with windows of 4, 1.04 with 16, at no more processor time.  With larger ones
nobody waits for that, and it costs.
"""

RUNNING = (State.ASKED, State.SENDING)


class Owner(Protocol):
    """Who is told of a session's end."""

    def ended(self, session: Session, failure: str) -> None:
        """It is over; C{failure} is empty when the client has the whole file."""

    def answered(self, session: Session) -> bool:
        """
        The client has shown that it is there.

        @return: whether the transfer goes on elsewhere; the session has been left then.
        """


class Session:
    """
    One client's read transfer.

    @ivar transfer: how far it has come.
    @ivar content: the file.
    @ivar client: address and port.
    @ivar blocked: the socket takes no more for now; who shares the server's calls L{writable} to try again.
    """

    __slots__ = (
        "_agreement",
        "_ahead",
        "_blocks",
        "_cut",
        "_expected",
        "_hub",
        "_open",
        "_owner",
        "_port",
        "_sender",
        "_waiting",
        "blocked",
        "client",
        "content",
        "transfer",
    )

    def __init__(
        self,
        transfer: Transfer,
        agreement: Agreement,
        content: Content,
        runs: Runs,
        sender: Sender,
        port: Port | None,
        hub: Hub,
        owner: Owner,
    ) -> None:
        """@param port: the transfer's own, which the session gives back; None where it shares the server's."""
        self.transfer = transfer
        self.content = content
        self.client = sender.client
        self.blocked = False
        self._agreement = agreement
        self._blocks = Blocks(content.body, content.size, agreement.blksize, agreement.widest, runs)
        self._sender = sender
        self._port = port
        self._hub = hub
        self._owner = owner
        self._open = True
        self._waiting = False
        self._expected: bytes | None = None
        self._ahead: Iterator[Step] = iter(())
        self._cut: Ancillary = []
        if port is not None:
            port.begin(self)

    @property
    def arrived(self) -> int:
        """Bytes that the client has said to have."""
        sent = max(0, self.transfer.acked) * self._agreement.blksize
        return sent if self.content.size is None else min(sent, self.content.size)

    @property
    def agreement(self) -> Agreement:
        """What was agreed upon."""
        return self._agreement

    @property
    def descriptors(self) -> tuple[int, int] | None:
        """Its own socket and its file, both of them plain descriptors; None where there is no such thing."""
        file = self.content.body.fileno()
        return None if self._port is None or file is None else (self._port.socket.fileno(), file)

    @property
    def shares(self) -> bool:
        """Whether it has no socket of its own."""
        return self._port is None

    def readable(self, now: float) -> bool:
        """The transfer's own socket has a datagram: what the hub calls."""
        port = self._port
        if port is None:
            return False
        sock = port.socket
        try:
            datagram = sock.recv(LARGEST)
        except OSError:
            return False  # a wrong checksum, or an ICMP error: the timer knows better
        if datagram == self._expected:
            singles, parts, self._expected = next(self._ahead)
            try:
                for single in singles:
                    sock.send(single)
                for part in parts:
                    sock.sendmsg((part,), self._cut)
            except OSError:
                # the long way has an answer to each; a block that is there twice is ignored
                self.receive(datagram, now)
            else:
                self.transfer.step(now)
                if self._expected is None:
                    self._read_ahead()
                return True
        else:
            self.receive(datagram, now)
        return False

    def receive(self, datagram: bytes, now: float) -> None:
        """A datagram from the client."""
        before, asked = self.transfer.acked, self.transfer.state is State.ASKED
        self.transfer.receive(datagram, now)
        if asked and self.transfer.state is State.SENDING and self._owner.answered(self):
            return
        if self.transfer.acked > before:
            self.content.body.discard(self.transfer.acked * self._agreement.blksize)
        self.pump(now)

    def writable(self, now: float) -> None:
        """The socket takes more again."""
        self.blocked = False
        self.pump(now)

    def expire(self, now: float) -> None:
        """Time has passed."""
        self.transfer.expire(now)
        self.pump(now)

    def failed(self) -> None:
        """Something happened that should not, and was reported."""
        self.fail("internal error")

    def pump(self, now: float) -> None:
        """Send what is due, as far as it is here and the socket takes it."""
        self._expected = None
        if self.transfer.state not in RUNNING:
            self.close(self.transfer.reason)
            return
        try:
            while self._open and not self._waiting and not self.blocked and self._send_run(now):
                pass
        except ContentError as error:
            self.fail(str(error))
        except OSError as error:
            self.close(f"cannot send to it: {error.strerror}")

    def fail(self, reason: str) -> None:
        """End it, and tell the client why."""
        if self._open:
            with suppress(OSError):  # then our silence tells it
                self._sender.send(packet.error(ErrorCode.UNDEFINED, reason))
            self.close(reason)

    def close(self, failure: str) -> None:
        """It is over, in whatever way; idempotent."""
        if self._open:
            self.leave(again=not failure)
            self._owner.ended(self, failure)

    def leave(self, again: bool = False) -> None:
        """
        Close what it has, and tell nobody: another process has descriptors of its own, and goes on with them.

        @param again: others may have its port.
        """
        self._open = False
        self._expected = None
        self._blocks.close()
        port, self._port = self._port, None
        if port is not None:
            port.end(again)

    def _send_run(self, now: float) -> bool:
        """Send what is due and lies in one run; @return: whether there may be more."""
        transfer = self.transfer
        first, count = transfer.due
        if not count:
            return False
        if first == 0:
            if self._sender.send(self._agreement.oack):
                transfer.sent(1, now)
            else:
                self._block()
            return False
        run = self._blocks.run(first)
        if run is None:
            self._wait()
            return False
        transfer.last = self._blocks.last
        at = first - run.first
        ready = min(count, run.count - at)
        sent = self._sender.send_run(run, at, ready)
        if sent:
            transfer.sent(sent, now)
        if sent < ready:
            self._block()
        elif transfer.steady:
            self._go_quick(run)
        return sent < count

    def _go_quick(self, run: Run) -> None:
        """A window is out, and nothing is lost: its ACK may take the short way, up to the run's end."""
        at = self.transfer.acked + 1 - run.first
        if self._port is None or at < 0:
            return
        single = self._single(len(run.packets[at]))
        if single is not None:
            self._ahead = run.ahead(at, self.transfer.windowsize, single)
            self._expected = next(self._ahead)[2]
            if self._expected is None:
                self._read_ahead()

    def _single(self, length: int) -> int | None:
        """
        How many packets of a window leave one by one on the short way, where the kernel cuts the others.

        @param length: bytes of a packet.
        @return: None for a window that has to go the long way: a socket may not have room for so many packets.
        """
        size = self.transfer.windowsize
        if size == 1:
            return 1
        cut = self._sender.cut(length)
        if cut is None:
            return size if size <= call_length(self._agreement.blksize) else None
        self._cut = cut
        return 1 if size <= SPLIT and self._hub.calm else 0

    def _read_ahead(self) -> None:
        """The last window of a run is out: while the client receives it, have the next run lie ready."""
        transfer, blocks = self.transfer, self._blocks
        acked, size = transfer.acked, transfer.windowsize
        first = acked + size + 1
        if blocks.last is not None and first + size - 1 > blocks.last:
            return
        self.content.body.discard(acked * self._agreement.blksize)
        try:
            run = blocks.run(first)
        except ContentError:
            return  # it will be told when the window is due
        transfer.last = blocks.last
        if run is None or first - run.first + size > run.count:
            return
        single = self._single(len(run.packets[first - run.first]))
        if single is not None:
            self._ahead = run.ahead(first - run.first, size, single)
            self._expected = packet.ack(first - 1)

    def _wait(self) -> None:
        """Go on when the file's source has more."""
        self._waiting = True
        self.transfer.source_waits()
        self.content.body.wait(self._ready)

    def _ready(self) -> None:
        self._waiting = False
        if self._open:
            self.pump(self._hub.clock())

    def _block(self) -> None:
        """Go on when the socket takes more."""
        self.blocked = True
        self.transfer.socket_waits()
        if self._port is not None:
            self._hub.want_write(self._port.socket.fileno())
