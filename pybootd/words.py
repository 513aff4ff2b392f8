"""
The words of the configuration: how the text of an option becomes a value.

Each function takes the text and returns the value, or raises ValueError with a sentence that says what is expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from attrs import frozen

TRUE = frozenset("on high true enable enabled yes 1".split())
FALSE = frozenset("off low false disable disabled no 0".split())
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@frozen
class Masked:
    """A hardware address or UUID of which only the first C{bits} count."""

    value: bytes
    bits: int

    def __contains__(self, other: object) -> bool:
        if not isinstance(other, bytes) or len(other) != len(self.value):
            return False
        shift = len(self.value) * 8 - self.bits
        return int.from_bytes(other, "big") >> shift == int.from_bytes(self.value, "big") >> shift


def boolean(text: str) -> bool:
    """on, high, true, enable, enabled, yes, 1, or their contraries; in any case."""
    word = text.lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError("neither yes nor no; write yes or no")


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def parse(text: str) -> int:
        if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"not a whole number from {low} to {high}")
        return int(text)

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Seconds, with a fraction if need be."""

    def parse(text: str) -> float:
        if not _DECIMAL.fullmatch(text) or not low <= float(text) <= high:
            raise ValueError(f"not a number of seconds from {low:g} to {high:g}; write e.g. {max(low, 2.0):g}")
        return float(text)

    return parse


def size(text: str) -> int:
    """Bytes, with K, M, G or T for the powers of 1024."""
    match = re.fullmatch(r"([0-9]{1,12})\s*([kmgt]?)i?b?", text.lower(), re.ASCII)
    if not match:
        raise ValueError("not a size; write e.g. 500M or 20G")
    return int(match[1]) * _UNITS[match[2]]


def choice(*known: str, **aliases: str) -> Callable[[str], str]:
    """One of these words, in any case."""

    def parse(text: str) -> str:
        word = aliases.get(text.lower(), text.lower())
        if word not in known:
            raise ValueError(f"not one of {', '.join(known)}")
        return word

    return parse


def text(text: str) -> str:
    """Any text without control characters."""
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise ValueError("it holds a control character")
    return text


def listed(text: str) -> tuple[str, ...]:
    """Words separated by C{;} or C{,}."""
    return tuple(word for word in (part.strip() for part in re.split("[;,]", text)) if word)


def names(text: str) -> tuple[str, ...]:
    """Names of backends; C{none} and nothing mean none."""
    found = tuple(word.lower() for word in listed(text))
    if found == ("none",):
        return ()
    for word in found:
        if not _NAME.fullmatch(word):
            raise ValueError(f"{word!r} is no name of an access backend; write mac, uuid, http or a plugin's name")
    return found


def address(text: str) -> IPv4Address:
    """An IPv4 address."""
    try:
        return IPv4Address(text)
    except AddressValueError:
        raise ValueError("not an IPv4 address; write e.g. 192.168.1.100") from None


def addresses(text: str) -> tuple[IPv4Address, ...]:
    """IPv4 addresses separated by C{;} or C{,}."""
    return tuple(address(word) for word in listed(text))


def dns(text: str) -> tuple[IPv4Address, ...] | None:
    """Addresses of name servers, or C{auto}: None."""
    return None if text.lower() == "auto" else addresses(text)


def gateway(text: str) -> IPv4Address:
    """An address, or C{none}: 0.0.0.0."""
    return IPv4Address(0) if text.lower() == "none" else address(text)


def netmask(text: str) -> IPv4Address:
    """A netmask, dotted or as a number of bits."""
    try:
        return IPv4Network(f"0.0.0.0/{text.lstrip('/')}").netmask
    except ValueError:
        raise ValueError("not a netmask; write e.g. 255.255.255.0") from None


def network(text: str) -> IPv4Network:
    """A network with its prefix length."""
    try:
        return IPv4Network(text)
    except ValueError:
        raise ValueError("not a network; write e.g. 192.168.2.0/24") from None


def endpoint(text: str) -> tuple[str, int]:
    """C{a.b.c.d:port}."""
    host, _, port = text.rpartition(":")
    try:
        return str(address(host)), whole(1, 65535)(port)
    except ValueError:
        raise ValueError(f"{text!r} is not address:port; write e.g. 192.168.1.5:9999") from None


def endpoints(text: str) -> tuple[tuple[str, int], ...]:
    """Several of them."""
    return tuple(endpoint(word) for word in listed(text))


def domain(text: str) -> str:
    """A name for DNS, or nothing."""
    if text and not all(_LABEL.fullmatch(label) for label in text.rstrip(".").split(".")):
        raise ValueError("not a domain name; write e.g. example.org")
    return text.rstrip(".")


def hostname(text: str) -> str:
    """A host's name."""
    if not text or len(text) > 253:
        raise ValueError("not a host name; write e.g. node-7")
    return domain(text)


def path(text: str) -> Path:
    """A file or directory, not resolved yet."""
    if not text or "\0" in text:
        raise ValueError("no path; write e.g. /srv/boot or ./boot")
    return Path(text)


def root(text: str) -> str:
    """A directory or a URL prefix; the original's C{^/}, next to the daemon, becomes C{./}."""
    if "://" in text:
        return url(text)
    if text.startswith("^/"):
        text = "./" + text[2:]
    return str(path(text))


def url(text: str) -> str:
    """An http or https URL."""
    try:
        parts = urlsplit(text)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        port_fits = False
    if (
        not port_fits
        or parts.scheme.lower() not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
    ):
        raise ValueError("not an URL that can be served from; write e.g. http://boot.example.org/images")
    return text


def location(text: str) -> str:
    """An URL prefix, with or without its scheme."""
    return url(text if "://" in text else f"http://{text}").rstrip("/")


def store(text: str) -> str:
    """C{memory}, C{sqlite:PATH}, C{postgresql://...}, or a plugin's word before a colon."""
    if text == "memory" or re.fullmatch(r"[a-z][a-z0-9_-]*:.+", text, re.ASCII):
        return text
    raise ValueError("no lease store; write sqlite:PATH, memory or postgresql://user@host/database")


def mac(text: str) -> bytes:
    """A hardware address, dashes or colons."""
    digits = re.fullmatch(r"([0-9A-Fa-f]{2})(?:[-:]([0-9A-Fa-f]{2})){5}", text, re.ASCII)
    if not digits:
        raise ValueError("not a hardware address; write e.g. AA-BB-CC-DD-EE-FF")
    return bytes.fromhex(text.replace("-", "").replace(":", ""))


def masked_mac(text: str) -> Masked:
    """A hardware address, or its beginning with C{/bits}."""
    value, slash, bits = text.partition("/")
    if not slash:
        return Masked(mac(text), 48)
    if not re.fullmatch(r"[0-9A-Fa-f]{2}([-:][0-9A-Fa-f]{2}){0,5}", value, re.ASCII):
        raise ValueError("not a hardware address with a mask; write e.g. AA-BB-CC/24")
    return Masked(bytes.fromhex(value.replace("-", "").replace(":", "")).ljust(6, b"\0"), whole(0, 48)(bits))


def masked_uuid(text: str) -> Masked:
    """A UUID, perhaps with C{/bits}; as it is printed (big-endian)."""
    value, slash, bits = text.partition("/")
    try:
        return Masked(UUID(value).bytes, whole(0, 128)(bits) if slash else 128)
    except ValueError:
        raise ValueError("not a UUID; write e.g. 77aabbcc-1122-3344-5566-778899aabbcc") from None
