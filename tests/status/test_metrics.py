"""Prometheus metrics."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from unittest.mock import patch

import prometheus_client
from twisted.trial.unittest import SynchronousTestCase

from pybootd.status.metrics import Metrics, metrics
from pybootd.workers.census import Crew, Place
from tests.support.boots import Story
from tests.support.status import Status


class MetricsTests(SynchronousTestCase):
    """What is counted."""

    def setUp(self) -> None:
        self.crews: list[Crew] = []
        self.metrics = Metrics(prometheus_client, {"machines": ("Machines.", lambda: 7)}, lambda: self.crews)
        self.story = Story(self.metrics.notify)

    def value(self, name: str, **labels: str) -> float | None:
        """One sample."""
        return self.metrics.registry.get_sample_value(f"pybootd_{name}", labels)

    def test_boot(self) -> None:
        """A boot, counted."""
        self.story.boot()
        self.assertEqual(self.value("requests_total", message="DISCOVER", firmware="PXE"), 1)
        self.assertEqual(self.value("offers_total"), 2)
        self.assertEqual(self.value("leases_given_total", to="firmware"), 1)
        self.assertEqual(self.value("leases_given_total", to="system"), 1)
        self.assertEqual(self.value("transfers_total", protocol="tftp", outcome="done"), 5)
        self.assertEqual(self.value("sent_bytes_total", protocol="tftp"), 5000)
        self.assertEqual(self.value("transfer_seconds_count", protocol="tftp"), 5)

    def test_troubles(self) -> None:
        """What went wrong, counted; a question for the size is no failure."""
        self.story.ignored("no")
        self.story.refused("x", "no")
        self.story.missing("x")
        self.story.begun("x")
        self.story.failed("x", sent=400)
        self.story.begun("x")
        self.story.failed("x", probe=True)
        self.assertEqual(self.value("refusals_total", how="ignored"), 1)
        self.assertEqual(self.value("refusals_total", how="refused"), 1)
        self.assertEqual(self.value("files_missing_total", protocol="tftp"), 1)
        self.assertEqual(self.value("transfers_total", protocol="tftp", outcome="failed"), 1)
        self.assertEqual(self.value("sent_bytes_total", protocol="tftp"), 400)

    def test_gauge(self) -> None:
        """What is asked for at the moment of a scrape."""
        self.assertEqual(self.value("machines"), 7)

    def test_workers(self) -> None:
        """The worker processes: how many of each protocol, and what each one has to do and has done."""
        self.assertIsNone(self.value("workers", protocol="http"))
        self.crews = [Crew("tftp", 0, 0, []), Crew("http", 2, 5, [Place(1, True, 3, 4096), Place(2, False, 0, 100)])]
        self.assertEqual(self.value("workers", protocol="tftp"), 0)
        self.assertEqual(self.value("workers", protocol="http"), 2)
        self.assertEqual(self.value("workers_ready", protocol="http"), 1)
        self.assertEqual(self.value("worker_restarts_total", protocol="http"), 5)
        self.assertEqual(self.value("worker_transfers", protocol="http", worker="1"), 3)
        self.assertEqual(self.value("worker_sent_bytes_total", protocol="http", worker="1"), 4096)
        self.assertEqual(self.value("worker_sent_bytes_total", protocol="http", worker="2"), 100)

    def test_names_of_clients(self) -> None:
        """Nothing that a client invents makes another time series."""
        before = len(prometheus_client.generate_latest(self.metrics.registry).splitlines())
        self.story.begun("first")
        self.story.ended("first")
        self.story.missing("first")
        self.story.refused("first", "no")
        after = len(prometheus_client.generate_latest(self.metrics.registry).splitlines())
        for number in range(50):
            self.story.begun(f"x{number}")
            self.story.ended(f"x{number}")
            self.story.missing(f"x{number}")
            self.story.refused(f"x{number}", "no")
        self.assertGreater(after, before)
        self.assertEqual(len(prometheus_client.generate_latest(self.metrics.registry).splitlines()), after)


class AbsentTests(SynchronousTestCase):
    """Without prometheus_client."""

    def test_advice(self) -> None:
        """Everything else works, and this path says what to install."""
        hidden = patch.dict(sys.modules, {"prometheus_client": None})
        hidden.start()
        self.addCleanup(hidden.stop)
        _, subscribers = metrics({})
        self.assertEqual(subscribers, ())
        status = Status()
        status.story.boot()
        answer = status.get("/metrics")
        self.assertEqual(
            (answer.status, answer.body), (501, b"metrics need prometheus_client: pip install pybootd[status]\n")
        )
        self.assertEqual(status.get("/api/machines").json["total"], 1)


class GrafanaTests(SynchronousTestCase):
    """C{conf/grafana-dashboard.json}."""

    def test_metrics(self) -> None:
        """It draws only metrics that there are."""
        text = (Path(__file__).parents[2] / "conf" / "grafana-dashboard.json").read_text()
        json.loads(text)
        status = Status()
        counted = next(teller for teller in status.board.subscribers if isinstance(teller.__self__, Metrics))  # type: ignore[attr-defined]
        story = Story(counted)
        story.boot()
        story.ignored("no")
        known = set()
        for family in counted.__self__.registry.collect():  # type: ignore[attr-defined]
            known |= {sample.name for sample in family.samples}
            known |= {f"{family.name}_total"} if family.type == "counter" else set()
        for name in re.findall(r"pybootd_\w+", text):
            self.assertIn(name, known)
