"""
A file on its way from the page cache to a socket, without passing through this process.

The header leaves through Twisted's transport; once it is out, a L{Pump} writes the body with
sendfile(2), through a duplicate of the socket's descriptor, for the reactor knows
descriptors by their number and the transport goes on reading.  Then the transport gets its
channel back, and the connection serves its next request.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from pybootd.content.local import InThread, announce, is_cached, load
from pybootd.content.memory import is_distant_file

AVAILABLE = hasattr(os, "sendfile")

CHUNK = 1 << 20
"""Bytes for one call; the kernel takes what its socket buffer holds."""

ROUNDS = 4
"""Calls before another connection has its turn."""

CORKED_AMONG = 4
"""With no more pumps than this, full segments are worth a system call; with many it is the other way round."""

GONE = "The client went away"
CUT = "The file became shorter while it was being sent"

_CORK = getattr(socket, "TCP_CORK", None)
_GONE = (errno.EPIPE, errno.ECONNRESET, errno.ETIMEDOUT)


def at_once(connection: socket.socket, file: int, begin: int, end: int, in_thread: InThread | None) -> int:
    """
    Send a part of a file in one call, if it is in memory and small enough for that.

    @param in_thread: as for a L{Pump}, which sends what is left.
    @return: how many bytes have left; none where there is anything to be said about it.
    """
    if end - begin > CHUNK or (in_thread is not None and not is_cached(file, begin, end - begin)):
        return 0
    try:
        return os.sendfile(connection.fileno(), file, begin, end - begin)
    except OSError:
        return 0


def send_in_thread(
    in_thread: InThread, connection: socket.socket, file: int, begin: int, end: int
) -> Deferred[int | None]:
    """
    Have a thread send a part of a file whose disk may let wait for every byte, even of what is in memory.

    @param connection: to be closed when that is over, and not before.
    @param file: may be closed meanwhile.
    @return: fires with how many bytes have left; None where the socket takes none now.
    @raise OSError: there is no further descriptor.
    """
    own = os.dup(file)

    def send() -> int | None:
        try:
            announce(own, begin, end - begin)
            return os.sendfile(connection.fileno(), own, begin, end - begin)
        except BlockingIOError:
            return None
        finally:
            os.close(own)

    return in_thread(send)


class Carrier(Protocol):
    """Another process that sends, in as far as it is about one pump."""

    def drop(self) -> None:
        """Give it up, and tell nothing more of it."""

    def look(self) -> None:
        """Tell what there is to tell, then call L{Pump.looked}."""


class Lender(Protocol):
    """Knows other processes."""

    def lend(self, pump: Pump, connection: int, file: int, begin: int, end: int) -> Carrier | None:
        """
        Let another process send, and tell the pump of it.

        @return: None where it is to be sent here.
        """


@implementer(IPullProducer, IWriteDescriptor)
class Pump:
    """
    Sends one part of one file to one client.

    @cvar active: how many there are.
    @ivar settling: the connection has ended, and another process sends: it is asked whether it had sent all before.
    """

    active = 0

    def __init__(
        self,
        reactor: Any,
        transport: Any,
        file: int,
        begin: int,
        end: int,
        progress: Callable[[int], None],
        done: Callable[[str | None], None],
        in_thread: InThread | None = None,
        lender: Lender | None = None,
    ) -> None:
        """
        @param transport: a plain TCP transport, whose buffer holds the header.
        @param file: a descriptor, kept open by the caller until C{done} is called.
        @param progress: is told how many bytes more have left.
        @param done: called once: with None at the end, or with what went wrong.
        @param in_thread: where bytes that are not in memory are read; None: the disk is waited for.
        @param lender: knows other processes that may do the sending.
        """
        self._reactor = reactor
        self._transport = transport
        self._file = file
        self._offset = begin
        self._looked = begin
        self._end = end
        self._progress = progress
        self._done = done
        self._in_thread = in_thread
        self._lender = lender
        self._carrier: Carrier | None = None
        self.settling = False
        self._told = 0
        self._channel: Any = None
        self._fd = -1
        self._corked = False
        self._taken = False
        self._registered = False
        self._waiting = False
        self._elsewhere: socket.socket | None = None
        self._running = True

    def start(self, channel: Any, *, clear: bool = False) -> None:
        """
        Take the transport from C{channel}, and send as soon as the header is out.

        A pull producer is called once when it registers, and again whenever the
        transport's buffer is empty.  Where that is known to be so, there is nothing to wait for, and what the
        socket takes at once needs neither a descriptor nor the reactor.

        @param clear: nothing waits in the transport's buffer.
        """
        Pump.active += 1
        self._channel = channel
        self._cork(_CORK is not None and self._end - self._offset > CHUNK and Pump.active <= CORKED_AMONG)
        if clear and not self._lend():
            self._send(self._transport.getHandle().fileno())
        if self._running:
            self._taken = True
            self._transport.unregisterProducer()
            self._transport.registerProducer(self, False)
        if clear and self._carrier is None and self._running and self._own_descriptor() and not self._waiting:
            self._reactor.addWriter(self)

    def resumeProducing(self) -> None:
        if not self._registered:
            self._registered = True
        elif self._fd < 0 and self._running and not self._lend() and self._own_descriptor():
            self._advance()

    def stopProducing(self) -> None:
        """The transport has lost its connection; a client that has all of the file may be the one to end it."""
        if self._carrier is None:
            self._finish(GONE)
        elif not self.settling:
            self.settling = True
            self._carrier.look()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has seen the connection break, through the duplicate."""
        self._finish(GONE)

    def fileno(self) -> int:
        return self._fd

    def logPrefix(self) -> str:
        return "sendfile"

    def doWrite(self) -> None:
        """The socket takes more."""
        self._send(self._fd)

    def _own_descriptor(self) -> bool:
        """Have a descriptor of the socket that the reactor does not know yet."""
        try:
            if self._fd < 0:
                self._fd = os.dup(self._transport.getHandle().fileno())
        except OSError as error:
            self._fail(error)
            return False
        return True

    def _send(self, fd: int) -> None:
        """Send what the socket takes, or what is fair."""
        begun = self._offset
        cold = False
        try:
            for _ in range(ROUNDS):
                length = self._known()
                cold = not length and self._offset < self._end
                if cold:
                    break
                sent = os.sendfile(fd, self._file, self._offset, length)
                if not sent:
                    self._finish(CUT)
                    return
                self._offset += sent
                if self._offset == self._end:
                    break
        except BlockingIOError:
            pass
        except OSError as error:
            self._fail(error)
            return
        self._have_sent(self._offset - begun)
        if cold and self._in_thread is not None:
            self._wait(self._in_thread)

    def _have_sent(self, count: int) -> None:
        if count:
            self._progress(count)
        if self._offset == self._end:
            self._finish(None)

    def _fail(self, error: OSError) -> None:
        self._finish(GONE if error.errno in _GONE else f"The file cannot be sent: {error.strerror}")

    # another process that sends in place of this one

    def _lend(self) -> bool:
        """Whether another process sends."""
        if self._lender is not None and self._carrier is None:
            connection = self._transport.getHandle().fileno()
            self._carrier = self._lender.lend(self, connection, self._file, self._offset, self._end)
        return self._carrier is not None

    def progressed(self, sent: int, resent: int = 0) -> None:
        """So many bytes have left."""
        if sent > self._told:
            more, self._told = sent - self._told, sent
            self._progress(more)

    def looked(self) -> None:
        """It was not over there when the connection ended."""
        if self.settling:
            self._finish(GONE)

    def ended(self, failure: str) -> None:
        """It is over there."""
        self._carrier = None
        self._finish(failure or None)

    def _advance(self) -> None:
        """Send what goes at once, and the rest when the socket takes more."""
        self.doWrite()
        if self._running and not self._waiting:
            self._reactor.addWriter(self)

    def _known(self) -> int:
        """How many of the next bytes can be sent without waiting for a disk."""
        length = min(CHUNK, self._end - self._offset)
        if self._in_thread is None or self._offset + length <= self._looked:
            return length
        begin = max(self._offset, self._looked)
        if is_cached(self._file, begin, self._offset + length - begin):
            self._looked = self._offset + length
        return max(0, self._looked - self._offset)

    def _wait(self, in_thread: InThread) -> None:
        """
        Let a thread wait for the disk; once for each part: there are file systems of which nobody can tell.

        What another host or program has is also sent by the thread, for it may be asked about what is in memory.
        """
        begin, end = self._offset, min(self._offset + CHUNK, self._end)
        self._waiting = True
        if self._fd >= 0:
            self._reactor.removeWriter(self)
        try:
            if is_distant_file(self._file):
                self._elsewhere = self._transport.getHandle().dup()
                send_in_thread(in_thread, self._elsewhere, self._file, begin, end).addBoth(self._sent_elsewhere)
            else:
                self._looked = end
                load(in_thread, self._file, begin, end - begin).addBoth(self._loaded)
        except OSError as error:
            self._close_elsewhere()
            self._fail(error)

    def _loaded(self, _: object) -> None:
        self._waiting = False
        if self._running and self._own_descriptor():
            self._advance()

    def _sent_elsewhere(self, sent: int | Failure | None) -> None:
        self._waiting = False
        self._close_elsewhere()
        if not self._running:
            return
        if isinstance(sent, Failure):
            self._fail(sent.value if isinstance(sent.value, OSError) else OSError(errno.EIO, str(sent.value)))
        elif sent == 0:
            self._finish(CUT)
        else:
            self._offset += sent or 0
            self._have_sent(sent or 0)
            if self._running and self._own_descriptor():
                self._reactor.addWriter(self)

    def _close_elsewhere(self) -> None:
        connection, self._elsewhere = self._elsewhere, None
        if connection is not None:
            connection.close()

    def _finish(self, problem: str | None) -> None:
        if not self._running:
            return
        self._running = False
        Pump.active -= 1
        if self._carrier is not None:
            self._carrier.drop()
        if self._fd >= 0:
            self._reactor.removeWriter(self)
            os.close(self._fd)
            self._fd = -1
        if self._elsewhere is not None:  # the thread's hold on it would keep the connection from its end
            with suppress(OSError):
                self._elsewhere.shutdown(socket.SHUT_RDWR)
        if problem is None:
            self._cork(False)
            if self._taken and not self.settling:
                self._transport.unregisterProducer()
                self._transport.registerProducer(self._channel, True)
        self._done(problem)

    def _cork(self, corked: bool) -> None:
        if corked != self._corked:
            self._corked = corked
            with suppress(OSError):  # no TCP, or no connection any more
                self._transport.getHandle().setsockopt(socket.IPPROTO_TCP, _CORK, corked)
