"""C{access = http}: what is asked, what the answers mean, and what befalls who waits."""

from __future__ import annotations

from ipaddress import IPv4Address
from uuid import UUID

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd.access import remote
from pybootd.access.remote import ONE_BOOT, RemoteAccess, named
from pybootd.config import HttpAccessConfig
from pybootd.errors import AccessUnavailable, WebFailed
from pybootd.interfaces import IAccessControl, Phase, Question, Verdict
from pybootd.net.web import Answer

CONFIG = HttpAccessConfig(location="http://acl.example.org", pxe="/boot", dhcp="/linux")
BOOT = Question(bytes.fromhex("AABBCC112233"), None, Phase.BOOT, 0, None)
SYSTEM = evolve(BOOT, phase=Phase.SYSTEM)
AGAIN = evolve(BOOT, stage_changed=False)


class RemoteCase(SynchronousTestCase):
    """A backend whose web server is the test."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[Deferred[Answer]] = []
        self.access = self.made(CONFIG)

    def made(self, config: HttpAccessConfig) -> RemoteAccess:
        def get(url: str) -> Deferred[Answer]:
            self.asked.append(Deferred())
            return self.asked[-1]

        return RemoteAccess(config, get, self.clock.seconds, "pybootd.ini:9: [http] location")

    def answer(self, status: int, body: bytes = b"", number: int = -1) -> None:
        """The web server answers the last question, or another one."""
        self.asked[number].callback(Answer(status, body))

    def granted(self, question: Question = BOOT) -> Verdict:
        """Ask and be granted."""
        verdict = self.access.check(question)
        self.answer(200)
        return self.successResultOf(verdict)


class QuestionTests(RemoteCase):
    """What is asked."""

    def test_interface(self) -> None:
        """It is an access backend."""
        verifyObject(IAccessControl, self.access)

    def test_boot(self) -> None:
        """A machine that boots: the C{pxe} path, the hardware address with dashes."""
        self.assertEqual(self.access.url(BOOT), "http://acl.example.org/boot?mac=AA-BB-CC-11-22-33")

    def test_system(self) -> None:
        """An operating system: the C{dhcp} path."""
        self.assertEqual(self.access.url(SYSTEM), "http://acl.example.org/linux?mac=AA-BB-CC-11-22-33")

    def test_more(self) -> None:
        """UUID, as people write it, and address where they are known."""
        uuid = UUID("77AABBCC-1122-3344-5566-778899AABBCC")
        url = self.access.url(evolve(BOOT, uuid=uuid.bytes_le, address=IPv4Address("10.77.0.100")))
        self.assertTrue(url.endswith("&uuid=77AABBCC-1122-3344-5566-778899AABBCC&ip=10.77.0.100"), url)


class AnswerTests(RemoteCase):
    """What the answers mean."""

    def test_granted(self) -> None:
        """200 grants; the verdict names the line of the configuration."""
        verdict = self.granted()
        self.assertEqual((verdict.allowed, verdict.setting), (True, "pybootd.ini:9: [http] location"))

    def test_ignored(self) -> None:
        """401 ignores the machine."""
        verdict = self.access.check(BOOT)
        self.answer(401, b"no")
        self.assertFalse(self.successResultOf(verdict).allowed)

    def test_anything_else(self) -> None:
        """Whatever else it is, redirects too: no verdict, and the reason says what came."""
        for status in (201, 204, 206, 301, 302, 307, 400, 403, 404, 500, 503):
            verdict = self.access.check(BOOT)
            self.answer(status)
            self.assertIn(str(status), str(self.failureResultOf(verdict, AccessUnavailable).value), status)

    def test_none(self) -> None:
        """No answer is no verdict; the reason says which server, and why."""
        verdict = self.access.check(BOOT)
        self.asked[0].errback(WebFailed("connection refused"))
        reason = str(self.failureResultOf(verdict, AccessUnavailable).value)
        self.assertEqual(reason, "http://acl.example.org: connection refused")

    def test_named(self) -> None:
        """What the body names is in the verdict."""
        verdict = self.access.check(BOOT)
        self.answer(200, b"client: node-7\nfile: images/node-7.efi\n")
        granted = self.successResultOf(verdict)
        self.assertEqual((granted.hostname, granted.boot_file), ("node-7", "images/node-7.efi"))


class TogetherTests(RemoteCase):
    """Many who ask."""

    def test_asked_once(self) -> None:
        """Questions about one machine in one phase that meet are one question, and all hear the answer."""
        verdicts = [self.access.check(BOOT) for _ in range(3)]
        self.assertEqual(len(self.asked), 1)
        self.answer(200)
        for verdict in verdicts:
            self.assertTrue(self.successResultOf(verdict).allowed)

    def test_all_hear_a_failure(self) -> None:
        """So they all hear that there is none."""
        verdicts = [self.access.check(BOOT) for _ in range(2)]
        self.answer(500)
        for verdict in verdicts:
            self.failureResultOf(verdict, AccessUnavailable)

    def test_apart(self) -> None:
        """Other machines and other phases are other questions, and nobody waits for another."""
        waiting = self.access.check(BOOT)
        for question in (SYSTEM, evolve(BOOT, mac=b"\1" * 6)):
            self.assertTrue(self.granted(question).allowed)
        self.assertNoResult(waiting)
        self.answer(200, number=0)

    def test_leaves(self) -> None:
        """Who no longer wants to know is not told; the others are."""
        leaving, staying = self.access.check(BOOT), self.access.check(BOOT)
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.answer(200)
        self.assertTrue(self.successResultOf(staying).allowed)


class MemoryTests(RemoteCase):
    """C{always_check = no}: a machine is asked about when it goes from one stage to the next."""

    def test_same_stage(self) -> None:
        """Within a stage the verdict stands, at once, and what it named."""
        verdict = self.access.check(BOOT)
        self.answer(200, b"file: x")
        self.successResultOf(verdict)
        again = self.access.check(AGAIN)
        self.assertEqual((again.allowed, again.boot_file, len(self.asked)), (True, "x", 1))

    def test_next_stage(self) -> None:
        """Another stage is another question, and back again another."""
        self.granted()
        for question in (SYSTEM, BOOT):
            self.granted(question)
        self.assertEqual(len(self.asked), 3)

    def test_next_boot(self) -> None:
        """A machine that boots again after a while is asked about again; a system that goes on is not."""
        for question, count in ((BOOT, 2), (SYSTEM, 3)):
            self.granted(question)
            self.clock.advance(ONE_BOOT)
            again = self.access.check(evolve(question, stage_changed=False))
            self.assertEqual(len(self.asked), count, question.phase)
            if isinstance(again, Deferred):
                self.answer(200)
                self.assertTrue(self.successResultOf(again).allowed)

    def test_no_is_not_kept(self) -> None:
        """A refusal, or none to be had, is asked about again: it may have been lifted."""
        for code in (401, 500):
            self.granted()
            verdict = self.access.check(BOOT)
            self.answer(code)
            verdict.addErrback(lambda failure: None)
            self.assertTrue(isinstance(self.access.check(AGAIN), Deferred), code)
            self.answer(200)

    def test_always(self) -> None:
        """C{always_check = yes} asks every time."""
        self.access = self.made(evolve(CONFIG, always_check=True))
        for question in (BOOT, AGAIN, AGAIN):
            self.granted(question)
        self.assertEqual(len(self.asked), 3)

    def test_bounded(self) -> None:
        """Only so many machines are remembered, the latest."""
        self.patch(remote, "REMEMBERED", 2)
        for number in (1, 2, 3):
            self.granted(evolve(BOOT, mac=bytes([number] * 6)))
        for number, known in ((1, False), (2, True), (3, True)):
            verdict = self.access.check(evolve(AGAIN, mac=bytes([number] * 6)))
            self.assertEqual(isinstance(verdict, Verdict), known, number)
        self.answer(200)


class NamedTests(SynchronousTestCase):
    """What a body may name."""

    def test_lines(self) -> None:
        """C{client:} and C{file:} lines in any case and order; others mean nothing; the first counts."""
        for body in (
            b"client: node\nfile: a/b.efi",
            b"File:a/b.efi\r\nhello\r\nCLIENT :  node \r\n",
            b"client: node\nclient: other\nfile: a/b.efi\nfile: c",
        ):
            self.assertEqual(named(body), ("node", "a/b.efi"), body)

    def test_json(self) -> None:
        """A JSON object does as well."""
        self.assertEqual(named(b' {"Client": "node", "file": "a/b.efi", "more": [1]}'), ("node", "a/b.efi"))

    def test_nothing(self) -> None:
        """An empty body, prose, broken or deep JSON, other types: nothing, and no failure."""
        for body in (b"", b"\xff\xfe", b"You may boot.", b"{", b'{"client": 7}', b'{"a":' * 5000, b"[]"):
            self.assertEqual(named(body), ("", ""), body[:20])

    def test_unusable(self) -> None:
        """A name that is no host's, a file that is no line of text: left out."""
        for body in (b"client: a b", b"client: -x", b"client: " + b"a" * 300, b"client: ../x", "client: ü".encode()):
            self.assertEqual(named(body)[0], "", body[:20])
        for body in (b"file: a\x1bb", b"file: " + b"a" * 256, "file: a\u202eb".encode()):
            self.assertEqual(named(body)[1], "", body[:20])
