"""A read transfer against a virtual clock: step by step, and over links with faults."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.tftp import packet
from pybootd.tftp.options import Agreement, Ceilings, negotiate
from pybootd.tftp.transfer import FIRST_TIMEOUT, NEVER, State, Transfer
from tests.support.tftp import Link, fetch

PLAIN = Agreement()
WINDOW_4 = negotiate({"windowsize": b"4"}, Ceilings(), None)
SIZED = negotiate({"tsize": b"0", "blksize": b"1468"}, Ceilings(), 5000)


class TransferCase(SynchronousTestCase):
    """Helpers: C{start}, C{ack} and C{sent} are what a client does and sees."""

    def start(self, last: int | None = 100, agreement: Agreement = PLAIN, **timing: float) -> None:
        self.now = 0.0
        self.transfer = Transfer(agreement, last, self.now, **timing)

    def sent(self) -> list[int]:
        first, count = self.transfer.due
        if count:
            self.transfer.sent(count, self.now)
        return list(range(first, first + count))

    def ack(self, block: int, tail: bytes = b"", after: float = 0.001) -> list[int]:
        self.now += after
        self.transfer.receive(packet.ack(block) + tail, self.now)
        return self.sent()

    def wait(self) -> list[int]:
        """Until the deadline."""
        self.now = self.transfer.deadline
        self.transfer.expire(self.now)
        return self.sent()


class LockstepTests(TransferCase):
    def test_whole_file(self) -> None:
        """Block by block, each ACK brings the next one, and the last ACK ends the transfer."""
        self.start(last=3)
        self.assertEqual(self.sent(), [1])
        self.assertEqual(self.ack(1), [2])
        self.assertEqual(self.ack(2), [3])
        self.assertEqual(self.ack(3), [])
        self.assertIs(self.transfer.state, State.DONE)
        self.assertEqual(self.transfer.deadline, NEVER)

    def test_options_first(self) -> None:
        """The OACK is block 0, and ACKed like a block."""
        self.start(agreement=SIZED)
        self.assertEqual(self.sent(), [0])
        self.assertEqual(self.ack(0), [1])

    def test_repeated_ack(self) -> None:
        """A repeated ACK sends nothing: no Sorcerer's Apprentice (RFC 1123 4.2.3.1)."""
        self.start()
        self.sent()
        self.ack(1)
        for _ in range(1000):
            self.assertEqual(self.ack(1, after=0.01), [])

    def test_strange_acks(self) -> None:
        """ACKs of old blocks and of blocks that were never sent release nothing."""
        self.start()
        self.sent()
        self.ack(1)
        self.ack(2)
        for block in (0, 1, 4, 100, 32768, 65535):
            self.assertEqual(self.ack(block), [], block)
        self.assertEqual(self.transfer.acked, 2)

    def test_other_datagrams(self) -> None:
        """What is neither ACK nor ERROR changes nothing."""
        self.start()
        self.sent()
        for datagram in (b"", b"\0", b"\0\4", b"\0\4\0", b"\0\3\0\1x", b"\0\6a\0", b"\xff\xff\0\1", packet.ack(1)[1:]):
            self.transfer.receive(datagram, self.now)
            self.assertEqual(self.sent(), [], datagram)
        self.assertIs(self.transfer.state, State.ASKED)

    def test_rollover(self) -> None:
        """Block numbers go on at 0 after 65535, as often as it takes."""
        self.start(last=200_000)
        self.sent()
        for block in range(1, 200_000):
            self.assertEqual(self.ack(block, after=0), [block + 1])
        self.assertEqual(self.ack(200_000), [])
        self.assertIs(self.transfer.state, State.DONE)

    def test_step(self) -> None:
        """The short way of a lockstep client leads where the long one leads."""
        self.start()
        self.sent()
        self.assertFalse(self.transfer.steady)
        self.ack(1)
        self.assertTrue(self.transfer.steady)
        self.now += 0.001
        self.transfer.step(self.now)
        self.assertEqual(self.transfer.due, (4, 0))
        self.assertEqual(self.ack(3), [4])
        self.assertAlmostEqual(self.transfer.deadline - self.now, 0.02)

    def test_windows_step(self) -> None:
        """So does that of a client with windows; not after a loss, until a whole window has come again."""
        self.start(agreement=WINDOW_4)
        self.sent()
        self.assertEqual(self.ack(0), [1, 2, 3, 4])
        self.assertEqual(self.ack(4), [5, 6, 7, 8])
        self.assertTrue(self.transfer.steady)
        self.now += 0.001
        self.transfer.step(self.now)
        self.assertEqual(self.transfer.due, (13, 0))
        self.assertEqual((self.transfer.acked, self.transfer.gaps, self.transfer.resent), (8, 0, 0))
        self.assertEqual(self.ack(10), [11, 12, 13, 14])
        self.assertFalse(self.transfer.steady)
        self.assertEqual(self.ack(14), [15, 16, 17, 18])
        self.assertTrue(self.transfer.steady)
        self.wait()
        self.assertFalse(self.transfer.steady)

    def test_unknown_length(self) -> None:
        """A file whose end is not known yet ends when it is."""
        self.start(last=None)
        self.assertEqual(self.sent(), [1])
        self.assertEqual(self.ack(1), [2])
        self.transfer.last = 2
        self.assertEqual(self.ack(2), [])
        self.assertIs(self.transfer.state, State.DONE)


class GoOnTests(TransferCase):
    def test_go_on(self) -> None:
        """A transfer that began elsewhere goes on behind what the client has, with what was measured."""
        self.start(last=100, agreement=SIZED)
        self.transfer.go_on(70, 0.01, 3)
        self.assertEqual((self.transfer.state, self.transfer.rtt), (State.SENDING, 0.01))
        self.assertEqual(self.sent(), [71])
        self.assertEqual(self.ack(71), [72])
        before = self.now
        self.assertEqual(self.wait(), [72])
        self.assertAlmostEqual(self.now - before, 0.04, places=2)
        self.assertEqual(self.transfer.resent, 4)

    def test_unmeasured(self) -> None:
        """Where nothing was measured, the first timeout is that of any transfer."""
        self.start(last=100)
        self.transfer.go_on(1, 0, 0)
        self.assertEqual(self.sent(), [2])
        self.assertEqual(self.transfer.deadline, self.now + FIRST_TIMEOUT)


class ErrorTests(TransferCase):
    def test_client_error(self) -> None:
        """A client's ERROR ends the transfer; its text is shown harmlessly."""
        self.start()
        self.sent()
        self.ack(1)
        self.transfer.receive(b"\0\5\0\3disk\nfull\0", self.now)
        self.assertIs(self.transfer.state, State.ENDED)
        self.assertEqual(self.transfer.reason, "the client ended it: disk\\x0afull (error 3)")
        self.assertFalse(self.transfer.probe)
        self.assertEqual(self.sent(), [])

    def test_probe(self) -> None:
        """An ERROR instead of the ACK of an OACK with tsize: the client wanted the size, as UEFI does."""
        self.start(agreement=SIZED)
        self.sent()
        self.transfer.receive(b"\0\5\0\x08User aborted the transfer\0", self.now)
        self.assertTrue(self.transfer.probe)

    def test_no_probe(self) -> None:
        """An ERROR later, or by a client that did not learn the size, is no probe."""
        for agreement, acks in ((SIZED, [0]), (WINDOW_4, [])):
            self.start(agreement=agreement)
            self.sent()
            for block in acks:
                self.ack(block)
            self.transfer.receive(b"\0\5\0\x08\0", self.now)
            self.assertFalse(self.transfer.probe)


class TimerTests(TransferCase):
    def test_silent_client(self) -> None:
        """Who never answers gets the first packet six times in 31 seconds, in ever longer steps, and nothing else."""
        for agreement, first in ((Agreement(), 1), (SIZED, 0)):
            self.start(agreement=agreement)
            times = []
            sent = self.sent()
            while sent:
                self.assertEqual(sent, [first])
                times.append(self.now)
                sent = self.wait()
            self.assertEqual(times, [0, 1, 3, 7, 15, 31])
            self.assertIs(self.transfer.state, State.LOST)
            self.assertEqual(self.now, 32)

    def test_no_retries(self) -> None:
        """With retries = 0 the first packet leaves once; the client still has half a minute to answer."""
        self.start(retries=0)
        self.sent()
        self.assertEqual(self.wait(), [])
        self.assertEqual(self.ack(1), [2])
        self.assertIs(self.transfer.state, State.SENDING)

    def test_lost_block(self) -> None:
        """A lost block is sent again after some round trips: not before 20 ms, then twice as long each time."""
        self.start()
        self.sent()
        self.ack(1, after=0.0002)
        waits = []
        for _ in range(12):
            before = self.now
            self.assertEqual(self.wait(), [2])
            waits.append(round(self.now - before, 3))
        self.assertEqual(waits, [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2, 2, 2, 2, 2])

    def test_slow_link(self) -> None:
        """The wait follows the measured round trip."""
        self.start()
        self.sent()
        for block in range(1, 50):
            self.ack(block, after=0.1)
        self.assertAlmostEqual(self.transfer.deadline - self.now, 0.4)

    def test_resent_is_not_measured(self) -> None:
        """The ACK of a block that was sent twice says nothing of the round trip."""
        self.start()
        self.sent()
        self.ack(1, after=0.001)
        self.wait()
        self.ack(2, after=5)
        self.assertAlmostEqual(self.transfer.deadline - self.now, 0.02)

    def test_timeout_option(self) -> None:
        """The client's timeout is the longest wait."""
        self.start(agreement=negotiate({"timeout": b"1"}, Ceilings(), None))
        self.sent()
        self.ack(0)
        for _ in range(10):
            before = self.now
            self.wait()
        self.assertAlmostEqual(self.now - before, 1)

    def test_given_up(self) -> None:
        """A client that falls silent in the middle is given up half a minute later."""
        self.start()
        self.sent()
        self.ack(1)
        while self.transfer.state is State.SENDING:
            self.wait()
        self.assertEqual(self.transfer.reason, "the client fell silent")
        self.assertAlmostEqual(self.now, 32, places=1)

    def test_early_call(self) -> None:
        """A timer that comes too soon does nothing."""
        self.start()
        self.sent()
        self.transfer.expire(0.5)
        self.assertEqual(self.sent(), [])

    def test_source_waits(self) -> None:
        """While the file's source lets us wait, the client is not late, and no time counts against it."""
        self.start()
        self.sent()
        self.now += 0.001
        self.transfer.receive(packet.ack(1), self.now)
        self.transfer.source_waits()
        self.assertEqual(self.transfer.deadline, NEVER)
        self.now += 100
        self.assertEqual(self.sent(), [2])
        self.assertEqual(self.wait(), [2])
        self.assertIs(self.transfer.state, State.SENDING)

    def test_socket_waits(self) -> None:
        """What the socket could not take yet is late, not lost; but not for ever."""
        self.start(agreement=WINDOW_4)
        self.sent()
        self.now += 0.001
        self.transfer.receive(packet.ack(0), self.now)
        self.transfer.sent(2, self.now)
        self.transfer.socket_waits()
        self.assertGreater(self.transfer.deadline, 30)
        self.assertEqual(self.sent(), [3, 4])
        self.assertLess(self.transfer.deadline, 1)


class WindowTests(TransferCase):
    def start_window(self, last: int | None = 100) -> None:
        self.start(last, WINDOW_4)
        self.sent()
        self.ack(0)

    def test_windows(self) -> None:
        """A window is sent at once; the ACK of its last block brings the next one."""
        self.start(agreement=WINDOW_4)
        self.assertEqual(self.sent(), [0])
        self.assertEqual(self.ack(0), [1, 2, 3, 4])
        self.assertEqual(self.ack(4), [5, 6, 7, 8])

    def test_last_window(self) -> None:
        """The last window ends with the file."""
        self.start_window(last=6)
        self.assertEqual(self.ack(4), [5, 6])
        self.assertEqual(self.ack(6), [])
        self.assertIs(self.transfer.state, State.DONE)

    def test_gap(self) -> None:
        """An ACK inside the window: the sender goes on from there (RFC 7440 4)."""
        self.start_window()
        self.assertEqual(self.ack(2), [3, 4, 5, 6])
        self.assertEqual(self.transfer.gaps, 1)
        self.assertEqual(self.transfer.resent, 2)

    def test_gap_told_again(self) -> None:
        """The blocks behind a gap may make the client complain for each: it is helped once."""
        self.start_window()
        self.assertEqual(self.ack(1), [2, 3, 4, 5])
        self.assertEqual(self.ack(1), [])
        self.assertEqual(self.ack(1, after=0.01), [])

    def test_first_block_lost(self) -> None:
        """A repeated ACK a round trip later: the window's first block was lost, and the window starts again, once."""
        self.start_window()
        self.assertEqual(self.ack(4), [5, 6, 7, 8])
        self.assertEqual(self.ack(4), [5, 6, 7, 8])
        self.assertEqual(self.ack(4), [])
        self.assertEqual(self.ack(8), [9, 10, 11, 12])

    def test_echo(self) -> None:
        """A copy of the ACK that released a window is no complaint about it."""
        self.start_window()
        self.assertEqual(self.ack(4), [5, 6, 7, 8])
        self.assertEqual(self.ack(4, after=0.0001), [])

    def test_strange_acks(self) -> None:
        """Old and future ACKs release nothing."""
        self.start_window()
        self.ack(4)
        for block in (0, 3, 9, 20, 65535):
            self.assertEqual(self.ack(block), [], block)

    def test_only_oack_first(self) -> None:
        """Whatever window was agreed: until the OACK is ACKed, nothing else leaves."""
        self.start(agreement=WINDOW_4)
        self.assertEqual(self.sent(), [0])
        self.assertEqual(self.ack(65535), [])
        self.assertEqual(self.ack(4), [])
        self.assertEqual(self.wait(), [0])

    def test_lost_ack(self) -> None:
        """When nothing comes back, the window is sent again; an ACK of all that ever left still counts."""
        self.start_window()
        self.assertEqual(self.wait(), [1, 2, 3, 4])
        self.assertEqual(self.ack(4), [5, 6, 7, 8])

    def test_vanished(self) -> None:
        """After five whole windows into silence only one block leaves, as a sign of life."""
        self.start_window()
        for _ in range(5):
            self.assertEqual(self.wait(), [1, 2, 3, 4])
        self.assertEqual(self.wait(), [1])
        self.assertEqual(self.wait(), [1])
        self.assertEqual(self.ack(1), [2, 3, 4, 5])

    def test_variable(self) -> None:
        """Windows' boot manager says with each ACK how many blocks it wants next, up to our ceiling."""
        self.start(1000, negotiate({"msftwindow": b"31416"}, Ceilings(windowsize=16), None))
        self.sent()
        self.assertEqual(self.ack(0, b"\2"), [1, 2])
        self.assertEqual(self.ack(2, b"\4"), [3, 4, 5, 6])
        self.assertEqual(self.ack(6), [7, 8, 9, 10])
        self.assertEqual(self.ack(10, b"\xff"), list(range(11, 27)))
        self.assertEqual(self.ack(26, b"\0"), [27])

    def test_long_ack(self) -> None:
        """The fifth byte of an ACK means nothing to those who did not agree upon it."""
        self.start_window()
        self.assertEqual(self.ack(4, b"\1"), [5, 6, 7, 8])


class LinkTests(SynchronousTestCase):
    """Whole files over links with faults, by the reference client."""

    def fetch(self, link: Link, content: bytes, **asked: int) -> None:
        options = {name: b"%d" % value for name, value in asked.items()}
        agreement = negotiate(options, Ceilings(), len(content))
        self.server, self.client = fetch(link, content, agreement)
        self.assertTrue(self.client.content == content)
        self.assertTrue(self.client.done)

    def test_sizes(self) -> None:
        """Files end right: empty, a byte around a block, whole blocks."""
        for size in (0, 1, 511, 512, 513, 1024, 5 * 512, 4 * 512 * 4):
            for asked in ({}, {"windowsize": 4}, {"tsize": 0}):
                self.fetch(Link(), bytes(range(256)) * 64 and (bytes(range(256)) * 64)[:size], **asked)
                self.assertIs(self.server.transfer.state, State.DONE, (size, asked))
                self.assertEqual(self.server.transfer.resent, 0)

    def test_past_rollover(self) -> None:
        """More than 65535 and more than 131071 blocks."""
        content = b"0123456789abcdef" * 70_000
        self.fetch(Link(), content, blksize=16)
        self.fetch(Link(), content * 2, blksize=16, windowsize=64)

    def test_perfect_link(self) -> None:
        """Without losses nothing is sent twice, and a window costs one round trip."""
        link = Link(delay=0.001)
        self.fetch(link, bytes(512 * 159), windowsize=16)
        self.assertEqual(self.server.datagrams, 161)
        self.assertLess(link.now, 0.03)

    def test_loss(self) -> None:
        """With one datagram of a hundred lost, a file still arrives within moments, without the client's timers."""
        for windowsize, limit in ((1, 4), (4, 3), (16, 2), (64, 2)):
            for seed in range(5):
                link = Link(seed=seed, loss=0.01)
                self.fetch(link, bytes(1024 * 1024), blksize=1024, windowsize=windowsize)
                self.assertLess(link.now, limit, (windowsize, seed))

    def test_duplicating_link(self) -> None:
        """A link that doubles every datagram doubles nothing else: the sender sends each block about once."""
        for windowsize in (1, 4, 16):
            self.fetch(Link(double=1.0), bytes(512 * 2000), windowsize=windowsize)
            self.assertLess(self.server.transfer.resent, 20, windowsize)

    def test_heavy_weather(self) -> None:
        """A tenth lost, a tenth doubled, order mixed up: the file arrives all the same."""
        for windowsize in (1, 4, 16):
            link = Link(seed=windowsize, loss=0.1, double=0.1, jitter=0.002)
            self.fetch(link, bytes(300_000), windowsize=windowsize)

    def test_unknown_length(self) -> None:
        """A stream whose end shows late arrives too."""
        content = b"x" * 5120
        _, client = fetch(Link(seed=3, loss=0.05), content, WINDOW_4, known=False)
        self.assertEqual(client.content, content)

    @settings(max_examples=50, deadline=None)
    @given(
        st.integers(0, 3000),
        st.integers(1, 20),
        st.integers(0, 2**16),
        st.floats(0, 0.2),
        st.floats(0, 0.2),
        st.floats(0, 0.005),
    )
    def test_any_weather(
        self, size: int, windowsize: int, seed: int, loss: float, double: float, jitter: float
    ) -> None:
        """Whatever a link does, the client has the file, or was given up after the last block."""
        content = bytes(index & 0xFF for index in range(size))
        agreement = negotiate({"blksize": b"16", "windowsize": b"%d" % windowsize}, Ceilings(), None)
        link = Link(seed=seed, loss=loss, double=double, jitter=jitter)
        _, client = fetch(link, content, agreement)
        self.assertEqual(client.content, content)
