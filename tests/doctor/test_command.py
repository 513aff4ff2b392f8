"""C{pybootd doctor} as a whole."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO
from ipaddress import IPv4Interface
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.cli import main
from pybootd.config.reader import read
from pybootd.doctor import command
from pybootd.doctor.finding import Finding, fine, hint, unknown, wrong
from pybootd.net.interfaces import Interface
from tests.support.dhcp import number, settings

BASE = "[bootpd]\npool_start = 10.0.0.100\n[tftpd]\nroot = /srv\n"
ETH0 = Interface("eth0", 2, b"\x52\x54\0\0\0\1", (IPv4Interface("10.0.0.1/24"),))
INPUT = "rule 4 of nft chain inet filter input"


class CommandTests(SynchronousTestCase):
    """What is printed, and the exit status."""

    def said(self, *findings: Finding) -> tuple[int, list[str]]:
        """Exit status and lines where this is what is found."""
        file = Path(self.mktemp())
        file.write_text(BASE)
        out = StringIO()
        self.patch(sys, "stdout", out)
        self.patch(command, "interfaces", lambda: ())
        self.patch(command, "examined", lambda config, host: list(findings))
        status = self.assertRaises(SystemExit, main, ["doctor", "-c", str(file)]).code
        return int(status or 0), out.getvalue().splitlines()

    def test_order(self) -> None:
        """What is wrong comes last, for there a person looks; each has its remedy below it."""
        status, lines = self.said(wrong("a", "mend a"), fine("b"), hint("c"), unknown("d"), wrong("e", "mend e"))
        self.assertEqual(status, 1)
        self.assertEqual(
            lines,
            [
                "fine:    b", "unknown: d", "hint:    c", "wrong:   a", "         -> mend a", "wrong:   e",
                "         -> mend e", "2 things are wrong",
            ],
        )  # fmt: skip

    def test_healthy(self) -> None:
        """Hints and what cannot be looked at are not wrong."""
        self.assertEqual(self.said(fine("b"), hint("c"), unknown("d"))[0], 0)
        self.assertEqual(self.said()[1], ["nothing is wrong"])
        self.assertEqual(self.said(wrong("a", "b"))[1][-1], "1 thing is wrong")


class FirewallTests(SynchronousTestCase):
    """What machines send, and how it is let in."""

    def packets(self, text: str) -> dict[str, dict[str, str]]:
        """By name."""
        network = settings(BASE).networks[0]
        self.assertEqual(network.server, number("10.0.0.1"))
        return {what: dict(packet) for what, packet in command._packets(read(text), ETH0, network)}

    def test_packets(self) -> None:
        """Each step of a boot, by the ports of the configuration."""
        packets = self.packets(BASE + "port = 1069\n[httpd]\nenable = yes\n")
        ports = {what: (packet["protocol"], packet["dport"]) for what, packet in packets.items()}
        self.assertEqual(
            ports,
            {
                "DHCP requests": ("udp", "67"),
                "PXE's requests to port 4011": ("udp", "4011"),
                "TFTP requests": ("udp", "1069"),
                "TFTP's acknowledgements": ("udp", "50000"),
                "HTTP requests": ("tcp", "80"),
            },
        )
        self.assertEqual(packets["DHCP requests"]["saddr"], "0.0.0.0")
        self.assertEqual(packets["TFTP requests"]["saddr"], "10.0.0.100")
        self.assertNotIn("TFTP's acknowledgements", self.packets(BASE + "single_port = yes\n"))

    def test_remedies(self) -> None:
        """In the words of the firewall that drops it."""
        dhcp = {"iif": "eth0", "protocol": "udp", "dport": "67", "state": "new"}
        answers = {**dhcp, "dport": "50000", "state": "established"}
        for packet, where, expected in (
            (dhcp, INPUT, 'nft insert rule inet filter input iifname "eth0" udp dport 67 accept'),
            (answers, INPUT, 'nft insert rule inet filter input iifname "eth0" ct state established,related accept'),
            (dhcp, "the policy of iptables chain INPUT", "iptables -I INPUT -i eth0 -p udp --dport 67 -j ACCEPT"),
            (
                answers,
                "the policy of iptables chain INPUT",
                "iptables -I INPUT -i eth0 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
            ),
            (dhcp, "rule 9 of nft chain ip filter ufw-user-input", "ufw allow in on eth0 to any port 67 proto udp"),
            (
                dhcp,
                "rule 9 of nft chain inet firewalld filter_INPUT",
                "firewall-cmd --permanent --add-port=67/udp; firewall-cmd --reload",
            ),
        ):
            self.assertEqual(command._opened(packet, where), expected)

    def rules(self, outputs: dict[str, str], installed: Sequence[str]) -> tuple[object, str]:
        """What is read where these programs are there and say this."""
        place = Path(self.mktemp())
        place.mkdir()
        for name in installed:
            script = place / name
            script.write_text(f"#!/bin/sh\n{outputs[name]}\n")
            script.chmod(0o755)
        self.patch(command, "PROGRAMS", str(place.absolute()))
        return command._rules()

    def test_programs(self) -> None:
        """nft is asked, else iptables; what cannot be read is said."""
        works = "echo '{\"nftables\": []}'"
        self.assertEqual(self.rules({"nft": works}, ["nft"]), ({}, ""))
        chains, _ = self.rules({"iptables-save": "printf '*filter\\n:INPUT DROP [0:0]\\n'"}, ["iptables-save"])
        self.assertEqual(list(chains), [("iptables filter", "INPUT")])  # type: ignore[call-overload]
        rule = '{"family": "ip", "table": "filter", "chain": "INPUT", "expr": [{"xt": {}}]}'
        wrote = f'echo \'{{"nftables": [{{"rule": {rule}}}]}}\''
        both = {"nft": wrote, "iptables-save": "printf '*filter\\n:INPUT DROP [0:0]\\n'"}
        chains, _ = self.rules(both, ["nft", "iptables-save"])
        self.assertEqual(list(chains), [("iptables filter", "INPUT")])  # type: ignore[call-overload]
        refused = "echo 'Operation not permitted (you must be root)' >&2; exit 1"
        self.assertEqual(
            self.rules({"nft": refused}, ["nft"]),
            (None, "nft cannot read its rules: Operation not permitted (you must be root)"),
        )
        for said in ("nonsense", "[]", '{"nftables": [1]}', '{"nftables": [{"rule": {"family": "ip", "expr": [7]}}]}'):
            self.assertIn("cannot be read", self.rules({"nft": f"echo '{said}'"}, ["nft"])[1], said)
        self.assertIn("neither", self.rules({}, [])[1])
