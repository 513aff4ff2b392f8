"""
Decisions without a network: what the access backends say here, and how a decision is shown.

C{pybootd explain} and C{pybootd replay} both ask.  A backend that needs a running server to answer counts as a yes,
and that is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Interface
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.python import usage

from pybootd.config import Config
from pybootd.content.urls import shown
from pybootd.dhcp.decision import Decision
from pybootd.dhcp.dump import dump
from pybootd.dhcp.facts import ALLOWED
from pybootd.dhcp.packet import decode, encode
from pybootd.dhcp.request import Request
from pybootd.flags import CommandOptions
from pybootd.interfaces import IAccessControl, Phase, Question, Verdict
from pybootd.net.interfaces import Interface
from pybootd.registry import Context, provider

PRETENDED = 1
"""The index of the interface that C{--as} makes up."""


class OfflineOptions(CommandOptions):
    """A command that answers as this host would, or as another one."""

    optParameters = [
        *CommandOptions.optParameters,
        ["as", None, None, "Answer as a server with this one address, e.g. 192.168.1.1/24, not as this host."],
    ]

    def postOptions(self) -> None:
        """@raise usage.UsageError: C{--as} is no address with a network."""
        super().postOptions()
        try:
            self["own"] = IPv4Interface(self["as"]) if self["as"] else None
        except ValueError:
            raise usage.UsageError(
                f"--as {self['as']}: write an address and its network, e.g. 192.168.1.1/24"
            ) from None

    def host(self) -> Sequence[Interface] | None:
        """The interfaces of the host to answer as; None: those of this one."""
        return None if self["own"] is None else (Interface("--as", PRETENDED, bytes(6), (self["own"],)),)


class Access:
    """The access backends of a configuration, as far as they answer without a reactor."""

    def __init__(self, config: Config) -> None:
        """@raise EnvironmentProblem: one of them cannot be made."""
        self.assumed = ""
        """The sentence to say first where a yes is assumed: C{access http: ...}."""
        self._backends: list[tuple[str, IAccessControl]] = []
        for name in config.bootpd.access:
            if name == "http":
                self._assume(f"access http: {shown(config.http.location)} would be asked; its yes is assumed here")
                continue
            context = Context(name, config, config.plugins.get(name, {}), None, lambda *_: None)
            self._backends.append((name, provider("pybootd.access", name, context)))

    def _assume(self, sentence: str) -> None:
        self.assumed = "\n".join(filter(None, (self.assumed, sentence)))

    def ask(self, request: Request, uuid: bytes = b"") -> tuple[Verdict, list[str]]:
        """
        The verdict of all of them together, and a line for each that was asked.

        @param uuid: the machine's as it was heard before, where this request has none.
        """
        phase = Phase.BOOT if request.boots else Phase.SYSTEM
        question = Question(request.chaddr, request.uuid or uuid or None, phase, request.architecture, None)
        verdict, said = ALLOWED, []
        for name, backend in self._backends:
            one: Any = backend.check(question)
            if isinstance(one, Deferred):
                one.addErrback(lambda _: None)
                one.cancel()
                said.append(f"access {name}: its verdict needs a running server; a yes is assumed here")
                continue
            said.append(f"access {name}: {'yes' if one.allowed else 'no'}, {one.reason}")
            if not one.allowed:
                return one, said
            verdict = _merged(verdict, one)
        return verdict, said


def _merged(first: Verdict, second: Verdict) -> Verdict:
    return evolve(second, boot_file=first.boot_file or second.boot_file, hostname=first.hostname or second.hostname)


def traced(decision: Decision) -> Iterator[str]:
    """The trace, one line for each rule that was tried, with the configuration's line where there is one."""
    for step in decision.trace:
        origin = f"   ({step.origin})" if step.origin is not None and step.origin.line else ""
        yield f"{step.rule}: {step.outcome}{origin}"


def answers(decision: Decision, request: Request) -> Iterator[list[str]]:
    """The packets that would leave, each as its lines."""
    for reply in decision.replies:
        yield list(dump(decode(encode(reply, request))))
