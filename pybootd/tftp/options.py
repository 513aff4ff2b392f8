"""
What client and server agree upon before the first block: RFC 2347, 2348, 2349, 7440.

An option that is not understood, or whose value is no plain number within its range, is
left out of the answer, which is how RFC 2347 says no; nothing is ever answered that was not asked for
(some firmware breaks the transfer off at once), and nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from attrs import evolve, frozen

from pybootd.tftp.packet import BLOCKSIZE, LONGEST_NUMBER, number, oack

BLKSIZE_RANGE = 8, 65464
"""RFC 2348: the upper end is an IPv4 datagram's, less its headers."""

MSFTWINDOW_ASKED, MSFTWINDOW_ANSWERED = 31416, 27182
"""Windows' boot manager asks with the digits of pi and wants those of e (no document; Wireshark dissects it)."""


@frozen
class Ceilings:
    """What this server is ready to agree upon with one client."""

    blocksize: int = BLOCKSIZE
    """Of a client that asks for no blksize."""

    blksize: int = BLKSIZE_RANGE[1]
    windowsize: int = 64
    window_bytes: int = 128 << 10
    """A window of large blocks holds no more than this: a burst that sockets and switches take."""

    def below(self, mtu: int, overhead: int = 32) -> Ceilings:
        """
        The same for firmware, some of which cannot put IP fragments together.

        @param mtu: bytes of the largest IP packet towards the client.
        @param overhead: of IP, UDP and TFTP headers: 32 with IPv4, 52 with IPv6.
        """
        return evolve(self, blksize=min(self.blksize, max(BLOCKSIZE, mtu - overhead)))


@frozen
class Agreement:
    """What holds for one transfer."""

    blksize: int = BLOCKSIZE
    windowsize: int = 1
    timeout: int | None = None
    """Seconds, where the client asked (RFC 2349)."""

    sized: bool = False
    """The client learns the size before the first block (tsize), and may want nothing more."""

    variable: bool = False
    """Each ACK may say in a fifth byte how large the next window shall be (msftwindow)."""

    widest: int = 1
    """The largest window of this transfer."""

    answered: tuple[tuple[str, int], ...] = ()
    """The options of the OACK, in the order in which they were asked."""

    oack: bytes = b""
    """The packet that tells the client; nothing where nothing was agreed upon."""

    def __str__(self) -> str:
        """For people: C{blksize 1468, windowsize 4}."""
        window = "variable window" if self.variable else f"windowsize {self.windowsize}"
        return f"blksize {self.blksize}" + (f", {window}" if self.variable or self.windowsize > 1 else "")


def _blksize(asked: bytes, ceilings: Ceilings, size: int | None) -> int | None:
    value = number(asked, *BLKSIZE_RANGE)
    return None if value is None else min(value, ceilings.blksize)


def _windowsize(asked: bytes, ceilings: Ceilings, size: int | None) -> int | None:
    value = number(asked, 1, 65535)
    return None if value is None else min(value, ceilings.windowsize)


def _timeout(asked: bytes, ceilings: Ceilings, size: int | None) -> int | None:
    return number(asked, 1, 255)


def _tsize(asked: bytes, ceilings: Ceilings, size: int | None) -> int | None:
    return size if number(asked, 0, 2**63) is not None else None


def _msftwindow(asked: bytes, ceilings: Ceilings, size: int | None) -> int | None:
    return number(asked, MSFTWINDOW_ASKED, MSFTWINDOW_ASKED) and MSFTWINDOW_ANSWERED


OPTIONS: Mapping[str, Callable[[bytes, Ceilings, int | None], int | None]] = {
    "blksize": _blksize,  # RFC 2348
    "timeout": _timeout,  # RFC 2349 2
    "tsize": _tsize,  # RFC 2349 3
    "windowsize": _windowsize,  # RFC 7440
    "msftwindow": _msftwindow,
}
"""Each option's answer to what was asked, or None: it is left out."""


def negotiate(asked: Mapping[str, bytes], ceilings: Ceilings, size: int | None) -> Agreement:
    """
    Answer the options of a request.

    @param asked: names in lower case.
    @param size: of the file as it is sent, in bytes, where that is known.
    """
    understood = [(name, text) for name, text in asked.items() if name in OPTIONS and len(text) <= LONGEST_NUMBER]
    return _negotiated(tuple(understood), ceilings, size)


@lru_cache(maxsize=256)
def _negotiated(asked: tuple[tuple[str, bytes], ...], ceilings: Ceilings, size: int | None) -> Agreement:
    """The same for whoever asks alike, as a hall of machines does: this was 3 of the 105 us that a small file takes."""
    answers: dict[str, int] = {}
    for name, text in asked:
        answer = OPTIONS[name](text, ceilings, size)
        if answer is not None:
            answers[name] = answer
    blksize = answers.get("blksize", ceilings.blocksize)
    widest = min(ceilings.windowsize, max(1, ceilings.window_bytes // blksize))
    if "windowsize" in answers:
        answers["windowsize"] = min(answers["windowsize"], widest)
    variable = "msftwindow" in answers
    windowsize = answers.get("windowsize", 1)
    return Agreement(
        blksize=blksize,
        windowsize=windowsize,
        timeout=answers.get("timeout"),
        sized="tsize" in answers,
        variable=variable,
        widest=widest if variable else windowsize,
        answered=tuple(answers.items()),
        oack=oack(answers.items()) if answers else b"",
    )
