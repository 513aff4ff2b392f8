"""Mutations of known inputs: cut, doubled, swapped, spliced with one another, with the numbers that break parsers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

LONGEST = 4200
"""Bytes; a little more than any datagram that is looked at."""

INTERESTING = (
    *(bytes((value,)) for value in (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF)),
    *(b"\0\0", b"\0\1", b"\x7f\xff", b"\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\xff"),
    *(b"../", b"..\\", b"%2e%2e%2f", b"%", b"\r\n", b"\0", b"*", b"[", b"]", b"{", b"}", b"=", b"-1", b"99999999999"),
    *(b"\xc0\xaf", b"\xe2\x80\xa8", b"\xed\xb0\x80", b"\xd9\xa1"),
)


def mutated(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """One to eight small changes of C{data}; C{others} lend their parts."""
    value = bytearray(data)
    for _ in range(1 << random.randrange(4)):
        random.choice(_CHANGES)(value, others, random)
        del value[LONGEST:]
    return bytes(value)


def _place(value: bytearray, random: Random) -> int:
    return random.randrange(len(value) + 1)


def _flip(value: bytearray, others: Sequence[bytes], random: Random) -> None:
    if value:
        value[random.randrange(len(value))] ^= 1 << random.randrange(8)


def _replace(value: bytearray, others: Sequence[bytes], random: Random) -> None:
    if value:
        value[random.randrange(len(value))] = random.randrange(256)


def _count(value: bytearray, others: Sequence[bytes], random: Random) -> None:
    if value:
        at = random.randrange(len(value))
        value[at] = (value[at] + random.choice((-1, 1))) & 255


def _insert(value: bytearray, others: Sequence[bytes], random: Random) -> None:
    at = _place(value, random)
    value[at:at] = random.choice(INTERESTING)


def _overwrite(value: bytearray, others: Sequence[bytes], random: Random) -> None:
    at, piece = _place(value, random), random.choice(INTERESTING)
    value[at : at + len(piece)] = piece


def _remove(value: bytearray, others: Sequence[bytes], random: Random) -> None:
    at = _place(value, random)
    del value[at : at + random.randrange(1, 17)]


def _cut(value: bytearray, others: Sequence[bytes], random: Random) -> None:
    del value[_place(value, random) :]


def _repeat(value: bytearray, others: Sequence[bytes], random: Random) -> None:
    at = _place(value, random)
    piece = value[at : at + random.randrange(1, 33)]
    value[at:at] = piece * random.randrange(1, 9)


def _splice(value: bytearray, others: Sequence[bytes], random: Random) -> None:
    other = random.choice(others)
    begin = random.randrange(len(other) + 1)
    end = min(len(other), begin + random.randrange(1, 65))
    at = _place(value, random)
    value[at : at + random.choice((0, end - begin))] = other[begin:end]


_CHANGES: Sequence[Callable[[bytearray, Sequence[bytes], Random], None]] = (
    _flip,
    _replace,
    _count,
    _insert,
    _overwrite,
    _remove,
    _cut,
    _repeat,
    _splice,
)
