"""A worker at work, its channel's other end in this process."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from twisted.logger import LogLevel, globalLogBeginner
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.local import KEPT
from pybootd.tftp import packet
from pybootd.workers.channel import Channel, pair
from pybootd.workers.messages import Drop, Ended, Look, Looked, Message, Said, SendBlocks
from pybootd.workers.worker import WAITING, Worker
from tests.support.tree import open_descriptors
from tests.support.workers import Reactor


class WorkerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(globalLogBeginner, "beginLoggingTo", lambda observers, redirectStandardIO: None)
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors leaked"))
        self.reactor = Reactor()
        ours, theirs = pair()
        self.told: list[Message] = []
        self.channel = Channel(ours, self.reactor, self.take, lambda: None)
        self.channel.start()
        self.worker = Worker(theirs, self.reactor)
        self.worker.start()
        self.addCleanup(self.end)
        self.reactor.turn()

    def take(self, message: Message, descriptors: Sequence[int]) -> None:
        self.told.append(message)

    def end(self) -> None:
        self.channel.close()
        self.reactor.turn()
        self.reactor.turn()
        self.reactor.advance(KEPT)
        self.assertEqual(self.reactor.stopped, 1, "it outlives the main process")

    def send(self, message: Message) -> list[Message]:
        self.told.clear()
        self.channel.send(message)
        self.reactor.turn()
        self.reactor.turn()
        return self.told

    def test_ready(self) -> None:
        """It says that it is ready."""
        self.assertEqual(self.told, [Looked(0)])

    def test_transfer(self) -> None:
        """A transfer begins with its order; what happened is told before the answer to the question for it."""
        path = self.mktemp()
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(b"y" * 700)
        client, sock = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.addCleanup(client.close)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        for one in (client, sock):
            one.bind(("127.0.0.1", 0))
        sock.connect(client.getsockname())
        client.settimeout(5)
        host, port = client.getsockname()
        order = SendBlocks(9, host, port, 1500, 700, 512, 1, 1, False, 2.0, 5, 1, 0.0, 0)
        with sock, open(path, "rb") as file:  # noqa: PTH123
            address = sock.getsockname()
            self.assertTrue(self.channel.hand(order, (sock.fileno(), file.fileno())))
        self.reactor.turn()
        self.assertEqual(client.recv(1500), packet.data(2, b"y" * 188))
        sockets = [one for one in self.reactor.readers if one.logPrefix() == "TFTP transfer"]
        self.patch(self.worker._blocks._hub, "look", lambda: [one.doRead() for one in sockets])
        client.sendto(packet.ack(2), address)
        self.assertEqual(self.send(Look(9)), [Ended(9, 700, ""), Looked(9)])

    def test_unknown(self) -> None:
        """A transfer that it does not have is nothing to it."""
        self.assertEqual(self.send(Drop(5)), [])
        self.assertEqual(self.send(Look(5)), [Looked(5)])

    def test_superfluous(self) -> None:
        """Descriptors that do not belong to an order are closed."""
        with open(os.devnull, "rb") as file:  # noqa: PTH123
            before = open_descriptors()
            self.channel.hand(Look(0), (file.fileno(),))
            self.reactor.turn()
            self.assertEqual(open_descriptors(), before)

    def test_log(self) -> None:
        """What is worth a line goes to the main process; Twisted's own chatter does not."""
        observe = self.worker.observe
        self.told.clear()
        observe({"log_level": LogLevel.warn, "log_namespace": "twisted.x", "log_format": "care {n}", "n": 1})
        observe({"log_level": LogLevel.info, "log_namespace": "twisted.x", "log_format": "chatter"})
        observe({"log_level": LogLevel.info, "log_namespace": "pybootd.x", "log_format": "offload"})
        failure = Failure(ValueError("why"))
        observe({"log_level": LogLevel.critical, "log_namespace": "x", "log_format": "bad", "log_failure": failure})
        self.reactor.turn()
        self.assertEqual(self.told, [Said("warn", "care 1"), Said("info", "offload"), Said("critical", "bad: why")])

    def test_flood(self) -> None:
        """Lines that nobody takes are lost in the end; a transfer's end never is."""
        for number in range(3 * WAITING):
            self.worker.observe({"log_level": LogLevel.warn, "log_namespace": "x", "log_format": f"line {number}"})
        self.worker._tell(Ended(1, 2, ""))
        for _ in range(100):
            self.reactor.turn()
        self.assertLess(len(self.told), 3 * WAITING)
        self.assertEqual(self.told[-1], Ended(1, 2, ""))
