"""Questions under way whether anybody has an address: who answers in time, has it."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

AT_ONCE = 256


class Probes:
    """The probes of one socket, by the address (an integer) that they ask for."""

    log = Logger()

    def __init__(self, ask: Callable[[int], object], reactor: Any) -> None:
        """@param ask: sends one question; may raise OSError."""
        self._ask = ask
        self._reactor = reactor
        self._waiting: dict[int, tuple[Deferred[bool], Any]] = {}

    def probe(self, address: int, seconds: float) -> Deferred[bool]:
        """
        Does anybody have this address?

        @return: fires with True when somebody answered, with False when nobody did for so long.
        """
        if address in self._waiting or len(self._waiting) >= AT_ONCE:
            return succeed(False)
        waiting: Deferred[bool] = Deferred()
        self._waiting[address] = waiting, self._reactor.callLater(seconds, self._settle, address, False)
        try:
            self._ask(address)
        except OSError as error:
            self.log.warn("cannot probe {address}: {error}", address=IPv4Address(address), error=error.strerror)
            self._settle(address, False)
        return waiting

    def heard(self, address: int) -> None:
        """Somebody speaks for this address."""
        if address in self._waiting:
            self._settle(address, True)

    def stop(self) -> None:
        """Those under way count as unanswered."""
        for address in tuple(self._waiting):
            self._settle(address, False)

    def _settle(self, address: int, taken: bool) -> None:
        waiting, timer = self._waiting.pop(address)
        if timer.active():
            timer.cancel()
        waiting.callback(taken)
