"""The house's one-way order: who may import whom, and what no protocol core may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import pybootd

PACKAGE = Path(pybootd.__file__).parent

CORES = (
    "errors", "machine", "events", "text",
    "config.origin", "config.words", "config.sections", "config.masks", "config.ini", "config.coherence",
    "config.reader",
    "dhcp.architectures", "dhcp.options", "dhcp.packet", "dhcp.pxe", "dhcp.client", "dhcp.request", "dhcp.decision",
    "dhcp.delivery", "dhcp.dump", "dhcp.settings", "dhcp.facts", "dhcp.quirks", "dhcp.bootfile", "dhcp.answer",
    "dhcp.once", "dhcp.proxy", "dhcp.policy", "dhcp.pool", "dhcp.rehearsal", "leases.lease", "leases.table", "pcap",
    "tftp.packet", "tftp.options", "tftp.transfer",
    "status.roles", "status.terminal", "status.timeline", "status.diagnosis", "status.vendors",
)  # fmt: skip
"""Modules without input or output: bytes, values and times in; bytes, values and times out."""

ROOMS = ("dhcp", "tftp", "http", "content", "leases", "access", "notify", "status")

SHARED = {
    "content.content": "the form in which everybody gets bytes",
    "content.resolver": "what TFTP and HTTP ask",
    "content.fetch": "the one way to fetch a URL, and to say that TLS is missing",
    "content.refusal": "a refusal that iPXE shows",
    "content.local": "where a cold disk is waited for",
    "content.memory": "where no disk has to be waited for",
    "leases.lease": "a lease as a value",
    "leases.table": "who has which address",
    "leases.commit": "what makes a lease durable",
    "dhcp.architectures": "the names of architectures",
}
"""What one room may use of another, and why."""


def imported(path: Path) -> Iterator[str]:
    """The modules of pybootd that a file imports, without the package's name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pybootd."):
            yield node.module.removeprefix("pybootd.")
        elif isinstance(node, ast.Import):
            yield from (name.name.removeprefix("pybootd.") for name in node.names if name.name.startswith("pybootd."))


class ImportTests(SynchronousTestCase):
    """Imports point one way."""

    def test_cores(self) -> None:
        """Each core, in a fresh Python, loads neither C{socket} nor C{twisted}."""
        check = (
            "import sys, importlib; importlib.import_module(sys.argv[1]);"
            " sys.exit(bool({'socket', 'twisted'} & set(sys.modules)))"
        )
        running = {
            name: subprocess.Popen([sys.executable, "-c", check, f"pybootd.{name}"], stderr=subprocess.PIPE)
            for name in CORES
        }
        for name, process in running.items():
            _, error = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, f"{name} is no core: {error.decode()}")

    def test_rooms(self) -> None:
        """A room uses of another only what is meant to be shared."""
        for path in PACKAGE.glob("*/*.py"):
            room = path.parent.name
            if room not in ROOMS:
                continue
            for module in imported(path):
                other = module.partition(".")[0]
                if other in ROOMS and other != room and module not in SHARED:
                    self.fail(f"{path.relative_to(PACKAGE)} looks into another room: pybootd.{module}")

    def test_nobody_imports_the_service(self) -> None:
        """Only the ways in know the module that knows everybody."""
        for path in PACKAGE.rglob("*.py"):
            if "service" in imported(path):
                self.assertIn(path.name, ("tap.py", "cli.py", "foreground.py"), str(path))

    def loaded(self, configuration: str, *modules: str) -> set[str]:
        """Which of these modules a fresh Python has loaded that made the services of this configuration."""
        make = (
            "import sys; from twisted.internet.testing import MemoryReactorClock;"
            " from pybootd.config.reader import read; from pybootd.service import compose;"
            " compose(read(sys.argv[1], dhcp=False), MemoryReactorClock());"
            " print(*set(sys.argv[2:]) & set(sys.modules))"
        )
        command = [sys.executable, "-c", make, configuration, *modules]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return set(done.stdout.split())

    def test_unused(self) -> None:
        """What a configuration does not use is not loaded: neither other services, nor a client of remote roots."""
        others = ("pybootd.dhcpd", "pybootd.httpd", "pybootd.statusd", "pybootd.content.fetch", "twisted.web.client")
        self.assertEqual(self.loaded("[tftpd]\nroot = .\n", *others), set())

    def test_used(self) -> None:
        """What it may use is loaded before it serves: a filter may name an URL."""
        filters = "[filters]\n*.efi = http://192.0.2.1/\n"
        found = self.loaded(f"[tftpd]\nroot = .\n{filters}", "pybootd.content.fetch")
        self.assertEqual(found, {"pybootd.content.fetch"})

    def test_netifaces(self) -> None:
        """One module imports netifaces."""
        users = [path.name for path in PACKAGE.rglob("*.py") if "import netifaces" in path.read_text()]
        self.assertEqual(users, ["interfaces.py"])
