"""C{pybootd check} and C{pybootd leases}: what would be served here, and who has which address."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from ipaddress import IPv4Address
from math import inf
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python import usage
from twisted.python.failure import Failure

from pybootd.check import Kind
from pybootd.check import check as checked
from pybootd.errors import EnvironmentProblem
from pybootd.flags import CommandOptions, Flags, ServiceOptions
from pybootd.leases.lease import Claim, Lease, State
from pybootd.loading import load
from pybootd.machine import mac_text
from pybootd.net.interfaces import interfaces, name_servers
from pybootd.registry import Context, provider
from pybootd.text import printable
from pybootd.words import mac as mac_word


class CheckOptions(ServiceOptions):
    """C{pybootd check}."""

    synopsis = "Usage: pybootd check [-c FILE] [-p] [-t] [-H]"


class LeasesOptions(CommandOptions):
    """C{pybootd leases}."""

    synopsis = "Usage: pybootd leases [-c FILE] [--json] [release MAC|IP]"
    optFlags: list[Any] = [*CommandOptions.optFlags, ["json", None, "One JSON object a line."]]

    def parseArgs(self, *words: str) -> None:
        if words and (len(words) != 2 or words[0] != "release"):
            raise usage.UsageError("write: pybootd leases, or: pybootd leases release MAC|IP")
        self["release"] = words[1] if words else ""


def check(options: CheckOptions, flags: Flags) -> int:
    """Print what would be used and what is wrong; 1 if the daemon would not start."""
    findings = checked(load(flags), interfaces(), name_servers())
    for finding in findings:
        print(finding)
    return int(any(finding.kind is Kind.PROBLEM for finding in findings))


def leases(options: LeasesOptions, flags: Flags) -> int:
    """List the leases on record, or give one back."""
    config = load(flags)
    scheme = config.leases.store.partition(":")[0]
    store = provider("pybootd.leases", scheme, Context(scheme, config, {}, None, _at_once))
    try:
        known = _result(store.open())
        if options["release"]:
            return _release(store, known, options["release"])
        for lease in sorted(known, key=lambda lease: lease.address):
            print(json.dumps(_row(lease)) if options["json"] else _line(lease))
    finally:
        _result(store.close())
    return 0


def _at_once(function: Any, *arguments: Any) -> Deferred[Any]:
    return maybeDeferred(function, *arguments)


def _result(deferred: Deferred[Any]) -> Any:
    """The value of a Deferred that has fired already, as a command has no reactor to wait with."""
    found: list[Any] = []
    deferred.addBoth(found.append)
    if not found:
        raise EnvironmentProblem("this lease store cannot be read without a running server")
    if isinstance(found[0], Failure):
        found[0].raiseException()
    return found[0]


def _release(store: Any, known: Sequence[Lease], who: str) -> int:
    try:
        key: bytes | None = mac_word(who)
    except ValueError:
        key = None
    fitting = [
        lease
        for lease in known
        if lease.state is State.BOUND and (lease.key == key if key else str(IPv4Address(lease.address)) == who)
    ]
    if not fitting:
        raise EnvironmentProblem(f"{printable(who)} has no lease")
    now = time.time()
    claims = [Claim(evolve(lease, state=State.RELEASED, expires=now), fresh=False) for lease in fitting]
    _result(store.commit(claims))
    for lease in fitting:
        print(f"{IPv4Address(lease.address)} is given back by {mac_text(lease.key)}")
    return 0


def _row(lease: Lease) -> dict[str, Any]:
    return {
        "address": str(IPv4Address(lease.address)),
        "mac": mac_text(lease.key),
        "state": lease.state.name.lower(),
        "expires": None if lease.expires == inf else lease.expires,
        "hostname": lease.hostname,
    }


def _line(lease: Lease) -> str:
    if lease.state is State.BOUND:
        ends = "for ever" if lease.expires == inf else f"until {time.strftime('%F %T', time.localtime(lease.expires))}"
    else:
        ends = lease.state.name.lower()
    name = f"  {printable(lease.hostname)}" if lease.hostname else ""
    return f"{IPv4Address(lease.address)!s:15}  {mac_text(lease.key):17}  {ends}{name}"
