"""Many machines at once."""

from __future__ import annotations

from tests.e2e.support import payload, trees
from tests.e2e.support.boots import BootTestCase
from tests.e2e.support.machines import Firmware

MACHINES = 8
STORM_TIME = 600
"""Seconds; two cores emulate eight machines."""


class StormTests(BootTestCase):
    """A room is switched on."""

    needs = (*Firmware.BIOS.needs, *map(str, trees.NEEDED), "tshark")

    def test_storm(self) -> None:
        """Eight machines boot at once: every one of them, each with an address of its own, the same all along."""
        self.serve({"bios": trees.pxelinux(self.root, self.token)})
        boots = [self.switch_on(Firmware.BIOS, number=number, memory=160) for number in range(1, MACHINES + 1)]
        proofs = [payload.proof(boot.machine.console, STORM_TIME) for boot in boots]
        self.assertEqual({proof.token for proof in proofs}, {self.token})
        self.assertEqual(len({proof.address for proof in proofs}), MACHINES)
        self.assertEqual([proof.firmware for proof in proofs], [proof.address for proof in proofs])
        self.assertNotIn("Traceback", self.pybootd.log)
