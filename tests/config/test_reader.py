"""From the text of a configuration to its values, or to every mistake at once."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.config import LISTS, SECTIONS, Config, options, reader
from pybootd.config.origin import Origin
from pybootd.config.words import masked_mac, masked_uuid
from pybootd.errors import ConfigError

BASE = "[bootpd]\npool_start = 192.168.1.100\n"
BOOT = "[bootfile]\ndefault = pxelinux.0\n[tftpd]\nroot = /srv/boot\n"
DIRECTORY = Path("/var/lib/pybootd")


def read(text: str, **arguments: Any) -> Config:
    """The configuration, in the daemon's directory."""
    return reader.read(text, "x.ini", directory=DIRECTORY, **arguments)


class ReadTestCase(SynchronousTestCase):
    """What reading tests have in common."""

    def mistakes(self, text: str, **arguments: Any) -> Sequence[str]:
        """What is said of a configuration that is wrong."""
        return self.assertRaises(ConfigError, read, text, **arguments).problems


class OptionTests(ReadTestCase):
    """Sections whose options have names of their own."""

    def test_smallest(self) -> None:
        """C{pool_start} is enough; everything else has its default."""
        config = read(BASE)
        self.assertEqual(config.bootpd.pool_start, IPv4Address("192.168.1.100"))
        self.assertEqual(config.bootpd.pool_count, 10)
        self.assertEqual((config.dhcp, config.tftp, config.http_server, config.debug), (True, True, False, False))

    def test_flags(self) -> None:
        """The command line's flags are kept."""
        config = read("", dhcp=False, http=True, debug=True)
        self.assertEqual((config.dhcp, config.tftp, config.http_server, config.debug), (False, True, True, True))

    def test_enable_http(self) -> None:
        """C{[httpd] enable} does what C{-H} does."""
        self.assertTrue(read(BASE + "[httpd]\nenable = yes").http_server)

    def test_case(self) -> None:
        """Sections and options may be in upper case."""
        self.assertEqual(read("[BootPD]\nPool_Start = 10.0.0.5").bootpd.pool_start, IPv4Address("10.0.0.5"))

    def test_aliases(self) -> None:
        """The original's other spelling."""
        self.assertEqual(read(BASE + "server_name = a").bootpd.servername, "a")
        self.assertEqual(
            self.mistakes(BASE + "server_name = a\nservername = b"),
            ("x.ini:4: [bootpd] servername = b: stands at line 3 already; remove one",),
        )

    def test_auto(self) -> None:
        """C{dns = auto} is a value, not a missing one."""
        self.assertIsNone(read(BASE + "dns = auto").bootpd.dns)

    def test_pool_end(self) -> None:
        """C{pool_end} counts the addresses."""
        self.assertEqual(read(BASE + "pool_end = 192.168.1.120").bootpd.pool_count, 21)

    def test_paths(self) -> None:
        """Relative paths begin at the daemon's directory, absolute ones and URLs stay."""
        config = read(
            BASE + "[tftpd]\nroot = ./boot\n[httpd]\nroot = http://a/b\n[logger]\ntype = file\nfile = ./log\n"
            "[cache]\ndirectory = /cache"
        )
        self.assertEqual(config.tftpd.root, "/var/lib/pybootd/boot")
        self.assertEqual(config.httpd.root, "http://a/b")
        self.assertEqual(config.logger.file, DIRECTORY / "log")
        self.assertEqual(config.cache.directory, Path("/cache"))
        self.assertEqual(config.leases.store, "sqlite:/var/lib/pybootd/pybootd.leases")

    def test_origins(self) -> None:
        """Every option knows its line."""
        config = read(BASE + "Server_Name = a")
        self.assertEqual(config.origin("bootpd"), Origin("x.ini", 1, "bootpd"))
        self.assertEqual(config.origin("bootpd", "servername"), Origin("x.ini", 3, "bootpd", "Server_Name"))
        self.assertEqual(config.origin("bootpd", "mode").line, 0)


class ListTests(ReadTestCase):
    """Sections whose options are data."""

    def test_access(self) -> None:
        """C{[mac]}, C{[uuid]} and C{[buggy_clients]}: who, and yes or no, with the line."""
        config = read(BASE + "[mac]\nAA-BB-CC/24 = enable\naa:bb:cc:dd:ee:ff = off\n[uuid]\n77aabbcc/32 = 1\n")
        self.assertEqual(
            [(entry.who, entry.allowed, entry.origin.line) for entry in config.mac],
            [(masked_mac("aa-bb-cc/24"), True, 4), (masked_mac("aa-bb-cc-dd-ee-ff"), False, 5)],
        )
        self.assertEqual([entry.who for entry in config.uuid], [masked_uuid("77aabbcc/32")])

    def test_static(self) -> None:
        """C{[static_dhcp]}: a machine and its address."""
        (entry,) = read(BASE + "[static_dhcp]\nAA-BB-CC-DD-EE-FF = 192.168.1.20").static_dhcp
        self.assertEqual((entry.mac, entry.address), (bytes.fromhex("aabbccddeeff"), IPv4Address("192.168.1.20")))

    def test_boot_files(self) -> None:
        """C{[bootfile]}: keys by number, by name, for iPXE."""
        text = "[bootfile]\ndefault = a\n00007 = b\narm64-uefi = c\nipxe = d\nipxe.0x10 = http://e/f\n"
        self.assertEqual(
            [(entry.ipxe, entry.architecture, entry.file) for entry in read(BASE + text).bootfile],
            [(False, None, "a"), (False, 7, "b"), (False, 11, "c"), (True, None, "d"), (True, 16, "http://e/f")],
        )

    def test_filters(self) -> None:
        """C{[filters]}: the file's order, and the letters as they are."""
        text = "[filters]\npxelinux.cfg/* = ./pxe.cfg\nB/* = [a/B]\na = x{filename}\n"
        self.assertEqual(
            [(entry.pattern, entry.value, entry.origin.line) for entry in read(BASE + text).filters],
            [("pxelinux.cfg/*", "./pxe.cfg", 4), ("B/*", "[a/B]", 5), ("a", "x{filename}", 6)],
        )

    def test_templates(self) -> None:
        """C{[templates]}: a template's path begins at the daemon's directory."""
        (entry,) = read(BASE + "[templates]\ngrub.cfg = ./grub.j2").templates
        self.assertEqual((entry.pattern, entry.value), ("grub.cfg", "/var/lib/pybootd/grub.j2"))

    def test_both_sides(self) -> None:
        """A line that is wrong on both sides of its C{=} is told twice."""
        self.assertEqual(len(self.mistakes(BASE + "[mac]\nAA = maybe")), 2)


class RepeatedTests(ReadTestCase):
    """Sections with an argument."""

    def test_subnet(self) -> None:
        """C{[subnet A.B.C.D/N]}."""
        text = "[subnet 10.1.0.0/16]\npool_start = 10.1.0.5\nnext_server = 10.0.0.1\ninterface = eth1\ndns =\n"
        (subnet,) = read(BASE + text).subnets
        self.assertEqual(subnet.network, IPv4Network("10.1.0.0/16"))
        self.assertEqual((str(subnet.pool_start), subnet.pool_count, subnet.interface), ("10.1.0.5", 10, "eth1"))
        self.assertEqual((subnet.lease_time, subnet.gateway, subnet.dns), (None, None, ()))
        self.assertEqual(sorted(subnet.origins), ["dns", "interface", "next_server", "pool_start"])
        self.assertEqual(str(subnet.origin), "x.ini:3: [subnet 10.1.0.0/16]")

    def test_host(self) -> None:
        """C{[host MAC]}."""
        text = (
            "[Host AA:BB:CC:DD:EE:FF]\naddress = 192.168.1.9\nhostname = n\nbootfile = f\nallow = no\nVar.Role = Web\n"
        )
        config = read(BASE + text)
        (host,) = config.hosts
        self.assertEqual(host.mac, bytes.fromhex("aabbccddeeff"))
        self.assertEqual(
            (str(host.address), host.hostname, host.bootfile, host.allow), ("192.168.1.9", "n", "f", False)
        )
        self.assertEqual(host.variables, {"role": "Web"})
        self.assertEqual(host.origins["var.role"].line, 8)
        self.assertEqual(config.origin("host aa:bb:cc:dd:ee:ff", "allow").line, 7)

    def test_menu(self) -> None:
        """C{[menu]}: its options, and the lines of the menu in order, as they were written."""
        text = "[menu]\nTimeout = 5\nInstall Debian = a\nLocal disk = local\n[menu x64-uefi]\nB = b\n"
        first, second = read(BASE + text).menus
        self.assertEqual((first.architecture, first.timeout, second.architecture), (None, 5, 7))
        self.assertEqual(
            [(one.text, one.file) for one in first.items], [("Install Debian", "a"), ("Local disk", "local")]
        )
        self.assertEqual(str(first.items[1].origin), "x.ini:6: [menu] Local disk")

    def test_silent_host(self) -> None:
        """What a host section leaves out is not said."""
        (host,) = read(BASE + "[host AA-BB-CC-DD-EE-FF]").hosts
        self.assertEqual((host.address, host.hostname, host.bootfile, host.allow), (None, "", "", None))

    def test_twice(self) -> None:
        """One machine in two spellings has one section."""
        self.assertEqual(
            self.mistakes(BASE + "[host AA-BB-CC-DD-EE-FF]\n[host aa:bb:cc:dd:ee:ff]"),
            ("x.ini:4: [host aa:bb:cc:dd:ee:ff]: the section stands at line 3 already; join them",),
        )


class PluginTests(ReadTestCase):
    """Sections of plugins."""

    def test_options(self) -> None:
        """A plugin's section is kept as text."""
        config = read(BASE + "access = LDAP\n[ldap]\nServer = Example\n", plugins=["ldap"])
        self.assertEqual(config.bootpd.access, ("ldap",))
        self.assertEqual(config.plugin_options("ldap"), {"server": "Example"})
        self.assertEqual(config.origin("ldap", "server").line, 5)

    def test_twice(self) -> None:
        """Its options come once, too."""
        self.assertEqual(
            self.mistakes(BASE + "[ldap]\na = 1\nA = 2", plugins=["ldap"]),
            ("x.ini:5: [ldap] A = 2: stands at line 4 already; remove one",),
        )

    def test_not_installed(self) -> None:
        """Without the plugin both the word and the section are mistakes."""
        there = "bootfile, bootpd, buggy_clients, cache, filters, host MAC, http, httpd, leases, limits, logger, mac, "
        there += "menu, static_dhcp, status, subnet A.B.C.D/N, templates, tftpd, uuid, webhook"
        self.assertEqual(
            self.mistakes(BASE + "access = ldap\n[ldap]"),
            (
                "x.ini:3: [bootpd] access = ldap: no such access backend; there is http, mac, uuid",
                f"x.ini:4: [ldap]: unknown section; there is {there}",
            ),
        )


ORIGINAL = """
[logger]
type = stderr
level = all

[bootpd]
access = uuid
address = 0.0.0.0
allow_simple_dhcp = enable
domain = localdomain
dns = 8.8.8.8;8.8.4.4
gateway = 192.168.26.1
set_gateway = on
lease_time = 86400
notify = 127.0.0.1:12345;127.0.0.1:12346
pool_start = 192.168.26.100
pool_count = 5
port = 67
server_name = debian
timeout = 3

[mac]
00-1A-2B-3C-4D-5E = disable
00-1A-2B/24 = enabled

[static_dhcp]
00-1A-2B-3C-4D-5F = 192.168.26.20

[uuid]
01234567-89AB-CDEF-0123-456789ABCDEF = high

[http]
location = 127.0.0.1:8080
pxe = /boot
dhcp = /linux
timeout = 2
always_check = low

[buggy_clients]
00-1A-2B/24 = on

[bootfile]
default = pxelinux.0
00007 = bootx64.efi

[tftpd]
root = ^/images
blocksize = 512
timeout = 2.0

[httpd]
port = 8000
root = ./images
check_ip = false

[filters]
pxelinux.cfg/* = ./pxe.cfg
startup.cfg = [./current]
kernel = /srv/{filename}
"""
"""Every section and option of the original, as its users wrote them."""


class OriginalTests(ReadTestCase):
    """A configuration of the original works unchanged."""

    def test_loads(self) -> None:
        """Every section, option, word and form of value is known."""
        config = read(ORIGINAL)
        self.assertEqual(config.logger.level, "debug")
        self.assertEqual((config.bootpd.servername, config.access_timeout), ("debian", 2.0))
        self.assertEqual(config.bootpd.notify, (("127.0.0.1", 12345), ("127.0.0.1", 12346)))
        self.assertEqual(config.tftpd.root, "/var/lib/pybootd/images")
        self.assertEqual(len(config.filters), 3)

    def test_warnings(self) -> None:
        """It hears which of its sections decide nothing."""
        self.assertEqual([warning.split(": ")[1] for warning in read(ORIGINAL).warnings], ["[http]"])


class MistakeTests(ReadTestCase):
    """What is wrong is said, all of it, with what would be right."""

    def test_rows(self) -> None:
        """One line each: the text after a good beginning of two lines, and what is said of it."""
        rows = (
            ("pool_cuont = 3", "3: [bootpd] pool_cuont = 3: unknown option; did you mean pool_count?"),
            ("root = /x", "3: [bootpd] root = /x: unknown option; it belongs to [tftpd] or [httpd]"),
            ("port = 1\nPORT = 2", "4: [bootpd] PORT = 2: stands at line 3 already; remove one"),
            ("[tfptd]", "3: [tfptd]: unknown section; did you mean tftpd?"),
            ("[bootpd]", "3: [bootpd]: the section stands at line 1 already; join them"),
            ("[subnet]", "3: [subnet]: not a network; write e.g. [subnet 192.168.2.0/24]"),
            ("[host x]", "3: [host x]: not a hardware address; write e.g. AA-BB-CC-DD-EE-FF"),
            ("[logger]\ntype = printer",
             "4: [logger] type = printer: not one of stderr, stdout, file, syslog, journald, none"),
            ("port = 67 ; DHCP",
             "3: [bootpd] port = 67 ; DHCP: not a whole number from 1 to 65534; a comment needs a line of its own"),
            ("port = 67\n timeout = 5",
             "3: [bootpd] port = 67\\x0atimeout = 5: not a whole number from 1 to 65534; "
             "the next line is indented and so counts as a part of it"),
            ("[mac]\nAA-BB-CC/24 = yes\naa:bb:cc:01:02:03/24 = no",
             "5: [mac] aa:bb:cc:01:02:03/24 = no: stands at line 4 already; remove one"),
            ("[bootfile]\nbios = a\n00000 = b", "5: [bootfile] 00000 = b: stands at line 4 already; remove one"),
            ("[bootfile]\nbios =", "4: [bootfile] bios = : has no value"),
            ("[filters]\nx = {a", "4: [filters] x = {a: has a brace without its partner; variables are written {name}"),
            ("[filters]\n./x = a\nx = b", "5: [filters] x = b: stands at line 4 already; remove one"),
            ("[tftpd]\nroot = http://u:secret@h/?q",
             "4: [tftpd] root = http://...@h/?q: not a URL that files can be below; write e.g. "
             "http://boot.example.org/images"),
            ("hello", "3: hello: write [section] or name = value"),
        )  # fmt: skip
        for text, message in rows:
            self.assertEqual(self.mistakes(BASE + text), (f"x.ini:{message}",), text)

    def test_all_at_once(self) -> None:
        """However many there are, in the order of the file."""
        text = "x\n[bootpd]\naccess = mcc\npool_start = 1\nfoo = 2\n[mac]\nAA = 3\n[what]\n"
        lines = [int(line.split(":")[1]) for line in self.mistakes(text)]
        self.assertEqual(lines, [1, 3, 4, 5, 7, 7, 8])

    def test_bytes(self) -> None:
        """A file in another encoding is a mistake like any other."""
        error = self.assertRaises(ConfigError, reader.read, BASE.encode() + b"domain = \xe4\n", "x.ini")
        self.assertIn("x.ini:3: is no UTF-8 text; save the file as UTF-8", error.problems)


NAMES = [*SECTIONS, *LISTS, *(name for section in SECTIONS for name in options(section)), "var.a", "default", "ipxe"]
VALUES = [
    "yes",
    "no",
    "auto",
    "none",
    "10.0.0.1",
    "10.0.0.0/24",
    "AA-BB-CC-DD-EE-FF",
    "AA/8",
    "mac",
    "http",
    "./x",
    "/x",
]
VALUES += ["http://a/b", "{filename}", "[x]", "sqlite:x", "file", "proxy", "1", "99999", "77aabbcc/32", "*", "", "a.b"]
LINES = st.one_of(
    st.sampled_from([f"[{name}]" for name in NAMES] + ["[subnet 10.0.0.0/24]", "[host AA-BB-CC-DD-EE-FF]"]),
    st.builds("{} = {}".format, st.sampled_from(NAMES + VALUES), st.sampled_from(VALUES)),
    st.text(max_size=20),
)


class AnyTextTests(SynchronousTestCase):
    """No text whatever surprises the reader."""

    @given(st.one_of(st.text(), st.binary(), st.lists(LINES, max_size=30).map("\n".join)))
    def test_any(self, data: str | bytes) -> None:
        """Any text is a configuration, or L{ConfigError} says why not, in lines that can be shown."""
        try:
            reader.read(data, "x.ini", directory=DIRECTORY, plugins=["ldap"])
        except ConfigError as error:
            self.assertTrue(error.problems)
            for line in error.problems:
                self.assertTrue(line.isprintable(), line)
