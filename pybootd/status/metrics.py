"""
Prometheus metrics at C{/metrics}, by prometheus_client's resource for Twisted; a subscriber of the event stream.

Labels have a fixed set of values each: nothing that a client says becomes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.web.resource import IResource
from twisted.web.server import Request

from pybootd import __version__, events
from pybootd.events import Event
from pybootd.status.api import Page, send
from pybootd.workers.census import Crew

ADVICE = "metrics need prometheus_client: pip install pybootd[status]"

SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300)
"""Bounds of how long a transfer takes."""

Crews = Callable[[], Iterable[Crew]]
"""The worker processes at this moment; asked from another thread."""

Gauges = Mapping[str, tuple[str, Callable[[], float]]]
"""Names, what they mean, and what they are at this moment; asked from another thread."""


class Absent(Page):
    """What C{/metrics} says where prometheus_client is not installed."""

    isLeaf = True

    def answer(self, request: Request) -> int:
        return send(request, 501, f"{ADVICE}\n".encode(), b"text/plain; charset=utf-8")


class WorkerMetrics:
    """The worker processes, as a collector of prometheus_client: what each is and has done is known elsewhere."""

    def __init__(self, client: Any, crews: Crews) -> None:
        self._client = client
        self._crews = crews

    def collect(self) -> Iterable[Any]:
        """All of them, at a scrape."""
        family, by = self._client.metrics_core, ["protocol"]
        wanted = family.GaugeMetricFamily("pybootd_workers", "Worker processes that there are to be.", labels=by)
        ready = family.GaugeMetricFamily("pybootd_workers_ready", "Worker processes that take transfers.", labels=by)
        restarts = family.CounterMetricFamily(
            "pybootd_worker_restarts", "Worker processes that died or hung, and were started again.", labels=by
        )
        by = [*by, "worker"]
        transfers = family.GaugeMetricFamily("pybootd_worker_transfers", "Transfers under way in a worker.", labels=by)
        sent = family.CounterMetricFamily("pybootd_worker_sent_bytes", "Bytes of files that a worker sent.", labels=by)
        for crew in self._crews():
            of = [crew.protocol]
            wanted.add_metric(of, crew.count)
            ready.add_metric(of, sum(place.ready for place in crew.places))
            restarts.add_metric(of, crew.restarts)
            for place in crew.places:
                transfers.add_metric([*of, str(place.index)], place.transfers)
                sent.add_metric([*of, str(place.index)], place.sent)
        return wanted, ready, restarts, transfers, sent


class Metrics:
    """Counts what happens."""

    def __init__(self, client: Any, gauges: Gauges, crews: Crews = lambda: ()) -> None:
        """@param client: the module prometheus_client."""
        self.registry = registry = client.CollectorRegistry()
        for collector in (client.ProcessCollector, client.PlatformCollector, client.GCCollector):
            collector(registry=registry)

        def counter(name: str, what: str, *labels: str) -> Any:
            return client.Counter(f"pybootd_{name}", what, labels, registry=registry)

        client.Info("pybootd", "This server.", registry=registry).info({"version": __version__})
        self._requests = counter("requests", "BOOTP, DHCP and PXE requests.", "message", "firmware")
        self._offers = counter("offers", "OFFERs that left.")
        self._leases = counter("leases_given", "ACKs that left, to machines that boot and to systems.", "to")
        self._no = counter("refusals", "Requests and files that were turned away.", "how")
        self._files = counter("files_asked", "Files that were asked for.", "protocol")
        self._missing = counter("files_missing", "Files that were asked for and are not there.", "protocol")
        self._transfers = counter("transfers", "Transfers that ended.", "protocol", "outcome")
        self._bytes = counter("sent_bytes", "Bytes of files that arrived.", "protocol")
        self._again = counter("retransmitted_blocks", "TFTP blocks that were sent again.")
        self._conflicts = counter("address_conflicts", "Addresses that somebody else was found to use.")
        self._seconds = client.Histogram(
            "pybootd_transfer_seconds",
            "How long whole transfers took.",
            ["protocol"],
            buckets=SECONDS,
            registry=registry,
        )
        registry.register(WorkerMetrics(client, crews))
        for name, (what, value) in gauges.items():
            client.Gauge(f"pybootd_{name}", what, registry=registry).set_function(value)

    def notify(self, event: Event) -> None:
        """An event of the bus."""
        count = _COUNTS.get(type(event))
        if count is not None:
            count(self, event)

    def _seen(self, event: events.Seen) -> None:
        self._requests.labels(event.message, event.firmware.value).inc()

    def _leased(self, event: events.Leased) -> None:
        self._leases.labels("firmware" if event.boot else "system").inc()

    def _ended(self, event: events.TransferEnded) -> None:
        self._transfers.labels(event.protocol, "done").inc()
        self._bytes.labels(event.protocol).inc(event.sent)
        self._seconds.labels(event.protocol).observe(max(0.0, event.seconds))
        self._again.inc(event.retransmitted)

    def _failed(self, event: events.TransferFailed) -> None:
        if not event.probe:
            self._transfers.labels(event.protocol, "failed").inc()
            self._bytes.labels(event.protocol).inc(event.sent)


_COUNTS: Mapping[type[Event], Callable[[Metrics, Any], object]] = {
    events.Seen: Metrics._seen,
    events.Offered: lambda metrics, event: metrics._offers.inc(),
    events.Leased: Metrics._leased,
    events.Refused: lambda metrics, event: metrics._no.labels("refused").inc(),
    events.Ignored: lambda metrics, event: metrics._no.labels("ignored").inc(),
    events.Declined: lambda metrics, event: metrics._conflicts.inc(),
    events.Conflict: lambda metrics, event: metrics._conflicts.inc(),
    events.FileAsked: lambda metrics, event: metrics._files.labels(event.protocol).inc(),
    events.FileMissing: lambda metrics, event: metrics._missing.labels(event.protocol).inc(),
    events.TransferEnded: Metrics._ended,
    events.TransferFailed: Metrics._failed,
}


def metrics(gauges: Gauges, crews: Crews = lambda: ()) -> tuple[IResource, Iterable[Callable[[Event], None]]]:
    """
    What C{/metrics} is, and who must be told of events for it.

    Without prometheus_client it says how to get it.
    """
    try:
        import prometheus_client
        from prometheus_client.twisted import MetricsResource
    except ImportError:
        return Absent(), ()
    counted = Metrics(prometheus_client, gauges, crews)
    resource: IResource = MetricsResource(registry=counted.registry)
    return resource, (counted.notify,)
