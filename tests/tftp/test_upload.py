"""Files from clients: the state machine, the directory, and both at work."""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.tftp import packet
from pybootd.tftp.netascii import Restorer, convert
from pybootd.tftp.options import Agreement, Ceilings, negotiate
from pybootd.tftp.reception import Reception
from pybootd.tftp.sender import Offload, Sender
from pybootd.tftp.transfer import NEVER, State
from pybootd.tftp.upload import Refusal, Uploads, UploadSession
from tests.support.tftp import FakeHub, FakePort, FakeSocket

CLIENT = ("10.0.0.9", 1234)


class ReceptionTests(SynchronousTestCase):
    def start(self, **asked: int) -> None:
        self.reception = Reception(negotiate({k: b"%d" % v for k, v in asked.items()}, Ceilings(), 1000), 0.0)

    def reply(self) -> bytes | None:
        reply, self.reception.reply = self.reception.reply, None
        return reply

    def data(self, block: int, content: bytes = bytes(512)) -> tuple[bytes | None, bytes | None]:
        return self.reception.receive(packet.data(block, content), 1.0), self.reply()

    def test_whole_file(self) -> None:
        """ACK 0, then an ACK for each block; a short one ends the file."""
        self.start()
        self.assertEqual(self.reply(), packet.ack(0))
        self.assertEqual(self.data(1), (bytes(512), packet.ack(1)))
        self.assertEqual(self.data(2, b"end"), (b"end", packet.ack(2)))
        self.assertIs(self.reception.state, State.DONE)

    def test_options(self) -> None:
        """The OACK stands for ACK 0."""
        self.start(blksize=1024, tsize=1000)
        self.assertEqual(self.reply(), b"\0\6blksize\x001024\0tsize\x001000\0")

    def test_windows(self) -> None:
        """One ACK for a window; a gap is told once, and the window goes on from there."""
        self.start(windowsize=4)
        self.reply()
        self.assertEqual([self.data(block)[1] for block in (1, 2, 3, 4)], [None, None, None, packet.ack(4)])
        self.assertEqual([self.data(block)[1] for block in (5, 7, 8)], [None, packet.ack(5), None])
        self.assertEqual([self.data(block)[1] for block in (6, 7, 8, 9)], [None, None, None, packet.ack(9)])

    def test_repeated_block(self) -> None:
        """A block that comes again is ACKed again, and not taken twice."""
        self.start()
        self.data(1)
        self.assertEqual(self.data(1), (None, packet.ack(1)))

    def test_rollover(self) -> None:
        """More than 65535 blocks."""
        self.start(blksize=8)
        for block in range(1, 70_000):
            self.reception.receive(packet.data(block, bytes(8)), 1.0)
        self.assertEqual(self.data(70_000, b""), (b"", packet.ack(70_000)))

    def test_last_ack_lost(self) -> None:
        """The last ACK is repeated for a while to a client that did not hear it."""
        self.start()
        self.data(1, b"x")
        self.assertEqual(self.data(1, b"x"), (None, packet.ack(1)))
        self.reception.expire(self.reception.deadline)
        self.assertEqual(self.reception.deadline, NEVER)

    def test_silence(self) -> None:
        """A silent client hears the last answer again, in ever longer steps, and is given up."""
        self.start()
        times = []
        while self.reception.state is State.ASKED:
            if self.reply():
                times.append(self.reception.deadline)
            self.reception.expire(self.reception.deadline)
        self.assertEqual(times, [1, 3, 7, 15, 30])
        self.assertIs(self.reception.state, State.LOST)

    def test_error(self) -> None:
        """A client's ERROR ends it."""
        self.start()
        self.reception.receive(b"\0\5\0\3full\0", 1.0)
        self.assertEqual(self.reception.reason, "the client ended it: full (error 3)")

    def test_noise(self) -> None:
        """Anything else changes nothing."""
        self.start()
        self.reply()
        for datagram in (b"", b"\0\3", b"\0\3\0", packet.ack(1), packet.data(5, b"x"), packet.data(0, b"")):
            self.assertIsNone(self.reception.receive(datagram, 1.0), datagram)
        self.assertIs(self.reception.state, State.ASKED)

    def test_too_large_block(self) -> None:
        """A block larger than agreed ends it."""
        self.start()
        self.data(1, bytes(600))
        self.assertIs(self.reception.state, State.ENDED)


class DirectoryCase(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.uploads = Uploads(self.directory, 1000)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


class UploadsTests(DirectoryCase):
    def test_kept(self) -> None:
        """A file shows when it is whole, and nothing else is left."""
        upload = self.uploads.open(b"/report.txt", None)
        upload.write(b"abc")
        self.assertFalse((self.directory / "report.txt").exists())
        upload.keep()
        self.assertEqual(self.names(), ["report.txt"])
        self.assertEqual((self.directory / "report.txt").read_bytes(), b"abc")

    def test_dropped(self) -> None:
        """A file that does not come to its end leaves nothing."""
        self.uploads.open(b"report.txt", None).drop()
        self.assertEqual(self.names(), [])

    def test_names(self) -> None:
        """Only plain names are taken: nothing above, below, beside, hidden or odd."""
        for name in (b"", b"/", b"../x", b"a/b", b"/etc/passwd", b"..", b".", b".hidden", b"a\\b", b"a\0b", b"x" * 201):
            with self.assertRaises(Refusal) as caught:
                self.uploads.open(name, None)
            self.assertEqual(caught.exception.code, 2, name)
        self.assertEqual(self.names(), [])

    def test_existing(self) -> None:
        """What is there is never written over, links included, even if it came meanwhile."""
        (self.directory / "old").write_bytes(b"old")
        (self.directory / "link").symlink_to("/nowhere/else")
        for name in (b"old", b"link"):
            with self.assertRaises(Refusal) as caught:
                self.uploads.open(name, None)
            self.assertEqual(caught.exception.code, 6)
        first, second = self.uploads.open(b"new", None), self.uploads.open(b"new", None)
        first.keep()
        self.assertRaises(Refusal, second.keep)
        self.assertEqual(self.names(), ["link", "new", "old"])

    def test_too_large(self) -> None:
        """Neither what says it is too large, nor what turns out to be."""
        with self.assertRaises(Refusal) as caught:
            self.uploads.open(b"large", b"1001")
        self.assertEqual(caught.exception.code, 3)
        upload = self.uploads.open(b"large", b"5")
        upload.write(bytes(1000))
        self.assertRaises(Refusal, upload.write, b"x")

    def test_no_directory(self) -> None:
        """A directory that cannot be written refuses."""
        self.assertRaises(Refusal, Uploads(self.directory / "gone", 10).open, b"x", None)


class UploadSessionTests(DirectoryCase):
    def start(self, netascii: bool = False) -> None:
        self.now = 0.0
        self.socket = FakeSocket()
        self.ends: list[str] = []
        hub = FakeHub(lambda: self.now)
        sender = Sender(self.socket, CLIENT, Offload(), 1500, connected=True)
        self.port = FakePort(self.socket, CLIENT)
        upload = self.uploads.open(b"file", None)
        self.session = UploadSession(Agreement(), upload, netascii, sender, self.port, hub, self, 2.0)
        self.session.pump(self.now)

    def ended(self, session: UploadSession, failure: str) -> None:
        self.ends.append(failure)

    def hear(self, datagram: bytes) -> list[bytes]:
        self.socket.inbox.append((datagram, CLIENT))
        self.session.readable(self.now)
        return self.socket.take()

    def test_file(self) -> None:
        """A client's file arrives, and the session lingers for a lost ACK, then ends well."""
        self.start()
        self.assertEqual(self.socket.take(), [packet.ack(0)])
        self.assertEqual(self.hear(packet.data(1, bytes(512))), [packet.ack(1)])
        self.assertEqual(self.hear(packet.data(2, b"x")), [packet.ack(2)])
        self.assertEqual((self.directory / "file").read_bytes(), bytes(512) + b"x")
        self.assertEqual(self.hear(packet.data(2, b"x")), [packet.ack(2)])
        self.session.expire(self.session.transfer.deadline)
        self.assertEqual((self.ends, self.port.ends), ([""], [True]))

    def test_too_large(self) -> None:
        """A file that outgrows the limit is refused and leaves nothing."""
        self.start()
        self.socket.take()
        self.hear(packet.data(1, bytes(512)))
        refused = self.hear(packet.data(2, bytes(512)))
        self.assertEqual(refused, [packet.error(3, "files of up to 1000 bytes are taken")])
        self.assertEqual(self.names(), [])
        self.assertEqual((self.ends, self.port.ends), (["files of up to 1000 bytes are taken"], [False]))

    def test_given_up(self) -> None:
        """A client that leaves in the middle leaves nothing behind."""
        self.start()
        self.hear(packet.data(1, bytes(512)))
        while not self.ends:
            self.now = self.session.transfer.deadline
            self.session.expire(self.now)
        self.assertEqual((self.ends, self.names()), (["the client fell silent"], []))

    def test_netascii(self) -> None:
        """Text from a client that speaks netascii becomes a Unix text."""
        self.start(netascii=True)
        self.hear(packet.data(1, convert(b"one\ntwo\rthree\n")))
        self.assertEqual((self.directory / "file").read_bytes(), b"one\ntwo\rthree\n")


class RestorerTests(SynchronousTestCase):
    def test_pieces(self) -> None:
        """However netascii is cut into blocks, the text is the same."""
        text = b"a\nb\r\nc\r\r\n\n\rd"
        netascii = convert(text)
        for size in range(1, len(netascii) + 1):
            restorer = Restorer()
            pieces = [netascii[at : at + size] for at in range(0, len(netascii), size)]
            self.assertEqual(b"".join(map(restorer.feed, pieces)), text, size)
