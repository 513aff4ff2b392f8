"""URLs as roots and targets: how a path is joined to one, so that it changes the path and nothing else."""

from __future__ import annotations

import re
from urllib.parse import quote

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_UP_TO_PATH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#{}]+/[^?#]*")


def is_url(text: str) -> bool:
    """Whether a root or a target is an URL rather than a path."""
    return _SCHEME.match(text) is not None


def scheme(url: str) -> str:
    """The scheme in lower case: C{http}."""
    return url.partition(":")[0].lower()


def within_path(url: str) -> bool:
    """Whether this beginning of an URL ends within its path, so that host, port, user and query are settled."""
    return _UP_TO_PATH.fullmatch(url) is not None


def quoted(path: str) -> str:
    """A path as a part of an URL: C{?}, C{#}, C{@}, C{:}, C{%} and whatever is no ASCII become C{%}-forms."""
    return quote(path.encode("utf-8", "surrogateescape"), safe="/~")


def joined(prefix: str, path: str) -> str:
    """The URL of a normalised path below a prefix."""
    return f"{prefix.rstrip('/')}/{quoted(path)}"


def shown(url: str) -> str:
    """An URL as logs may have it: without user and password."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
