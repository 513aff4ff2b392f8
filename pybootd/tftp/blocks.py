"""
A file as DATA packets, ready to leave: runs of blocks behind one another in memory, each with its header.

One C{preadv} fills a run: the bytes go between the headers, nothing is copied again, and a whole window
leaves from it in one call.  Transfers that read the same open file with the same block size share its runs, for
their packets are equal to the byte: a hall of machines that starts at once costs hardly more memory or reading
than one of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

from pybootd.content.content import Body
from pybootd.content.memory import in_memory
from pybootd.errors import SourceFailed
from pybootd.tftp.packet import DATA, ack

LOCKSTEP_RUN = 16
"""Blocks read at once for a client without windows."""

CALL_BYTES = 65507
"""What one call sends at most: the payload of a UDP datagram before it is cut."""

CALL_BLOCKS = 64
"""What one call sends at most: so many datagrams older kernels cut."""

WINDOW_BYTES = 96 << 10
"""Of a window that takes more than one call, and is one run all the same: one of 64 full packets is."""

SPARES = 8
"""Runs of one shape that are kept for the next use."""

Step = tuple[tuple[memoryview, ...], tuple[memoryview, ...], bytes | None]
"""
Packets that leave one by one; after them pieces that the kernel cuts into packets; and the ACK that brings the next
step, None where that one does not lie ready.
"""

_LOW = bytes(range(256)) * 2
"""The lower bytes of consecutive numbers."""

_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


def call_length(blksize: int) -> int:
    """How many blocks leave by one call at most."""
    return max(1, min(CALL_BLOCKS, CALL_BYTES // (blksize + 4)))


def run_length(blksize: int, windowsize: int) -> int:
    """How many blocks to read at once: whole windows, or of a large one as few equal parts as possible."""
    most = call_length(blksize)
    if windowsize == 1:
        return min(LOCKSTEP_RUN, most)
    if windowsize <= most:
        return most // windowsize * windowsize
    if windowsize * (blksize + 4) <= WINDOW_BYTES:
        return windowsize
    parts = -(-windowsize // most)
    return -(-windowsize // parts)


class Run:
    """
    Consecutive DATA packets.

    @ivar first: the number of the first block.
    @ivar count: how many there are.
    @ivar packets: each of them.
    """

    __slots__ = (
        "_blksize",
        "_call",
        "_cut",
        "_memory",
        "_slices",
        "_steps",
        "_view",
        "count",
        "first",
        "key",
        "packets",
        "readers",
        "shape",
    )

    def __init__(self, blksize: int, length: int) -> None:
        stride = blksize + 4
        self.shape = blksize, length
        self._blksize = blksize
        self._call = call_length(blksize)
        self._memory = bytearray(stride * length)
        self._memory[1::stride] = bytes([DATA]) * length
        self._view = memoryview(self._memory)
        self.packets = [self._view[at : at + stride] for at in range(0, stride * length, stride)]
        self._slices = [packet[4:] for packet in self.packets]
        self._cut = -1
        self._steps: dict[tuple[int, int, int], list[Step]] = {}
        self.first = self.count = self.readers = 0
        self.key: tuple[int, int, int, int] | None = None

    def number(self, first: int) -> None:
        """Say which blocks these are going to be."""
        stride, length = self._blksize + 4, len(self._slices)
        high, low = first >> 8 & 0xFF, first & 0xFF
        below = min(length, 0x100 - low)
        self._memory[2::stride] = bytes([high]) * below + bytes([high + 1 & 0xFF]) * (length - below)
        self._memory[3::stride] = _LOW[low : low + length]
        self.first = first
        self.count = 0
        self._steps.clear()
        if self._cut >= 0:
            self.packets[self._cut] = self._view[self._cut * stride : (self._cut + 1) * stride]
            self._cut = -1

    def read(self, fd: int, offset: int, length: int, flags: int) -> bool:
        """
        Fill from a file; C{length} bytes, which are there.

        @return: whether all of them came.
        @raise OSError: as C{preadv}.
        """
        slices = self._slices[: -(-length // self._blksize) or 1]
        if os.preadv(fd, slices, offset, flags) < length:
            return False
        self._filled(length, length < self._blksize * len(self.packets))
        return True

    def copy(self, data: bytes, ends: bool) -> None:
        """
        Fill from memory.

        @param ends: the file ends with this.
        """
        size = self._blksize
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            self._slices[at // size][: len(piece)] = piece
        self._filled(len(data), ends)

    def shares(self, count: int) -> list[int]:
        """
        In what numbers so many packets leave, of which there is one at least: by as few calls as possible.

        Equal ones, for the client receives the first while the kernel cuts the second: of 64 full packets, 32 and
        32 are 1.07 times as fast as 44 and 20, or 20 and 44.
        """
        calls = -(-count // self._call)
        fewest, more = divmod(count, calls)
        return [fewest + 1] * more + [fewest] * (calls - more)

    def part(self, at: int, count: int) -> memoryview:
        """So many packets from the one with index C{at}, in one piece."""
        begin = at * (self._blksize + 4)
        last = at + count - 1
        return self._view[begin : last * (self._blksize + 4) + len(self.packets[last])]

    def parts(self, at: int, count: int) -> Iterator[memoryview]:
        """So many packets from the one with index C{at}, in a piece for each call."""
        for share in self.shares(count):
            yield self.part(at, share)
            at += share

    def ahead(self, at: int, size: int, single: int) -> Iterator[Step]:
        """
        The windows of the run, from the one that begins at index C{at} to the last that is here whole.

        @param size: packets in a window.
        @param single: so many of each leave one by one.
        """
        begin = at % size
        steps = self._steps.get((begin, size, single))
        if steps is None:
            steps = self._steps[begin, size, single] = self._steps_from(begin, size, single)
        return islice(steps, at // size, None)

    def _steps_from(self, begin: int, size: int, single: int) -> list[Step]:
        steps: list[Step] = []
        for at in range(begin, self.count - size + 1, size):
            last = at + size - 1
            brings = ack(self.first + last) if last + size < self.count else None
            parts = tuple(self.parts(at + single, size - single)) if size > single else ()
            steps.append((tuple(self.packets[at : at + single]), parts, brings))
        return steps

    def _filled(self, length: int, ends: bool) -> None:
        whole, rest = divmod(length, self._blksize)
        self.count = whole
        if ends:  # by a short block, if only an empty one
            self.packets[whole] = self.packets[whole][: 4 + rest]
            self._cut = whole
            self.count += 1


class Runs:
    """The runs that are in use, by file, shape and place; and some that wait for use."""

    def __init__(self) -> None:
        self._used: dict[tuple[int, int, int, int], Run] = {}
        self._spare: dict[tuple[int, int], list[Run]] = {}

    def shared(self, key: tuple[int, int, int, int]) -> Run | None:
        """A run that another reader of the same file has in use."""
        run = self._used.get(key)
        if run is not None:
            run.readers += 1
        return run

    def fresh(self, blksize: int, length: int) -> Run:
        """An empty run for one reader."""
        spare = self._spare.get((blksize, length))
        run = spare.pop() if spare else Run(blksize, length)
        run.readers = 1
        return run

    def share(self, run: Run, key: tuple[int, int, int, int]) -> None:
        """Others may use the run too."""
        run.key = key
        self._used[key] = run

    def release(self, run: Run) -> None:
        """A reader is done with the run."""
        run.readers -= 1
        if run.readers:
            return
        if run.key is not None:
            del self._used[run.key]
            run.key = None
        spare = self._spare.setdefault(run.shape, [])
        if len(spare) < SPARES:
            spare.append(run)


class Blocks:
    """
    One reader's file, cut into blocks.

    @ivar last: the number of the last block, as soon as it is known.
    """

    def __init__(self, body: Body, size: int | None, blksize: int, windowsize: int, runs: Runs) -> None:
        self.last = None if size is None else size // blksize + 1
        self._body = body
        self._fd = body.fileno()
        self._size = size
        self._blksize = blksize
        self._length = run_length(blksize, windowsize)
        self._runs = runs
        self._run: Run | None = None
        self._flags = _NOWAIT

    def run(self, block: int) -> Run | None:
        """
        A run that holds this block; it is good until the next call.

        @return: None where the block is not here yet; see L{Body.wait}.
        @raise ContentError: the source failed.
        """
        run = self._run
        if run is not None and run.first <= block < run.first + run.count:
            return run
        self._release()
        if self._fd is not None and self._size is not None:
            self._run = self._file_run(self._fd, self._size, block)
        else:
            self._run = self._streamed_run(block)
        return self._run

    def close(self) -> None:
        """The reader is done."""
        self._release()
        self._body.close()

    def _release(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            self._runs.release(run)

    def _file_run(self, fd: int, size: int, block: int) -> Run | None:
        index = (block - 1) // self._length
        key = (fd, self._blksize, self._length, index)
        run = self._runs.shared(key)
        if run is not None:
            return run
        run = self._runs.fresh(self._blksize, self._length)
        run.number(index * self._length + 1)
        offset = index * self._length * self._blksize
        if self._read(run, fd, offset, min(size - offset, self._length * self._blksize)):
            self._runs.share(run, key)
            return run
        self._runs.release(run)
        return None

    def _read(self, run: Run, fd: int, offset: int, length: int) -> bool:
        """At once, or by the body's own means where the disk must be waited for."""
        try:
            if run.read(fd, offset, length, self._flags):
                return True
        except BlockingIOError:
            pass
        except OSError:
            if in_memory(fd):  # a file system that cannot tell, and need not; a real failure is the body's to report
                self._flags = 0
        data = self._body.read(offset, length)
        if data is None:
            return False
        if len(data) < length:
            raise SourceFailed("the file became shorter while it was being sent")
        run.copy(data, length < self._blksize * self._length)
        return True

    def _streamed_run(self, block: int) -> Run | None:
        offset = (block - 1) * self._blksize
        data, wanted = self._streamed(offset)
        if data is None:
            return None
        ends = len(data) < wanted
        if ends:
            self.last = block + len(data) // self._blksize
        run = self._runs.fresh(self._blksize, self._length)
        run.number(block)
        run.copy(data, ends)
        return run

    def _streamed(self, offset: int) -> tuple[bytes | None, int]:
        """As much as is here of a run's bytes, by whole blocks; and how much that would have been."""
        left = None if self._size is None else self._size - offset
        blocks = self._length
        while True:
            wanted = blocks * self._blksize
            length = wanted if left is None else min(wanted, left)
            data = self._body.read(offset, length)
            if data is not None or blocks == 1:
                break
            blocks //= 2
        if data is not None and left is not None and len(data) < length:
            raise SourceFailed("the source ended before the file did")
        return data, wanted
