"""Whose answer changes with the settings."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.preview import Difference, Known, Side, differences
from pybootd.interfaces import Verdict
from pybootd.leases.lease import Lease, State
from tests.support.dhcp import MAC, OTHER, USUAL, number, settings

NOW = 1000.0
BIOS = Known(MAC, 0, UUID(int=1), booted=True)
UEFI = Known(OTHER, 7, booted=True)
SYSTEM = Known(b"\x02\0\0\0\0\1")
TEXT = "52:54:00:00:00:01"


def told(after: str, *machines: Known, before: str = USUAL) -> Sequence[str]:
    """What changes for these machines."""
    found: Sequence[Difference] = differences(Side(settings(before)), Side(settings(after)), machines, NOW)
    return [str(one) for one in found]


def leased(known: Known, address: str) -> Known:
    """The machine with a lease."""
    lease = Lease(number(address), known.mac, State.BOUND, NOW + 100)
    return Known(known.mac, known.architecture, known.uuid, known.booted, (lease,))


class PreviewTests(SynchronousTestCase):
    """L{differences}."""

    def test_nothing(self) -> None:
        """The same settings give the same answers."""
        self.assertEqual(told(USUAL, BIOS, UEFI, SYSTEM, leased(BIOS, "10.0.0.101")), [])

    def test_boot_file(self) -> None:
        """Another file for one architecture concerns its machines only."""
        text = USUAL.replace("= pxelinux.0", "= lpxelinux.0")
        self.assertEqual(told(text, BIOS, UEFI), [f"{TEXT} boot file pxelinux.0 -> lpxelinux.0"])

    def test_u_boot(self) -> None:
        """U-Boot is answered without a line of its own too: what a new line changes is its boot file."""
        text = USUAL.replace("x64-uefi =", "arm64-uboot = boot.scr.uimg\nx64-uefi =")
        self.assertEqual(told(text, Known(MAC, 22, booted=True)), [f"{TEXT} boot file (none) -> boot.scr.uimg"])

    def test_address(self) -> None:
        """A fixed address is another than the one that is leased."""
        text = USUAL + "[static_dhcp]\n52-54-00-00-00-01 = 10.0.0.7\n"
        self.assertEqual(
            told(text, leased(BIOS, "10.0.0.101"), leased(UEFI, "10.0.0.102")),
            [f"{TEXT} address 10.0.0.101 -> 10.0.0.7"],
        )

    def test_options(self) -> None:
        """What only changes an option is told so, for everybody whom it concerns."""
        lines = told(USUAL.replace("example.org", "example.net"), BIOS, UEFI)
        self.assertEqual([line.partition(" ")[2] for line in lines], ["gets other options"] * 2)

    def test_refused(self) -> None:
        """A machine that is shut out, or let in."""
        text = USUAL + "[host 52-54-00-00-00-01]\nallow = no\n"
        (out,) = told(text, BIOS, UEFI)
        self.assertTrue(out.startswith(f"{TEXT} is not answered any more: "), out)
        (let_in,) = told(USUAL, BIOS, UEFI, before=text)
        self.assertEqual(
            let_in, f"{TEXT} is answered from now on: address (none) -> 10.0.0.100, boot file (none) -> pxelinux.0"
        )

    def test_silence(self) -> None:
        """Who gets no answer before and after is not named, whatever the reason."""
        self.assertEqual(told(USUAL.replace("example.org", "example.net"), SYSTEM), [])

    def test_lists(self) -> None:
        """What the access lists say counts on both sides."""
        same = settings()
        denied = Side(same, lambda known: Verdict(known.mac != MAC, "not in [mac]"))
        (found,) = differences(Side(same), denied, [BIOS, UEFI], NOW)
        self.assertEqual(str(found), f"{TEXT} is not answered any more: not in [mac]")

    def test_relayed(self) -> None:
        """A machine behind a relay is asked for as the relay would."""
        subnet = "[subnet 10.1.0.0/24]\npool_start = 10.1.0.10\n"
        machine = leased(BIOS, "10.1.0.11")
        self.assertEqual(
            told(USUAL + subnet + "domain = far.org\n", machine, before=USUAL + subnet), [f"{TEXT} gets other options"]
        )
        self.assertEqual(told(USUAL + subnet, machine, before=USUAL + subnet), [])
