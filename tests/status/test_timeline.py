"""What the event stream says of each machine's boot."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd import events
from pybootd.machine import Firmware
from pybootd.status.timeline import LINES, LOADS, MISSING, STAGES, TRANSFERS, Record, Timeline
from tests.support.boots import ADDRESS, MAC, Story


class TimelineCase(SynchronousTestCase):
    """A timeline, and a machine that things happen to."""

    def setUp(self) -> None:
        self.timeline = Timeline()
        self.story = Story(self.timeline.apply)

    @property
    def record(self) -> Record:
        found = self.timeline.get(MAC)
        assert found is not None
        return found


class StageTests(TimelineCase):
    """How far a boot has come."""

    def test_whole_boot(self) -> None:
        """Each step of a boot is reached in its order."""
        self.story.boot()
        self.assertEqual(tuple(self.record.stages), STAGES)
        self.assertEqual(sorted(self.record.stages.values()), list(self.record.stages.values()))

    def test_what_it_is(self) -> None:
        """Who it is, as its requests and its lease say."""
        self.story.seen(Firmware.PXE, architecture=7)
        self.story.leased(hostname="node\n7")
        record = self.record
        self.assertEqual((record.mac, record.address, record.architecture), (MAC, str(ADDRESS), 7))
        self.assertEqual((record.hostname, record.interface), ("node\\x0a7", "eth1"))

    def test_loading(self) -> None:
        """A step is reached once the file has arrived."""
        self.story.addressed()
        self.story.begun("pxelinux.0")
        self.assertNotIn("loader", self.record.stages)
        self.story.ended("pxelinux.0")
        self.assertIn("loader", self.record.stages)

    def test_waiting_for_a_router(self) -> None:
        """An iPXE that has its address and asks for no file: what it waits for is said, once, and of no other."""
        for firmware in (Firmware.PXE, Firmware.IPXE):
            self.story.addressed(firmware)
            self.story.now += 16
            self.story.fetched("pxelinux.0")
            self.story.now += 16
            self.story.fetched("ldlinux.c32")
            waits = [text for _, text in self.record.lines if "router_advertisement" in text]
            self.assertEqual(len(waits), firmware is Firmware.IPXE)
        self.assertIn("waited 17 s", waits[0])

    def test_quick(self) -> None:
        """One that goes on at once did not wait."""
        self.story.addressed(Firmware.IPXE)
        self.story.fetched("pxelinux.0")
        self.assertNotIn("waited", str(self.record.lines))

    def test_loader_that_asks(self) -> None:
        """iPXE's own DISCOVER belongs to the boot that loaded it."""
        self.story.addressed(file="undionly.kpxe")
        self.story.fetched("undionly.kpxe")
        self.story.addressed(Firmware.IPXE, "boot.ipxe")
        self.assertEqual(self.record.boots, 1)
        self.assertIn("loader", self.record.stages)

    def test_next_boot(self) -> None:
        """Firmware that asks again after it was given a file boots anew."""
        self.story.boot()
        self.story.seen()
        self.assertEqual((self.record.boots, list(self.record.stages)), (2, ["asked"]))
        self.assertEqual(self.record.current, [])

    def test_patient(self) -> None:
        """DISCOVER again and again is the same boot."""
        for _ in range(4):
            self.story.seen()
            self.story.offered()
        self.assertEqual((self.record.boots, self.record.discovers, self.record.offers), (1, 4, 4))

    def test_after_a_pause(self) -> None:
        """A DISCOVER after a long silence is another boot."""
        self.story.seen()
        self.story.now += 1000
        self.story.seen()
        self.assertEqual((self.record.boots, self.record.discovers), (2, 1))

    def test_renewal(self) -> None:
        """A system that renews its lease stays up."""
        self.story.boot()
        self.story.now += 50_000
        self.story.seen(Firmware.SYSTEM, "REQUEST (renewing)")
        self.story.leased("", boot=False)
        self.assertEqual((self.record.boots, len(self.record.stages)), (1, len(STAGES)))

    def test_beside_another_server(self) -> None:
        """A system that another server gives its address is up once it asks."""
        self.story.seen()
        self.story.address = None
        self.story.offered()
        self.story.address = ADDRESS
        self.story.fetched("pxelinux.0")
        self.story.fetched("vmlinuz")
        self.story.seen(Firmware.SYSTEM)
        self.assertEqual(list(self.record.stages), ["asked", "offered", "loader", "kernel", "running"])


class TransferTests(TimelineCase):
    """Files on their way."""

    def test_progress(self) -> None:
        """Size, rate and the time that is left."""
        self.story.begun("vmlinuz", 10_000)
        self.story.progress(1000)
        self.story.progress(2000)
        (transfer,) = self.record.transfers
        self.assertEqual((transfer.sent, transfer.rate, transfer.left), (2000, 1000.0, 8.0))
        self.story.ended("vmlinuz", 10_000, again=3)
        self.assertEqual((transfer.state, transfer.left, transfer.retransmitted), ("done", None, 3))

    def test_probe(self) -> None:
        """UEFI that only asks for the size has fetched nothing."""
        self.story.begun("grub.efi")
        self.story.failed("grub.efi", probe=True)
        self.assertEqual(list(self.record.transfers), [])

    def test_never_begun(self) -> None:
        """A transfer that ended before it began is known too."""
        self.story.failed("x", "the web server answers 500")
        (transfer,) = self.record.transfers
        self.assertEqual((transfer.state, transfer.reason), ("failed", "the web server answers 500"))

    def test_by_address(self) -> None:
        """A transfer without a hardware address belongs to the machine that has the IP address."""
        self.story.addressed()
        self.story.mac = ""
        self.story.fetched("pxelinux.0")
        self.assertEqual(len(self.timeline), 1)
        self.assertIn("loader", self.record.stages)

    def test_stranger(self) -> None:
        """A machine of which only the address is known is known by that."""
        self.story.mac = ""
        self.story.fetched("pxelinux.0")
        record = self.timeline.get(str(ADDRESS))
        assert record is not None
        self.assertEqual((record.mac, record.address), ("", str(ADDRESS)))

    def test_loader_in_a_loop(self) -> None:
        """The same loader again is counted, until a kernel comes."""
        for _ in range(3):
            self.story.fetched("undionly.kpxe")
            self.story.seen(Firmware.PXE)
        self.assertEqual(self.record.loads, {"undionly.kpxe": 3})
        self.story.fetched("vmlinuz")
        self.assertEqual(self.record.loads, {})


class CeilingTests(TimelineCase):
    """Nothing grows with what clients do."""

    def test_machines(self) -> None:
        """The machine unheard for longest makes room, with its transfers and its address."""
        timeline = Timeline(2)
        for number in range(4):
            story = Story(timeline.apply, f"52:54:00:00:00:0{number}", IPv4Address(100 + number))
            story.begun("x")
        self.assertEqual([record.mac[-1] for record in timeline], ["3", "2"])
        self.assertEqual((len(timeline._transfers), len(timeline._by_address)), (1, 2))

    def test_of_one_machine(self) -> None:
        """So it is with a machine's transfers, lines, names and loaders."""
        for number in range(100):
            self.story.missing(f"no{number}")
        self.assertEqual((len(self.record.lines), len(self.record.missing)), (LINES, MISSING))
        for number in range(100):
            self.story.seen()
            self.story.fetched(f"loader{number}")
        self.assertEqual((len(self.record.transfers), len(self.record.loads)), (TRANSFERS, LOADS))
        for number in range(100):
            self.story.begun(f"file{number}")
        self.assertEqual(len(self.timeline._transfers), TRANSFERS)

    def test_long_name(self) -> None:
        """A name is cut, and cannot steer a terminal."""
        self.story.begun("\x1b[31m" + "x" * 5000)
        (transfer,) = self.record.transfers
        self.assertTrue(transfer.name.isprintable())
        self.assertLess(len(transfer.name), 300)

    def test_address_moves(self) -> None:
        """An address belongs to the machine that had it last."""
        other = Story(self.timeline.apply, "52:54:00:00:00:02")
        self.story.addressed()
        other.addressed()
        other.mac = ""
        other.fetched("x")
        self.assertEqual(len(self.record.transfers), 0)


KINDS = st.sampled_from(["seen", "offered", "leased", "begun", "progress", "ended", "failed", "missing", "ignored"])


class AnythingTests(SynchronousTestCase):
    """Events in any order."""

    @given(st.lists(st.tuples(KINDS, st.integers(0, 3)), max_size=60))
    def test_any_order(self, steps: list[tuple[str, int]]) -> None:
        """Whatever happens, in whatever order: a record for each machine, its stages of the known ones."""
        timeline = Timeline(3)
        stories = [Story(timeline.apply, f"52:54:00:00:00:0{number}", IPv4Address(number % 2)) for number in range(4)]
        arguments: dict[str, tuple[object, ...]] = {
            "progress": (7,), "begun": ("f",), "ended": ("f",), "failed": ("f",), "missing": ("f",), "ignored": ("why",)
        }  # fmt: skip
        for name, who in steps:
            getattr(stories[who], name)(*arguments.get(name, ()))
        self.assertLessEqual(len(timeline), 3)
        for record in timeline:
            self.assertLessEqual(record.stages.keys(), set(STAGES))

    def test_conflict(self) -> None:
        """Somebody who answers a probe is no machine of ours."""
        timeline = Timeline()
        self.assertIsNone(timeline.apply(events.Conflict(1.0, "", ADDRESS)))
        self.assertEqual(len(timeline), 0)
