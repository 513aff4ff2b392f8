"""What must fit together in a configuration whose lines are each right by themselves."""

# ruff: noqa: E501 - messages stand on one line, as people see them

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pybootd.config import Config, reader
from pybootd.errors import ConfigError

BASE = "[bootpd]\npool_start = 192.168.1.100\n"
BOOT = "[bootfile]\ndefault = pxelinux.0\n[tftpd]\nroot = /srv/boot\n"
A, B = "AA-BB-CC-DD-EE-01", "AA-BB-CC-DD-EE-02"

Rows = Sequence[tuple[str, str]]


def config(text: str, **arguments: Any) -> Config:
    """A configuration, as it is read."""
    return reader.read(text, "x.ini", directory=Path("/srv"), **arguments)


# fmt: off
PROBLEMS: Rows = (
    # who may boot
    ("access = mac",                  "3: [bootpd] access = mac: there is no section [mac]; add it, or remove the word"),
    ("access = mca\n[mac]",           "3: [bootpd] access = mca: no such access backend; did you mean mac?"),
    ("access = mac; mac\n[mac]",      "3: [bootpd] access = mac: named twice; remove one"),
    ("access = http\n[http]\npxe = a",
     "4: [http]: location is missing; write e.g. location = http://boot.example.org"),
    ("[webhook]\nevents = all",        "3: [webhook]: url is missing; write e.g. url = http://boot.example.org/hook"),
    (f"[mac]\n{A} = yes\n[host {A}]\nallow = no",
     f"6: [host {A}] allow: [mac] says otherwise at line 4; remove one"),
    ("[uuid]\n77aabbcc-1122-3344-5566-778899aabbcc = yes\nccbbaa77-2211-4433-5566-778899aabbcc = no",
     "5: [uuid] ccbbaa77-2211-4433-5566-778899aabbcc: line 4 says otherwise of this UUID in its other byte order; remove one"),
    # menus
    ("[menu]\nDisk = local",          "3: [menu]: has no line with a file; write e.g. Install Debian = debian/pxelinux.0"),
    ("[menu]\nA = http://a/b",        "4: [menu] A = http://a/b: PXE firmware loads files by TFTP and cannot use a URL"),
    ("[menu]\n" + "".join(f"{letter * 40} = f\n" for letter in "ABCDE"),
     "3: [menu]: 34 letters too long: firmware has room for 253; shorten its texts"),
    # who fetches
    ("[httpd]\nroot = ftp://a/b",     "4: [httpd] root = ftp://a/b: nobody here fetches ftp URLs; there is http, https"),
    ("[filters]\nx = gone://a/{filename}",
     "4: [filters] x = gone://a/{filename}: nobody here fetches gone URLs; there is http, https"),
    # pools and networks
    ("pool_end = 192.168.1.99",       "3: [bootpd] pool_end = 192.168.1.99: lies before pool_start"),
    ("pool_end = 192.168.1.110\npool_count = 3",
     "3: [bootpd] pool_end = 192.168.1.110: pool_count says otherwise at line 4; remove one"),
    ("netmask = 24\npool_count = 200",
     "2: [bootpd] pool_start = 192.168.1.100: the pool of 200 does not fit into 192.168.1.0/24, which has 192.168.1.1 to "
     "192.168.1.254"),
    ("[subnet 10.0.0.0/29]\npool_start = 10.0.0.1",
     "4: [subnet 10.0.0.0/29] pool_start = 10.0.0.1: the pool of 10 does not fit into 10.0.0.0/29, which has 10.0.0.1 to "
     "10.0.0.6"),
    ("[subnet 10.0.0.0/24]\n[subnet 10.0.0.0/16]",
     "4: [subnet 10.0.0.0/16]: overlaps [subnet 10.0.0.0/24] of line 3"),
    ("[subnet 10.0.0.0/24]\ngateway = 10.0.1.1",
     "4: [subnet 10.0.0.0/24] gateway = 10.0.1.1: is outside 10.0.0.0/24, where its machines cannot reach it"),
    ("[subnet 192.168.1.0/24]\npool_start = 192.168.1.105",
     "4: [subnet 192.168.1.0/24] pool_start: the pool overlaps that of line 2"),
    # addresses
    (f"[static_dhcp]\n{A} = 10.0.0.1\n{B} = 10.0.0.1",
     f"5: [static_dhcp] {B} = 10.0.0.1: another machine has this address at line 4"),
    (f"[static_dhcp]\n{A} = 10.0.0.1\n[host {B}]\naddress = 10.0.0.1",
     f"6: [host {B}] address = 10.0.0.1: another machine has this address at line 4"),
    (f"[static_dhcp]\n{A} = 10.0.0.1\n[host {A}]\naddress = 10.0.0.1",
     f"6: [host {A}] address = 10.0.0.1: the machine has an address at line 4 already; remove one"),
    (f"[subnet 10.0.0.0/24]\n[static_dhcp]\n{A} = 10.0.0.255",
     f"5: [static_dhcp] {A} = 10.0.0.255: is no host's address in [subnet 10.0.0.0/24]"),
    # names, files, ports
    (f"servername = {'a' * 40}\ndomain = {'b' * 30}",
     f"3: [bootpd] servername = {'a' * 40}: longer than 63 letters together with the domain, which no answer can hold"),
    ("[leases]\nstore = sqllite:x",   "4: [leases] store = sqllite: no such lease store; did you mean sqlite?"),
    ("[httpd]\ntls_key = ./k",        "4: [httpd] tls_key: needs tls_certificate beside it"),
    ("[httpd]\ntls_certificate = ./c", "4: [httpd] tls_certificate: needs tls_key beside it"),
    ("[logger]\ntype = file",         "4: [logger] type = file: needs file = PATH beside it"),
    ("[status]\nenable = yes\naddress = 0.0.0.0",
     "5: [status] address = 0.0.0.0: others can reach it: write a token beside it"),
    ("[tftpd]\nport = 67",            "4: [tftpd] port = 67: is the port of [bootpd] too"),
    ("[httpd]\nenable = yes\n[status]\nenable = yes\nport = 80", "7: [status] port = 80: is the port of [httpd] too"),
    ("[filters]\na = {filname}",
     "4: [filters] a = {filname}: {filname} is no variable, and no [host] section has var.filname; did you mean filename?"),
    (f"[host {A}]\nvar.role = x\n[filters]\na = {{Role}}",
     "6: [filters] a = {Role}: {Role} is no variable, and no [host] section has var.Role; did you mean role?"),
)

FITTING = (
    "access = none",
    f"access = mac, uuid\n[mac]\n[uuid]\n[static_dhcp]\n{A} = 10.0.0.1",
    "access = http\n[http]\nlocation = a",
    f"access = uuid\n[mac]\n{A} = no\n[uuid]\n[static_dhcp]\n{A} = 10.0.0.1",
    f"[mac]\n{A} = yes\n[host {A}]\nallow = yes",
    "pool_end = 192.168.1.109\npool_count = 10",
    "pool_count = 0\n[subnet 192.168.1.0/24]\npool_start = 192.168.1.100",
    "netmask = 24\npool_count = 155",
    "[subnet 10.0.0.0/24]\npool_start = 10.0.0.5\n[subnet 10.0.1.0/24]\ngateway = none\n[subnet 10.0.2.0/31]",
    f"[static_dhcp]\n{A} = 192.168.1.105\n[host {B}]\naddress = 192.168.1.106",
    "[status]\nenable = yes\naddress = 0.0.0.0\ntoken = x",
    "[tftpd]\naddress = 10.0.0.1\nport = 4011\n[httpd]\naddress = 10.0.0.1\nport = 67\nenable = yes",
    f"[host {A}]\nvar.role = x\n[filters]\na = {{role}}/{{filename}}/{{mac}}",
)

WARNINGS: Rows = (
    ("[mac]\n",                        "3: [mac]: decides nothing, for [bootpd] access does not name mac"),
    ("[uuid]\n",                       "3: [uuid]: decides nothing, for [bootpd] access does not name uuid"),
    ("[http]\nlocation = a\n",         "3: [http]: decides nothing, for [bootpd] access does not name http"),
    ("set_gateway = no\ngateway = 192.168.1.1\n",
     "4: [bootpd] gateway = 192.168.1.1: is not sent, for set_gateway = no"),
    ("[logger]\nfile = ./x\n",         "4: [logger] file: is not used, for type = stderr"),
    ("[cache]\nsize = 1G\n",           "4: [cache] size: is not used, for there is no directory"),
    ("mode = proxy\nlease_time = 60\n",
     "4: [bootpd] lease_time: is not used in proxy mode, which gives no addresses"),
    (f"mode = proxy\n[static_dhcp]\n{A} = 10.0.0.1\n",
     "4: [static_dhcp]: is not used in proxy mode, which gives no addresses"),
)

BOOT_FILE_WARNINGS: Rows = (
    ("[bootfile]\nbios = http://a/b\n",
     "6: [bootfile] bios = http://a/b: bios firmware loads files by TFTP and cannot use a URL; only iPXE and ...-http can"),
    ("[bootfile]\ndefault = http://a/b\n",
     "6: [bootfile] default = http://a/b: bios firmware loads files by TFTP and cannot use a URL; only iPXE and ...-http can"),
    ("[bootfile]\nx64-uefi-http = a\n",
     "6: [bootfile] x64-uefi-http = a: x64-uefi-http firmware needs HTTP: switch it on with [httpd] enable = yes, or write "
     "a URL"),
    ("[bootfile]\n", "5: [bootfile]: names no boot file: no machine could boot; write e.g. default = pxelinux.0"),
    ("", "1: [bootfile]: names no boot file: no machine could boot; write e.g. default = pxelinux.0"),
)
# fmt: on


class ProblemTests(SynchronousTestCase):
    """Contradictions keep the daemon from starting."""

    def mistakes(self, text: str, **arguments: Any) -> Sequence[str]:
        """What is said of a configuration that is wrong."""
        return self.assertRaises(ConfigError, config, text, **arguments).problems

    def test_rows(self) -> None:
        """Each contradiction, after a good beginning of two lines."""
        for text, message in PROBLEMS:
            self.assertEqual(self.mistakes(BASE + text), (f"x.ini:{message}",), text)

    def test_fitting(self) -> None:
        """What looks alike but fits."""
        for text in FITTING:
            config(BASE + text)

    def test_no_pool(self) -> None:
        """A DHCP server needs C{pool_start}; a proxy does not, nor does TFTP alone."""
        missing = (
            "[bootpd]: pool_start is missing, the first address to give away; write e.g. pool_start = 192.168.1.100"
        )
        self.assertEqual(self.mistakes("\n[bootpd]\nport = 67"), (f"x.ini:2: {missing}",))
        self.assertEqual(self.mistakes(""), (f"x.ini:1: {missing}",))
        self.assertEqual(len(self.mistakes("[bootpd]\npool_start = x")), 1)
        config("[bootpd]\nmode = proxy")
        config("", dhcp=False)

    def test_end_without_start(self) -> None:
        """C{pool_end} alone says nothing."""
        (message,) = self.mistakes("[bootpd]\nmode = proxy\npool_end = 10.0.0.1")
        self.assertEqual(message, "x.ini:3: [bootpd] pool_end = 10.0.0.1: needs pool_start beside it")

    def test_ports_apart(self) -> None:
        """One port for two services is fine where only one of them runs."""
        config(BASE + "[tftpd]\nport = 67", tftp=False)

    def test_plugins(self) -> None:
        """An installed plugin's word is known, for access and for leases."""
        config(BASE + "access = ldap\n[ldap]\n[leases]\nstore = redis:x", plugins=["ldap", "redis"])

    def test_plugin_source(self) -> None:
        """An installed plugin's scheme is known for roots, once its section is there."""
        text = BASE + "[tftpd]\nroot = zip:///a.zip\n"
        config(f"{text}[zip]\n", plugins=["zip"])
        error = self.assertRaises(ConfigError, config, text, plugins=["zip"])
        self.assertIn("there is no section [zip]", str(error))


class WarningTests(SynchronousTestCase):
    """What may be meant so is only said."""

    def test_rows(self) -> None:
        """Each warning."""
        for text, message in WARNINGS:
            self.assertEqual(config(BASE + text + BOOT).warnings, (f"x.ini:{message}",), text)

    def test_boot_files(self) -> None:
        """Boot files that a client could not load."""
        for text, message in BOOT_FILE_WARNINGS:
            self.assertEqual(config(BASE + "[tftpd]\nroot = /b\n" + text).warnings, (f"x.ini:{message}",), text)

    def test_roots(self) -> None:
        """A server of files without a root."""
        missing = "root is missing: nothing is served but what [filters] name; write e.g. root = ./boot"
        self.assertEqual(
            config(BASE + "[bootfile]\ndefault = a\n[tftpd]\n", http=True).warnings,
            (f"x.ini:5: [tftpd]: {missing}", f"x.ini:1: [httpd]: {missing}"),
        )

    def test_exposed(self) -> None:
        """A lease file among the files that are served, by TFTP or by HTTP, is said once."""
        what = "lies below the root /srv{}, where every machine can read it; write another path"
        rest = "[leases]\nstore = sqlite:./a/../pybootd.leases\n[bootfile]\ndefault = a\n"
        said = config(BASE + rest + "[tftpd]\nroot = .\n", http=True).warnings
        self.assertEqual(said, (f"x.ini:4: [leases] store: {what.format('')}",))
        said = config(BASE + rest + "[tftpd]\nroot = http://a/b\n[httpd]\nroot = /srv/\n", http=True).warnings
        self.assertEqual(said, (f"x.ini:4: [leases] store: {what.format('')}",))
        self.assertEqual(config(BASE + rest + "[tftpd]\nroot = ./pybootd\n").warnings, ())
        self.assertEqual(config(BASE + rest.replace("sqlite:./a", "memory:") + "[tftpd]\nroot = .\n").warnings, ())

    def test_short_token(self) -> None:
        """A token that is soon guessed is warned of, and not shown; without the status site it does not matter."""
        rest = BASE + BOOT + "[status]\nenable = yes\n"
        (said,) = config(rest + "token = sesame7\n").warnings
        self.assertIn("[status] token: has less than 8 characters and could be guessed; write what openssl", said)
        self.assertNotIn("sesame7", said)
        for calm in (rest + "token = sesame-8\n", rest, rest.replace("yes", "no") + "token = x\n"):
            self.assertEqual(config(calm).warnings, ())

    def test_calm(self) -> None:
        """A good configuration is passed without a word, URLs for iPXE and UEFI HTTP boot included."""
        text = "ipxe = http://a/b\nx64-uefi-http = https://a/b\n00099 = http://a/b\narm64-uefi-http = c\nx64-uefi = d\n"
        self.assertEqual(config(BASE + BOOT.replace("[tftpd]", text + "[tftpd]"), http=True).warnings, ())
