"""What differs between two configurations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from pybootd.config import Config, StatusConfig
from pybootd.config.changes import changes
from pybootd.config.reader import read

USUAL = """
[bootpd]
pool_start = 10.0.0.100
access = mac
[mac]
52-54-00-00-00-01 = enable
[bootfile]
default = pxelinux.0
[filters]
a* = b
c* = d
[tftpd]
root = /srv
"""

ROWS = (
    ("pool_start = 10.0.0.100", "pool_start = 10.0.0.50", "[bootpd] pool_start: 10.0.0.100 -> 10.0.0.50"),
    ("[mac]", "lease_time = 60\n[mac]", "[bootpd] lease_time: 86400 -> 60"),
    ("[mac]", "dns = 10.0.0.1; 10.0.0.2\n[mac]", "[bootpd] dns: (none) -> 10.0.0.1; 10.0.0.2"),
    ("[mac]", "notify = 10.0.0.9:1234\n[mac]", "[bootpd] notify: (none) -> 10.0.0.9:1234"),
    ("[mac]", "conflict_check = 0\n[mac]", "[bootpd] conflict_check: 0.5 -> 0"),
    ("00-01 = enable", "00-01 = no", "[mac] 52-54-00-00-00-01: yes -> no"),
    ("00-01 = enable", "00-01 = enable\n52-54-00/24 = no", "[mac] 52-54-00-00-00-00/24: (none) -> no"),
    ("pxelinux.0", "pxelinux.0\nx64-uefi = a.efi", "[bootfile] x64-uefi: (none) -> a.efi"),
    ("pxelinux.0", "pxelinux.0\nipxe = a.ipxe", "[bootfile] ipxe: (none) -> a.ipxe"),
    ("pxelinux.0", "lpxelinux.0", "[bootfile] default: pxelinux.0 -> lpxelinux.0"),
    ("a* = b", "a* = B", "[filters] a*: b -> B"),
    ("a* = b\nc* = d", "c* = d\na* = b", "[filters] order: a*; c* -> c*; a*"),
    ("root = /srv", "root = http://user:secret@h/boot", "[tftpd] root: /srv -> http://h/boot"),
    ("[tftpd]", "[static_dhcp]\n02:00:00:00:00:01 = 10.0.0.7\n[tftpd]",
     "[static_dhcp] 02-00-00-00-00-01: (none) -> 10.0.0.7"),
    ("[tftpd]", "[menu]\nA = a.0\n[tftpd]", "[menu] items: (none) -> A = a.0"),
)  # fmt: skip
"""What is replaced by what, and the one line that tells it; among others where a section is new."""


def config(text: str, **options: bool) -> Config:
    """A configuration of that text."""
    return read(text, directory=Path("/srv"), plugins=["lamp"], **options)


def told(before: str, after: str) -> Sequence[str]:
    """What changes between two texts, as lines."""
    return [str(change) for change in changes(config(before), config(after))]


class ChangesTests(SynchronousTestCase):
    """L{changes}."""

    def test_nothing(self) -> None:
        """Comments, blank lines and other spellings of the same value are no change."""
        self.assertEqual(told(USUAL, "# a comment\n\n" + USUAL.replace("enable", "yes")), [])

    def test_lines(self) -> None:
        """Each line that differs is told as it was and as it is; a secret is not."""
        for old, new, expected in ROWS:
            lines = told(USUAL, USUAL.replace(old, new, 1))
            self.assertIn(expected, lines, expected)
            self.assertEqual([line for line in lines if "section" not in line and "prompt" not in line
                              and "timeout" not in line], [expected], expected)  # fmt: skip

    def test_back(self) -> None:
        """What is taken away is told too: the default, or nothing, follows."""
        text = USUAL.replace("[mac]", "lease_time = 60\n[mac]")
        self.assertEqual(told(text, USUAL), ["[bootpd] lease_time: 60 -> 86400"])
        self.assertEqual(
            told(USUAL, USUAL.replace("default = pxelinux.0\n", "")), ["[bootfile] default: pxelinux.0 -> (none)"]
        )

    def test_machine(self) -> None:
        """A machine's section is told option by option, its variables too; one that is new or goes, as well."""
        host = "[host 02-00-00-00-00-01]\naddress = 10.0.0.7\nvar.role = web\n"
        name = "[host 02-00-00-00-00-01]"
        said = (("section", "yes"), ("address", "10.0.0.7"), ("var.role", "web"))
        self.assertEqual(told(USUAL, USUAL + host), [f"{name} {what}: (none) -> {text}" for what, text in said])
        self.assertEqual(told(USUAL + host, USUAL + host.replace("web", "db")), [f"{name} var.role: web -> db"])
        self.assertEqual(len(told(USUAL + host, USUAL)), 3)

    def test_subnet(self) -> None:
        """So is a subnet's."""
        subnet = "[subnet 10.1.0.0/24]\npool_start = 10.1.0.10\n"
        self.assertEqual(
            told(USUAL + subnet, USUAL + subnet.replace(".10\n", ".20\n")),
            ["[subnet 10.1.0.0/24] pool_start: 10.1.0.10 -> 10.1.0.20"],
        )

    def test_plugin(self) -> None:
        """A plugin's options are told by name: whether they are secrets only the plugin knows."""
        (line,) = told(USUAL + "[lamp]\ncode = 1234\n", USUAL + "[lamp]\ncode = 5678\n")
        self.assertEqual(line, "[lamp] code: ... -> ...")

    def test_restart(self) -> None:
        """Ports, addresses, stores and the way to work cannot change while the server runs; other things can."""
        rows = {
            ("[mac]", "port = 1067\n[mac]"): ("bootpd", "port"),
            ("[mac]", "address = 10.0.0.1\n[mac]"): ("bootpd", "address"),
            ("[mac]", "mode = proxy\n[mac]"): ("bootpd", "mode"),
            ("root = /srv", "root = /srv\nport = 1069"): ("tftpd", "port"),
            ("[tftpd]", "[leases]\nstore = memory\n[tftpd]"): ("leases", "store"),
            ("[tftpd]", "[httpd]\nenable = yes\n[tftpd]"): ("httpd", "enable"),
            ("[tftpd]", "[cache]\ndirectory = /c\n[tftpd]"): ("cache", "directory"),
        }
        for replaced, where in rows.items():
            found = changes(config(USUAL), config(USUAL.replace(*replaced, 1)))
            self.assertIn(where, [(one.section, one.option) for one in found if one.restart], where)
        for replaced in ROWS:
            found = changes(config(USUAL), config(USUAL.replace(*replaced[:2], 1)))
            self.assertFalse(any(one.restart for one in found), replaced)

    def test_tls(self) -> None:
        """HTTP does not become HTTPS while it runs; another certificate is possible."""
        tls = "[httpd]\ntls_certificate = /a.pem\ntls_key = /k.pem\n"

        def restart(before: str, after: str) -> bool:
            return any(change.restart for change in changes(config(before), config(after)))

        self.assertTrue(restart(USUAL, USUAL + tls))
        self.assertTrue(restart(USUAL + tls, USUAL))
        self.assertFalse(restart(USUAL + tls, USUAL + tls.replace("/a", "/b")))

    def test_command_line(self) -> None:
        """What C{-H} asks for needs no line, and a line that says the same is no change."""
        text = USUAL + "[httpd]\nenable = yes\n"
        self.assertEqual(changes(config(USUAL, http=True), config(text, http=True)), [])

    def test_token(self) -> None:
        """The status site's token is never shown."""
        one, two = (attrs.evolve(config(USUAL), status=StatusConfig(token=token)) for token in ("one", "two"))
        self.assertEqual([str(change) for change in changes(one, two)], ["[status] token: ... -> ..."])
