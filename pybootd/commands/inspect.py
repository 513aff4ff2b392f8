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
from pybootd.config import Config
from pybootd.config.loading import load
from pybootd.config.words import mac as mac_word
from pybootd.errors import EnvironmentProblem, StoreInUse
from pybootd.flags import CommandOptions, Flags
from pybootd.interfaces import ILeaseRecords
from pybootd.leases.lease import Claim, Lease, State
from pybootd.machine import mac_text
from pybootd.net.interfaces import default_interface, interfaces, name_servers
from pybootd.registry import Context, provider
from pybootd.text import printable

PATIENCE = 10.0
"""Seconds for the running server to take a lease back."""


class CheckOptions(CommandOptions):
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
    among = interfaces()
    way_out = default_interface(among)
    findings = checked(load(flags), among, name_servers(), way_out.name if way_out is not None else "")
    for finding in findings:
        print(finding)
    return int(any(finding.kind is Kind.PROBLEM for finding in findings))


def leases(options: LeasesOptions, flags: Flags) -> int:
    """List the leases on record, or give one back."""
    config = load(flags)
    if options["release"]:
        for lease in _release(_store(config), options["release"]):
            print(f"{IPv4Address(lease.address)} is given back by {mac_text(lease.key)}")
        return 0
    for lease in sorted(on_record(config), key=lambda lease: lease.address):
        print(json.dumps(_row(lease)) if options["json"] else _line(lease))
    return 0


def _store(config: Config) -> Any:
    scheme = config.leases.store.partition(":")[0]
    return provider("pybootd.leases", scheme, Context(scheme, config, {}, None, _at_once))


def on_record(config: Config) -> Sequence[Lease]:
    """
    Every lease on record, the oldest first; a server may run meanwhile, where the store allows that.

    @raise PybootdError: the store cannot be read.
    """
    store = _store(config)
    records = ILeaseRecords(store, None)
    if records is not None:
        return list(records.read())
    try:
        known: Sequence[Lease] = _result(store.open())
    finally:
        _result(store.close())
    return known


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


def _release(store: Any, who: str) -> Sequence[Lease]:
    """Give back what this machine has, or this address: in the store, or by way of the server that has hold of it."""
    records = ILeaseRecords(store, None)
    if records is not None:
        _fitting(records.read(), who)  # where there is nothing to give back, no file is made
    try:
        return _release_alone(store, _result(store.open()), who)
    except StoreInUse:
        if records is None:
            raise
    finally:
        _result(store.close())
    return _release_beside(records, who)


def _release_alone(store: Any, known: Sequence[Lease], who: str) -> Sequence[Lease]:
    fitting, now = _fitting(known, who), time.time()
    claims = [Claim(evolve(lease, state=State.RELEASED, expires=now), fresh=False) for lease in fitting]
    _result(store.commit(claims))
    return fitting


def _release_beside(records: ILeaseRecords, who: str) -> Sequence[Lease]:
    fitting = _fitting(records.read(), who)
    records.ask_back(fitting)
    deadline = time.monotonic() + PATIENCE
    while left := set(fitting) & set(records.read()):
        if time.monotonic() > deadline:
            raise EnvironmentProblem(
                f"the running pybootd has not taken {', '.join(str(IPv4Address(lease.address)) for lease in left)} "
                f"back within {PATIENCE:.0f} s; its log says whether it can write"
            )
        time.sleep(0.1)
    return fitting


def _fitting(known: Sequence[Lease], who: str) -> Sequence[Lease]:
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
    return fitting


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
