"""Files from the page cache to a socket."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any
from unittest.mock import patch

from twisted.internet.interfaces import IPullProducer, IWriteDescriptor
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd.http import sendfile
from pybootd.http.sendfile import CHUNK, CUT, GONE, ROUNDS, Pump, at_once
from tests.support.http import Reactor, Transport
from tests.support.tree import open_descriptors
from tests.support.web import Threads

DATA = os.urandom(1 << 20) * 8


class Channel:
    """What had the transport before, and gets it back."""

    def __init__(self) -> None:
        self.lost = 0

    def connectionLost(self, reason: object) -> None:
        self.lost += 1

    def stopProducing(self) -> None:
        """It had nothing to stop."""


class PumpCase(SynchronousTestCase):
    """A file, and a connection."""

    def setUp(self) -> None:
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors leaked"))
        self.addCleanup(lambda: self.assertEqual(Pump.active, 0))
        self.reactor = Reactor()
        self.addCleanup(lambda: self.assertEqual(self.reactor.getDelayedCalls(), []))
        self.transport = Transport("192.0.2.7")
        self.channel = Channel()
        self.transport.protocol = self.channel
        self.transport.registerProducer(self.channel, True)
        self.addCleanup(self.transport.theirs.close)
        self.addCleanup(self.transport.lose)
        self.path = self.mktemp()
        with open(self.path, "wb") as file:  # noqa: PTH123
            file.write(DATA)
        self.file = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, self.file)
        self.done: list[str | None] = []
        self.progress = 0
        self.received = bytearray()

    def made(self, begin: int, end: int, **options: Any) -> Pump:
        def progress(count: int) -> None:
            self.progress += count

        return Pump(self.reactor, self.transport, self.file, begin, end, progress, self.done.append, **options)

    def pump(self, begin: int = 0, end: int = len(DATA), **options: Any) -> Pump:
        pump = self.made(begin, end, **options)
        self.transport.write(b"header")
        pump.start(self.channel)
        return pump

    def take(self) -> int:
        """The client takes what is there."""
        before = len(self.received)
        try:
            while piece := self.transport.theirs.recv(1 << 20):
                self.received += piece
        except BlockingIOError:
            pass
        return len(self.received) - before

    def run_all(self) -> None:
        self.transport.flush()
        self.take()
        while self.reactor.writers:
            self.reactor.turn()
            self.take()


class PumpTests(PumpCase):
    """L{Pump} sends a part of a file, and gives the transport back."""

    def test_interfaces(self) -> None:
        """It is what Twisted calls a pull producer, and a descriptor."""
        pump = self.pump()
        verifyObject(IPullProducer, pump)
        verifyObject(IWriteDescriptor, pump)

    def lend(self, pump: Pump, connection: int, file: int, begin: int, end: int) -> PumpTests | None:
        """Another process: this test."""
        self.lent = (os.fstat(connection).st_ino, file, begin, end)
        return self if self.takes else None

    def drop(self) -> None:
        self.dropped += 1

    def look(self) -> None:
        self.asked += 1

    takes, dropped, asked = True, 0, 0

    def test_elsewhere(self) -> None:
        """Another process may send in its place, once the header is out; what it tells is told on."""
        pump = self.pump(5, 1000, lender=self)
        self.transport.flush()
        self.take()
        self.assertEqual(self.received, b"header")
        self.assertEqual(self.lent, (os.fstat(self.transport.ours.fileno()).st_ino, self.file, 5, 1000))
        self.assertEqual(self.reactor.writers, [])
        pump.progressed(300, 0)
        pump.progressed(995, 0)
        pump.ended("")
        self.assertEqual((self.progress, self.done, self.dropped), (995, [None], 0))
        self.assertIs(self.transport.producer, self.channel)

    def test_elsewhere_and_gone(self) -> None:
        """A client that goes away is gone for the other process too; what goes wrong there goes wrong."""
        pump = self.pump(lender=self)
        self.transport.flush()
        self.transport.lose()
        pump.progressed(300)
        self.assertEqual((self.done, self.asked, self.progress), ([], 1, 300))
        pump.looked()
        self.assertEqual((self.done, self.dropped), ([GONE], 1))

    def test_elsewhere_and_whole(self) -> None:
        """A client that ends the connection as soon as it has all has all, whichever of the two is heard of first."""
        pump = self.pump(0, 1000, lender=self)
        self.transport.flush()
        self.transport.lose()
        self.assertTrue(pump.settling)
        pump.ended("")
        pump.looked()
        self.assertEqual((self.done, self.dropped), ([None], 0))

    def test_failed_elsewhere(self) -> None:
        """What goes wrong in the other process is told."""
        pump = self.pump(lender=self)
        self.transport.flush()
        pump.ended("the worker process that sent it died")
        self.assertEqual((self.done, self.dropped), (["the worker process that sent it died"], 0))

    def test_nobody_else(self) -> None:
        """Where no other process takes it, it is sent here."""
        self.takes = False
        self.pump(lender=self)
        self.run_all()
        self.assertTrue(self.received == b"header" + DATA)

    def test_all(self) -> None:
        """The header goes first, then every byte; the channel has its transport again."""
        self.pump()
        self.assertEqual(self.take(), 0)
        self.run_all()
        self.assertTrue(self.received == b"header" + DATA)
        self.assertEqual((self.done, self.progress), ([None], len(DATA)))
        self.assertIs(self.transport.producer, self.channel)
        self.assertTrue(self.transport.streaming)

    def test_part(self) -> None:
        """A part begins and ends at the byte."""
        self.pump(1_000_001, 3_000_003)
        self.run_all()
        self.assertTrue(self.received == b"header" + DATA[1_000_001:3_000_003])

    def test_slow_reader(self) -> None:
        """Nothing spins while the client takes nothing; it goes on when it does."""
        self.pump()
        self.transport.flush()
        sent = self.progress
        self.reactor.turn()
        self.assertEqual(self.progress, sent)
        self.take()
        self.reactor.turn()
        self.assertGreater(self.progress, sent)

    def test_bounded_turn(self) -> None:
        """In one turn no more is sent than agreed, however fast the client is."""
        pump = self.pump()
        counts: list[int] = []

        def swallow(socket: int, file: int, offset: int, count: int) -> int:
            counts.append(count)
            return count

        with patch("os.sendfile", swallow):
            self.transport.flush()
            self.assertEqual(counts, [CHUNK] * ROUNDS)
            pump.doWrite()
        self.assertEqual(self.done, [None])

    def test_file_became_shorter(self) -> None:
        """A file that lost its end is no complete answer."""
        self.pump()
        os.truncate(self.path, 1000)
        self.run_all()
        self.assertEqual(len(self.received), len(b"header") + 1000)
        self.assertIn("shorter", str(self.done[0]))

    def test_errors(self) -> None:
        """A client that is gone, and a disk that fails."""
        for number, sentence in ((errno.ECONNRESET, GONE), (errno.EPIPE, GONE), (errno.EIO, "Input/output error")):
            self.done.clear()
            self.transport.unregisterProducer()
            self.transport.registerProducer(self.channel, True)
            self.pump()
            with patch("os.sendfile", side_effect=OSError(number, os.strerror(number))):
                self.transport.flush()
            self.assertIn(sentence, str(self.done))

    def test_no_descriptor_left(self) -> None:
        """Without a descriptor for the socket it fails in a sentence."""
        self.pump()
        with patch("os.dup", side_effect=OSError(errno.EMFILE, "Too many open files")):
            self.transport.flush()
        self.assertEqual(self.done, ["The file cannot be sent: Too many open files"])

    def test_connection_lost(self) -> None:
        """A connection that ends, seen by the transport or by the reactor, ends it once."""
        pump = self.pump()
        self.transport.flush()
        pump.connectionLost(None)  # type: ignore[arg-type]
        self.transport.lose()
        self.assertEqual((self.done, self.reactor.writers, pump.fileno()), ([GONE], [], -1))

    def test_lost_before_the_header_is_out(self) -> None:
        """Also before it began."""
        self.pump()
        self.transport.lose()
        self.assertEqual(self.done, [GONE])

    def test_cold(self) -> None:
        """What is not in memory is read by a thread; meanwhile nobody waits, and nothing spins."""
        threads = Threads()
        threads.held = True
        self.patch(sendfile, "is_cached", lambda *_: False)
        self.pump(in_thread=threads)
        self.transport.flush()
        self.assertEqual((self.progress, self.reactor.writers), (0, []))
        while not self.done:
            threads.run()
            self.reactor.turn()
            self.take()
        self.assertTrue(self.received == b"header" + DATA)

    def test_cold_behind(self) -> None:
        """Nothing is sent that was not looked for in memory, however little the client takes at a time."""
        looked, sent = [0], []
        real = os.sendfile

        def is_cached(file: int, offset: int, length: int) -> bool:
            looked[0] = offset + length
            return True

        def send(to: int, file: int, offset: int, length: int) -> int:
            sent.append((offset + length, looked[0]))
            return real(to, file, offset, min(length, 300_000))

        self.patch(sendfile, "is_cached", is_cached)
        with patch("os.sendfile", send):
            self.pump(in_thread=Threads())
            self.run_all()
        self.assertEqual([end for end, known in sent if end > known], [])
        self.assertTrue(self.received == b"header" + DATA)

    def test_cold_and_gone(self) -> None:
        """A client that does not wait for the disk leaves nothing behind."""
        threads = Threads()
        threads.held = True
        self.patch(sendfile, "is_cached", lambda *_: False)
        self.pump(in_thread=threads)
        self.transport.flush()
        self.transport.lose()
        threads.run()
        self.assertEqual((self.done, self.reactor.writers), ([GONE], []))

    def test_corked_when_alone(self) -> None:
        """Full segments are asked for while few are active, for large parts, and no longer than the body lasts."""
        calls: list[bool] = []
        self.patch(Pump, "_cork", lambda pump, corked: calls.append(corked))
        self.pump()
        self.run_all()
        Pump.active += 10
        self.pump()
        Pump.active -= 10
        self.run_all()
        self.pump(0, CHUNK)
        self.run_all()
        self.assertEqual(calls, [True, False, False, False, False, False])


class ClearTests(PumpCase):
    """Where nothing waits in the transport, a pump begins at once."""

    def begin(self, begin: int = 0, end: int = len(DATA), **options: Any) -> Pump:
        pump = self.made(begin, end, **options)
        pump.start(self.channel, clear=True)
        return pump

    def test_at_once(self) -> None:
        """What the socket takes whole costs neither a descriptor nor a turn; the channel keeps its transport."""
        with patch("os.dup", side_effect=AssertionError):
            self.begin(5, 1005)
        self.assertEqual((self.done, self.progress, self.reactor.writers), ([None], 1000, []))
        self.assertIs(self.transport.producer, self.channel)
        self.take()
        self.assertTrue(self.received == DATA[5:1005])

    def test_rest(self) -> None:
        """What it does not take follows when it does; then the channel has its transport again."""
        pump = self.begin()
        self.assertEqual((self.done, self.reactor.writers), ([], [pump]))
        self.assertIs(self.transport.producer, pump)
        self.run_all()
        self.assertTrue(self.received == DATA)
        self.assertEqual(self.done, [None])
        self.assertIs(self.transport.producer, self.channel)

    def test_bounded(self) -> None:
        """A fast client has no more at once than others have in a turn."""
        with patch("os.sendfile", lambda socket, file, offset, count: count):
            self.begin()
        self.assertEqual((self.done, self.progress), ([], ROUNDS * CHUNK))

    def test_fails(self) -> None:
        """A client that is gone, a file that is cut, and no descriptor left, leave nothing behind."""
        with patch("os.sendfile", side_effect=OSError(errno.EPIPE, "Broken pipe")):
            self.begin()
        with patch("os.sendfile", return_value=0):
            self.begin()
        with patch("os.dup", side_effect=OSError(errno.EMFILE, "Too many open files")):
            self.begin()
        self.assertIn("shorter", str(self.done[1]))
        self.assertEqual(self.done[::2], [GONE, "The file cannot be sent: Too many open files"])
        self.assertEqual(self.reactor.writers, [])

    def test_cold(self) -> None:
        """What is not in memory is read by a thread; meanwhile nothing spins, and the client may leave."""
        threads = Threads()
        threads.held = True
        self.patch(sendfile, "is_cached", lambda *_: False)
        self.begin(in_thread=threads)
        self.assertEqual((self.progress, self.reactor.writers), (0, []))
        threads.run()
        self.assertGreater(self.progress, 0)
        self.transport.lose()
        threads.run()
        self.assertEqual((self.done, self.reactor.writers), ([GONE], []))


class DistantTests(PumpCase):
    """A file of another host or program, which may let wait for every byte, is sent by a thread."""

    def setUp(self) -> None:
        super().setUp()
        self.threads = Threads()
        self.threads.held = True
        self.patch(sendfile, "is_cached", lambda *_: False)
        self.patch(sendfile, "is_distant_file", lambda _: True)

    def begin(self, begin: int = 0, end: int = len(DATA)) -> Pump:
        pump = self.made(begin, end, in_thread=self.threads)
        pump.start(self.channel, clear=True)
        return pump

    def test_thread(self) -> None:
        """The reactor only hears when the socket takes more; each time a thread sends what it takes."""
        pump = self.begin(5)
        turns = 0
        while not self.done:
            self.assertEqual(self.reactor.writers, [], "the reactor waits for nothing while the thread does")
            with patch("os.sendfile", side_effect=AssertionError):
                self.take()
            self.threads.run()
            self.assertIn(self.reactor.writers, ([], [pump]))
            self.reactor.turn()
            turns += 1
        self.take()
        self.assertGreater(turns, len(DATA) // CHUNK)
        self.assertTrue(self.received == DATA[5:])
        self.assertEqual((self.done, self.progress), ([None], len(DATA) - 5))
        self.assertIs(self.transport.producer, self.channel)

    def test_full(self) -> None:
        """A socket that takes nothing is waited for."""
        pump = self.begin()
        with patch("os.sendfile", side_effect=BlockingIOError):
            self.threads.run()
        self.assertEqual((self.done, self.progress, self.reactor.writers), ([], 0, [pump]))

    def test_fails(self) -> None:
        """What the thread finds out ends the transfer: the disk's error, a file that is cut, a client that is gone."""
        for error in (OSError(errno.EIO, "Input/output error"), OSError(errno.EPIPE, "Broken pipe")):
            self.begin()
            with patch("os.sendfile", side_effect=error):
                self.threads.run()
        self.begin()
        with patch("os.sendfile", return_value=0):
            self.threads.run()
        self.assertEqual(self.done, ["The file cannot be sent: Input/output error", GONE, CUT])
        self.assertEqual(self.reactor.writers, [])

    def test_no_descriptor(self) -> None:
        """Without a descriptor for the thread, too."""
        with patch("os.dup", side_effect=OSError(errno.EMFILE, "Too many open files")):
            self.begin()
        self.assertEqual(self.done, ["The file cannot be sent: Too many open files"])

    def test_gone(self) -> None:
        """A client that leaves meanwhile is not kept by the thread, which may hang for ever."""
        pump = self.begin()
        pump.stopProducing()
        self.assertEqual(self.done, [GONE])
        self.assertEqual(self.transport.theirs.recv(100), b"", "the connection is still there")
        self.threads.run()
        self.assertEqual((self.done, self.progress), ([GONE], 0))


class AtOnceTests(PumpCase):
    """A small part of a file leaves in one call, or a pump sees to it."""

    def send(self, begin: int, end: int, in_thread: Any = None) -> int:
        return at_once(self.transport.ours, self.file, begin, end, in_thread)

    def test_whole(self) -> None:
        """What the socket takes."""
        self.assertEqual(self.send(5, 1005), 1000)
        self.take()
        self.assertTrue(self.received == DATA[5:1005])

    def test_some(self) -> None:
        """It may take less."""
        self.transport.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        sent = self.send(3, 3 + CHUNK)
        self.assertLess(sent, CHUNK)
        self.take()
        self.assertTrue(self.received == DATA[3 : 3 + sent])

    def test_none(self) -> None:
        """It may take nothing, the client may be gone, the part may be too large, or not in memory."""
        self.assertEqual(self.send(0, CHUNK + 1), 0)
        with patch("os.sendfile", side_effect=BlockingIOError):
            self.assertEqual(self.send(0, 1000), 0)
        with patch("os.sendfile", side_effect=OSError(errno.EPIPE, "Broken pipe")):
            self.assertEqual(self.send(0, 1000), 0)
        self.patch(sendfile, "is_cached", lambda *_: False)
        self.assertEqual(self.send(0, 1000, Threads()), 0)
        self.assertEqual(self.take(), 0)
