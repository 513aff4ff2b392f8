"""The access backends are asked about whoever asks, and nobody else waits for them."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pybootd.errors import AccessUnavailable
from pybootd.events import Ignored, Released
from pybootd.interfaces import Phase, Verdict
from pybootd.machine import Refusal
from tests.support.dhcp import (
    BIOS,
    DISCOVER,
    MAC,
    OTHER,
    RELEASE,
    SIMPLE,
    SYSTEM,
    USUAL,
    UUID,
)
from tests.support.server import Access, Server, mac


class AccessTests(SynchronousTestCase):
    """The access backends are asked first, and nobody waits for another's verdict."""

    def test_denied(self) -> None:
        """A refusal is silence; event and setting say why."""
        server = Server(access=Access(Verdict(False, "not in [mac]", "x.ini:3: [mac]")))
        self.assertEqual(server.say(DISCOVER, BIOS), [])
        (event,) = server.told(Ignored)
        self.assertEqual((event.reason, event.setting), ("not in [mac]", "x.ini:3: [mac]"))

    def test_allowed_again(self) -> None:
        """A refusal holds for files until the machine is allowed again; what it gives back changes nothing."""
        verdicts = [Verdict(True, ""), Verdict(False, "no", "x.ini:1"), Verdict(True, "")]
        server = Server(USUAL, access=Access(*verdicts))
        server.say(DISCOVER, BIOS)
        self.assertIsNone(server.machine().refusal)
        server.say(DISCOVER, BIOS)
        self.assertEqual(server.machine().refusal, Refusal("no", "x.ini:1"))
        server.say(RELEASE, {})
        self.assertIsNotNone(server.machine().refusal)
        server.say(DISCOVER, BIOS)
        self.assertIsNone(server.machine().refusal)

    def test_named(self) -> None:
        """Host name and boot file that the backend names are handed out."""
        server = Server(access=Access(*[Verdict(True, "", hostname="node7", boot_file="seven.0")] * 2))
        ack = server.obtain(BIOS)
        self.assertEqual((ack.file, ack.packet.options[12]), (b"seven.0", b"node7"))
        self.assertEqual(server.machine().boot_file, "seven.0")

    def test_slow(self) -> None:
        """While a verdict is awaited others are served; the machine's latest question is answered, once."""
        waiting: Deferred[Verdict] = Deferred()
        access = Access(waiting)
        server = Server(access=access)
        self.assertEqual(server.say(DISCOVER, BIOS, xid=1), [])
        self.assertEqual(server.say(DISCOVER, BIOS, xid=2), [])
        self.assertEqual(len(server.say(DISCOVER, BIOS, mac=OTHER)), 1)
        waiting.callback(Verdict(True, ""))
        self.assertEqual([sent.packet.xid for sent in server.wire.sent[1:]], [2])
        self.assertEqual(len(access.questions), 2)

    def test_silent(self) -> None:
        """No word in time is a refusal."""
        server = Server(access=Access(Deferred()), access_timeout=3.0)
        server.say(DISCOVER, BIOS)
        self.assertEqual(server.later(3), [])
        self.assertIn("no answer within 3 s", server.told(Ignored)[0].reason)
        self.assertEqual(len(server.say(DISCOVER, BIOS)), 1)

    def test_unavailable(self) -> None:
        """A backend that cannot say, at once or later, refuses."""
        later: Deferred[Verdict] = Deferred()
        server = Server(access=Access(AccessUnavailable("no route"), later))
        self.assertEqual(server.say(DISCOVER, BIOS), [])
        server.say(DISCOVER, BIOS)
        later.errback(AccessUnavailable("503"))
        self.assertEqual(server.wire.sent, [])
        self.assertEqual(
            ["no route" in event.reason or "503" in event.reason for event in server.told(Ignored)], [True] * 2
        )

    def test_broken(self) -> None:
        """A backend that breaks keeps the door shut, and its failure is logged."""
        server = Server(access=Access(ZeroDivisionError("oops")))
        self.assertEqual(server.say(DISCOVER, BIOS), [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("oops", server.told(Ignored)[0].reason)

    def test_too_many(self) -> None:
        """So many questions at once and no more; the rest may try again.  The last quarter is for known machines."""
        access = Access()
        server = Server(access=access, questions=4)
        server.obtain(BIOS)
        access.questions.clear()
        access.verdicts += [Deferred() for _ in range(10)]
        for index in range(10):
            server.say(DISCOVER, BIOS, mac=mac(index))
        self.assertEqual(len(access.questions), 3)
        self.assertEqual(len(server.told(Ignored)), 7)
        server.say(DISCOVER, BIOS)
        self.assertEqual(access.questions[-1].mac, MAC)
        self.assertEqual((len(access.questions), len(server.told(Ignored))), (4, 7))

    def test_phases(self) -> None:
        """A verdict on booting does not let the system in, not even while it is awaited."""
        waiting: Deferred[Verdict] = Deferred()
        access = Access(waiting, Verdict(False, "no systems"))
        server = Server(SIMPLE, access=access)
        server.say(DISCOVER, BIOS)
        server.say(DISCOVER, SYSTEM)
        waiting.callback(Verdict(True, ""))
        self.assertEqual([sent.file for sent in server.wire.sent], [b"pxelinux.0"])
        self.assertEqual([question.phase for question in access.questions], [Phase.BOOT, Phase.SYSTEM])

    def test_stage_changed(self) -> None:
        """A backend is told when a machine goes from booting to its system and back."""
        access = Access()
        server = Server(access=access)
        for options in (BIOS, SYSTEM, BIOS):
            server.obtain(options)
        self.assertEqual([question.stage_changed for question in access.questions], [True, False] * 3)

    def test_uuid_remembered(self) -> None:
        """The UUID of the boot phase is asked about in the system's phase, which does not repeat it."""
        access = Access()
        server = Server(access=access)
        server.obtain(BIOS)
        server.obtain(SYSTEM)
        self.assertEqual({question.uuid for question in access.questions}, {UUID})

    def test_uuid_on_record(self) -> None:
        """Also when only the lease remembers it."""
        server = Server()
        server.obtain(BIOS)
        access = Access()
        again = Server(access=access)
        again.table.record(server.store.claims[0].lease)
        again.say(DISCOVER, SYSTEM)
        self.assertEqual(access.questions[0].uuid, UUID)

    def test_host(self) -> None:
        """C{[host] allow} decides by itself, and no backend is asked."""
        access = Access()
        server = Server(extra="[host 52-54-00-00-00-01]\nallow = yes\n", access=access)
        self.assertEqual(len(server.say(DISCOVER, BIOS)), 1)
        self.assertEqual(access.questions, [])

    def test_giving_back_is_free(self) -> None:
        """Whoever was refused meanwhile may still give its address back."""
        access = Access(Verdict(True, ""), Verdict(True, ""))
        server = Server(access=access)
        server.obtain(BIOS)
        server.say(RELEASE, {}, ciaddr="10.0.0.100", to="10.0.0.1")
        self.assertEqual((len(server.told(Released)), len(access.questions)), (1, 2))
