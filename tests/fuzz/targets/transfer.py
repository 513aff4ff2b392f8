"""
A TFTP transfer under any datagrams at any times: it sends no more than it was asked for, and comes to an end.

Before the client's first ACK the first packet alone leaves, at most six times; later each ACK releases one window.
"""

from __future__ import annotations

from itertools import pairwise
from struct import unpack

from pybootd.tftp.options import Ceilings, negotiate
from pybootd.tftp.reception import Reception
from pybootd.tftp.transfer import NEVER, State, Transfer
from tests.fuzz.support import shown

RETRIES = 5
LAST = 40
OPTIONS = (
    {},
    {"blksize": b"8"},
    {"windowsize": b"4"},
    {"windowsize": b"64", "tsize": b"0", "timeout": b"1"},
    {"msftwindow": b"31416"},
)


def _steps(*datagrams: bytes, pause: int = 1) -> bytes:
    return b"".join(bytes((pause, len(one))) + one for one in datagrams)


def _acks(*blocks: int) -> bytes:
    return _steps(*(b"\0\4" + block.to_bytes(2, "big") for block in blocks))


SEEDS = (
    b"\0" + _acks(*range(1, 41)),
    b"\1" + _acks(0, 1, 2, 2, 2, 65535, 3),
    b"\2" + _acks(0, 4, 8, 8, 12, 11, 40),
    b"\3" + _acks(0, 33) + _steps(b"", b"", pause=200),
    b"\4" + _acks(0) + _steps(b"\0\4\0\1\x20", b"\0\4\0\x21\0", b"\0\5\0\4stop\0"),
    b"\1" + _steps(*(b"\0\3" + block.to_bytes(2, "big") + bytes(8) for block in range(1, 4)), b"\0\3\0\4end"),
)


def one(data: bytes) -> None:
    """C{data} is a set of options (1), then steps: hundredths of seconds squared (1), a length (1), a datagram."""
    kind = data[0] if data else 0
    agreement = negotiate(OPTIONS[kind % len(OPTIONS)], Ceilings(), LAST * 512 if kind & 0x40 else None)
    transfer = Transfer(agreement, LAST if kind & 0x80 else None, 0.0, retries=RETRIES)
    reception = Reception(agreement, 0.0)
    now, window = 0.0, agreement.widest
    unreleased, restarts = _pump(transfer, now), 0
    for pause, datagram in _read(data[1:]):
        now += (pause / 100) ** 2
        before = transfer.acked
        transfer.receive(datagram, now)
        assert before <= transfer.acked <= before + window, "more was ACKed than was out"
        at_once = _pump(transfer, now)
        if transfer.acked > before:
            unreleased = restarts = 0
        elif at_once:
            restarts += 1
            assert window > 1, "a repeated ACK was answered"
            assert restarts == 1, "a window that was sent again for one report of a loss is sent for the next"
        transfer.expire(now)
        again = _pump(transfer, now)
        if again:
            restarts = 0
        assert max(at_once, again) <= window, "more than a window at once"
        unreleased += again if transfer.acked == before else 0
        if transfer.state is State.ASKED:
            assert at_once == 0, "something but the first packet before an ACK"
            assert unreleased <= RETRIES + 1, "the first packet more often than it may be sent"
        shown(transfer.reason)
        _receive(reception, datagram, now)
    _end(transfer, now)
    _end(reception, now)


def _read(data: bytes) -> list[tuple[int, bytes]]:
    steps, at = [], 0
    while at + 2 <= len(data):
        size = data[at + 1]
        steps.append((data[at], data[at + 2 : at + 2 + size]))
        at += 2 + size
    return steps


def _pump(transfer: Transfer, now: float) -> int:
    """Send what is due; each run goes on where the one before it ended."""
    first, count = transfer.due
    if count:
        assert first == transfer.acked + 1 or transfer.outstanding
        assert transfer.last is None or first + count - 1 <= transfer.last
        transfer.sent(count, now)
        assert transfer.due[1] == 0, "due for ever"
    return count


def _receive(reception: Reception, datagram: bytes, now: float) -> None:
    """An upload takes its blocks in order, and answers each datagram once at most."""
    reception.reply = None
    block = reception.block
    taken = reception.receive(datagram, now)
    assert reception.block in (block, block + 1)
    if taken:
        assert unpack("!H", datagram[2:4])[0] == reception.block & 0xFFFF
    reception.expire(now)
    shown(reception.reason)


def _end(side: Transfer | Reception, now: float) -> None:
    """Whatever came, a client that says nothing more is given up."""
    moments = [now]
    while side.deadline != NEVER and side.state not in (State.LOST, State.ENDED):
        now = max(now, side.deadline)
        moments.append(now)
        side.expire(now)
        if isinstance(side, Transfer):
            _pump(side, now)
        assert len(moments) < 5000, "never given up"
    assert all(one <= other for one, other in pairwise(moments))
    assert now - moments[0] < 200, "given up too late"
