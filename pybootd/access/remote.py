"""
C{access = http}: a web server says who may boot.

C{GET <location><path>?mac=AA-BB-...&uuid=...}: 200 grants, 401 ignores the machine; anything else is no verdict, and no
verdict is a refusal.  The body of a 200 may name a host and a boot file.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from pybootd.config import HttpAccessConfig, words
from pybootd.errors import AccessUnavailable, WebFailed
from pybootd.interfaces import IAccessControl, Phase, Question, Verdict
from pybootd.machine import mac_text

if TYPE_CHECKING:
    from pybootd.net.web import Answer

REMEMBERED = 10_000
"""Machines whose last verdict is kept, for C{always_check = no}."""

ONE_BOOT = 60.0
"""Seconds: a machine that shows itself as booting again after so long is booting anew, and is asked about anew."""

GRANTED, IGNORED = 200, 401

Get = Callable[[str], "Deferred[Answer]"]


@frozen
class Remembered:
    """The last word about one machine."""

    phase: Phase
    verdict: Verdict
    when: float


@implementer(IAccessControl)
class RemoteAccess:
    """Asks a web server, once at a time for each machine."""

    name = "http"

    def __init__(self, config: HttpAccessConfig, get: Get, clock: Callable[[], float], setting: str = "[http]") -> None:
        """
        @param get: fetches a URL within the deadline; fails with L{WebFailed}.
        @param clock: seconds, from whenever.
        @param setting: the line of the configuration that verdicts name.
        """
        self._config = config
        self._get = get
        self._clock = clock
        self._setting = setting
        self._asking: dict[tuple[bytes, Phase], list[Deferred[Verdict]]] = {}
        self._known: OrderedDict[bytes, Remembered] = OrderedDict()

    def check(self, question: Question) -> Verdict | Deferred[Verdict]:
        if not self._config.always_check and not question.stage_changed:
            known = self._known.get(question.mac)
            if known is not None and self._counts(known, question.phase):
                return known.verdict
        key = question.mac, question.phase
        waiting: Deferred[Verdict] = Deferred(lambda _: self._leave(key, waiting))
        if key in self._asking:
            self._asking[key].append(waiting)
            return waiting
        self._asking[key] = [waiting]
        Deferred.fromCoroutine(self._ask(question)).addBoth(self._tell, key)
        return waiting

    def _counts(self, known: Remembered, phase: Phase) -> bool:
        """A running system keeps its verdict for as long as it runs; one boot follows another without a sign."""
        if known.phase is not phase:
            return False
        return phase is Phase.SYSTEM or self._clock() - known.when < ONE_BOOT

    def _leave(self, key: tuple[bytes, Phase], waiting: Deferred[Verdict]) -> None:
        """Somebody no longer wants to know."""
        others = self._asking.get(key, [])
        if waiting in others:
            others.remove(waiting)

    def _tell(self, result: Verdict | Failure, key: tuple[bytes, Phase]) -> None:
        mac, phase = key
        self._known.pop(mac, None)
        if isinstance(result, Verdict) and result.allowed:
            self._known[mac] = Remembered(phase, result, self._clock())
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        for waiting in self._asking.pop(key):
            waiting.callback(result)

    def url(self, question: Question) -> str:
        """What is asked for."""
        path = self._config.pxe if question.phase is Phase.BOOT else self._config.dhcp
        fields = {"mac": mac_text(question.mac).replace(":", "-").upper()}
        if question.uuid:
            fields["uuid"] = str(UUID(bytes_le=question.uuid)).upper()
        if question.address is not None:
            fields["ip"] = str(question.address)
        return f"{self._config.location}{path}?{urlencode(fields)}"

    async def _ask(self, question: Question) -> Verdict:
        where = self._config.location
        try:
            answer = await self._get(self.url(question))
        except WebFailed as error:
            raise AccessUnavailable(f"{where}: {error}") from None
        if answer.status == IGNORED:
            return Verdict(False, f"{where} says no (401)", self._setting)
        if answer.status != GRANTED:
            raise AccessUnavailable(f"{where} answers {answer.status}, which is neither 200 nor 401")
        hostname, boot_file = named(answer.body)
        return Verdict(True, f"{where} says yes", self._setting, hostname, boot_file)


def named(body: bytes) -> tuple[str, str]:
    """
    The host name and the boot file in an answer's body, each empty where there is none that can be used.

    C{client: NAME} and C{file: NAME} lines, or a JSON object with these keys, in any case.
    """
    text = body.decode("utf-8", "replace")
    pairs = _object(text) if text.lstrip().startswith("{") else _lines(text)
    hostname, file = pairs.get("client", ""), pairs.get("file", "")
    try:
        words.domain(hostname)
    except ValueError:
        hostname = ""
    return hostname, file if file.isprintable() and len(file) < 256 else ""


def _object(text: str) -> Mapping[str, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {key.lower(): value for key, value in found.items() if isinstance(value, str)}


def _lines(text: str) -> Mapping[str, str]:
    pairs: dict[str, str] = {}
    for line in text.splitlines():
        word, colon, value = line.partition(":")
        if colon:
            pairs.setdefault(word.strip().lower(), value.strip())
    return pairs
