"""C{forward.sh}: machines of an inner network reach an outer one, and afterwards everything is as it was."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.lab import Namespace, Segment, until

SCRIPT = Path(__file__).parents[2] / "forward.sh"
OUTSIDE, INSIDE = "10.77.0.9", "10.79.0.9"

LISTENER = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("0.0.0.0", 7777))
print("ready", flush=True)
while True:
    data, source = sock.recvfrom(100)
    print(data.decode(), source[0], flush=True)
    sock.sendto(data, source)
"""

ASK = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(1)
try:
    sock.sendto(sys.argv[2].encode(), (sys.argv[1], 7777))
    print(sock.recv(100).decode())
except OSError:
    print("nothing")
"""


class ForwardTestCase(EndToEndTestCase):
    """A router (the server's host) between an inner host and an outer one, which knows nothing of the inner network."""

    needs = ("nft", "iptables", "sysctl")

    def setUp(self) -> None:
        super().setUp()
        self.router: Namespace = self.lab.server
        inner = Segment(self.lab, self.router, "br1", "10.79.0.1/24")
        self.outside = self.lab.segment.host(f"{OUTSIDE}/24")
        self.inside = inner.host(f"{INSIDE}/24")
        self.inside.ip("route", "add", "default", "via", "10.79.0.1")
        self.state = self.lab.scratch / "state"
        self.listener = self.outside.start("python3", "-c", LISTENER)
        until(lambda: "ready" in self.listener.output, 60, "the outer host listens")

    def forward(self, *words: str, firewall: str = "nft") -> subprocess.CompletedProcess[str]:
        """Run the script on the router."""
        environment = {"STATE": str(self.state), "FIREWALL": firewall}
        return self.router.run(SCRIPT, *words, check=False, environment=environment)

    def reaches(self, word: str) -> bool:
        """Whether the inner host is answered by the outer one."""
        return self.inside.run("python3", "-c", ASK, OUTSIDE, word).stdout.strip() == word

    def settings(self) -> str:
        """Everything that the script may have touched."""
        switches = self.router.run("sysctl", "-a", "-r", r"\.(ip_)?forwarding?$").stdout
        rules = self.router.run("nft", "list", "ruleset").stdout
        # iptables leaves empty chains behind that it made when it was first asked
        made = [line for line in rules.splitlines() if "masquerade" in line or line.endswith(" accept")]
        return "\n".join([switches, *made])


class ForwardTests(ForwardTestCase):
    """On Linux."""

    def there_and_back(self, firewall: str) -> None:
        before = self.settings()
        self.assertFalse(self.reaches("before"))
        done = self.forward("on", "br0", "br1", firewall=firewall)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.reaches("while"))
        self.assertIn("while 10.77.0.1", self.listener.output)
        done = self.forward("off", firewall=firewall)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(self.reaches("after"))
        self.assertEqual(self.settings(), before)
        self.assertFalse(self.state.exists())

    def test_nftables(self) -> None:
        """With nftables."""
        self.there_and_back("nft")

    def test_iptables(self) -> None:
        """With iptables, where the policy is to forward nothing, as beside Docker."""
        self.router.run("iptables", "-P", "FORWARD", "DROP")
        self.there_and_back("iptables")

    def test_was_on_before(self) -> None:
        """What was on before stays on."""
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        before = self.settings()
        self.forward("on", "br0", "br1")
        self.assertTrue(self.reaches("while"))
        self.forward("off")
        self.assertEqual(self.settings(), before)

    def test_defaults(self) -> None:
        """Without names the outer interface is that of the default route, the inner ones are all others."""
        self.router.ip("route", "add", "default", "via", OUTSIDE)
        done = self.forward("on")
        self.assertIn("br1 may reach the world through br0", done.stdout)
        self.assertTrue(self.reaches("while"))

    def test_no_other_network(self) -> None:
        """A network that is not named is not opened."""
        third = Segment(self.lab, self.router, "br2", "10.80.0.1/24").host("10.80.0.9/24")
        third.ip("route", "add", "default", "via", "10.80.0.1")
        self.forward("on", "br0", "br1")
        self.assertEqual(third.run("python3", "-c", ASK, OUTSIDE, "third").stdout.strip(), "nothing")

    def test_twice(self) -> None:
        """A second "on" is refused, a second "off" has nothing to do."""
        self.forward("on", "br0", "br1")
        again = self.forward("on", "br0", "br1")
        self.assertEqual((again.returncode, "already" in again.stderr), (1, True))
        self.assertTrue(self.reaches("still"))
        self.assertEqual([self.forward("off").returncode for _ in range(2)], [0, 0])

    def test_mistakes(self) -> None:
        """Wrong words and unknown interfaces change nothing; the message says what is wrong."""
        before = self.settings()
        for words, status, text in (
            ((), 2, "Usage"),
            (("maybe",), 2, "Usage"),
            (("off", "br0"), 2, "Usage"),
            (("on", "br9"), 1, "br9"),
            (("on", "br0", "br9"), 1, "br9"),
            (("on",), 1, "default route"),
        ):
            done = self.forward(*words)
            self.assertEqual((done.returncode, text in done.stderr), (status, True), (words, done.stderr))
        self.assertEqual((self.settings(), self.state.exists()), (before, False))

    def test_failure(self) -> None:
        """What fails half-way is undone."""
        before = self.settings()
        self.router.run("nft", "add", "table", "ip", "pybootd")
        self.router.run("nft", "add", "chain", "ip", "pybootd", "postrouting", "{ type filter hook input priority 0; }")
        done = self.forward("on", "br0", "br1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("as it was", done.stderr)
        self.assertEqual((self.settings(), self.state.exists()), (before, False))


FAKE = """#!/bin/sh
name=$(basename "$0")
echo "$name $*" >>"$CALLS"
case "$name $*" in
    "uname -s") echo Darwin;;
    "sysctl -n net.inet.ip.forwarding") echo 0;;
    "ifconfig -l") echo lo0 en0 en1 en2;;
    "ifconfig en2") echo "status: inactive";;
    ifconfig*) echo "inet 10.0.0.1 netmask 0xffffff00";;
    "route -n get default") echo "  interface: en0";;
    "pfctl -E") echo "Token : 4711" >&2;;
    "pfctl -q -a com.apple/pybootd -f -") cat >>"$CALLS";;
esac
"""


class MacTests(EndToEndTestCase):
    """On macOS, as far as that can be seen without one: which commands it gives."""

    def test_there_and_back(self) -> None:
        """Rules in an anchor of their own, forwarding on; then both away, and pf as it was."""
        place = self.lab.directory("bin")
        for name in ("uname", "sysctl", "ifconfig", "route", "pfctl"):
            (place / name).write_text(FAKE)
            (place / name).chmod(0o755)
        calls = self.lab.scratch / "calls"
        environment = {
            "PATH": f"{place}:/usr/sbin:/usr/bin:/sbin:/bin",
            "CALLS": str(calls),
            "STATE": str(self.lab.scratch / "state"),
        }
        done = self.lab.server.run(SCRIPT, "on", environment=environment)
        self.assertIn("en1 may reach the world through en0", done.stdout)
        told = calls.read_text()
        self.assertIn("nat on en0 inet from ! (en0) to any -> (en0)\n", told)
        self.assertIn("sysctl -w net.inet.ip.forwarding=1\n", told)
        calls.unlink()
        self.lab.server.run(SCRIPT, "off", environment=environment)
        told = calls.read_text()
        for call in (
            "pfctl -q -a com.apple/pybootd -F all",
            "pfctl -q -X 4711",
            "sysctl -w net.inet.ip.forwarding=0",
        ):
            self.assertIn(f"{call}\n", told)
