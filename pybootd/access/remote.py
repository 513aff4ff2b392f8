"""
C{access = http}: a web server says who may boot.

C{GET <location><path>?mac=AA-BB-...&uuid=...}: 200 grants, 401 ignores the machine; anything else is no verdict, and no
verdict is a refusal.  The body of a 200 may name a host and a boot file.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from pybootd.access.lists import printed
from pybootd.config import HttpAccessConfig
from pybootd.errors import AccessUnavailable
from pybootd.interfaces import IAccessControl, Phase, Question, Verdict
from pybootd.machine import mac_text
from pybootd.text import printable

LONGEST = 65536
"""Bytes of an answer that are read; a longer one is no verdict."""

REMEMBERED = 10_000
"""Machines whose last verdict is kept, for C{always_check = no}."""

GRANTED, IGNORED = 200, 401
_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", re.ASCII)

Get = Callable[[str], "Deferred[Any]"]


@implementer(IAccessControl)
class RemoteAccess:
    """Asks a web server, once at a time for each machine."""

    log = Logger()
    name = "http"

    def __init__(self, config: HttpAccessConfig, get: Get, clock: Any, timeout: float, setting: str = "[http]") -> None:
        """
        @param get: fetches a URL without following redirects, as treq does; fires with the response.
        @param clock: for the deadline of the whole exchange, C{timeout} seconds.
        @param setting: the line of the configuration that verdicts name.
        """
        self._config = config
        self._get = get
        self._clock = clock
        self._timeout = timeout
        self._setting = setting
        self._asking: dict[tuple[bytes, Phase], list[Deferred[Verdict]]] = {}
        self._known: OrderedDict[bytes, Verdict] = OrderedDict()

    def check(self, question: Question) -> Verdict | Deferred[Verdict]:
        if not self._config.always_check and not question.stage_changed and question.mac in self._known:
            return self._known[question.mac]
        key = question.mac, question.phase
        waiting: Deferred[Verdict] = Deferred(lambda _: self._leave(key, waiting))
        if key in self._asking:
            self._asking[key].append(waiting)
            return waiting
        self._asking[key] = [waiting]
        asked = self._ask(question)
        asked.addTimeout(self._timeout, self._clock)
        asked.addErrback(self._unavailable)
        asked.addBoth(self._tell, key)
        return waiting

    def _leave(self, key: tuple[bytes, Phase], waiting: Deferred[Verdict]) -> None:
        """Somebody no longer wants to know."""
        others = self._asking.get(key, [])
        if waiting in others:
            others.remove(waiting)

    def _tell(self, result: Verdict | Failure, key: tuple[bytes, Phase]) -> None:
        if isinstance(result, Verdict) and result.allowed:
            self._known[key[0]] = result
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        else:
            self._known.pop(key[0], None)
        for waiting in self._asking.pop(key):
            waiting.callback(result)

    def _unavailable(self, failure: Failure) -> Failure:
        if failure.check(AccessUnavailable):
            return failure
        text = printable(failure.getErrorMessage()) or f"no answer within {self._timeout:g} s"
        return Failure(AccessUnavailable(f"{self._config.location}: {text}"))

    def url(self, question: Question) -> str:
        """What is asked for."""
        path = self._config.pxe if question.phase is Phase.BOOT else self._config.dhcp
        fields = {"mac": mac_text(question.mac).replace(":", "-").upper()}
        if question.uuid:
            fields["uuid"] = printed(question.uuid)
        if question.address is not None:
            fields["ip"] = str(question.address)
        slash = "/" if path and not path.startswith("/") else ""
        return f"{self._config.location}{slash}{path}?{urlencode(fields)}"

    @inlineCallbacks
    def _ask(self, question: Question) -> Any:
        response = yield self._get(self.url(question))
        if response.code == IGNORED:
            return Verdict(False, f"{self._config.location} says no (401)", self._setting)
        if response.code != GRANTED:
            raise AccessUnavailable(f"{self._config.location} answers {response.code}, neither 200 nor 401")
        body: list[bytes] = []
        yield response.collect(_bounded(body))
        hostname, boot_file = named(b"".join(body))
        return Verdict(True, f"{self._config.location} says yes", self._setting, hostname, boot_file)


def _bounded(body: list[bytes]) -> Callable[[bytes], None]:
    def collect(data: bytes) -> None:
        body.append(data)
        if sum(map(len, body)) > LONGEST:
            raise AccessUnavailable(f"an answer of more than {LONGEST} bytes")

    return collect


def named(body: bytes) -> tuple[str, str]:
    """
    The host name and the boot file in an answer's body, each empty where there is none.

    C{client: NAME} and C{file: NAME} lines, or a JSON object with these keys.
    """
    text = body.decode("utf-8", "replace")
    pairs: dict[str, str] = {}
    if text.lstrip().startswith("{"):
        try:
            pairs = {str(key).lower(): value for key, value in json.loads(text).items() if isinstance(value, str)}
        except ValueError:
            pairs = {}
    else:
        for line in text.splitlines():
            word, colon, value = line.partition(":")
            if colon:
                pairs.setdefault(word.strip().lower(), value.strip())
    hostname, file = pairs.get("client", ""), pairs.get("file", "")
    return (
        hostname if _HOSTNAME.fullmatch(hostname) else "",
        file if file.isprintable() and len(file) < 256 else "",
    )
