"""The test case of a whole boot: pybootd, a machine, and what must hold whatever the machine's firmware is."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Mapping, Sequence

from attrs import frozen

from tests.e2e.support import payload
from tests.e2e.support.capture import Recorder
from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.lab import Segment
from tests.e2e.support.machines import Firmware, Machine
from tests.e2e.support.program import Program
from tests.e2e.support.servers import Configuration, Pybootd

BOOT_TIME = 300
"""Seconds from power-on until the payload has proved itself; the slowest needs a tenth of it on two idle cores."""


@frozen
class Boot:
    """A machine that is switched on, and its recorder."""

    machine: Machine
    recorder: Recorder


class BootTestCase(EndToEndTestCase):
    """
    A machine boots.

    @ivar root: the directory of the boot files.
    @ivar token: what only a payload can know that was served this test's files.
    """

    SERVER = "10.77.0.1"
    POOL = tuple(f"10.77.0.{number}" for number in range(100, 120))

    def setUp(self) -> None:
        """An empty directory for the boot files."""
        super().setUp()
        self.root = self.lab.directory("root")
        self.token = secrets.token_hex(8)

    def serve(
        self,
        bootfile: Mapping[str, str],
        sections: Configuration | None = None,
        *,
        http: bool = False,
        twistd: Sequence[str] | None = None,
    ) -> Pybootd:
        """
        Start a pybootd that serves the root.

        @param bootfile: the section of that name.
        @param sections: more options, and ones that replace those here.
        @param http: serve the root by HTTP too.
        @param twistd: as in L{Pybootd}; the daemon's directory is nobody's then.
        """
        configuration: dict[str, dict[str, object]] = {
            "bootpd": {
                "pool_start": self.POOL[0],
                "pool_count": len(self.POOL),
                "dns": self.SERVER,
                "router_advertisement": True,
            },
            "tftpd": {"root": self.root},
            "httpd": {"root": self.root},
            "bootfile": {**bootfile},
        }
        for section, options in (sections or {}).items():
            configuration.setdefault(section, {}).update(options)
        ports = [("udp", 67), ("udp", 69), *([("tcp", 80)] if http else [])]
        flags = ["-H"] if http else []
        directory = self.lab.directory("daemon")
        if twistd is not None:
            shutil.chown(directory, "nobody", "nogroup")
        self.pybootd = Pybootd(self.lab.server, directory, configuration, *flags, ports=ports, twistd=twistd)
        return self.pybootd

    def switch_on(self, firmware: Firmware, segment: Segment | None = None, number: int = 1, **options: object) -> Boot:
        """
        Switch a machine on, and record what passes its cable.

        @param segment: where; the server's network if not said otherwise.
        @param options: of L{Machine}.
        """
        segment = segment or self.lab.segment
        machine = Machine(segment, self.lab.scratch, firmware, number, **options)  # type: ignore[arg-type]
        recorder = Recorder(segment.namespace, machine.tap, self.lab.scratch / f"{machine.tap}.pcap")
        self.addCleanup(recorder.stop)
        return Boot(machine, recorder)

    def check(self, boot: Boot, *, source: str = SERVER, addresses: Sequence[str] = POOL) -> payload.Proof:
        """
        Wait until the payload has proved itself, and check what must hold for every boot.

        The token is this test's; the system has the address that the firmware had, one of those expected; every ACK
        of the whole boot named this address; tshark has nothing to say against any packet of the server's.

        @param source: the server's address, as this machine sees it.
        """
        try:
            proof = payload.proof(boot.machine.console, BOOT_TIME)
        except AssertionError as problem:
            self.fail(f"{problem}\n--- pybootd ---\n{self.pybootd.log[-6000:]}")
        self.assertEqual(proof.token, self.token)
        self.assertIn(proof.address, addresses)
        self.assertIn(proof.firmware, (proof.address, "unknown"))
        ours = [reply for reply in boot.recorder.dhcp() if reply.kind == "ACK" and reply.source == source]
        self.assertLessEqual({reply.yiaddr for reply in ours}, {proof.address, "0.0.0.0"})
        self.assertEqual(boot.recorder.complaints(source), [])
        self.assertNotIn("Traceback", self.pybootd.log)
        return proof

    def type(self, console: Program, line: str) -> None:
        """Type a line word by word, each when the last one is there: a loader that is busy loses keys."""
        for word in line.split():
            console.send(f"{word} ".encode())
            console.expect(re.escape(word[:4]), BOOT_TIME)  # the line may be broken after that
        console.send(b"\r")

    def boot(self, firmware: Firmware, segment: Segment | None = None, **options: object) -> payload.Proof:
        """Switch a machine on and L{check} it."""
        return self.check(self.switch_on(firmware, segment, **options))
