"""
A network on which somebody means harm: who is known still boots, nobody gets what belongs to another, and it is told.

What single requests may not do is in the tests of each service; here are the attacks that go on while others work.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from struct import pack
from typing import Any

from pybootd.dhcp.packet import Packet, decode
from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.hostile import LARGE
from tests.e2e.support.lab import Namespace, until
from tests.e2e.support.program import Program
from tests.e2e.support.servers import Pybootd
from tests.support.dhcp import (
    ACK,
    BIOS,
    BROADCAST,
    DECLINE,
    DISCOVER,
    NAK,
    OFFER,
    RELEASE,
    REQUEST,
    datagram,
    number,
)

TOP = Path(__file__).resolve().parents[2]
SERVER = "10.77.0.1"
KNOWN, FIXED, STRANGER = (bytes.fromhex(f"52540000000{digit}") for digit in "123")
FIXED_ADDRESS = "10.77.0.50"
SOON = 10.0
"""Seconds in which an honest client has an answer; on an idle machine it is a few hundredths of one."""


class HostileTestCase(EndToEndTestCase):
    """A server; an honest host (.9) and an attacker's (.66) beside it."""

    needs = ("curl", "atftp")

    def setUp(self) -> None:
        super().setUp()
        self.directory = self.lab.directory("daemon")
        self.root = self.lab.directory("root")
        (self.root / "small").write_text("content")
        (self.root / "large").write_bytes(bytes(LARGE))
        self.honest = self.lab.segment.host("10.77.0.9/24")
        self.attacker = self.lab.segment.host("10.77.0.66/24")

    def serve(self, *flags: str, **sections: dict[str, object]) -> None:
        """Start the server; C{sections} are laid over what is usual."""
        configuration: dict[str, dict[str, object]] = {
            "bootpd": {"pool_start": "10.77.0.100", "pool_count": 100, "conflict_check": 0},
            "bootfile": {"default": "small"},
            "static_dhcp": {FIXED.hex("-"): FIXED_ADDRESS},
            "tftpd": {"root": self.root},
            "httpd": {"root": self.root, "check_ip": False},
        }
        for name, options in sections.items():
            configuration[name] = {**configuration.get(name, {}), **options}
        ports = [("udp", 67), ("udp", 69), *([("tcp", 80)] if "-H" in flags else [])]
        self.pybootd = Pybootd(self.lab.server, self.directory, configuration, *flags, ports=ports)

    def tearDown(self) -> None:
        """Whatever was done to it, it stops well, and said nothing that only its authors understand."""
        if hasattr(self, "pybootd"):
            self.assertEqual(self.pybootd.program.stop(), 0, self.pybootd.log[-3000:])
            self.assertNotIn("Traceback", self.pybootd.log)

    def ask(self, *datagrams: bytes, host: Namespace | None = None, seconds: float = 1.0) -> list[Packet]:
        """The answers to these datagrams."""
        words = [datagram.hex() for datagram in datagrams]
        done = (host or self.honest).run(
            *(sys.executable, "-m", "tests.e2e.support.asker", "eth0", str(seconds), "67", *words),
            directory=TOP,
            environment={"PYTHONPATH": str(TOP)},
        )
        return [decode(bytes.fromhex(line)) for line in done.stdout.split()]

    def say(self, kind: int, mac: bytes = STRANGER, *, wants: str = "", server: str = SERVER, **fields: Any) -> int:
        """One message of the attacker's, which should be met by silence: 0; else the type of what is answered."""
        return self._say(0.7, kind, mac, wants, server, **fields)

    def hear(self, kind: int, mac: bytes = STRANGER, *, wants: str = "", server: str = SERVER, **fields: Any) -> int:
        """The type of the answer to one message of the attacker's, which should get one."""
        return self._say(30, kind, mac, wants, server, **fields)

    def _say(self, seconds: float, kind: int, mac: bytes, wants: str, server: str, **fields: Any) -> int:
        options = {**BIOS, 54: pack("!I", number(server))} if server else dict(BIOS)
        if wants:
            options[50] = pack("!I", number(wants))
        sent = datagram(kind, options, mac=mac, flags=BROADCAST, **fields)
        answers = self.ask(sent, host=self.attacker, seconds=seconds)
        return answers[0].options[53][0] if answers else 0

    def boots(self, mac: bytes) -> int:
        """A machine gets its address, in time; the address."""
        offer = self.only(self.ask(datagram(DISCOVER, BIOS, mac=mac, flags=BROADCAST), seconds=SOON), OFFER)
        chosen = {**BIOS, 50: pack("!I", offer.yiaddr), 54: offer.options[54]}
        ack = self.only(self.ask(datagram(REQUEST, chosen, mac=mac, flags=BROADCAST), seconds=SOON), ACK)
        return ack.yiaddr

    def only(self, answers: list[Packet], kind: int) -> Packet:
        """The answer, which is the only one and of this type."""
        self.assertEqual([answer.options[53][0] for answer in answers], [kind], self.pybootd.log[-2000:])
        return answers[0]

    def fetches(self) -> None:
        """A whole file by TFTP, in time."""
        target = self.directory / "got"
        words = ("--option", "blksize 1428", "--get", "-r", "large", "-l", target, SERVER)
        done = self.honest.run("atftp", *words, check=False, timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(target.stat().st_size, LARGE)
        target.unlink()

    def attack(self, name: str, count: int, host: Namespace | None = None) -> Any:
        """Let an attacker's program do its worst; what it achieved."""
        done = (host or self.attacker).run(
            *(sys.executable, "-m", "tests.e2e.support.hostile", name, "eth0", str(count)),
            directory=TOP,
            environment={"PYTHONPATH": str(TOP)},
            timeout=90,
        )
        return json.loads(done.stdout)

    def hold(self, count: int, host: Namespace) -> Program:
        """Connections that an attacker holds."""
        program = host.start(
            *(sys.executable, "-m", "tests.e2e.support.hostile", "idle", "eth0", str(count)),
            directory=TOP,
            environment={"PYTHONPATH": str(TOP)},
        )
        program.expect("held")
        return program

    def told(self, text: str) -> None:
        """The log says so."""
        until(lambda: text in self.pybootd.log, 60, f"the log says: {text}")


class StarvationTests(HostileTestCase):
    """Machines that do not exist take every address."""

    def test_known_machines_boot(self) -> None:
        """Thousands of forged machines empty the pool; who has a lease or a fixed address boots as before."""
        self.serve()
        own = self.boots(KNOWN)
        taken = self.attack("starve", 3000)
        self.assertEqual(taken, 99)
        self.assertEqual(self.boots(KNOWN), own)
        self.assertEqual(self.boots(FIXED), number(FIXED_ADDRESS))
        self.assertEqual(self.say(DISCOVER, server=""), 0)
        self.told("the pool has no address left")
        self.fetches()

    def test_offers_only(self) -> None:
        """A flood of DISCOVERs that nobody follows up writes nothing down, and keeps no known machine out."""
        self.serve(bootpd={"pool_count": 20}, limits={"offers": 10})
        own = self.boots(KNOWN)
        self.attack("flood", 5000)
        self.assertEqual(self.boots(KNOWN), own)
        self.assertEqual(self.boots(FIXED), number(FIXED_ADDRESS))
        self.pybootd.restart()
        self.assertNotEqual(self.boots(STRANGER), own)


class SpoofingTests(HostileTestCase):
    """Messages in another's name."""

    def test_addresses_of_others(self) -> None:
        """No message of a stranger gets, frees or blocks an address that another machine has, and each is told."""
        self.serve()
        own = self.boots(KNOWN)
        text = "10.77.0.100"
        self.assertEqual(own, number(text))
        for wants in (text, FIXED_ADDRESS):
            self.assertEqual(self.hear(REQUEST, wants=wants), NAK, wants)
            self.told(f"{wants} belongs to another machine")
        self.assertEqual(self.hear(REQUEST, wants=text, server=""), NAK)
        self.assertEqual(self.say(DECLINE, wants=text), 0)
        self.told(f"declines {text}, which is not its own")
        self.assertEqual(self.say(RELEASE, ciaddr=text), 0)
        self.told(f"releases {text}, which is not its own")
        self.assertEqual(self.boots(KNOWN), own)

    def test_other_networks(self) -> None:
        """A relay that is not configured, and addresses of other networks, get silence or a NAK."""
        self.serve()
        self.assertEqual(self.say(DISCOVER, giaddr="10.99.0.1", server=""), 0)
        self.told("no [subnet] for the network of relay 10.99.0.1")
        self.assertEqual(self.hear(REQUEST, wants="192.0.2.7"), NAK)
        self.told("192.0.2.7 is not of this network")

    def test_other_servers(self) -> None:
        """What is meant for another server gets no answer, and frees the offer; a server's messages get none either."""
        self.serve()
        self.assertEqual(self.hear(DISCOVER, server=""), OFFER)
        self.assertEqual(self.say(REQUEST, wants="10.77.0.100", server="10.77.0.200"), 0)
        self.told("it chose another server, 10.77.0.200")
        self.assertEqual(self.say(DISCOVER, op=2, server=""), 0)
        for kind in (OFFER, ACK, NAK):
            self.assertEqual(self.say(kind, wants="10.77.0.100"), 0)
        self.assertEqual(self.boots(KNOWN), number("10.77.0.100"))

    def test_hardware(self) -> None:
        """No odd hardware type or length walks around an access list."""
        self.serve(bootpd={"access": "mac", "allow_simple_dhcp": True}, mac={"52-54-00/24": "no", "00/1": "yes"})
        self.assertEqual(self.hear(DISCOVER, b"\x00\x11\x22\x33\x44\x55", server=""), OFFER)
        for mac, htype in ((STRANGER, 1), (STRANGER + b"\0", 1), (STRANGER[:5], 1), (STRANGER, 6), (b"", 32)):
            self.assertEqual(self.say(DISCOVER, mac, htype=htype, server=""), 0, (mac, htype))


ACCESS = """
import asyncio, sys
HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: text/plain\\r\\n"
async def answer(reader, writer):
    try:
        await treat(reader, writer)
    except OSError:
        pass
    writer.close()
async def treat(reader, writer):
    kind = (await reader.readline()).decode().partition("mac=")[2][15:17]
    print("asked", kind, flush=True)
    match kind:
        case "00":  # grants
            writer.write(HEAD + b"Content-Length: 0\\r\\n\\r\\n")
        case "01":  # takes the question and says nothing
            await asyncio.sleep(60)
        case "02":  # drips
            for byte in (HEAD + b"Content-Length: 0\\r\\n\\r\\n"):
                writer.write(bytes((byte,)))
                await writer.drain()
                await asyncio.sleep(0.2)
        case "03":  # never ends
            writer.write(HEAD + b"\\r\\n")
            for _ in range(100_000):
                writer.write(b"client: node9\\n" * 5000)
                await writer.drain()
        case "04":
            writer.write(b"HTTP/1.1 302 Found\\r\\nLocation: /?mac=52-54-00-00-AC-00\\r\\n\\r\\n")
        case "05":
            writer.write(b"\\0\\xff" * 100)
        case "06":  # promises more than it sends
            writer.write(HEAD + b"Content-Length: 100\\r\\n\\r\\nclient: x")
        case "07":
            writer.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
        case "08":
            writer.write(HEAD + b"A: b\\r\\n" * 100_000 + b"\\r\\n")
            await writer.drain()
async def main():
    server = await asyncio.start_server(answer, "10.77.0.9", 8080)
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
"""A web server that treats each machine in another way, by the last byte of its hardware address."""


class AccessTests(HostileTestCase):
    """Whoever is asked who may boot is hostile, too, or broken."""

    def test_fails_closed(self) -> None:
        """However it answers, but for a plain 200, nobody is let in; and nobody else waits meanwhile."""
        self.serve(
            bootpd={"access": "http", "timeout": 1.5},
            http={"location": "http://10.77.0.9:8080", "pxe": "/boot"},
            **{f"host {FIXED.hex(':')}": {"allow": True}},
        )
        server = self.honest.start(sys.executable, "-c", ACCESS)
        server.expect("ready")
        good, *bad = [bytes((0x52, 0x54, 0, 0, 0xAC, kind)) for kind in range(9)]
        questions = [datagram(DISCOVER, BIOS, mac=mac, flags=BROADCAST) for mac in bad]
        self.ask(*questions, host=self.attacker, seconds=0.01)
        self.assertEqual(self.boots(FIXED), number(FIXED_ADDRESS))
        self.boots(good)
        for mac in bad:
            self.told(f"{mac.hex(':')} DISCOVER ignored: no verdict about it could be had")
        server.stop()
        self.ask(questions[0], seconds=0.5)
        self.told("refused")
        for mac in bad:
            self.assertNotIn(f"{mac.hex(':')} offered", self.pybootd.log)
        self.fetches()


class NoiseTests(HostileTestCase):
    """Datagrams that are none."""

    def test_noise(self) -> None:
        """Thousands of broken datagrams cost a few lines of the log, and nobody his boot."""
        self.serve()
        own = self.boots(KNOWN)
        sent = self.attack("noise", 3000)
        self.assertGreater(sent, 5000)
        self.assertEqual(self.boots(KNOWN), own)
        self.fetches()
        broken = [line for line in self.pybootd.log.splitlines() if "is no request" in line]
        self.assertTrue(1 <= len(broken) <= 20, len(broken))
        for line in self.pybootd.log.splitlines():
            self.assertTrue(line.isprintable(), ascii(line))


class AmplificationTests(HostileTestCase):
    """TFTP as a weapon against third parties."""

    def test_unanswered(self) -> None:
        """A request that is never answered gets its first packet, so often as configured, and nothing else."""
        self.serve("-t", tftpd={"retries": 2})
        for asked, sizes in self.attack("unanswered", 8):
            self.assertTrue(1 <= len(sizes) <= 3, (asked, sizes))
            self.assertEqual(len(set(sizes)), 1, "one and the same packet")
            self.assertLessEqual(sizes[0], 516)

    def serve(self, *flags: str, **sections: dict[str, object]) -> None:
        if "-t" not in flags:
            super().serve(*flags, **sections)
            return
        configuration = {"tftpd": {"root": self.root, **sections.pop("tftpd", {})}, **sections}
        self.pybootd = Pybootd(self.lab.server, self.directory, configuration, *flags, ports=[("udp", 69)])

    def test_one_client(self) -> None:
        """One client has its share of the transfers and no more; another one gets its file."""
        self.serve("-t", limits={"transfers_per_client": 10})
        self.assertEqual(self.attack("greedy", 30), 10)
        self.told("too many transfers")
        self.fetches()


class TogetherTests(HostileTestCase):
    """Everything at once."""

    def test_honest_clients_first(self) -> None:
        """With HTTP full of dripping connections and TFTP full of vanished clients, boots go on as ever."""
        self.serve("-H")
        own = self.boots(KNOWN)
        others = [self.lab.segment.host(f"10.77.0.{last}/24") for last in (67, 68, 69)]
        for host in others:
            self.hold(370, host)
        heard = self.attack("silent", 600)
        self.assertLess(heard, 600 * 3 * 520)
        self.attack("starve", 300)
        self.assertEqual(self.boots(KNOWN), own)
        self.fetches()
        words = ("curl", "-s", "-m", str(SOON), f"http://{SERVER}/small")
        self.assertEqual(self.honest.run(*words).stdout, "content")
