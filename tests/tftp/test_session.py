"""A transfer at work: state machine, blocks and socket together, with a fake socket and a fake clock."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.content import Content, from_bytes
from pybootd.content.local import LocalFiles
from pybootd.errors import SourceFailed
from pybootd.tftp import packet
from pybootd.tftp.blocks import Runs
from pybootd.tftp.options import Ceilings, negotiate
from pybootd.tftp.sender import Offload, Sender
from pybootd.tftp.session import Session
from pybootd.tftp.transfer import Transfer
from tests.support.tftp import FakeHub, FakePort, FakeSocket, SlowBody

CLIENT = ("10.0.0.9", 1234)


class SessionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.socket = FakeSocket()
        self.hub = FakeHub(lambda: self.now)
        self.ends: list[str] = []
        self.answers = 0
        self.elsewhere = False

    def ended(self, session: Session, failure: str) -> None:
        self.ends.append(failure)

    def answered(self, session: Session) -> bool:
        self.answers += 1
        if self.elsewhere:
            session.leave()
        return self.elsewhere

    def start(self, content: Content | bytes, own: bool = True, **asked: int) -> None:
        if isinstance(content, bytes):
            content = from_bytes("memory", content)
        agreement = negotiate({name: b"%d" % value for name, value in asked.items()}, Ceilings(), content.size)
        sender = Sender(self.socket, CLIENT, Offload(True), 1500, connected=own)
        transfer = Transfer(agreement, None, self.now)
        self.port = FakePort(self.socket, CLIENT) if own else None
        self.session = Session(transfer, agreement, content, Runs(), sender, self.port, self.hub, self)
        self.session.pump(self.now)

    def file(self, content: bytes) -> Content:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        (Path(directory.name) / "file").write_bytes(content)
        return LocalFiles().open(directory.name, "file")

    def hear(self, datagram: bytes) -> list[bytes]:
        """A datagram arrives; what leaves."""
        self.now += 0.001
        self.socket.inbox.append((datagram, CLIENT))
        self.session.readable(self.now)
        return self.socket.take()

    def blocks(self, packets: list[bytes]) -> list[int]:
        return [int.from_bytes(one[2:4], "big") for one in packets]

    def fetch(self, windowsize: int = 1) -> bytes:
        """Play the client to the end."""
        received, block = b"", 0
        packets = self.socket.take()
        while packets:
            if packets[0][1] == packet.OACK:
                packets = self.hear(packet.ack(0))
                continue
            for one in packets:
                block += 1
                self.assertEqual(one[:4], packet.data(block, b""))
                received += one[4:]
            packets = self.hear(packet.ack(block))
        return received

    def test_lockstep(self) -> None:
        """Files arrive whole over the short way, past the ends of runs and past 65535 blocks."""
        for size in (0, 511, 512, 512 * 15, 512 * 16, 512 * 17, 100_000):
            content = os.urandom(size)
            self.start(self.file(content))
            self.assertEqual(self.fetch(), content)
            self.assertEqual(self.ends.pop(), "")
        content = os.urandom(8 * 70_000 + 5)
        self.start(self.file(content), blksize=8)
        self.assertTrue(self.fetch() == content)

    def test_answered(self) -> None:
        """The client's first ACK, and no other, asks whether the transfer goes on elsewhere."""
        self.start(b"x" * 5000)
        self.hear(packet.ack(1))
        self.hear(packet.ack(2))
        self.assertEqual((self.answers, self.ends), (1, []))
        self.start(b"x")
        self.hear(packet.ack(1))
        self.assertEqual((self.answers, self.ends), (1, [""]))

    def test_elsewhere(self) -> None:
        """A transfer that goes on elsewhere sends nothing more, holds nothing, and its end is not told."""
        self.elsewhere = True
        self.start(self.file(b"x" * 5000), blksize=1000)
        self.assertEqual(self.session.descriptors, (99, self.session.content.body.fileno()))
        self.assertEqual(self.hear(packet.ack(0)), [packet.oack([("blksize", 1000)])])
        self.assertTrue(self.socket.closed)
        self.assertEqual((self.hub.members, self.ends), ({}, []))
        self.session.close("again")
        self.assertEqual(self.ends, [])

    def test_windows(self) -> None:
        """So they do by windows, straddling runs or not."""
        for windowsize in (2, 4, 7, 16, 64):
            content = os.urandom(200_000)
            self.start(self.file(content), windowsize=windowsize)
            self.assertEqual(self.fetch(), content)
            self.assertEqual(self.session.transfer.resent, 0)

    def test_short_way_loses_nothing(self) -> None:
        """On the short way, old and repeated ACKs change nothing, and lost blocks come again."""
        self.start(self.file(bytes(512 * 30)))
        self.socket.take()
        for block in range(1, 6):
            self.assertEqual(self.blocks(self.hear(packet.ack(block))), [block + 1])
        for block in (5, 4, 7, 100):
            self.assertEqual(self.hear(packet.ack(block)), [], block)
        self.now = self.session.transfer.deadline
        self.session.expire(self.now)
        self.assertEqual(self.blocks(self.socket.take()), [6])
        self.assertEqual(self.blocks(self.hear(packet.ack(6))), [7])
        self.assertEqual(self.blocks(self.hear(packet.ack(7))), [8])

    def test_short_way_of_windows(self) -> None:
        """A window's ACK brings the next window in one call; a gap is filled, and what follows comes in order."""
        self.hub.calm = False
        self.start(self.file(os.urandom(512 * 100)), windowsize=4)
        self.socket.take()
        self.hear(packet.ack(0))
        for block in (4, 8, 12):
            self.socket.calls.clear()
            self.assertEqual(self.blocks(self.hear(packet.ack(block))), list(range(block + 1, block + 5)))
            self.assertEqual(len(self.socket.calls), 1)
        for block in (8, 11, 17):
            self.assertEqual(self.hear(packet.ack(block)), [], block)
        self.assertEqual(self.blocks(self.hear(packet.ack(14))), [15, 16, 17, 18])
        self.assertEqual(self.blocks(self.hear(packet.ack(18))), [19, 20, 21, 22])
        self.now = self.session.transfer.deadline
        self.session.expire(self.now)
        self.assertEqual(self.blocks(self.socket.take()), [19, 20, 21, 22])
        self.assertEqual(self.blocks(self.hear(packet.ack(22))), [23, 24, 25, 26])

    def test_large_windows(self) -> None:
        """A window of more bytes than one call sends leaves by two, on both ways."""
        self.start(self.file(os.urandom(1468 * 200)), windowsize=64, blksize=1468)
        self.socket.take()
        for acked in (0, 64, 128):
            self.socket.calls.clear()
            wanted = list(range(acked + 1, min(acked + 64, 201) + 1))
            self.assertEqual(self.blocks(self.hear(packet.ack(acked))), wanted)
            self.assertEqual([count for count, _ in self.socket.calls], [-(-len(wanted) // 2), len(wanted) // 2])

    def test_read_ahead(self) -> None:
        """When the last window of a run is out, the next run is read, before its ACK."""
        for windowsize, run in ((1, 16), (4, 64)):
            content = self.file(os.urandom(512 * 300))
            self.start(content, windowsize=windowsize)
            self.hear(packet.ack(0))
            for block in range(windowsize, run - windowsize, windowsize):
                self.hear(packet.ack(block))
            with patch("os.preadv", wraps=os.preadv) as preadv:
                self.hear(packet.ack(run - windowsize))
                self.assertEqual([call.args[2] for call in preadv.call_args_list], [run * 512])
                wanted = list(range(run + 1, run + windowsize + 1))
                self.assertEqual(self.blocks(self.hear(packet.ack(run))), wanted)
                self.assertEqual(preadv.call_count, 1)

    def test_lost_after_read_ahead(self) -> None:
        """Blocks of the run before the one that lies ready can be sent again."""
        content = os.urandom(512 * 300)
        self.start(self.file(content), windowsize=4)
        for block in range(0, 64, 4):
            self.hear(packet.ack(block))
        wanted = [packet.data(block, content[512 * block - 512 : 512 * block]) for block in range(63, 67)]
        self.assertEqual(self.hear(packet.ack(62)), wanted)
        self.assertEqual(self.blocks(self.hear(packet.ack(66))), [67, 68, 69, 70])

    def test_stream_ahead(self) -> None:
        """A stream is told what will not be asked for again; what is not here when it is read ahead is waited for."""
        body = SlowBody(bytes(512 * 300), here=512 * 66)
        self.start(Content("remote", 512 * 300, body), windowsize=4)
        self.socket.take()
        for block in range(0, 64, 4):
            self.assertEqual(len(self.hear(packet.ack(block))), 4)
        self.assertEqual(body.discarded, 512 * 60)
        self.assertEqual(self.blocks(self.hear(packet.ack(64))), [65, 66])
        body.arrive(512 * 300)
        self.assertEqual(self.blocks(self.socket.take()), [67, 68])
        self.assertEqual(self.blocks(self.hear(packet.ack(68))), [69, 70, 71, 72])

    def test_first_by_itself(self) -> None:
        """With few transfers, the first block of a window that is not large leaves before the others."""
        for windowsize, calm, calls in (
            (2, True, [1, 1]),
            (4, True, [1, 3]),
            (16, True, [1, 15]),
            (4, False, [4]),
            (17, True, [17]),
            (1, True, [1]),
        ):
            self.hub.calm = calm
            self.start(self.file(os.urandom(8 * 200)), blksize=8, windowsize=windowsize)
            self.hear(packet.ack(0))
            self.hear(packet.ack(windowsize))
            self.socket.calls.clear()
            wanted = list(range(2 * windowsize + 1, 3 * windowsize + 1))
            self.assertEqual(self.blocks(self.hear(packet.ack(2 * windowsize))), wanted, windowsize)
            self.assertEqual([count for count, _ in self.socket.calls], calls, (windowsize, calm))

    def test_room_for_the_first_only(self) -> None:
        """A socket that takes no more than a window's first block is given the whole window later."""
        self.start(self.file(os.urandom(512 * 100)), windowsize=4)
        self.hear(packet.ack(0))
        self.hear(packet.ack(4))
        self.socket.room = 1
        self.assertEqual(self.blocks(self.hear(packet.ack(8))), [9])
        self.socket.room = None
        self.session.writable(self.now)
        self.assertEqual(self.blocks(self.socket.take()), [9, 10, 11, 12])
        self.assertEqual(self.blocks(self.hear(packet.ack(12))), [13, 14, 15, 16])

    def test_short_way_refused(self) -> None:
        """What the system refuses on the short way leaves at once by the long one: a window, one by one."""
        full, cannot = OSError(errno.ENOBUFS, "no buffer space"), OSError(errno.EIO, "no offload")
        for windowsize, refusals in ((1, [full]), (4, [cannot, cannot])):
            self.start(self.file(os.urandom(512 * 200)), windowsize=windowsize)
            self.hear(packet.ack(0))
            self.hear(packet.ack(windowsize))
            self.socket.calls.clear()
            self.socket.refusals = refusals
            wanted = list(range(2 * windowsize + 1, 3 * windowsize + 1))
            self.assertEqual(self.blocks(self.hear(packet.ack(2 * windowsize))), wanted)
            self.assertEqual(len(self.socket.calls), windowsize)
            self.assertEqual(self.session.transfer.resent, 0)

    def test_uncut(self) -> None:
        """Where runs are not cut, windows go the short way one by one, if a socket has room for so many packets."""
        for windowsize, short in ((4, True), (44, True), (45, False)):
            self.start(self.file(os.urandom(1468 * 300)), windowsize=windowsize, blksize=1468)
            self.hear(packet.ack(0))
            self.socket.refusals = [OSError(errno.EIO, "no offload")] * 2
            for block in range(windowsize, 4 * windowsize, windowsize):
                self.socket.calls.clear()
                with patch.object(Transfer, "receive", autospec=True, side_effect=Transfer.receive) as receive:
                    wanted = list(range(block + 1, block + windowsize + 1))
                    self.assertEqual(self.blocks(self.hear(packet.ack(block))), wanted)
            self.assertEqual([count for count, _ in self.socket.calls], [1] * windowsize)
            self.assertEqual(receive.called, not short, windowsize)

    def test_closed(self) -> None:
        """At the end, the body and the socket are closed, once, and the owner knows."""
        body = SlowBody(b"abc", here=3)
        self.start(Content("memory", 3, body))
        self.hear(packet.ack(1))
        self.session.close("again")
        self.session.readable(self.now)
        self.assertEqual((self.ends, body.closed, self.port.ends), ([""], 1, [True]))

    def test_client_error(self) -> None:
        """A client's ERROR ends it, and is not answered; also while the source lets us wait."""
        self.start(Content("memory", 1000, SlowBody(bytes(1000))))
        self.assertEqual(self.hear(b"\0\5\0\0enough\0"), [])
        self.assertEqual(self.ends, ["the client ended it: enough (error 0)"])
        self.assertEqual(self.port.ends, [False], "more may come from it")

    def test_slow_source(self) -> None:
        """Blocks are sent as they come; waiting for them costs the client nothing."""
        body = SlowBody(bytes(512 * 8))
        self.start(Content("remote", 512 * 8, body), windowsize=4)
        self.hear(packet.ack(0))
        self.now += 100
        self.session.expire(self.now)
        self.assertEqual(self.socket.take(), [])
        body.arrive(600)
        self.assertEqual(self.blocks(self.socket.take()), [1])
        body.arrive(512 * 8)
        self.assertEqual(self.blocks(self.socket.take()), [2, 3, 4])
        self.assertEqual(self.blocks(self.hear(packet.ack(4))), [5, 6, 7, 8])
        self.assertEqual(body.discarded, 4 * 512)
        self.assertEqual(self.ends, [])

    def test_source_arrives_late(self) -> None:
        """A source that comes after the end wakes nobody."""
        body = SlowBody(bytes(1000))
        self.start(Content("remote", 1000, body))
        self.session.close("gone")
        body.arrive(1000)
        self.assertEqual(self.socket.take(), [])

    def test_failing_source(self) -> None:
        """A source that breaks ends the transfer with an ERROR that says why."""
        body = SlowBody(bytes(1000), here=512)
        self.start(Content("remote", 1000, body))
        self.socket.take()
        self.assertEqual(self.hear(packet.ack(1)), [])
        body.failure = SourceFailed("mirror.example stopped in the middle")
        body.arrive(0)
        self.assertEqual(self.socket.take(), [packet.error(0, "mirror.example stopped in the middle")])
        self.assertEqual(self.ends, ["mirror.example stopped in the middle"])

    def test_full_socket(self) -> None:
        """What the socket does not take waits for it, is not lost, and not sent twice."""
        self.start(bytes(512 * 8), windowsize=4)
        self.hear(packet.ack(0))
        self.socket.room = 0
        self.assertEqual(self.hear(packet.ack(4)), [])
        self.assertEqual(self.hub.writers, [99])
        self.assertTrue(self.session.blocked)
        self.socket.room = None
        self.session.writable(self.now)
        self.assertEqual(self.blocks(self.socket.take()), [5, 6, 7, 8])
        self.assertEqual(self.session.transfer.resent, 0)

    def test_shared_socket(self) -> None:
        """Without a socket of its own it is fed from outside, and closes nothing but its file."""
        self.start(bytes(1000), own=False)
        self.socket.take()
        self.session.receive(packet.ack(1), 1)
        self.assertEqual(self.blocks(self.socket.take()), [2])
        self.session.close("")
        self.assertFalse(self.socket.closed)

    def test_no_way(self) -> None:
        """A network that does not allow it at all ends the transfer."""
        self.socket.refusals = [OSError(errno.EACCES, "Permission denied")]
        self.start(bytes(10))
        self.assertEqual(self.ends, ["cannot send to it: Permission denied"])

    def test_broken(self) -> None:
        """Whatever else goes wrong, the client is told and the session ends."""
        self.start(bytes(1000))
        self.socket.take()
        self.session.failed()
        self.assertEqual(self.socket.take(), [packet.error(0, "internal error")])
        self.assertEqual(self.ends, ["internal error"])

    def test_arrived(self) -> None:
        """What has arrived is what was ACKed, and at the end the file's size."""
        self.start(bytes(700), tsize=0)
        self.assertEqual(self.session.arrived, 0)
        self.hear(packet.ack(0))
        self.hear(packet.ack(1))
        self.assertEqual(self.session.arrived, 512)
        self.hear(packet.ack(2))
        self.assertEqual(self.session.arrived, 700)
