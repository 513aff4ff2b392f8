"""
The built-in providers' factories, as C{setup.cfg} declares them: what each takes out of the configuration.
"""

from __future__ import annotations

from pathlib import Path

from pybootd.access.lists import MacAccess, UuidAccess
from pybootd.access.remote import RemoteAccess
from pybootd.content.filters import FilenameFilter
from pybootd.leases.memory import MemoryStore
from pybootd.leases.sqlite import SqliteStore
from pybootd.registry import Context


def mac_access(context: Context) -> MacAccess:
    """C{access = mac}."""
    return MacAccess(context.config.mac, context.config.static_dhcp)


def uuid_access(context: Context) -> UuidAccess:
    """C{access = uuid}."""
    return UuidAccess(context.config.uuid, context.config.static_dhcp, context.config.mac)


def http_access(context: Context) -> RemoteAccess:
    """C{access = http}."""
    from pybootd.net.web import Web

    config = context.config
    web = Web(context.reactor, config.access_timeout)
    return RemoteAccess(config.http, web.get, context.reactor.seconds, str(config.origin("http", "location")))


def name_filter(context: Context) -> FilenameFilter:
    """C{[filters]}."""
    return FilenameFilter(context.config.filters)


def memory_store(context: Context) -> MemoryStore:
    """C{store = memory}."""
    return MemoryStore()


def sqlite_store(context: Context) -> SqliteStore:
    """C{store = sqlite:PATH}."""
    path = context.config.leases.store.partition(":")[2]
    return SqliteStore(context.config.directory / Path(path), context.in_thread)
