"""
The words of the configuration: how the text of an option becomes a value.

Each function takes the text and returns the value, or raises ValueError with what is expected, as the end of a
sentence: C{not an IPv4 address; write e.g. 192.168.1.100}.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attrs import frozen

from pybootd.content.variables import NAMES
from pybootd.dhcp.architectures import BY_NUMBER, named
from pybootd.events import KINDS

T = TypeVar("T")
Parser = Callable[[str], Any]
Endpoint = tuple[str, int]
"""An IPv4 address and a port."""

TRUE = frozenset({"on", "high", "true", "enable", "enabled", "yes", "1"})
FALSE = frozenset({"off", "low", "false", "disable", "disabled", "no", "0"})
MAC_BITS, UUID_BITS = 48, 128
SCREEN = 70
"""Letters of one line on a firmware's screen."""
_NUMBER = re.compile(r"[0-9]{1,10}")
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_SIZE = re.compile(r"([0-9]{1,12})\s*([kmgt]?)(i?b)?")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_INTERFACE = re.compile(r"[^\s/\0]{1,15}")
_STORE = re.compile(r"memory|sqlite:.+|postgres(ql)?://.+|(?!sqlite:|postgres(ql)?:)[a-z][a-z0-9_-]*:.*")
_FOREIGN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[!\"$->@-~]*")
_URL_PATH = re.compile(r"[!-~]*")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:(?:-[0-9A-Fa-f]{2}){0,5}|(?::[0-9A-Fa-f]{2}){0,5})")
_UUID = re.compile(r"[0-9A-Fa-f]{2,8}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){0,3}(-[0-9A-Fa-f]{1,12})?|[0-9A-Fa-f]{32}")
_VARIABLE = re.compile(r"[a-z_][a-z0-9_]*")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@frozen
class Masked:
    """A hardware address or UUID of which only the first C{bits} count; the others are 0."""

    value: bytes
    bits: int


def boolean(text: str) -> bool:
    """C{on high true enable enabled yes 1}, or their contraries, in any case."""
    word = text.lower()
    if word not in TRUE and word not in FALSE:
        raise ValueError("neither yes nor no; write yes or no")
    return word in TRUE


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number within bounds."""

    def parse(text: str) -> int:
        if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"not a whole number from {low} to {high}")
        return int(text)

    return parse


port = whole(1, 65535)


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Seconds, with a fraction if need be."""

    def parse(text: str) -> float:
        if not _DECIMAL.fullmatch(text) or not low <= float(text) <= high:
            raise ValueError(f"not a number of seconds from {low:g} to {high:g}")
        return float(text)

    return parse


def size(text: str) -> int:
    """Bytes, with K, M, G or T for the powers of 1024."""
    match = _SIZE.fullmatch(text.lower())
    if match is None or not int(match[1]):
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
    """One line of any text."""
    if not text.isprintable():
        raise ValueError("has a control character in it")
    return text


def filled(words: str) -> str:
    """One line of any text, but not nothing."""
    if not words:
        raise ValueError("has no value")
    return text(words)


def screen(text: str) -> str:
    """What a firmware's screen can show: ASCII, not too long."""
    if not text:
        raise ValueError("has no text")
    if not (text.isascii() and text.isprintable()) or len(text) > SCREEN:
        raise ValueError(f"not at most {SCREEN} characters of ASCII, which is what a firmware's screen shows")
    return text


def menu(text: str) -> int | None:
    """Whose menu C{[menu ARCHITECTURE]} is; without one, as C{default} in C{[bootfile]}."""
    ipxe, number = architecture(text or "default")
    known = BY_NUMBER.get(number or 0)
    if ipxe or (known is not None and known.http):
        raise ValueError("only firmware that boots by PXE shows a menu; write e.g. bios, x64-uefi")
    return number


def listed(parse: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Several of these, separated by C{;} or C{,}; nothing means none."""

    def parse_one(word: str, text: str) -> T:
        try:
            return parse(word)
        except ValueError as error:
            several = word.split()
            advice = f"; write {', '.join(several)}" if len(several) > 1 and all(map(fits, several)) else ""
            raise ValueError(f"{error}{advice}" if word == text else f'"{word}": {error}{advice}') from None

    def fits(word: str) -> bool:
        with suppress(ValueError):
            parse(word)
            return True
        return False

    def parse_all(text: str) -> tuple[T, ...]:
        return tuple(parse_one(word.strip(), text) for word in re.split("[;,]", text) if word.strip())

    return parse_all


def backend(text: str) -> str:
    """The name of an access backend."""
    if not _NAME.fullmatch(text.lower()):
        raise ValueError("names no access backend; write mac, uuid, http or the name of a plugin")
    return text.lower()


def backends(text: str) -> tuple[str, ...]:
    """Names of access backends; nothing or C{none} means that everybody is served."""
    return () if text.lower() == "none" else listed(backend)(text)


def address(text: str) -> IPv4Address:
    """An IPv4 address."""
    try:
        return IPv4Address(text)
    except ValueError:
        raise ValueError("not an IPv4 address; write e.g. 192.168.1.100") from None


def unicast(text: str) -> IPv4Address:
    """An IPv4 address that one host can have."""
    found = address(text)
    if found.is_multicast or found.is_reserved or found.is_unspecified:
        raise ValueError("not the address of a host; write e.g. 192.168.1.100")
    return found


def dns(text: str) -> tuple[IPv4Address, ...] | None:
    """Addresses of name servers, or C{auto} (None): those of the host."""
    return None if text.lower() == "auto" else listed(unicast)(text)


def gateway(text: str) -> IPv4Address:
    """An address, or C{none} (0.0.0.0): no gateway is named."""
    return IPv4Address(0) if text.lower() in ("none", "0.0.0.0") else unicast(text)


def netmask(text: str) -> IPv4Address:
    """A netmask, dotted or as a number of bits."""
    try:
        mask = IPv4Network(f"0.0.0.0/{text.removeprefix('/')}").netmask
    except ValueError:
        mask = IPv4Address(0)
    if not int(mask) or ("." in text and text != str(mask)):
        raise ValueError("not a netmask; write e.g. 255.255.255.0")
    return mask


def network(text: str) -> IPv4Network:
    """A network with its prefix length."""
    try:
        found = IPv4Network(text, strict=False)
    except ValueError:
        found = None
    if found is None or "/" not in text:
        raise ValueError("not a network; write e.g. [subnet 192.168.2.0/24]")
    if IPv4Address(text.partition("/")[0]) != found.network_address:
        raise ValueError(f"not a network, for bits are set beyond its mask; write [subnet {found}]")
    return found


def endpoint(text: str) -> Endpoint:
    """C{a.b.c.d:port}."""
    host, _, number = text.rpartition(":")
    try:
        return str(unicast(host)), port(number)
    except ValueError:
        raise ValueError("not address:port; write e.g. 192.168.1.5:9999") from None


def interface(text: str) -> str:
    """The name of a network interface."""
    if not _INTERFACE.fullmatch(text):
        raise ValueError("not the name of a network interface; write e.g. eth0")
    return text


def domain(text: str) -> str:
    """A name of the DNS, or nothing."""
    name = text.rstrip(".")
    if len(name) > 253 or (text and not all(_LABEL.fullmatch(label) for label in name.split("."))):
        raise ValueError("not a name of the DNS; write e.g. example.org")
    return name


def hostname(text: str) -> str:
    """The name of a host, with its domain or without."""
    if not text:
        raise ValueError("not a host name; write e.g. node-7")
    return domain(text)


def path(text: str) -> Path:
    """A file or directory, as it was written."""
    if not text or not text.isprintable():
        raise ValueError("not a path; write e.g. /srv/boot or ./boot")
    return Path(text)


def root(text: str) -> str:
    """A directory or a URL prefix, perhaps a plugin's; the original's C{^/}, beside the daemon, is C{./}."""
    if _FOREIGN.fullmatch(text) and not text.lower().startswith(("http:", "https:")):
        return text
    if "://" in text:
        return url(text)
    return str(path("./" + text[2:] if text.startswith("^/") else text))


def url(text: str) -> str:
    """A URL of the web that ends in a path."""
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not _URL_PATH.fullmatch(text) or "?" in text or "#" in text:
        raise ValueError("not a URL that files can be below; write e.g. http://boot.example.org/images")
    return text


def web_page(text: str) -> str:
    """A whole URL of the web, with its query if it has one."""
    base, _, query = text.partition("?")
    try:
        url(base)
    except ValueError:
        base = ""
    if not base or not _URL_PATH.fullmatch(query) or "#" in query:
        raise ValueError("not the URL of a web page; write e.g. http://boot.example.org/hook")
    return text


def event_kinds(text: str) -> tuple[str, ...]:
    """Names of kinds of events, or C{all}."""
    return tuple(KINDS) if text.lower() == "all" else listed(choice(*KINDS))(text)


def location(text: str) -> str:
    """A URL without its end, with its scheme or without."""
    return url(text if "://" in text else f"http://{text}").rstrip("/")


def url_path(text: str) -> str:
    """The path of a URL; its first C{/} may be left out."""
    if not _URL_PATH.fullmatch(text) or "?" in text or "#" in text or "://" in text:
        raise ValueError("not the path of a URL; write e.g. /boot")
    return text if not text or text.startswith("/") else f"/{text}"


def store(text: str) -> str:
    """C{memory}, C{sqlite:PATH}, C{postgresql://...}, or the name of a plugin, a colon, and what it needs."""
    if not _STORE.fullmatch(text):
        raise ValueError("not a lease store; write sqlite:PATH, postgresql://USER@HOST/DATABASE or memory")
    return text.replace("postgres://", "postgresql://", 1)


def mac(text: str) -> bytes:
    """A hardware address, with dashes or colons."""
    if len(text) != 17 or not _MAC.fullmatch(text):
        raise ValueError("not a hardware address; write e.g. AA-BB-CC-DD-EE-FF")
    return bytes.fromhex(text.replace("-", "").replace(":", ""))


def masked_mac(text: str) -> Masked:
    """A hardware address, or its beginning with the number of bits that count: C{AA-BB-CC/24}."""
    value, slash, bits = text.partition("/")
    if not _MAC.fullmatch(value) or not (slash or len(value) == 17):
        raise ValueError("not a hardware address; write e.g. AA-BB-CC-DD-EE-FF, or AA-BB-CC/24 for the first 24 bits")
    return _masked(value, bits if slash else str(MAC_BITS), MAC_BITS)


def masked_uuid(text: str) -> Masked:
    """A UUID as it is printed, or its beginning with the number of bits that count."""
    value, slash, bits = text.partition("/")
    if not _UUID.fullmatch(value) or not (slash or len(value) in (32, 36)):
        raise ValueError(
            "not a UUID; write e.g. 77aabbcc-1122-3344-5566-778899aabbcc, or 77aabbcc/32 for the first 32 bits"
        )
    return _masked(value, bits if slash else str(UUID_BITS), UUID_BITS)


def _masked(text: str, bits: str, width: int) -> Masked:
    digits = text.replace("-", "").replace(":", "")
    count = whole(0, width)(bits)
    if count > len(digits) * 4:
        raise ValueError(f"has {len(digits) * 4} bits, fewer than its mask of {count}")
    value = int(digits, 16) << (width - len(digits) * 4)
    return Masked((value >> (width - count) << (width - count)).to_bytes(width // 8), count)


def variable(text: str) -> str:
    """C{var.NAME}: the name, in lower case."""
    name = text.lower().removeprefix("var.")
    if not _VARIABLE.fullmatch(name) or name in NAMES:
        raise ValueError(f"not the name of a variable of your own; write e.g. var.role, and none of {', '.join(NAMES)}")
    return name


def pattern(words: str) -> str:
    """Which names of files a filter or template is for; a C{/} or C{./} before it means nothing."""
    return filled(re.sub(r"^(\.?[/\\])+", "", words))


def architecture(text: str) -> tuple[bool, int | None]:
    """
    A key of C{[bootfile]}: C{default}, an architecture by number or name, C{ipxe} or C{ipxe.ARCHITECTURE}.

    @return: whether it is for iPXE only, and the number; None where every architecture is meant.
    """
    ipxe, _, rest = text.lower().partition(".")
    if ipxe != "ipxe":
        return False, named(text)
    return True, named(rest) if rest else None
