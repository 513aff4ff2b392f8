"""
What the main process and a worker say to each other: one datagram each, as JSON.

Orders go to the worker, with descriptors where a transfer is handed over; reports come back.  A number stands for one
transfer from its order to its end.  A report is believed as far as its form goes, and no further.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs
from attrs import field, frozen
from attrs.validators import instance_of

LARGEST = 4096
"""Bytes of a message."""

SENTENCE = 500
"""Characters of a sentence within one."""

_number = instance_of(int)
_text = instance_of(str)
_seconds = instance_of((int, float))


@frozen
class SendBlocks:
    """
    Send the rest of a file by TFTP.

    Its descriptors: the transfer's socket, and the file.
    """

    number: int = field(validator=_number)
    host: str = field(validator=_text)
    port: int = field(validator=_number)
    mtu: int = field(validator=_number)
    size: int = field(validator=_number)
    blksize: int = field(validator=_number)
    windowsize: int = field(validator=_number)
    widest: int = field(validator=_number)
    variable: bool = field(validator=instance_of(bool))
    timeout: float = field(validator=_seconds)
    """Seconds, the longest time before something is sent again."""

    retries: int = field(validator=_number)
    acked: int = field(validator=_number)
    """The newest block that the client has; nothing else is out."""

    rtt: float = field(validator=_seconds)
    """Seconds of a round trip; 0: not measured yet."""

    resent: int = field(validator=_number)


@frozen
class SendFile:
    """
    Send a part of a file through a TCP connection whose header is out.

    Its descriptors: the connection, and the file.
    """

    number: int = field(validator=_number)
    begin: int = field(validator=_number)
    end: int = field(validator=_number)


@frozen
class Drop:
    """Give a transfer up, without a report."""

    number: int = field(validator=_number)


@frozen
class Look:
    """See whether anything has happened in a transfer; its end, if it has one, is told before the answer."""

    number: int = field(validator=_number)


@frozen
class Looked:
    """The answer to L{Look}; with the number 0 it comes unasked: the worker is ready."""

    number: int = field(validator=_number)


@frozen
class Progress:
    """So many bytes of the file have arrived (TFTP), or have left (HTTP)."""

    number: int = field(validator=_number)
    sent: int = field(validator=_number)
    resent: int = field(validator=_number, default=0)


@frozen
class Ended:
    """A transfer is over."""

    number: int = field(validator=_number)
    sent: int = field(validator=_number)
    failure: str = field(validator=_text)
    """Empty where the whole file has arrived."""

    resent: int = field(validator=_number, default=0)


@frozen
class Said:
    """A line for the log."""

    level: str = field(validator=_text)
    text: str = field(validator=_text)


Order = SendBlocks | SendFile | Drop | Look
Report = Looked | Progress | Ended | Said
Message = Order | Report

KINDS: Mapping[str, type[Message]] = {
    "send-blocks": SendBlocks,
    "send-file": SendFile,
    "drop": Drop,
    "look": Look,
    "looked": Looked,
    "progress": Progress,
    "ended": Ended,
    "said": Said,
}

_NAMES = {kind: name for name, kind in KINDS.items()}


def encode(message: Message) -> bytes:
    """As a datagram."""
    return json.dumps([_NAMES[type(message)], *attrs.astuple(message, recurse=False)]).encode("ascii")


def decode(datagram: bytes) -> Message:
    """@raise ValueError: it is no message."""
    try:
        name, *fields = json.loads(datagram)
        return KINDS[name](*fields)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"not a message: {datagram[:80]!r}") from error


def sentence(text: str) -> str:
    """Short enough for a message, in whatever characters."""
    return text if len(text) <= SENTENCE else f"{text[: SENTENCE - 3]}..."
