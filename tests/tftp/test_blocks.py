"""Files as DATA packets: the right bytes behind the right headers, shared by those who read the same file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.content import BytesBody
from pybootd.content.local import LocalFiles
from pybootd.errors import SourceFailed
from pybootd.tftp.blocks import Blocks, Run, Runs, run_length
from pybootd.tftp.packet import data as data_packet
from tests.support.tftp import SlowBody


def expected(content: bytes, blksize: int) -> list[bytes]:
    pieces = [content[at : at + blksize] for at in range(0, len(content) + 1, blksize)]
    return [data_packet(block, piece) for block, piece in enumerate(pieces, 1)]


def walk(blocks: Blocks, blksize: int) -> list[bytes]:
    """All packets, run by run."""
    packets: list[bytes] = []
    while blocks.last is None or len(packets) < blocks.last:
        run = blocks.run(len(packets) + 1)
        assert run is not None
        at = len(packets) + 1 - run.first
        packets += [bytes(packet) for packet in run.packets[at : run.count]]
        whole = b"".join(run.packets[at : run.count])
        assert bytes(run.part(at, run.count - at)) == whole
    return packets


class ShapeTests(SynchronousTestCase):
    def test_lengths(self) -> None:
        """A run holds whole windows that one call sends, or one that takes two, or equal parts of a larger one."""
        for blksize, windowsize, length in (
            (512, 1, 16),
            (1468, 1, 16),
            (65464, 1, 1),
            (1468, 4, 44),
            (1468, 16, 32),
            (1468, 64, 64),
            (4096, 64, 13),
            (512, 64, 64),
            (512, 7, 63),
            (65464, 2, 1),
            (8, 64, 64),
        ):
            self.assertEqual(run_length(blksize, windowsize), length, (blksize, windowsize))

    @given(st.integers(8, 65464), st.integers(1, 64))
    def test_any_length(self, blksize: int, windowsize: int) -> None:
        """Whatever is agreed upon, a run is not large, and leaves by calls that the kernel takes."""
        length = run_length(blksize, windowsize)
        self.assertTrue(1 <= length <= 64)
        self.assertTrue(length == 1 or length * (blksize + 4) <= 96 * 1024)
        shares = Run(blksize, length).shares(length)
        self.assertEqual(sum(shares), length)
        self.assertTrue(length == 1 or max(shares) * (blksize + 4) <= 65507)


class BlocksTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = directory.name
        self.files = LocalFiles()
        self.runs = Runs()

    def file(self, content: bytes, blksize: int = 16, windowsize: int = 1) -> Blocks:
        (Path(self.root) / "file").write_bytes(content)
        return self.again(blksize, windowsize)

    def again(self, blksize: int = 16, windowsize: int = 1) -> Blocks:
        found = self.files.open(self.root, "file")
        return Blocks(found.body, found.size, blksize, windowsize, self.runs)

    def test_files(self) -> None:
        """Files of every length around blocks and runs are cut right."""
        for size in (0, 1, 15, 16, 17, 255, 256, 257, 16 * 16 * 3, 5000):
            content = os.urandom(size)
            blocks = self.file(content)
            self.assertEqual(blocks.last, size // 16 + 1)
            self.assertEqual(walk(blocks, 16), expected(content, 16), size)
            blocks.close()

    def test_memory(self) -> None:
        """So is what stands in memory only, its length known or not."""
        for size in (0, 16, 100, 256, 1000):
            content = os.urandom(size)
            for told in (size, None):
                blocks = Blocks(BytesBody(content), told, 16, 4, self.runs)
                self.assertEqual(walk(blocks, 16), expected(content, 16), (size, told))

    def test_rollover(self) -> None:
        """Headers go on at 0 after 65535."""
        run = self.file(bytes(16 * 65600)).run(65540)
        assert run is not None
        self.assertEqual([int.from_bytes(packet[2:4], "big") for packet in run.packets[:3]], [1, 2, 3])
        run = self.again().run(65535)
        assert run is not None
        self.assertEqual(bytes(run.packets[65536 - run.first][2:4]), b"\0\0")

    def ahead(self, run: Run, at: int, size: int, single: int = 0) -> list[tuple[list[bytes], bytes | None]]:
        """The windows of a run as their packets' headers, and the ACK of each."""
        stride = 16 + 4
        return [
            ([bytes(part[begin + 2 : begin + 4]) for begin in range(0, len(part), stride)], ack)
            for part, ack in ((b"".join(singles + parts), ack) for singles, parts, ack in run.ahead(at, size, single))
        ]

    def test_ahead(self) -> None:
        """Packets lie ready with the ACK that each will bring; behind the last of a run nothing lies."""
        run = self.file(bytes(80)).run(1)
        assert run is not None
        packets = [[b"\0" + bytes([block])] for block in range(1, 7)]
        acks = [b"\0\4\0" + bytes([block]) for block in range(1, 6)]
        steps = list(zip(packets, [*acks, None], strict=True))
        self.assertEqual(self.ahead(run, 0, 1), steps)
        self.assertEqual(self.ahead(run, 4, 1), steps[4:])

    def test_windows_ahead(self) -> None:
        """So do whole windows, wherever the first one begins; a shorter one is not among them."""
        run = self.file(bytes(16 * 9 + 3)).run(1)  # ten blocks
        assert run is not None
        first = [b"\0\2", b"\0\3", b"\0\4"]
        second = [b"\0\5", b"\0\6", b"\0\7"]
        third = [b"\0\x08", b"\0\x09", b"\0\x0a"]
        steps = [(first, b"\0\4\0\4"), (second, b"\0\4\0\7"), (third, None)]
        self.assertEqual(self.ahead(run, 1, 3), steps)
        self.assertEqual(self.ahead(run, 4, 3), steps[1:])
        self.assertEqual([len(headers) for headers, _ in self.ahead(run, 0, 4)], [4, 4])
        self.assertEqual(len(list(run.ahead(0, 4, 0))[1][1][0]), 4 * 20)
        self.assertEqual(len(list(run.ahead(1, 3, 0))[2][1][0]), 2 * 20 + 7)

    def test_single_packets_ahead(self) -> None:
        """The same windows, of which the first packet, or all of them, leave one by one."""
        run = self.file(bytes(16 * 9 + 3)).run(1)
        assert run is not None
        for at, size in ((0, 1), (1, 3), (4, 3), (0, 4), (0, 2)):
            for single in (1, size):
                self.assertEqual(self.ahead(run, at, size, single), self.ahead(run, at, size), (at, size))
                for singles, parts, _ in run.ahead(at, size, single):
                    self.assertEqual(len(singles), single)
                    self.assertEqual(-(-sum(map(len, parts)) // 20), size - single)

    def test_large_windows_ahead(self) -> None:
        """A window that one call does not send lies ready in several pieces."""
        run = self.file(bytes(1468 * 130), 1468, 64).run(65)
        assert run is not None
        ((singles, parts, ack),) = run.ahead(0, 64, 0)
        self.assertEqual((singles, [len(part) for part in parts], ack), ((), [32 * 1472, 32 * 1472], None))
        self.assertEqual(b"".join(parts), b"".join(run.packets))

    def test_ahead_of_another_place(self) -> None:
        """A run that is used again has the ACKs of its new place."""
        blocks = self.file(bytes(1000))
        run = blocks.run(1)
        assert run is not None
        list(run.ahead(0, 1, 1))
        again = blocks.run(33)
        self.assertIs(run, again)
        self.assertEqual(next(run.ahead(0, 1, 1))[2], b"\0\4\0\x21")

    def test_shared(self) -> None:
        """Two readers of the same file with the same block size share a run; others do not."""
        first, second, other = self.file(bytes(1000)), self.again(), self.again(blksize=32)
        self.assertIs(first.run(1), second.run(5))
        self.assertIsNot(first.run(1), other.run(1))
        self.assertIsNot(first.run(17), second.run(1))

    def test_reuse(self) -> None:
        """A run that nobody reads is used again, whatever its former end was."""
        blocks = self.file(b"short")
        used = blocks.run(1)
        blocks.close()
        blocks = self.file(bytes(1000))
        run = blocks.run(1)
        self.assertIs(run, used)
        self.assertEqual(walk(blocks, 16), expected(bytes(1000), 16))

    def test_truncated(self) -> None:
        """A file that becomes shorter while it is sent fails, and says so."""
        blocks = self.file(bytes(100_000), blksize=512)
        blocks.run(1)
        (Path(self.root) / "file").write_bytes(b"")
        self.assertRaises(SourceFailed, blocks.run, 100)

    def test_grown(self) -> None:
        """A file that grows while it is sent ends where it ended when it was asked for."""
        blocks = self.file(bytes(600), blksize=512)
        (Path(self.root) / "file").write_bytes(bytes(100_000))
        self.assertEqual(walk(blocks, 512), expected(bytes(600), 512))

    def test_cold_disk(self) -> None:
        """What is not in memory is never waited for here: the body fetches it."""
        content = os.urandom(1000)
        blocks = self.file(content)
        with patch("os.preadv", side_effect=BlockingIOError):
            self.assertEqual(walk(blocks, 16), expected(content, 16))

    def test_strange_file_system(self) -> None:
        """Where the kernel cannot tell what is in memory, it is not asked again if all is; else the body fetches it."""
        content = os.urandom(1000)
        real = os.preadv
        asked: list[int] = []

        def preadv(fd: int, buffers: list, offset: int, flags: int = 0) -> int:
            asked.append(flags)
            if flags:
                raise OSError(95, "Operation not supported")
            return real(fd, buffers, offset)

        for memory in (True, False):
            blocks = self.file(content)
            asked.clear()
            with patch("os.preadv", preadv), patch("pybootd.tftp.blocks.in_memory", lambda _, memory=memory: memory):
                self.assertEqual(walk(blocks, 16), expected(content, 16))
            self.assertGreater(len(asked), 2)
            self.assertEqual([bool(flags) for flags in asked[1:]], [not memory] * (len(asked) - 1))

    def test_slow_stream(self) -> None:
        """Of a stream, whole blocks that are here are given out, and the rest is waited for."""
        body = SlowBody(bytes(1000))
        blocks = Blocks(body, None, 16, 4, self.runs)
        self.assertIsNone(blocks.run(1))
        body.here = 50
        run = blocks.run(1)
        assert run is not None
        self.assertTrue(1 <= run.count <= 3)
        self.assertEqual(bytes(run.packets[0]), data_packet(1, bytes(16)))
        self.assertIsNone(blocks.last)

    def test_short_stream(self) -> None:
        """A source that promised more than it has failed."""
        blocks = Blocks(BytesBody(bytes(100)), 500, 16, 1, self.runs)
        self.assertRaises(SourceFailed, walk, blocks, 16)

    @given(st.binary(max_size=2000), st.integers(8, 70), st.integers(1, 20))
    def test_any(self, content: bytes, blksize: int, windowsize: int) -> None:
        """Whatever the sizes, the packets are right."""
        (Path(self.root) / "any").write_bytes(content)
        found = self.files.open(self.root, "any")
        blocks = Blocks(found.body, found.size, blksize, windowsize, self.runs)
        self.assertEqual(walk(blocks, blksize), expected(content, blksize))
        blocks.close()
