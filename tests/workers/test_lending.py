"""What is handed to workers, and what is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.content import BytesBody, Content, from_bytes
from pybootd.tftp import packet
from pybootd.tftp.blocks import Runs
from pybootd.tftp.lent import Lent
from pybootd.tftp.options import Ceilings, negotiate
from pybootd.tftp.sender import Offload, Sender
from pybootd.tftp.session import Session
from pybootd.tftp.transfer import Transfer
from pybootd.workers.lending import HTTP_LEAST, TFTP_LEAST, BlockLender, FileLender
from pybootd.workers.messages import Order, SendBlocks, SendFile
from tests.support.tftp import FakeHub, FakePort, FakeSocket

CLIENT = ("10.0.0.9", 2070)
FILE = 77


class FileBody(BytesBody):
    """One that says to be a file."""

    def fileno(self) -> int | None:
        return FILE


class LendingTests(SynchronousTestCase):
    """The pool is this test: what it was asked, and whether it takes it."""

    count = 2

    def setUp(self) -> None:
        self.takes = True
        self.orders: list[Order] = []
        self.handed: list[Sequence[int]] = []
        self.now = 0.0

    def hand(self, task: object, order: Callable[[int], Order], descriptors: Sequence[int]) -> object | None:
        if not self.takes:
            return None
        self.orders.append(order(7))
        self.handed.append(descriptors)
        return self

    def ended(self, session: object, failure: str) -> None:
        """Nothing ends here."""

    def answered(self, session: Session) -> bool:
        self.lent = BlockLender(self).lend(session, 1500, 2.0, 5, self)
        return self.lent is not None

    def session(self, content: Content, sock: FakeSocket | None = None, **asked: int) -> Session:
        """A transfer whose client ACKs the first packet after 20 ms."""
        socket = sock or FakeSocket()
        agreement = negotiate({name: b"%d" % value for name, value in asked.items()}, Ceilings(), content.size)
        transfer = Transfer(agreement, None, self.now)
        port = FakePort(socket, CLIENT)
        sender = Sender(socket, CLIENT, Offload(True), 1500, connected=True)
        return Session(transfer, agreement, content, Runs(), sender, port, FakeHub(lambda: self.now), self)

    def start(self, content: Content, **asked: int) -> Lent | None:
        self.lent: Lent | None = None
        session = self.session(content, **asked)
        session.pump(self.now)
        self.now += 0.02
        session.receive(packet.ack(0 if asked else 1), self.now)
        return self.lent

    def large(self) -> Content:
        return evolve(from_bytes("large", b""), size=TFTP_LEAST, body=FileBody(bytes(TFTP_LEAST)))

    def test_blocks(self) -> None:
        """A large local file goes to a worker with all that was agreed and measured, when the client has answered."""
        lent = self.start(self.large(), blksize=1468, windowsize=16, timeout=3)
        assert lent is not None
        self.assertEqual((lent.client, lent.arrived, lent.carrier), (CLIENT, 0, self))
        [order] = self.orders
        assert isinstance(order, SendBlocks)
        self.assertAlmostEqual(order.rtt, 0.02)
        wanted = SendBlocks(7, *CLIENT, 1500, TFTP_LEAST, 1468, 16, 16, False, 3, 5, 0, order.rtt, 0)
        self.assertEqual(order, wanted)
        self.assertEqual(self.handed, [(99, FILE)])

    def test_without_options(self) -> None:
        """So does that of a client without options, whose first block arrived."""

        class Fixed(FileBody):
            """Its blocks are read here first."""

            def fileno(self) -> int | None:
                return FILE if self.asked else None

            asked = False

        body = Fixed(bytes(TFTP_LEAST))
        self.lent = None
        session = self.session(evolve(self.large(), body=body))
        session.pump(self.now)
        body.asked = True
        self.now += 0.02
        session.receive(packet.ack(1), self.now)
        assert self.lent is not None
        self.assertEqual((self.orders[0].acked, self.lent.arrived), (1, 512))
        self.assertEqual(self.orders[0].timeout, 2.0)

    def test_kept(self) -> None:
        """Small files, such as are in memory or have no known size, and shared sockets stay here."""
        large = self.large()
        for name, content in {
            "small": evolve(large, size=TFTP_LEAST - 1),
            "in memory": evolve(large, body=BytesBody(bytes(TFTP_LEAST))),
            "of unknown size": evolve(large, size=None, body=BytesBody(bytes(TFTP_LEAST))),
        }.items():
            self.assertIsNone(self.lend_now(content), name)
        self.assertIsNone(self.lend_now(large, shares=True))
        self.assertEqual(self.orders, [])

    def lend_now(self, content: Content, shares: bool = False) -> Lent | None:
        session = self.session(content)
        if shares:
            session._port = None
        return BlockLender(self).lend(session, 1500, 2.0, 5, self)

    def test_nobody(self) -> None:
        """Where there is no worker, or none can take it, it stays here."""
        self.takes = False
        self.assertIsNone(self.lend_now(self.large()))
        self.takes, self.count = True, 0
        self.assertIsNone(self.lend_now(self.large()))

    def test_files(self) -> None:
        """A large part of a file goes to a worker with its place and the connection; a smaller one does not."""
        lender = FileLender(self)
        self.assertIsNone(lender.lend(self, 5, 6, 10, 9 + HTTP_LEAST))
        self.assertIs(lender.lend(self, 5, 6, 10, 10 + HTTP_LEAST), self)
        self.assertEqual(self.orders, [SendFile(7, 10, 10 + HTTP_LEAST)])
        self.assertEqual(self.handed, [(5, 6)])
