"""
One file on its way from a client: the state machine of a write transfer (RFC 1350, RFC 7440).

Fed with datagrams and the time, as L{pybootd.tftp.transfer} is; what arrives in order comes out, and C{reply} says
what to answer.
"""

from __future__ import annotations

from pybootd.text import printable
from pybootd.tftp.options import Agreement
from pybootd.tftp.packet import DATA, ERROR, ack, decode_error, opcode
from pybootd.tftp.transfer import FIRST_TIMEOUT, NEVER, PATIENCE, State

DALLY = 3.0
"""Seconds after the last ACK during which it is repeated to a client that did not hear it."""


class Reception:
    """
    The server's side of a write transfer.

    @ivar state: C{ASKED} until the first block, C{SENDING} until the last; C{DONE} may still repeat its ACK.
    @ivar reason: a sentence about the end, where it came before the file's.
    @ivar received: bytes so far.
    @ivar reply: the packet to send now, or None.
    @ivar deadline: when to call L{expire}.
    @cvar paced: nothing leaves but ACKs.
    """

    probe = paced = False

    def __init__(self, agreement: Agreement, now: float, *, timeout: float = 2.0) -> None:
        self.state = State.ASKED
        self.reason = ""
        self.received = 0
        self.resent = 0
        self.block = 0
        self.deadline = now + FIRST_TIMEOUT
        self.reply: bytes | None = None
        self._agreement = agreement
        self._ceiling = max(agreement.timeout or timeout, FIRST_TIMEOUT)
        self._rto = FIRST_TIMEOUT
        self._heard = now
        self._in_window = 0
        self._told = False
        self._answer()

    def receive(self, datagram: bytes, now: float) -> bytes | None:
        """
        Take a datagram.

        @return: the bytes of a block that came in order.
        """
        kind = opcode(datagram)
        if kind == ERROR and self.state is not State.DONE:
            error = decode_error(datagram)
            self.state = State.ENDED
            self.reason = f"the client ended it: {printable(error.message) or 'no message'} (error {error.code})"
        elif kind == DATA and len(datagram) >= 4:
            ahead = ((datagram[2] << 8 | datagram[3]) - self.block) & 0xFFFF
            if ahead == 1 and self.state is not State.DONE:
                return self._take(datagram[4:], now)
            # a repeated block means that our ACK was lost; one too far, that a block was: said once
            if self.state is not State.ASKED and (ahead == 0 or (ahead < 0x8000 and not self._told)):
                self._told = True
                self.resent += 1
                self._answer()
        return None

    def expire(self, now: float) -> None:
        """The deadline may have passed: repeat the last answer, or give the client up."""
        if now < self.deadline:
            return
        if self.state is State.DONE:
            self.deadline = NEVER
        elif now >= self._heard + PATIENCE:
            self.state = State.LOST
            self.reason = "the client fell silent"
        else:
            self._rto = min(2 * self._rto, PATIENCE if self.state is State.ASKED else self._ceiling)
            self.deadline = min(now + self._rto, self._heard + PATIENCE)
            self._told = False
            self._answer()

    def _take(self, content: bytes, now: float) -> bytes:
        if len(content) > self._agreement.blksize:
            self.state = State.ENDED
            self.reason = "the client sent larger blocks than agreed"
            return b""
        self.block += 1
        self.received += len(content)
        self._heard = now
        self._rto = FIRST_TIMEOUT
        self._told = False
        self._in_window += 1
        if len(content) < self._agreement.blksize:
            self.state = State.DONE
            self.deadline = now + DALLY
            self._answer()
        else:
            self.state = State.SENDING
            self.deadline = now + self._rto
            if self._in_window >= self._agreement.windowsize:
                self._answer()
        return content

    def _answer(self) -> None:
        self._in_window = 0
        self.reply = ack(self.block) if self.block else self._agreement.oack or ack(0)
