"""How packets leave, and what happens where the system refuses."""

from __future__ import annotations

import errno
import os

from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.content import BytesBody
from pybootd.tftp.blocks import Blocks, Run, Runs
from pybootd.tftp.sender import Offload, Sender
from tests.support.tftp import FakeSocket

CLIENT = ("10.0.0.9", 1234)


def refusal(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class SenderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.socket = FakeSocket()
        self.offload = Offload(True)
        blocks = Blocks(BytesBody(bytes(range(250)) * 8), 2000, 100, 16, Runs())
        run = blocks.run(1)
        assert run is not None
        self.run_: Run = run
        self.packets = [bytes(packet) for packet in run.packets[: run.count]]

    def sender(self, mtu: int = 1500, source: int = 0) -> Sender:
        return Sender(self.socket, CLIENT, self.offload, mtu, source)

    def test_run(self) -> None:
        """A run leaves in one call, the short last block included."""
        self.assertEqual(self.sender().send_run(self.run_, 0, 21), 21)
        self.assertEqual(len(self.socket.calls), 1)
        self.assertEqual(self.socket.take(), self.packets)

    def test_part(self) -> None:
        """So does a part of it."""
        self.assertEqual(self.sender().send_run(self.run_, 3, 5), 5)
        self.assertEqual(self.socket.take(), self.packets[3:8])

    def test_two_calls(self) -> None:
        """What one call cannot send leaves by several, as far as the socket takes it."""
        run = Blocks(BytesBody(bytes(1468 * 64)), None, 1468, 64, Runs()).run(1)
        assert run is not None
        self.assertEqual(self.sender().send_run(run, 0, 64), 64)
        self.assertEqual([count for count, _ in self.socket.calls], [32, 32])
        self.socket.calls.clear()
        self.socket.room = 50
        self.assertEqual(self.sender().send_run(run, 0, 64), 32)
        self.assertEqual([count for count, _ in self.socket.calls], [32])

    def test_one(self) -> None:
        """One block alone needs no cutting, and some kernels refuse to cut it."""
        self.sender().send_run(self.run_, 2, 1)
        self.assertEqual(self.socket.calls, [(1, [])])

    def test_wide_blocks(self) -> None:
        """Blocks that do not fit the link are not cut by the kernel: it would refuse."""
        self.assertEqual(self.sender(mtu=131).send_run(self.run_, 0, 5), 5)
        self.assertEqual(len(self.socket.calls), 5)

    def test_refused(self) -> None:
        """Where the system refuses, the same blocks go one by one at once, and it is not tried again."""
        for number in (errno.EIO, errno.EINVAL, errno.EOPNOTSUPP):
            self.offload.usable = True
            self.socket.refusals = [refusal(number)]
            self.assertEqual(self.sender().send_run(self.run_, 0, 4), 4)
            self.assertEqual(self.socket.take(), self.packets[:4])
            self.assertFalse(self.offload.usable)

    def test_narrow_way(self) -> None:
        """Where only this client's way is too narrow, others keep the faster one."""
        self.socket.refusals = [refusal(errno.EMSGSIZE)]
        sender = self.sender()
        self.assertEqual(sender.send_run(self.run_, 0, 4), 4)
        self.socket.calls.clear()
        sender.send_run(self.run_, 0, 4)
        self.assertEqual(len(self.socket.calls), 4)
        self.assertTrue(self.offload.usable)

    def test_full_socket(self) -> None:
        """A full socket takes what it takes."""
        self.socket.room = 0
        self.assertEqual(self.sender().send_run(self.run_, 0, 4), 0)
        self.assertFalse(self.sender().send(b"x"))
        self.offload.usable = False
        self.socket.room = 3
        self.assertEqual(self.sender().send_run(self.run_, 0, 4), 3)

    def test_lost(self) -> None:
        """What a network suffers from for a while is as if the datagram were lost: the timer's business."""
        for number in (errno.ENOBUFS, errno.ENETUNREACH, errno.EPERM, errno.ECONNREFUSED):
            self.socket.refusals = [refusal(number)]
            self.assertTrue(self.sender().send(b"x"))
        self.socket.refusals = [refusal(errno.EACCES)]
        self.assertRaises(OSError, self.sender().send, b"x")

    def test_icmp(self) -> None:
        """What a client or a router says by ICMP ends no transfer, and takes the faster way from nobody else."""
        for number in (errno.ENOPROTOOPT, errno.EMSGSIZE, errno.EHOSTDOWN, errno.EPROTO):
            self.socket.refusals = [refusal(number)]
            self.assertTrue(self.sender().send(b"x"), errno.errorcode[number])
            self.socket.refusals = [refusal(number)]
            self.assertEqual(self.sender().send_run(self.run_, 0, 4), 4)
            self.assertEqual(self.socket.take(), self.packets[:4])
            self.assertTrue(self.offload.usable, errno.errorcode[number])

    def test_source(self) -> None:
        """From a socket with several addresses, packets leave from the one that was asked."""
        self.sender(source=0x0A000001).send(b"x")
        self.sender(source=0x0A000001).send_run(self.run_, 0, 3)
        for _, control in self.socket.calls:
            self.assertEqual(control[0], (0, 8, bytes([0, 0, 0, 0, 10, 0, 0, 1, 0, 0, 0, 0])))
        self.assertEqual(len(self.socket.calls), 2)

    def test_connected(self) -> None:
        """A connected socket is told no address: it has one client."""
        self.socket.connect(("10.0.0.7", 7))
        sender = Sender(self.socket, CLIENT, self.offload, 1500, connected=True)
        self.assertTrue(sender.send(b"x"))
        self.assertEqual(sender.send_run(self.run_, 0, 3), 3)
        self.assertEqual({address for _, address in self.socket.sent}, {("10.0.0.7", 7)})
