"""The variables of filters and templates."""

from __future__ import annotations

from ipaddress import IPv4Address
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.variables import NAMES, variables
from pybootd.machine import Machine

IDENTITY = UUID("12345678-1234-1234-1234-123456789abc")


class VariablesTests(SynchronousTestCase):
    """L{variables} says what is known, and nothing that is not."""

    def test_all(self) -> None:
        """A machine of which all is known has every variable, and its own."""
        machine = Machine("52:54:00:12:34:AB".lower(), IDENTITY, 7, address=IPv4Address("192.0.2.7"), hostname="node7")
        machine.boot_file = "pushed.0"
        machine.variables = {"role": "db"}
        known = variables("a/b", machine)
        self.assertEqual(
            known,
            {
                "role": "db",
                "filename": "a/b",
                "boot_file": "pushed.0",
                "mac": "52-54-00-12-34-ab",
                "ip": "192.0.2.7",
                "uuid": str(IDENTITY),
                "arch": "00007",
                "hostname": "node7",
            },
        )
        self.assertEqual(set(NAMES), set(known) - {"role"})

    def test_unknown(self) -> None:
        """What is not known is left out."""
        self.assertEqual(variables("x", None), {"filename": "x"})
        self.assertEqual(set(variables("x", Machine("52:54:00:12:34:56"))), {"filename", "mac"})

    def test_forged_host_name(self) -> None:
        """A host name that could begin a line of its own is not passed on."""
        for name in ("a\nb", "a\x1bb", "a\u2028b"):
            self.assertNotIn("hostname", variables("x", Machine("52:54:00:12:34:56", hostname=name)), name)

    def test_own_variable(self) -> None:
        """C{var.NAME} cannot stand in for what the client asked."""
        machine = Machine("52:54:00:12:34:56", variables={"filename": "y"})
        self.assertEqual(variables("x", machine)["filename"], "x")
