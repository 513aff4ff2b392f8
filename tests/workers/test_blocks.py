"""TFTP transfers in a worker, over sockets of this process: one end is the worker's, the other the client's."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.local import LocalFiles
from pybootd.tftp import packet
from pybootd.tftp.sweep import SWEEP
from pybootd.workers.blocks import PROGRESS, BlockSender
from pybootd.workers.messages import Ended, Progress, Report, SendBlocks
from tests.support.tree import open_descriptors
from tests.support.workers import Reactor

DATA = os.urandom(100_000)


class BlockSenderTests(SynchronousTestCase):
    def setUp(self) -> None:
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors leaked"))
        self.reactor = Reactor()
        self.reports: list[Report] = []
        self.sender = BlockSender(self.reactor, LocalFiles(), self.reports.append, self.reactor.seconds)
        self.addCleanup(self.sender.close)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "file"
        self.path.write_bytes(DATA)

    def client(self) -> socket.socket:
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(client.close)
        client.bind(("127.0.0.1", 0))
        client.settimeout(5)
        return client

    def begin(self, client: socket.socket, number: int = 1, **other: object) -> None:
        """What the main process hands over: a socket of its own, and the file."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0))
        sock.connect(client.getsockname())
        self.address = sock.getsockname()
        host, port = client.getsockname()
        order = SendBlocks(number, host, port, 1500, len(DATA), 1000, 4, 4, False, 2.0, 5, 0, 0.001, 0)
        self.sender.begin(evolve(order, **other), (sock.detach(), os.open(self.path, os.O_RDONLY)))

    def say(self, client: socket.socket, datagram: bytes) -> None:
        client.sendto(datagram, self.address)
        self.reactor.turn()

    def test_whole(self) -> None:
        """The rest of the file arrives, and its end is told with what arrived in all."""
        client = self.client()
        self.begin(client, 7, acked=3)
        received, block = b"", 3
        while not self.reports:
            for _ in range(4):
                data = client.recv(2000)
                block += 1
                self.assertEqual(data[:4], packet.data(block, b""))
                received += data[4:]
                if len(data) < 1004:
                    break
            self.say(client, packet.ack(block))
        self.assertEqual(received, DATA[3000:])
        self.assertEqual(self.reports, [Ended(7, len(DATA), "", 0)])

    def test_progress(self) -> None:
        """What has arrived is told now and then, if it is more than before."""
        client = self.client()
        self.begin(client)
        self.say(client, packet.ack(4))
        self.reactor.pump([SWEEP] * int(PROGRESS / SWEEP + 2))
        self.assertEqual([(type(one), one.number, one.sent) for one in self.reports], [(Progress, 1, 4000)])
        self.reactor.pump([SWEEP] * int(PROGRESS / SWEEP + 2))
        self.assertEqual(len(self.reports), 1)

    def test_silence(self) -> None:
        """A client that falls silent is sent its window again, then given up; its end is told."""
        self.begin(self.client())
        self.reactor.pump([0.1] * 400)
        [end] = [report for report in self.reports if isinstance(report, Ended)]
        self.assertEqual((end.sent, end.failure), (0, "the client fell silent"))
        self.assertGreater(end.resent, 0)

    def test_drop(self) -> None:
        """One that is dropped is silent from then on; one that is not known is nothing."""
        client = self.client()
        self.begin(client, 5)
        self.sender.drop(5)
        self.sender.drop(5)
        self.sender.drop(6)
        self.reactor.pump([1] * 60)
        self.assertEqual(self.reports, [])

    def test_shared(self) -> None:
        """Transfers of one file share one descriptor of it."""
        self.begin(self.client(), 1)
        before = open_descriptors()
        self.begin(self.client(), 2)
        self.assertEqual(open_descriptors(), before + 3)  # a worker's sockets, and the client's

    def test_shorter(self) -> None:
        """A file that is shorter than the main process found it fails, and the client is told."""
        client = self.client()
        self.path.write_bytes(b"x" * 100)
        self.begin(client)
        self.assertEqual(packet.opcode(client.recv(1500)), packet.ERROR)
        [end] = self.reports
        self.assertIn("shorter", end.failure)
