"""The TFTP server: requests, refusals, ceilings and what is told of them; single-port, on a fake socket."""

from __future__ import annotations

import os
import random
import tempfile
from ipaddress import IPv4Address
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.config import LimitsConfig, TftpdConfig
from pybootd.content.content import Content, from_bytes
from pybootd.errors import Forbidden, NotFound, SourceFailed
from pybootd.events import Bus, record
from pybootd.machine import Firmware, Machine, Machines
from pybootd.tftp import packet
from pybootd.tftp.lent import Lent
from pybootd.tftp.pace import PAUSE
from pybootd.tftp.protocol import Tftp
from pybootd.tftp.session import Session
from pybootd.tftp.sweep import SWEEP
from tests.support.tftp import FakeSocket, SlowBody

CLIENT = ("10.0.0.9", 2070)
OWN = 0x0A000001


class Files:
    """A resolver: names and what they mean."""

    def __init__(self, **files: object) -> None:
        self.files = files
        self.asked: list[tuple[bytes, Machine | None]] = []

    def resolve(self, name: bytes, machine: Machine | None) -> Content | Deferred[Content]:
        self.asked.append((name, machine))
        found = self.files.get(name.decode("latin-1"))
        if found is None:
            raise NotFound("no such file")
        if isinstance(found, Exception):
            raise found
        if isinstance(found, bytes):
            return from_bytes("memory", found)
        return found


class TftpTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.machines = Machines()
        self.bus = Bus()
        self.events = record(self.bus)
        self.files = Files(kernel=bytes(2000), tiny=b"x")
        self.refused: str | None = None
        self.serve()

    def serve(self, limits: LimitsConfig = LimitsConfig(), **config: object) -> None:  # noqa: B008 - a frozen value
        self.socket = FakeSocket()
        self.server = Tftp(
            attrs.evolve(TftpdConfig(), single_port=True, **config),
            limits,
            self.files,
            self.machines,
            self.bus,
            self.clock,
            admit=lambda address: self.refused,
            clock=self.clock.seconds,
        )
        self.server.main = self.socket
        self.addCleanup(self.server.stop)

    def hear(self, data: bytes, client: tuple[str, int] = CLIENT) -> list[bytes]:
        self.server.received(data, client, OWN, 0)
        return self.socket.take()

    def ask(
        self, name: str = "kernel", client: tuple[str, int] = CLIENT, mode: str = "octet", **options: int
    ) -> list[bytes]:
        asked = {key: b"%d" % value for key, value in options.items()}
        return self.hear(packet.encode_request(packet.Request(False, name.encode(), mode, asked)), client)

    def told(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def test_file(self) -> None:
        """A file is sent, and each step of it is told, with the machine's hardware address."""
        machine = self.machines.see("52:54:00:12:34:56", 0)
        self.machines.settle(machine, IPv4Address(CLIENT[0]))
        self.assertEqual(self.ask(), [packet.data(1, bytes(512))])
        for block in (1, 2, 3, 4):
            self.clock.advance(0.001)
            self.hear(packet.ack(block))
        self.assertEqual(self.told(), ["FileAsked", "TransferBegun", "TransferEnded"])
        self.assertEqual({event.mac for event in self.events}, {"52:54:00:12:34:56"})
        self.assertEqual(self.files.asked, [(b"kernel", machine)])
        ended = self.events[-1]
        self.assertEqual((ended.name, ended.sent, ended.retransmitted), ("kernel", 2000, 0))

    def test_source_address(self) -> None:
        """Whatever is answered leaves from the address that was asked."""
        self.ask()
        self.ask("missing", ("10.0.0.9", 5))
        for _, control in self.socket.calls:
            self.assertEqual(control[0][2], bytes([0, 0, 0, 0, 10, 0, 0, 1, 0, 0, 0, 0]))

    def test_options(self) -> None:
        """Options are answered; blocks for firmware fit the link."""
        self.assertEqual(self.ask(blksize=65464, tsize=0), [b"\0\6blksize\x001468\0tsize\x002000\0"])

    def test_large_blocks(self) -> None:
        """An operating system, and Windows' boot manager, may have blocks of any size."""
        machine = self.machines.see("52:54:00:12:34:56", 0)
        machine.firmware = Firmware.SYSTEM
        self.machines.settle(machine, IPv4Address(CLIENT[0]))
        self.assertEqual(self.ask(blksize=65464), [b"\0\6blksize\x0065464\0"])
        machine.firmware = Firmware.PXE
        answer = self.ask(client=("10.0.0.9", 7), blksize=16384, msftwindow=31416)
        self.assertEqual(answer, [b"\0\6blksize\x0016384\0msftwindow\x0027182\0"])

    def test_ceilings(self) -> None:
        """The configured sizes hold."""
        self.serve(blocksize=256, max_blocksize=1024, max_windowsize=8)
        self.assertEqual(self.ask(), [packet.data(1, bytes(256))])
        answer = self.ask(client=("10.0.0.9", 7), blksize=1468, windowsize=64)
        self.assertEqual(answer, [b"\0\6blksize\x001024\0windowsize\x008\0"])

    def lend(self, session: Session, mtu: int, timeout: float, retries: int, owner: Tftp) -> Lent | None:
        """Another process: this test."""
        self.assertEqual((mtu, timeout, retries), (1500, 2.0, 5))
        self.lent = Lent(session.client, session.arrived, session.transfer.resent, owner)
        self.lent.carrier = self
        return self.lent

    def drop(self) -> None:
        self.orders.append("drop")

    def look(self) -> None:
        self.orders.append("look")

    def lent_out(self) -> None:
        """A transfer whose client has answered, and which goes on elsewhere."""
        self.server.lender = self
        self.orders: list[str] = []
        self.ask()
        self.assertEqual(self.hear(packet.ack(1)), [])

    def test_lent(self) -> None:
        """A transfer that goes on elsewhere is told of as any other is, and holds its place under the ceilings."""
        self.lent_out()
        self.lent.progressed(1024, 0)
        self.clock.advance(1)
        self.lent.progressed(2000, 3)
        self.lent.ended("")
        self.assertEqual(self.told(), ["FileAsked", "TransferBegun", "TransferProgress", "TransferEnded"])
        ended = self.events[-1]
        self.assertEqual((ended.sent, ended.retransmitted), (2000, 3))
        self.serve(LimitsConfig(transfers_per_client=1))
        self.lent_out()
        self.assertEqual(self.ask(client=("10.0.0.9", 7))[0][1], packet.ERROR)
        self.lent.ended("the worker process that sent it died")
        self.assertEqual(self.told()[-1], "TransferFailed")
        self.assertEqual(self.ask(client=("10.0.0.9", 7))[0][1], packet.DATA)

    def test_kept(self) -> None:
        """A transfer that nobody takes goes on here."""
        self.server.lender = self
        self.patch(self, "lend", lambda *what: None)
        self.ask()
        self.assertEqual(self.hear(packet.ack(1)), [packet.data(2, bytes(512))])

    def test_lent_and_asked_anew(self) -> None:
        """Who asks anew from the same port is answered when it is known how the other transfer stands."""
        self.lent_out()
        self.assertEqual(self.ask("tiny"), [])
        self.assertEqual(self.orders, ["look"])
        self.lent.ended("")
        self.assertEqual(self.socket.take(), [packet.data(1, b"x")])
        self.assertEqual(self.told()[-3:], ["TransferEnded", "FileAsked", "TransferBegun"])

    def test_lent_and_given_up(self) -> None:
        """Where it is under way still, the client has given it up, and the other process is told."""
        self.lent_out()
        self.ask("tiny")
        self.lent.looked()
        self.assertEqual(self.orders, ["look", "drop"])
        self.assertEqual(self.socket.take(), [packet.data(1, b"x")])
        self.assertEqual(self.told()[-3:], ["TransferFailed", "FileAsked", "TransferBegun"])

    def test_lent_and_stopped(self) -> None:
        """The server's end is that of transfers elsewhere too."""
        self.lent_out()
        self.server.stop()
        self.assertEqual((self.orders, self.events[-1].reason), (["drop"], "the server stops"))

    def test_another_configuration(self) -> None:
        """Other settings hold from the next request on; a transfer under way ends as it began."""
        (first,) = self.ask()
        self.assertEqual(first, packet.data(1, bytes(512)))
        other = Files(kernel=b"n" * 900)
        config = attrs.evolve(TftpdConfig(), single_port=True, blocksize=1024)
        self.server.configure(config, LimitsConfig(transfers=2), other)
        self.assertEqual(self.hear(packet.ack(1)), [packet.data(2, bytes(512))])
        self.assertEqual(self.ask(client=("10.0.0.9", 7)), [packet.data(1, b"n" * 900)])
        self.assertEqual(self.hear(packet.ack(2)), [packet.data(3, bytes(512))])
        self.assertEqual(self.hear(packet.ack(3)), [packet.data(4, bytes(464))])
        self.hear(packet.ack(4))
        self.assertEqual(self.told()[-1], "TransferEnded")

    def test_fewer_transfers(self) -> None:
        """A lower ceiling ends no transfer of a client that answers."""
        for last in range(9, 13):
            self.ask(client=(f"10.0.0.{last}", 7))
            self.hear(packet.ack(1), (f"10.0.0.{last}", 7))
        self.server.configure(attrs.evolve(TftpdConfig(), single_port=True), LimitsConfig(transfers=2), self.files)
        self.assertEqual(self.ask(), [packet.error(0, "too many transfers at once; try again")])
        self.assertEqual(self.hear(packet.ack(2), ("10.0.0.9", 7)), [packet.data(3, bytes(512))])

    def test_missing(self) -> None:
        """A file that is not there is said to be missing, at once."""
        self.assertEqual(self.ask("pxelinux.cfg/01-x"), [packet.error(1, "no such file")])
        self.assertEqual(self.told(), ["FileAsked", "FileMissing"])

    def test_refusals(self) -> None:
        """Who may not have a file is told why; a source that failed says so; a bug says little."""
        self.files.files |= {"secret": Forbidden("not for you"), "remote": SourceFailed("mirror is down")}
        self.assertEqual(self.ask("secret"), [packet.error(2, "not for you")])
        self.assertEqual(self.told(), ["FileAsked", "Refused"])
        self.assertEqual(self.ask("remote"), [packet.error(0, "mirror is down")])
        self.assertEqual(self.told()[2:], ["FileAsked", "TransferFailed"])
        self.files.files["bug"] = KeyError("oops")
        self.assertEqual(self.ask("bug"), [packet.error(0, "internal error")])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_not_admitted(self) -> None:
        """An address that is not served is refused with a sentence, before its name is looked at."""
        self.refused = "10.0.0.9 has no lease here"
        self.assertEqual(self.ask(), [packet.error(2, "10.0.0.9 has no lease here")])
        self.assertEqual((self.told(), self.files.asked), (["FileAsked", "Refused"], []))

    def test_write(self) -> None:
        """Writes are refused, and nothing is opened."""
        self.assertEqual(self.hear(b"\0\2evil\0octet\0"), [packet.error(2, "this server takes no files")])

    def test_upload(self) -> None:
        """With a directory for them, new files are taken, and refused where they exist."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.serve(upload=Path(directory.name))
        self.assertEqual(self.hear(b"\0\2log\0octet\0"), [packet.ack(0)])
        self.assertEqual(self.hear(packet.data(1, b"hello")), [packet.ack(1)])
        self.assertEqual((Path(directory.name) / "log").read_bytes(), b"hello")
        answer = self.hear(b"\0\2log\0octet\0", ("10.0.0.9", 7))
        self.assertEqual(answer, [packet.error(6, "there is such a file already")])
        self.clock.pump([1] * 5)
        self.assertEqual(self.told()[-1], "TransferEnded")

    def test_modes(self) -> None:
        """netascii converts the text; other modes are refused."""
        self.files.files["text"] = b"one\ntwo\n"
        self.assertEqual(self.ask("text", mode="NetASCII", tsize=0), [packet.data(1, b"one\r\ntwo\r\n")])
        self.assertEqual(
            self.ask(client=("10.0.0.9", 7), mode="mail"), [packet.error(4, "no mode mail; ask for octet")]
        )

    def test_repeated_request(self) -> None:
        """Twenty copies of a request are one session."""
        self.assertEqual(len(self.ask()), 1)
        for _ in range(20):
            self.assertEqual(self.ask(), [])
        self.assertEqual(len(self.files.asked), 1)

    def test_started_again(self) -> None:
        """A client that had begun and asks again later starts again; another name does so at once."""
        self.ask()
        self.hear(packet.ack(1))
        self.assertEqual(self.ask(), [])
        self.clock.advance(3)
        self.socket.take()
        self.assertEqual(self.ask(), [packet.data(1, bytes(512))])
        self.assertEqual(self.ask("tiny"), [packet.data(1, b"x")])
        self.assertEqual(self.told().count("TransferFailed"), 2)

    def test_probe(self) -> None:
        """A client that only wanted the size ends with ERROR 8, and may ask again at once."""
        self.ask(tsize=0)
        self.assertEqual(self.hear(b"\0\5\0\x08User aborted\0"), [])
        self.assertTrue(self.events[-1].probe)
        self.assertEqual(len(self.ask(blksize=1468)), 1)

    def test_remote(self) -> None:
        """A file whose source takes its time is asked for once, and sent when it is there."""
        found: Deferred[Content] = Deferred()
        self.files.files["remote"] = found
        self.assertEqual(self.ask("remote"), [])
        self.assertEqual(self.ask("remote"), [])
        self.assertEqual(len(self.files.asked), 1)
        found.callback(from_bytes("http://mirror/remote", b"far"))
        self.assertEqual(self.socket.take(), [packet.data(1, b"far")])

    def test_remote_missing(self) -> None:
        """One that turns out not to exist is missing like any other."""
        found: Deferred[Content] = Deferred()
        self.files.files["remote"] = found
        self.ask("remote")
        found.errback(NotFound("404"))
        self.assertEqual(self.socket.take(), [packet.error(1, "404")])

    def test_remote_silent(self) -> None:
        """A source that never answers is given up."""
        self.files.files["remote"] = Deferred()
        self.ask("remote")
        self.clock.advance(61)
        self.assertEqual(self.socket.take(), [packet.error(0, "the file's source does not answer")])

    def test_remote_left(self) -> None:
        """A client that goes on to another file meanwhile gets that one only."""
        body = SlowBody(b"far", here=3)
        cancelled: list[object] = []
        found: Deferred[Content] = Deferred(cancelled.append)
        self.files.files["remote"] = found
        self.ask("remote")
        self.assertEqual(self.ask("tiny"), [packet.data(1, b"x")])
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.socket.take(), [])
        self.assertEqual(body.closed, 0)

    def test_silent_clients(self) -> None:
        """A flood of clients that never answer does not keep out honest ones: the oldest of them goes."""
        for limits in (LimitsConfig(transfers=50), LimitsConfig(transfers_per_client=50)):
            self.serve(limits)
            for port in range(1200):
                self.assertEqual(len(self.ask(client=("10.0.0.66", port + 1))), 1)
            self.assertEqual(len(self.ask()), 1)
            self.assertEqual(self.hear(packet.ack(1)), [packet.data(2, bytes(512))])

    def test_silent_strangers(self) -> None:
        """Nor does it take the place of a machine that got its address here, and has not answered yet."""
        self.serve(LimitsConfig(transfers=8))
        self.machines.settle(self.machines.see("52:54:00:12:34:56", 0), IPv4Address(CLIENT[0]))
        self.assertEqual(len(self.ask()), 1)
        for number in range(40):
            self.assertEqual(len(self.ask(client=("10.0.0.66", number + 1))), 1)
        self.assertEqual(self.hear(packet.ack(1)), [packet.data(2, bytes(512))])

    def test_busy(self) -> None:
        """Where all are at work, one more is told to try again."""
        self.serve(LimitsConfig(transfers=2))
        for port in (1, 2):
            self.ask(client=("10.0.0.66", port))
            self.hear(packet.ack(1), ("10.0.0.66", port))
        self.assertEqual(self.ask(), [packet.error(0, "too many transfers at once; try again")])
        self.hear(b"\0\5\0\0\0", ("10.0.0.66", 1))
        self.assertEqual(len(self.ask()), 1)

    def test_known(self) -> None:
        """The last quarter of the transfers is for machines that got their address here."""
        self.serve(LimitsConfig(transfers=4))
        self.machines.settle(self.machines.see("52:54:00:12:34:56", 0), IPv4Address(CLIENT[0]))
        for port in (1, 2, 3, 4):
            self.ask(client=("10.0.0.66", port))
            self.hear(packet.ack(1), ("10.0.0.66", port))
        busy = [packet.error(0, "too many transfers at once; try again")]
        self.assertEqual(self.ask(client=("10.0.0.67", 1)), busy)
        self.assertEqual(self.ask(), [packet.data(1, bytes(512))])

    def test_retransmission(self) -> None:
        """What is lost is sent again by the one timer, and a client that stays away is given up."""
        self.ask()
        sent = 0
        for _ in range(400):
            self.clock.advance(0.1)
            sent += len(self.socket.take())
        self.assertEqual(sent, 5)
        self.assertEqual(self.events[-1].reason, "the client fell silent")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bursts(self) -> None:
        """Where windows leave in bursts, the next one does not wait for the usual look at the deadlines."""
        self.files.files["big"] = bytes(512 * 2000)
        self.ask("big", windowsize=32)
        self.assertEqual(len(b"".join(self.hear(packet.ack(0)))), 32 * 516)
        again: list[bytes] = []
        while not again:  # nothing comes back
            self.clock.advance(SWEEP)
            again = self.socket.take()
        self.assertEqual(len(b"".join(again)), 16 * 516)
        self.clock.advance(PAUSE)
        self.assertEqual(len(b"".join(self.socket.take())), 16 * 516)

    def test_progress(self) -> None:
        """A long transfer tells how far it is, twice a second at most."""
        self.files.files["big"] = bytes(512 * 2000)
        self.ask("big")
        for block in range(1, 1001):
            self.clock.advance(0.002)
            self.hear(packet.ack(block))
        progress = [event for event in self.events if type(event).__name__ == "TransferProgress"]
        self.assertTrue(2 <= len(progress) <= 5, len(progress))

    def test_no_session(self) -> None:
        """A datagram for no transfer is answered ERROR 5; an ERROR, never."""
        self.assertEqual(self.hear(packet.ack(1)), [packet.error(5, "no such transfer")])
        self.assertEqual(self.hear(b"\0\5\0\0x\0"), [])

    def test_broadcast(self) -> None:
        """A request to everybody is nobody's (RFC 1123 4.2.3.5)."""
        self.server.received(b"\0\1kernel\0octet\0", CLIENT, 0xFFFFFFFF, 0)
        self.assertEqual(self.socket.take(), [])

    def test_stop(self) -> None:
        """Stopping ends all transfers and leaves no timer."""
        self.ask()
        self.server.stop()
        self.assertEqual(self.events[-1].reason, "the server stops")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noise(self) -> None:
        """Twenty thousand hostile datagrams change nothing for the next honest client."""
        chance = random.Random(1)
        starts = (b"\0\1", b"\0\2", b"\0\3", b"\0\4", b"\0\5", b"\0\6", b"", b"\0", b"\0\1kernel\0octet\0blksize\0")
        for number in range(20_000):
            noise = os.urandom(chance.randrange(40))
            self.server.received(chance.choice(starts) + noise, ("10.0.1.1", 1 + number % 500), OWN, 0)
        self.socket.take()
        self.assertEqual(self.ask("tiny"), [packet.data(1, b"x")])
        self.hear(packet.ack(1))
        self.assertEqual(self.told()[-1], "TransferEnded")
