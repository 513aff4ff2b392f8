"""
How long a boot file is, for DHCP option 13 (RFC 2132 3.15), which cannot wait for the answer.

A local file is looked at; a remote one is asked for, once for all machines that it is meant for, and its length is told
from the next request on.  So is that of a local one whose disk has to be waited for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
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


class Sizes:
    """Answers at once, or not at all."""

    def __init__(self, resolver: Resolver, time: Callable[[], float]) -> None:
        """@param time: seconds, of any clock that does not step back."""
        self._resolver = resolver
        self._time = time
        self._known: OrderedDict[str, tuple[float, int | None]] = OrderedDict()
        self._asking: set[str] = set()

    def size_of(self, name: str, machine: Machine) -> int | None:
        """@return: bytes; None where that is not known, or not yet."""
        try:
            url = self._resolver.url_of(name, machine)
            if url is None:
                return self._look(name, machine)
            when, size = self._known.get(url, (-KEPT, None))
            if self._time() - when < KEPT:
                return size
            if url not in self._asking and len(self._asking) < ASKING:
                self._ask(url, name, machine)
        except ContentError:
            pass
        return None

    def _look(self, name: str, machine: Machine) -> int | None:
        about = f"{machine.mac} {name}"
        if about in self._asking:
            return self._recent(about)
        found = self._resolver.resolve(name, machine)
        if isinstance(found, Content):
            found.body.close()
            return found.size
        recent = self._recent(about)
        self._learn(about, found)  # its disk is waited for
        return recent

    def _recent(self, about: str) -> int | None:
        when, size = self._known.get(about, (-KEPT, None))
        return size if self._time() - when < KEPT else None

    def _ask(self, url: str, name: str, machine: Machine) -> None:
        found = self._resolver.resolve(name, machine)
        self._learn(url, succeed(found) if isinstance(found, Content) else found)

    def _learn(self, about: str, asked: Deferred[Content]) -> None:
        self._asking.add(about)

        def learn(content: Content) -> int | None:
            content.body.close()
            return content.size

        def keep(size: int | None | Failure) -> None:
            self._asking.discard(about)
            self._known[about] = (self._time(), None if isinstance(size, Failure) else size)
            self._known.move_to_end(about)
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)

        asked.addCallback(learn).addBoth(keep)
