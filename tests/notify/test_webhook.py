"""C{[webhook]}: what is told, in which order, and what becomes of what cannot be told."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd.errors import WebFailed
from pybootd.events import Leased, Released
from pybootd.interfaces import INotifier
from pybootd.net.web import Answer
from pybootd.notify import webhook
from pybootd.notify.webhook import ATTEMPTS, FAREWELL, WebhookNotifier


def event(number: int) -> Released:
    """One of many."""
    return Released(float(number), "52:54:00:00:00:01", IPv4Address("10.77.0.100"), None)


class WebhookTests(SynchronousTestCase):
    """A notifier whose web server is the test."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.posted: list[tuple[list[float], Deferred[Answer]]] = []
        self.lines: list[str] = []
        self.made()

    def made(self, **options: Any) -> None:
        self.notifier = WebhookNotifier(("released",), self.post, self.clock, **options)
        self.notifier.log = type(
            "Log", (), {"warn": lambda _, text, **fields: self.lines.append(text.format(**fields))}
        )()

    def warn(self, text: str, **fields: Any) -> None:
        self.lines.append(text.format(**fields))

    def post(self, body: bytes) -> Deferred[Answer]:
        times = [told["time"] for told in json.loads(body)["events"]]
        self.posted.append((times, Deferred()))
        return self.posted[-1][1]

    def tell(self, *numbers: int) -> None:
        for number in numbers:
            self.notifier.notify(event(number))
        self.clock.advance(0)

    def answer(self, status: int) -> None:
        self.posted[-1][1].callback(Answer(status, b""))

    def fail(self, why: Any = "connection refused") -> None:
        self.posted[-1][1].errback(WebFailed(why))

    @property
    def told(self) -> list[list[float]]:
        return [times for times, _ in self.posted]

    def test_interface(self) -> None:
        """It is a notifier."""
        verifyObject(INotifier, self.notifier)

    def test_told(self) -> None:
        """Events of one moment are told together, and an answer of 2xx ends it."""
        self.tell(1, 2)
        self.answer(204)
        self.assertEqual((self.told, self.clock.getDelayedCalls(), self.lines), ([[1, 2]], [], []))

    def test_kinds(self) -> None:
        """Only those that are wished for."""
        self.notifier.notify(Leased(1.0, "52:54:00:00:00:01", None, None, True, "", "", 2.0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_order(self) -> None:
        """What happens while it waits for an answer is told afterwards, together, in its order."""
        self.tell(1)
        self.tell(2, 3)
        self.assertEqual(self.told, [[1]])
        self.answer(200)
        self.assertEqual(self.told, [[1], [2, 3]])

    def test_many(self) -> None:
        """Only so many go together."""
        self.patch(webhook, "TOGETHER", 2)
        self.tell(1, 2, 3)
        self.answer(200)
        self.assertEqual(self.told, [[1, 2], [3]])

    def test_again(self) -> None:
        """No answer, 429 and 5xx: the same events are told again, after longer and longer pauses; said once."""
        self.tell(1)
        for attempt, status in enumerate((0, 429, 500, 503)):
            self.answer(status) if status else self.fail()
            self.clock.advance(2**attempt - 0.1)
            self.assertEqual(len(self.posted), attempt + 1)
            self.clock.advance(0.1)
        self.answer(200)
        self.assertEqual(self.told, [[1]] * 5)
        self.assertEqual(self.lines, ["the web hook: connection refused; it is tried again"])

    def test_gives_up(self) -> None:
        """After some attempts the events are lost, and the next ones have their turn."""
        self.tell(1)
        for _ in range(ATTEMPTS):
            self.fail()
            self.clock.advance(60)
        self.tell(2)
        self.assertEqual(self.told, [[1]] * ATTEMPTS + [[2]])
        self.assertEqual(self.lines[-1], "the web hook: connection refused; events lost: 1")

    def test_refused(self) -> None:
        """A server that does not want them (4xx, a redirect) is not asked again."""
        for status in (302, 400, 404):
            self.tell(status)
            self.answer(status)
        self.assertEqual(self.told, [[302], [400], [404]])
        self.assertIn("404", self.lines[-1])

    def test_bounded(self) -> None:
        """A web server that is slow costs a fixed amount of memory; what is lost is counted."""
        self.made(waiting=3)
        self.tell(1, 2, 3, 4, 5)
        self.answer(200)
        self.assertEqual(self.told, [[1, 2, 3]])
        self.assertIn("events lost: 2", self.lines[-1])

    def test_close(self) -> None:
        """A server that stops waits for what is pending."""
        self.tell(1)
        closed = self.notifier.close()
        self.assertNoResult(closed)
        self.answer(200)
        self.assertIsNone(self.successResultOf(closed))

    def test_close_idle(self) -> None:
        """But not for nothing."""
        self.assertIsNone(self.successResultOf(self.notifier.close()))

    def test_close_while_pausing(self) -> None:
        """It tries once more at once, and no further."""
        self.tell(1)
        for _ in range(5):
            self.fail()
            self.clock.advance(2 ** (len(self.posted) - 1))
        self.fail()
        closed = self.notifier.close()
        self.clock.advance(0)
        self.assertEqual(len(self.posted), 7)
        self.fail()
        self.assertIsNone(self.successResultOf(closed))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close_unanswered(self) -> None:
        """It does not wait for long."""
        self.tell(1)
        closed = self.notifier.close()
        self.clock.advance(FAREWELL)
        self.assertIsNone(self.successResultOf(closed))
        self.answer(200)
