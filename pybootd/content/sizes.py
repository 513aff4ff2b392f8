"""
How long a boot file is, for DHCP option 13 (RFC 2132 3.15), which cannot wait for the answer.

A local file is looked at; a remote one is asked for, and its length is told from the next request on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from pybootd.content.content import Content
from pybootd.content.resolver import Resolver
from pybootd.errors import ContentError
from pybootd.machine import Machine

KEPT = 60.0
"""Seconds for which a remote file's length is believed."""
KNOWN = 256
"""Lengths of remote files kept, the latest."""
ASKING = 8
"""Remote files asked for at once, at most."""

Key = tuple[str, str]
"""A name, and the machine that asks for it: filters may send each to another file."""


class Sizes:
    """Answers at once, or not at all."""

    def __init__(self, resolver: Resolver, time: Callable[[], float]) -> None:
        """@param time: seconds, of any clock that does not step back."""
        self._resolver = resolver
        self._time = time
        self._known: OrderedDict[Key, tuple[float, int | None]] = OrderedDict()
        self._asking: set[Key] = set()

    def size_of(self, name: str, machine: Machine) -> int | None:
        """@return: bytes; None where that is not known, or not yet."""
        key = (name, machine.mac)
        when, size = self._known.get(key, (-KEPT, None))
        if self._time() - when < KEPT:
            return size
        if key in self._asking or len(self._asking) >= ASKING:
            return None
        try:
            found = self._resolver.resolve(name, machine)
        except ContentError:
            return None
        if isinstance(found, Content):
            found.body.close()
            return found.size
        self._ask(key, found)
        return None

    def _ask(self, key: Key, found: Deferred[Content]) -> None:
        self._asking.add(key)

        def learn(content: Content) -> int | None:
            content.body.close()
            return content.size

        def keep(size: int | None | Failure) -> None:
            self._asking.discard(key)
            self._known[key] = (self._time(), None if isinstance(size, Failure) else size)
            self._known.move_to_end(key)
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)

        found.addCallback(learn).addBoth(keep)
