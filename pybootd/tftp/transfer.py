"""
One file on its way to one client: which blocks to send, and when to send them again.

The state machine of a read transfer (RFC 1350, RFC 1123 4.2.3.1, RFC 7440), fed with
datagrams and the time.  It knows block numbers only: the bytes behind them, the socket
and the clock belong to L{pybootd.tftp.session}, which sends what is L{due<Transfer.due>} and comes back when a
datagram arrives or L{Transfer.deadline} passes.

Block numbers are absolute, and cut to 16 bits on the wire only, so that files of any
length need no further thought.  Block 0 is the OACK, which the client ACKs like a block.
"""

from __future__ import annotations

from enum import Enum

from pybootd.text import printable
from pybootd.tftp.options import Agreement
from pybootd.tftp.pace import PAUSE, Pace
from pybootd.tftp.packet import ACK, ERROR, decode_error, opcode

FIRST_TIMEOUT = 1.0
"""Seconds before the first packet is repeated; doubled each time, whatever the client asks for."""

RTO_FLOOR = 0.02
"""Seconds; less would take the pauses of a busy virtual machine for losses."""

RTT_FACTOR = 4
"""A packet is lost when nothing came back for that many round trips."""

PATIENCE = 30.0
"""Seconds of silence, at least, before a client is given up."""

NEVER = float("inf")


class State(Enum):
    """How far a transfer has come."""

    ASKED = "asked"
    """The first packet is out; until the client shows that it is there, nothing else leaves."""

    SENDING = "sending"
    DONE = "done"
    """The client ACKed the last block."""

    ENDED = "ended"
    """The client said ERROR."""

    LOST = "lost"
    """The client fell silent."""


class Transfer:
    """
    The server's side of a read transfer.

    @ivar state: see L{State}; nothing is due any more after the first two.
    @ivar reason: a sentence about the end, where it came before the file's.
    @ivar acked: the newest block that the client has; -1: not even the OACK.
    @ivar last: the number of the last block, as soon as that is known.
    @ivar deadline: when to call L{expire}, in the clock of the caller.
    @ivar resent: how many blocks were sent more than once.
    @ivar gaps: how often the client reported that a part of a window was lost.
    """

    __slots__ = (
        "_base",
        "_ceiling",
        "_next",
        "_pace",
        "_patience",
        "_repeated",
        "_retries",
        "_rto",
        "_sent_at",
        "_srtt",
        "_stop",
        "_timed",
        "_top",
        "_tries",
        "_variable",
        "_widest",
        "acked",
        "deadline",
        "gaps",
        "heard",
        "last",
        "probe",
        "reason",
        "resent",
        "sized",
        "state",
        "windowsize",
    )

    def __init__(
        self, agreement: Agreement, last: int | None, now: float, *, timeout: float = 2.0, retries: int = 5
    ) -> None:
        """
        @param timeout: seconds, the longest time before something is sent again; the client's wish goes first.
        @param retries: how often a packet or window is sent again in full while nothing comes back.
        """
        self.state = State.ASKED
        self.reason = ""
        self.probe = False
        self.sized = agreement.sized
        self.windowsize = agreement.windowsize
        self.last = last
        self.acked = -1 if agreement.oack else 0
        self.deadline = NEVER
        self.heard = now
        self.resent = 0
        self.gaps = 0
        self._variable = agreement.variable
        self._widest = agreement.widest
        self._next = self.acked + 1
        self._pace = Pace(agreement.widest)
        self._stop = self.acked + self._pace.burst
        self._top = self.acked
        self._retries = retries
        self._tries = 0
        self._ceiling = max(agreement.timeout or timeout, RTO_FLOOR)
        self._patience = max(PATIENCE, FIRST_TIMEOUT * 2**retries)
        self._rto = self._base = FIRST_TIMEOUT
        self._srtt = 0.0
        self._sent_at = now
        self._timed = False
        self._repeated = False

    def go_on(self, acked: int, rtt: float, resent: int) -> None:
        """
        Take over where another process stopped: the client has ACKed this block, and no other is out.

        @param rtt: seconds of a round trip; 0: not measured yet.
        """
        self.state = State.SENDING
        self.acked = self._top = acked
        self.resent = resent
        self._again()
        if rtt > 0:
            self._measure(rtt)
            self._rto = self._base

    @property
    def rtt(self) -> float:
        """Seconds of a round trip; 0: not measured yet."""
        return self._srtt

    @property
    def due(self) -> tuple[int, int]:
        """What to send now: the first block's number, and how many in a row (0: nothing)."""
        if self.state is State.SENDING:
            end = min(self._end_of_window, self._stop) if self._pace.slow else self._end_of_window
        elif self.state is State.ASKED:
            end = self.acked + 1
        else:
            return self._next, 0
        return self._next, max(0, end + 1 - self._next)

    @property
    def _end_of_window(self) -> int:
        """The newest block that may leave without another ACK."""
        end = self.acked + (self.windowsize if self._tries <= self._retries else 1)
        return end if self.last is None else min(end, self.last)

    @property
    def paced(self) -> bool:
        """Whether windows leave in several bursts, so that L{expire} is wanted after each L{PAUSE}."""
        return self._pace.slow

    @property
    def _pausing(self) -> bool:
        """Whether a burst has left, and another one follows without an ACK."""
        return self._pace.slow and self.state is State.SENDING and self._stop < min(self._next, self._end_of_window)

    @property
    def outstanding(self) -> bool:
        """Whether the client has something to ACK."""
        return self._next > self.acked + 1

    def sent(self, count: int, now: float) -> None:
        """The first C{count} of the blocks that were due have left."""
        end = self._next + count
        again = min(end, self._top + 1) - self._next
        self._timed = again <= 0  # what was sent twice tells nothing of the round trip
        if again > 0:
            self.resent += again
        self._next = end
        self._top = max(self._top, end - 1)
        self._sent_at = now
        if self.deadline == NEVER:
            self.heard = now  # until now it was not the client who was silent
        self.deadline = min(now + (PAUSE if self._pausing else self._rto), self.heard + self._patience)

    def step(self, now: float) -> None:
        """
        What L{receive} and L{sent} come to in most of all cases, without their deliberation: the client
        ACKed all of the window that is out, and the whole next one has left.
        """
        size = self.windowsize
        self.acked += size
        self._next += size
        self._top += size
        self.heard = self._sent_at = now
        self.deadline = now + self._rto

    @property
    def steady(self) -> bool:
        """Whether L{step} may stand for the next ACK: a window is out, nothing is lost, the round trip is known."""
        return (
            self.state is State.SENDING
            and self._tries == 0
            and self._srtt > 0
            and self._top == self.acked + self.windowsize
            and self._next == self._top + 1
            and self._timed
            and not self._repeated
            and not self._variable
            and not self._pace.slow
        )

    def receive(self, datagram: bytes, now: float) -> None:
        """Take a datagram from the client; whatever is no ACK of blocks that are out, and no ERROR, changes nothing."""
        kind = opcode(datagram)
        if kind == ACK and len(datagram) >= 4:
            self._receive_ack(datagram, now)
        elif kind == ERROR:
            self._receive_error(datagram)

    def expire(self, now: float) -> None:
        """The deadline may have passed: see what is to be sent again, or give the client up."""
        if now < self.deadline:
            return
        if now >= self.heard + self._patience:
            self._end(State.LOST, "the client fell silent")
            return
        if self._pausing:
            self._stop += self._pace.burst
            return
        self._tries += 1
        if self.state is State.ASKED and self._tries > self._retries:
            self.deadline = self.heard + self._patience
            return
        ceiling = self._patience if self.state is State.ASKED else self._ceiling
        self._rto = min(2 * self._rto, ceiling)
        if self.state is State.SENDING:
            self._pace.silence()
        self._again()

    def source_waits(self) -> None:
        """The next blocks are not here yet: it is not the client who is late."""
        if not self.outstanding:
            self.deadline = NEVER

    def socket_waits(self) -> None:
        """The socket takes no more for now: what is still in it is late, not lost."""
        self.deadline = self.heard + self._patience

    def _receive_ack(self, datagram: bytes, now: float) -> None:
        step = ((datagram[2] << 8 | datagram[3]) - self.acked) & 0xFFFF
        if step == 0:
            self._restart(now)
            return
        if step > self._top - self.acked:
            return  # old, or of a block that was never sent
        if self._variable and len(datagram) > 4:
            self.windowsize = max(1, min(datagram[4], self._widest))
        whole = step == self._top - self.acked
        if whole and self._timed:
            self._measure(now - self._sent_at)
        self.state = State.SENDING
        self.acked += step
        self.heard = now
        self._tries = 0
        self._rto = self._base
        self._repeated = not whole  # the blocks after a gap will make the client say so again
        self._tell_pace(whole)
        self._again()
        if self.acked == self.last:
            self._end(State.DONE, "")

    def _restart(self, now: float) -> None:
        """
        The client repeats its newest ACK: the first block of the window is lost, if there are windows.

        Without them, answering would double every later block (RFC 1123 4.2.3.1); with
        them, just so, if an echo of the ACK that released this window were believed: what
        comes sooner than news of the window can come back is such an echo.
        """
        if self.windowsize == 1 or self.state is not State.SENDING or self._repeated or not self.outstanding:
            return
        if now - self._sent_at < self._srtt / 2:
            return
        self._repeated = True
        self._tell_pace(False)
        self.heard = now
        self._again()

    def _again(self) -> None:
        """Go on behind the newest block that the client has."""
        self._next = self.acked + 1
        self._stop = self.acked + self._pace.burst

    def _tell_pace(self, whole: bool) -> None:
        self.gaps += not whole
        if whole:
            self._pace.whole()
        else:
            self._pace.gap()

    def _receive_error(self, datagram: bytes) -> None:
        error = decode_error(datagram)
        self.probe = self.sized and self.state is State.ASKED
        message = printable(error.message) or "no message"
        self._end(State.ENDED, f"the client ended it: {message} (error {error.code})")

    def _measure(self, rtt: float) -> None:
        self._srtt = rtt if self._srtt == 0 else self._srtt + (rtt - self._srtt) / 8
        self._base = min(max(RTT_FACTOR * self._srtt, RTO_FLOOR), self._ceiling)

    def _end(self, state: State, reason: str) -> None:
        self.state = state
        self.reason = reason
        self.deadline = NEVER
