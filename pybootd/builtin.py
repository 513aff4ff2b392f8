"""
The built-in providers' factories, as C{setup.cfg} declares them: what each takes out of the configuration.

Each loads what it makes, so that a configuration costs the time and the memory of what it uses only: the web client
of remote roots is a tenth of both.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from pybootd.errors import EnvironmentProblem
from pybootd.registry import Context

if TYPE_CHECKING:
    from pybootd.access.lists import MacAccess, UuidAccess
    from pybootd.access.remote import RemoteAccess
    from pybootd.content.cache import CachedSource
    from pybootd.content.filters import FilenameFilter
    from pybootd.content.store import Store
    from pybootd.interfaces import IFileSource, ILeaseStore
    from pybootd.leases.memory import MemoryStore
    from pybootd.leases.sqlite import SqliteStore
    from pybootd.net.web import Web
    from pybootd.notify.udp import UdpNotifier
    from pybootd.notify.webhook import WebhookNotifier


def mac_access(context: Context) -> MacAccess:
    """C{access = mac}."""
    from pybootd.access.lists import MacAccess

    config = context.config
    return MacAccess(config.mac, config.static_dhcp, str(config.origin("mac")))


def uuid_access(context: Context) -> UuidAccess:
    """C{access = uuid}."""
    from pybootd.access.lists import UuidAccess

    config = context.config
    return UuidAccess(config.uuid, config.static_dhcp, config.mac, str(config.origin("uuid")))


def http_access(context: Context) -> RemoteAccess:
    """C{access = http}."""
    from pybootd.access.remote import RemoteAccess

    config = context.config
    origin = str(config.origin("http", "location"))
    web = _web(context, config.http.location, origin, config.access_timeout)
    return RemoteAccess(config.http, web.get, context.reactor.seconds, origin)


def _web(context: Context, url: str, origin: str, timeout: float) -> Web:
    """
    For exchanges with one server.

    @raise EnvironmentProblem: it is asked by https, and the libraries for that are not installed.
    """
    from pybootd.content.fetch import require_tls
    from pybootd.net.web import Web

    if url.lower().startswith("https:"):
        require_tls(origin)
    return Web(context.reactor, timeout)


def name_filter(context: Context) -> FilenameFilter:
    """C{[filters]}."""
    from pybootd.content.filters import FilenameFilter

    return FilenameFilter(context.config.filters)


def memory_store(context: Context) -> MemoryStore:
    """C{store = memory}."""
    from pybootd.leases.memory import MemoryStore

    return MemoryStore()


def sqlite_store(context: Context) -> SqliteStore:
    """C{store = sqlite:PATH}."""
    from pybootd.leases.sqlite import SqliteStore

    path = context.config.leases.store.partition(":")[2]
    return SqliteStore(context.config.directory / Path(path), context.in_thread)


def postgresql_store(context: Context) -> ILeaseStore:
    """C{store = postgresql://...}."""
    try:
        from pybootd.leases.postgresql import PostgresqlStore
    except ImportError as error:
        raise EnvironmentProblem(
            f"{context.config.origin('leases', 'store')} needs psycopg 3: pip install 'pybootd[postgresql]' ({error})"
        ) from error
    return PostgresqlStore(context.config.leases.store, context.in_thread, context.reactor)


def http_source(context: Context) -> IFileSource:
    """Roots that are URLs, with C{[cache]} or without."""
    from pybootd.content.fetch import Fetcher

    fetcher, cache = Fetcher(context.reactor), context.config.cache
    if cache.directory is None:
        from pybootd.content.remote import RemoteSource

        return RemoteSource(fetcher)
    from pybootd.content.cache import CachedSource
    from pybootd.content.local import LocalFiles
    from pybootd.content.store import Store

    store = Store(cache.directory, cache.size)
    source = CachedSource(fetcher, store, LocalFiles(context.in_thread), context.in_thread)
    context.attach(CacheService(source, store))
    return source


class CacheService(Service):
    """The disk cache of remote roots."""

    name = "cache"

    def __init__(self, source: CachedSource, store: Store) -> None:
        self._source = source
        self._store = store

    def startService(self) -> None:
        super().startService()
        self._store.open()

    def stopService(self) -> Deferred[Any]:
        """Downloads that are under way end first, so that what they have is sure."""
        super().stopService()
        return self._source.close().addBoth(lambda _: self._store.close())


def udp_notifier(context: Context) -> UdpNotifier:
    """C{[bootpd] notify}."""
    import socket

    from pybootd.notify.udp import UdpNotifier

    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    return UdpNotifier(context.config.bootpd.notify, sock)


def webhook_notifier(context: Context) -> WebhookNotifier:
    """C{[webhook]}."""
    from pybootd.notify.webhook import WebhookNotifier

    webhook = context.config.webhook
    web = _web(context, webhook.url, str(context.origin("url")), webhook.timeout)
    post = partial(web.post, webhook.url, media_type="application/json")
    return WebhookNotifier(webhook.events, post, context.reactor, context.config.limits.webhook_events)
