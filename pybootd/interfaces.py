"""
Every seam that a plugin may fill: the public API of pybootd.

A provider is found by entry point.  The group says which seam it fills, the entry's name
is the word that the configuration uses, and the object is a factory, called with the
L{pybootd.registry.Context} (configuration, reactor, the options of the section of that
name).  The built-in providers are declared in just the same way.

    ===================== ==============================================
    entry point group      interface
    ===================== ==============================================
    C{pybootd.access}      L{IAccessControl}
    C{pybootd.filters}     L{IFilenameFilter}
    C{pybootd.leases}      L{ILeaseStore}
    C{pybootd.sources}     L{IFileSource}
    C{pybootd.notifiers}   L{INotifier}
    ===================== ==============================================

Where a method may return "a value or a Deferred of it", a provider that need not wait
returns the value: no request pays for a Deferred then.
"""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from attrs import frozen
from zope.interface import Attribute, Interface

from pybootd.plain import plain

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from pybootd.content.content import Content
    from pybootd.events import Event
    from pybootd.leases.lease import Allotment, Claim, Lease
    from pybootd.machine import Machine


@plain
class Phase(Enum):
    """What the machine asks for."""

    BOOT = "boot"
    """It shows itself as a PXE or HTTP boot client (the seed's C{pxe})."""

    SYSTEM = "system"
    """An address only, as an operating system does (the seed's C{dhcp})."""


@frozen
class Question:
    """What an access backend is asked: who is it, and what for."""

    mac: bytes
    """The 6 bytes of the hardware address."""

    uuid: bytes | None
    """Option 97 without its type byte, 16 bytes in wire order; remembered from the
    boot phase where this request has none."""

    phase: Phase
    architecture: int | None
    address: IPv4Address | None
    """The address that the machine has or will have, where that is known."""

    stage_changed: bool = True
    """Whether this differs in phase from the machine's last question."""


@frozen
class Verdict:
    """An access backend's answer about one machine."""

    allowed: bool
    reason: str
    """A sentence for people: C{not in [mac]; add 52-54-00-12-34-56 = enable to serve it}."""

    setting: str = ""
    """The configuration line that decided, as L{pybootd.config.origin.Origin} prints it."""

    hostname: str = ""
    """The name to hand out (option 12), where the backend knows one."""

    boot_file: str = ""
    """The boot file to hand out, where the backend knows one."""


class IAccessControl(Interface):
    """Decides which machines are served.  Chosen by C{access = NAME} in C{[bootpd]}."""

    name: str = Attribute("The word that follows C{access =}.")

    def check(question: Question) -> "Verdict | Deferred[Verdict]":
        """
        Decide about one machine.

        Must not block, and must settle within the configured C{timeout}: the caller
        cancels the Deferred then and stays silent towards the client.

        @param question: what the request says of itself; any of it may be forged.
        @return: the verdict, or a Deferred of it; the same machine is asked about again
            and again.
        @raise AccessUnavailable: (or as a Failure) no verdict could be had.  It counts as
            a refusal and is logged, for a boot server must fail closed.
        """


@frozen
class Target:
    """Where a filter sends a name."""

    name: str
    """A path or an URL.  Relative paths are relative to the daemon's directory when they
    begin with C{./}, else to the root that serves."""

    base: str | None = None
    """What the administrator wrote before the first variable, up to its last C{/}: the
    result must stay below this directory (empty: below the root).  None: the whole name is
    the administrator's and may point anywhere."""

    setting: str = ""
    """The configuration line, for the trace."""

    indirect: bool = False
    """The name is not the file's: it is that of a local file whose first line names it."""


class IFilenameFilter(Interface):
    """Rewrites the names of files that clients ask for, before they are looked up."""

    name: str = Attribute("The word by which a trace names the filter.")

    def rewrite(filename: str, machine: "Machine | None") -> "Target | None":
        """
        Say what C{filename} means for this machine.

        @param filename: as the client wrote it, without leading C{/} or C{./}.
        @param machine: who asks, where that is known.
        @return: the target, or None: this filter has nothing to say.
        """


class IFileSource(Interface):
    """Delivers files below a root that is an URL."""

    schemes: Sequence[str] = Attribute("The URL schemes that this source serves, e.g. C{('http', 'https')}.")

    def open(url: str) -> "Deferred[Content]":
        """
        Begin to fetch one file.

        @param url: finished and escaped; below the configured prefix.
        @raise NotFound: (as a Failure) there is no such file.
        @raise SourceFailed: (as a Failure) the remote side failed, stalled or lied.
        """


class ILeaseStore(Interface):
    """
    Keeps leases where a power cut does not reach them.

    A lease is durable before its ACK leaves: the caller sends nothing until C{commit}
    has fired.  It commits in groups and never starts a commit while one is under way.
    """

    name: str = Attribute("The word before the colon in C{store =}.")

    shared: bool = Attribute("Whether other servers write to the same store.")

    def open() -> "Deferred[Sequence[Lease]]":
        """
        Take hold of the store.

        @return: fires with every lease on record; a record that cannot be read is
            reported and costs that lease only.
        @raise StoreInUse: (as a Failure) another server holds a store that is not shared.
        @raise StoreError: (as a Failure) it cannot be read or written; the message says what to do.
        """

    def commit(claims: "Sequence[Claim]") -> "Deferred[Sequence[bool]]":
        """
        Write the claims down, all of them in one go, in this order.  No claims at all ask, after a failure, whether
        it could be done again; a store that does not know says yes.

        @return: fires when they are durable, with one flag for each: False where a shared
            store says that the address belongs to another machine (that claim is void).
        @raise StoreError: (as a Failure) nothing of this group counts.
        """

    def find(key: bytes) -> "Sequence[Lease] | Deferred[Sequence[Lease]]":
        """
        A machine that this server does not know: what does the store know of it?  Asked of
        shared stores only; others told all they know when they were opened.

        @return: the machine's leases, the oldest first.
        @raise StoreError: (as a Failure) the store cannot be asked now.
        """

    def reserve(first: int, count: int) -> "Allotment | Deferred[Allotment]":
        """
        Which addresses of a pool may this server offer to new machines?  Asked when it
        begins, and of a shared store again when few are left: it takes a further slice for this server.

        @param first: the pool's first address, as an integer.
        @param count: how many addresses the pool has.
        @raise StoreError: (as a Failure) the store cannot be asked now.
        """

    def close() -> "Deferred[None]":
        """Let go of the store; commits under way are finished first."""


class ILeaseRecords(Interface):
    """
    A lease store that commands may look into while a server has hold of it; provided beside L{ILeaseStore}.

    Everything here is done at once.
    """

    def read() -> "Sequence[Lease]":
        """
        What is on record, the oldest first, without taking hold of the store.

        @raise StoreError: it cannot be read; the message says what to do.
        """

    def ask_back(leases: "Sequence[Lease]") -> None:
        """
        For a command: leave word for the server that has hold of the store that these leases are to end.

        @raise StoreError: it cannot be written.
        """

    def asked_back() -> "Sequence[Lease]":
        """
        For the server: the leases that are to end, each of them once; whose, which and until when is enough.  Called
        often; never raises, for what is wrong with the store is said by the next C{commit}.
        """


class INotifier(Interface):
    """Tells somebody outside about events."""

    name: str = Attribute("The word that configuration and logs use.")

    def notify(event: "Event") -> None:
        """Take note of one event.  Must return at once and never raise."""

    def close() -> "Deferred[None]":
        """The server stops: send what is pending, within a second or two."""
