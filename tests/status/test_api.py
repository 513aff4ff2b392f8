"""What the API answers."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from math import inf

from twisted.trial.unittest import SynchronousTestCase

from pybootd.leases.lease import Lease, State
from pybootd.status.feed import PACE
from tests.support.boots import MAC, Story
from tests.support.status import Status

UUID = bytes.fromhex("ccbbaa7722114433556677889900aabb")


class MachineTests(SynchronousTestCase):
    """C{/api/machines}."""

    def setUp(self) -> None:
        self.asked: list[str] = []

        def exchanges(mac: str) -> list[dict[str, object]]:
            self.asked.append(mac)
            return [{"message": "DISCOVER"}]

        self.status = Status(exchanges=exchanges)

    def test_row(self) -> None:
        """A machine as the list has it."""
        self.status.story.addressed()
        self.status.story.begun("pxelinux.0", 4000)
        self.status.story.progress(1000)
        answer = self.status.get("/api/machines").json
        self.assertEqual((answer["time"], answer["total"]), (2000.0, 1))
        (row,) = answer["machines"]
        self.assertEqual(
            [row[name] for name in ("id", "vendor", "architecture", "firmware", "address", "state", "stage")],
            [MAC, "QEMU", "bios", "PXE", "10.77.0.100", "stopped", "leased"],
        )
        (transfer,) = row["transfers"]
        self.assertEqual((transfer["sent"], transfer["size"], transfer["role"]), (1000, 4000, "loader"))

    def test_failure(self) -> None:
        """Why it does not boot, with the line of the configuration."""
        self.status.story.ignored("not in [mac]", "pybootd.ini:12: [bootpd] access")
        (row,) = self.status.get("/api/machines").json["machines"]
        self.assertEqual((row["state"], row["diagnosis"]["severity"]), ("stopped", "failure"))
        self.assertIn("not in [mac]", row["diagnosis"]["sentence"])
        self.assertEqual(row["diagnosis"]["setting"], "pybootd.ini:12: [bootpd] access")

    def test_pages(self) -> None:
        """The latest first, so many, from where one wants."""
        for number in range(5):
            Story(self.status.tell, f"52:54:00:00:00:0{number}", IPv4Address(number)).seen()
        answer = self.status.get("/api/machines?limit=2&offset=1").json
        self.assertEqual((answer["total"], [row["id"][-1] for row in answer["machines"]]), (5, ["3", "2"]))

    def test_wrong_range(self) -> None:
        """What is no number, or too large, is said to be wrong."""
        for query in ("limit=0", "limit=1001", "limit=x", "offset=-1", "limit=", "limit=1&limit=2", "offset=%D9%A1"):
            answer = self.status.get(f"/api/machines?{query}")
            self.assertEqual((answer.status, list(answer.json)), (400, ["error"]), query)

    def test_one(self) -> None:
        """One machine, however its address is written, with its log, its packets and decisions."""
        self.status.story.boot()
        for name in (MAC, MAC.upper().replace(":", "-"), MAC.replace(":", "%3A")):
            answer = self.status.get(f"/api/machines/{name}").json
            self.assertEqual((answer["id"], answer["exchanges"]), (MAC, [{"message": "DISCOVER"}]))
            self.assertEqual(answer["log"][0]["text"], "DISCOVER, PXE")
            self.assertEqual(len(answer["transfers"]), 5)
        self.assertEqual(self.asked, [MAC] * 3)

    def test_unknown(self) -> None:
        """A machine that nobody heard of, and what is no machine at all."""
        for name in ("52:54:00:00:00:99", "%00", "%ff", "x" * 3000, "", f"{MAC}/more"):
            self.assertEqual(self.status.get(f"/api/machines/{name}").status, 404, name)

    def test_head(self) -> None:
        """HEAD has the same fields and no body."""
        self.status.story.seen()
        body = self.status.get("/api/machines").body
        answer = self.status.visitor().ask("HEAD", "/api/machines")
        self.assertEqual((answer.status, answer.fields["Content-Length"], answer.body), (200, str(len(body)), b""))


class LeaseTests(SynchronousTestCase):
    """C{/api/leases}."""

    def test_leases(self) -> None:
        """Each lease, by address; one without end has none."""
        bound = Lease(
            int(IPv4Address("10.77.0.101")), bytes.fromhex("525400123456"), State.BOUND, 5000.0, UUID, "node7"
        )
        rests = Lease(int(IPv4Address("10.77.0.100")), b"", State.DECLINED, inf)
        answer = Status(leases=lambda: [bound, rests]).get("/api/leases").json
        self.assertEqual(answer["total"], 2)
        first, second = answer["leases"]
        self.assertEqual((first["address"], first["state"], first["expires"]), ("10.77.0.100", "declined", None))
        self.assertEqual(
            second,
            {
                "address": "10.77.0.101",
                "mac": MAC,
                "state": "bound",
                "expires": 5000.0,
                "uuid": "77aabbcc-1122-3344-5566-77889900aabb",
                "hostname": "node7",
            },
        )


class EventTests(SynchronousTestCase):
    """C{/api/events}."""

    def setUp(self) -> None:
        self.status = Status()
        self.addCleanup(self.status.board.stop)

    def test_stream(self) -> None:
        """It begins at once and goes on."""
        visitor = self.status.visitor()
        visitor.say("GET /api/events?view=machines HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = visitor.heard()
        self.assertIn("Content-Type: text/event-stream\r\n", head)
        self.status.story.seen()
        self.status.reactor.advance(PACE)
        self.assertIn("event: machines", visitor.heard())

    def test_as_they_happen(self) -> None:
        """Without a view: the events themselves."""
        visitor = self.status.visitor()
        visitor.say("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.status.story.seen()
        self.status.reactor.advance(PACE)
        self.assertIn("event: seen\n", visitor.heard())

    def test_gone(self) -> None:
        """A reader that leaves is forgotten."""
        visitor = self.status.visitor()
        visitor.say("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(len(self.status.board.feed), 1)
        visitor.leave()
        self.assertEqual(len(self.status.board.feed), 0)

    def test_stop(self) -> None:
        """A server that stops sends its readers away."""
        visitor = self.status.visitor()
        visitor.say("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.status.board.stop()
        self.assertTrue(visitor.transport.aborted)

    def test_wrong_view(self) -> None:
        """Another view is none; HEAD opens nothing."""
        self.assertEqual(self.status.get("/api/events?view=x").status, 400)
        self.assertEqual(self.status.visitor().ask("HEAD", "/api/events").status, 200)
        self.assertEqual(len(self.status.board.feed), 0)

    def test_too_many(self) -> None:
        """One reader too many is told so."""
        self.status.board.feed.limit = 3
        for _ in range(3):
            self.status.visitor().say("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(self.status.get("/api/events").status, 503)


class HealthTests(SynchronousTestCase):
    """C{/healthz}."""

    def test_health(self) -> None:
        """Well, or why not."""
        troubles: list[str] = []
        status = Status(troubles=lambda: troubles)
        answer = status.get("/healthz")
        self.assertEqual((answer.status, answer.json["status"]), (200, "ok"))
        troubles.append("the lease store is not open")
        answer = status.get("/healthz")
        self.assertEqual((answer.status, answer.json["troubles"]), (503, troubles))


class DescriptionTests(SynchronousTestCase):
    """C{/api/openapi.json}."""

    def test_complete(self) -> None:
        """It has every path and every field of the answers, and no other."""
        status = Status(leases=lambda: [Lease(1, b"", State.DECLINED, inf)])
        status.story.boot()
        described = json.loads(status.get("/api/openapi.json").body)
        schemas = described["components"]["schemas"]
        (row,) = status.get("/api/machines").json["machines"]
        (one,) = status.get("/api/leases").json["leases"]
        page = status.get(f"/api/machines/{MAC}").json
        for name, value in (("Machine", row), ("Transfer", row["transfers"][0]), ("Lease", one)):
            self.assertEqual(set(schemas[name]["properties"]), set(value), name)
            self.assertEqual(set(schemas[name]["required"]), set(value), name)
        self.assertEqual(set(schemas["MachinePage"]["allOf"][1]["required"]), set(page) - set(row))
        for path in described["paths"]:
            self.assertNotEqual(status.get(path.replace("{id}", MAC) + "?view=x").status, 404, path)
