"""The words of the configuration: every accepted form, and what is said of the others."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.config import words
from pybootd.config.words import Masked, Parser
from pybootd.content.variables import NAMES
from pybootd.events import KINDS

MAC = bytes.fromhex("aabbccddeeff")
UUID = bytes.fromhex("77aabbcc112233445566778899aabbcc")
UUID_TEXT = "77AABBCC-1122-3344-5566-778899aabbcc"
LOW_LEVELS = words.choice("info", "debug", all="debug")

# fmt: off
ACCEPTED: Sequence[tuple[Parser, str, Any]] = (
    *((words.boolean, word, True) for word in ("on", "high", "true", "enable", "enabled", "yes", "1", "Yes", "ON")),
    *((words.boolean, word, False) for word in ("off", "low", "false", "disable", "disabled", "no", "0", "NO")),
    (words.whole(0, 10),  "0",                     0),
    (words.whole(0, 10),  "010",                   10),
    (words.port,          "65535",                 65535),
    (words.seconds(0, 9), "2",                     2.0),
    (words.seconds(0, 9), "0.25",                  0.25),
    (words.size,          "4096",                  4096),
    (words.size,          "500M",                  500 << 20),
    (words.size,          "20 GiB",                20 << 30),
    (words.size,          "1kb",                   1024),
    (LOW_LEVELS,          "INFO",                  "info"),
    (LOW_LEVELS,          "all",                   "debug"),
    (words.text,          "",                      ""),
    (words.text,          "Grüße = ; %(x)s",       "Grüße = ; %(x)s"),
    (words.filled,        "x",                     "x"),
    (words.backends,      "mac",                   ("mac",)),
    (words.backends,      "MAC; uuid, my-plugin",  ("mac", "uuid", "my-plugin")),
    (words.backends,      "none",                  ()),
    (words.backends,      "",                      ()),
    (words.address,       "0.0.0.0",               IPv4Address(0)),
    (words.unicast,       "192.168.1.1",           IPv4Address("192.168.1.1")),
    (words.dns,           "auto",                  None),
    (words.dns,           "",                      ()),
    (words.dns,           "8.8.8.8;8.8.4.4",       (IPv4Address("8.8.8.8"), IPv4Address("8.8.4.4"))),
    (words.dns,           "8.8.8.8,\n 8.8.4.4 ;",  (IPv4Address("8.8.8.8"), IPv4Address("8.8.4.4"))),
    (words.gateway,       "None",                  IPv4Address(0)),
    (words.gateway,       "10.0.0.1",              IPv4Address("10.0.0.1")),
    (words.netmask,       "255.255.255.0",         IPv4Address("255.255.255.0")),
    (words.netmask,       "24",                    IPv4Address("255.255.255.0")),
    (words.netmask,       "/16",                   IPv4Address("255.255.0.0")),
    (words.network,       "10.1.0.0/16",           IPv4Network("10.1.0.0/16")),
    (words.network,       "10.1.0.0/255.255.0.0",  IPv4Network("10.1.0.0/16")),
    (words.endpoint,      "127.0.0.1:9999",        ("127.0.0.1", 9999)),
    (words.interface,     "eth0.100",              "eth0.100"),
    (words.domain,        "",                      ""),
    (words.domain,        "boot.example.org.",     "boot.example.org"),
    (words.domain,        "local_domain",          "local_domain"),
    (words.hostname,      "node-7",                "node-7"),
    (words.path,          "/srv/boot",             Path("/srv/boot")),
    (words.path,          "./a b",                 Path("a b")),
    (words.root,          "/srv/boot",             "/srv/boot"),
    (words.root,          "./boot",                "boot"),
    (words.root,          "^/boot",                "boot"),
    (words.root,          "https://a.b:8443/c/",   "https://a.b:8443/c/"),
    (words.root,          "zip:///srv/boot.zip/",  "zip:///srv/boot.zip/"),
    (words.url,           "http://[::1]/x",        "http://[::1]/x"),
    (words.url,           "http://u:p@h/%20",      "http://u:p@h/%20"),
    (words.web_page,      "https://h:8443/x?a=b&c", "https://h:8443/x?a=b&c"),
    (words.event_kinds,   "Leased; transfer_ended", ("leased", "transfer_ended")),
    (words.event_kinds,   "all",                   tuple(KINDS)),
    (words.location,      "boot.example.org:8080", "http://boot.example.org:8080"),
    (words.location,      "https://a/b/",          "https://a/b"),
    (words.url_path,      "",                      ""),
    (words.url_path,      "/boot",                 "/boot"),
    (words.url_path,      "boot",                  "/boot"),
    (words.store,         "memory",                "memory"),
    (words.store,         "sqlite:/var/x",         "sqlite:/var/x"),
    (words.store,         "postgres://u@h/d",      "postgresql://u@h/d"),
    (words.store,         "redis:anything",        "redis:anything"),
    (words.mac,           "AA-BB-CC-DD-EE-FF",     MAC),
    (words.mac,           "aa:bb:cc:dd:ee:ff",     MAC),
    (words.masked_mac,    "aa-bb-cc-dd-ee-ff",     Masked(MAC, 48)),
    (words.masked_mac,    "AA-BB-CC/24",           Masked(bytes.fromhex("aabbcc000000"), 24)),
    (words.masked_mac,    "AA:BB:CC:DD:EE:FF/20",  Masked(bytes.fromhex("aabbc0000000"), 20)),
    (words.masked_mac,    "00/0",                  Masked(bytes(6), 0)),
    (words.masked_uuid,   UUID_TEXT,               Masked(UUID, 128)),
    (words.masked_uuid,   UUID.hex(),              Masked(UUID, 128)),
    (words.masked_uuid,   "77aabbcc/32",           Masked(UUID[:4] + bytes(12), 32)),
    (words.masked_uuid,   "77aabbcc-1122/48",      Masked(UUID[:6] + bytes(10), 48)),
    (words.masked_uuid,   UUID_TEXT + "/12",       Masked(bytes.fromhex("77a0") + bytes(14), 12)),
    (words.variable,      "var.Role",              "role"),
    (words.pattern,       "./pxelinux.cfg/*",      "pxelinux.cfg/*"),
    (words.pattern,       "/Boot/BCD",             "Boot/BCD"),
    (words.architecture,  "default",               (False, None)),
    (words.architecture,  "00007",                 (False, 7)),
    (words.architecture,  "0x10",                  (False, 16)),
    (words.architecture,  "X64-UEFI",              (False, 7)),
    (words.architecture,  "ipxe",                  (True, None)),
    (words.architecture,  "iPXE.arm64-uefi",       (True, 11)),
    (words.architecture,  "ipxe.7",                (True, 7)),
)

NOT_ADDRESS = "not an IPv4 address; write e.g. 192.168.1.100"
NOT_HOST = "not the address of a host; write e.g. 192.168.1.100"
NOT_MAC = "not a hardware address; write e.g. AA-BB-CC-DD-EE-FF"
NOT_MASK = f"{NOT_MAC}, or AA-BB-CC/24 for the first 24 bits"
NOT_UUID = "not a UUID; write e.g. 77aabbcc-1122-3344-5566-778899aabbcc, or 77aabbcc/32 for the first 32 bits"
NOT_URL = "not a URL that files can be below; write e.g. http://boot.example.org/images"
NOT_VARIABLE = f"not the name of a variable of your own; write e.g. var.role, and none of {', '.join(NAMES)}"
NO_ARCHITECTURE = "no architecture; write a number such as 00007, or a name such as bios, x64-uefi, arm64-uefi, ipxe"
NOT_STORE = "not a lease store; write sqlite:PATH, postgresql://USER@HOST/DATABASE or memory"
NOT_DOMAIN = "not a name of the DNS; write e.g. example.org"

REJECTED: Sequence[tuple[Parser, str, str]] = (
    *((words.boolean, word, "neither yes nor no; write yes or no") for word in ("", "maybe", "2", "oui", "yes no")),
    *((words.whole(1, 10), word, "not a whole number from 1 to 10")
      for word in ("", "0", "11", "-1", "+5", "1_0", "1.0", "0x5", "\u0665", "5" * 5000, "5\n6")),
    (words.seconds(0, 9), "9.5",               "not a number of seconds from 0 to 9"),
    (words.seconds(0, 9), "1e0",               "not a number of seconds from 0 to 9"),
    (words.seconds(0, 9), "nan",               "not a number of seconds from 0 to 9"),
    (words.size,          "0",                 "not a size; write e.g. 500M or 20G"),
    (words.size,          "5X",                "not a size; write e.g. 500M or 20G"),
    (LOW_LEVELS,          "loud",              "not one of info, debug"),
    (words.text,          "a\x07",             "has a control character in it"),
    (words.text,          "a\nb",              "has a control character in it"),
    (words.filled,        "",                  "has no value"),
    (words.backends,      "mac; m@c",
     '"m@c": names no access backend; write mac, uuid, http or the name of a plugin'),
    (words.address,       "192.168.300.1",     NOT_ADDRESS),
    (words.address,       "192.168.1",         NOT_ADDRESS),
    (words.address,       "192.168.1.01",      NOT_ADDRESS),
    (words.address,       "::1",               NOT_ADDRESS),
    (words.address,       "",                  NOT_ADDRESS),
    (words.unicast,       "0.0.0.0",           NOT_HOST),
    (words.unicast,       "224.0.0.1",         NOT_HOST),
    (words.unicast,       "255.255.255.255",   NOT_HOST),
    (words.dns,           "8.8.8.8 8.8.4.4",   f"{NOT_ADDRESS}; write 8.8.8.8, 8.8.4.4"),
    (words.dns,           "8.8.8.8 there",     NOT_ADDRESS),
    (words.dns,           "8.8.8.8; auto",     f'"auto": {NOT_ADDRESS}'),
    (words.gateway,       "no",                NOT_ADDRESS),
    (words.netmask,       "0.0.0.255",         "not a netmask; write e.g. 255.255.255.0"),
    (words.netmask,       "33",                "not a netmask; write e.g. 255.255.255.0"),
    (words.netmask,       "0",                 "not a netmask; write e.g. 255.255.255.0"),
    (words.network,       "10.0.0.0",          "not a network; write e.g. [subnet 192.168.2.0/24]"),
    (words.network,       "",                  "not a network; write e.g. [subnet 192.168.2.0/24]"),
    (words.network,       "10.0.0.1/24",
     "not a network, for bits are set beyond its mask; write [subnet 10.0.0.0/24]"),
    (words.endpoint,      "127.0.0.1",         "not address:port; write e.g. 192.168.1.5:9999"),
    (words.endpoint,      "127.0.0.1:0",       "not address:port; write e.g. 192.168.1.5:9999"),
    (words.endpoint,      "host:99",           "not address:port; write e.g. 192.168.1.5:9999"),
    (words.interface,     "eth0/1",            "not the name of a network interface; write e.g. eth0"),
    (words.interface,     "a" * 16,            "not the name of a network interface; write e.g. eth0"),
    (words.domain,        "a..b",              NOT_DOMAIN),
    (words.domain,        "-a",                NOT_DOMAIN),
    (words.domain,        ".",                 NOT_DOMAIN),
    (words.domain,        "a" * 64,            NOT_DOMAIN),
    (words.domain,        "a." * 127 + "a",    NOT_DOMAIN),
    (words.hostname,      "",                  "not a host name; write e.g. node-7"),
    (words.path,          "",                  "not a path; write e.g. /srv/boot or ./boot"),
    (words.path,          "a\0b",              "not a path; write e.g. /srv/boot or ./boot"),
    (words.root,          "",                  "not a path; write e.g. /srv/boot or ./boot"),
    *((words.root, url, NOT_URL)
      for url in ("http://", "http:///x", "http://a/b?c", "http://a/#", "http://a:0/", "http://a:99999/",
                  "http://a/ b", "http://a\n/b", "http://[a/b", "http://ä/", "zip://a?b")),
    (words.location,      "",                  NOT_URL),
    (words.location,      "ftp://a/b",         NOT_URL),
    *((words.web_page, url, "not the URL of a web page; write e.g. http://boot.example.org/hook")
      for url in ("", "ftp://a/b", "http://a/ b", "http://a/#c", "http://a/?b#c", "http://a/?b c")),
    (words.event_kinds,   "leased; gone",      f'"gone": not one of {", ".join(KINDS)}'),
    (words.url_path,      "/boot?x",           "not the path of a URL; write e.g. /boot"),
    (words.url_path,      "http://a/b",        "not the path of a URL; write e.g. /boot"),
    (words.store,         "sqlite:",           NOT_STORE),
    (words.store,         "/var/leases",       NOT_STORE),
    *((words.mac, mac, NOT_MAC)
      for mac in ("", "AA-BB-CC-DD-EE", "AA-BB-CC-DD-EE-FF-00", "AA-BB-CC-DD-EE-GG", "AA-BB-CC:DD:EE:FF",
                  "AABBCCDDEEFF")),
    (words.masked_mac,    "AA-BB-CC",          NOT_MASK),
    (words.masked_mac,    "AA-BB-CC/",         "not a whole number from 0 to 48"),
    (words.masked_mac,    "AA-BB-CC/49",       "not a whole number from 0 to 48"),
    (words.masked_mac,    "AA-BB-CC/ff",       "not a whole number from 0 to 48"),
    (words.masked_mac,    "AA-BB-CC/32",       "has 24 bits, fewer than its mask of 32"),
    (words.masked_uuid,   "77aabbcc",          NOT_UUID),
    (words.masked_uuid,   UUID_TEXT[:-1],      NOT_UUID),
    (words.masked_uuid,   "{" + UUID_TEXT + "}", NOT_UUID),
    (words.masked_uuid,   "\u0667" * 32,       NOT_UUID),
    (words.masked_uuid,   "77aabbcc/64",       "has 32 bits, fewer than its mask of 64"),
    (words.variable,      "var.mac",           NOT_VARIABLE),
    (words.variable,      "var.",              NOT_VARIABLE),
    (words.pattern,       "./",                "has no value"),
    (words.architecture,  "defalt",            NO_ARCHITECTURE),
    (words.architecture,  "ipxe.amiga",        NO_ARCHITECTURE),
    (words.architecture,  "65536",             NO_ARCHITECTURE),
)
# fmt: on


class WordTests(SynchronousTestCase):
    """Text becomes a value, or ValueError says what is expected."""

    def test_accepted(self) -> None:
        """Every form that the reference names is understood."""
        for parse, text, value in ACCEPTED:
            self.assertEqual(parse(text), value, (parse, text))

    def test_rejected(self) -> None:
        """Everything else is refused, with what would be right."""
        for parse, text, message in REJECTED:
            error = self.assertRaises(ValueError, parse, text)
            self.assertEqual(str(error), message, (parse, text))

    @given(st.text(max_size=40))
    def test_any_text(self, text: str) -> None:
        """No text makes a word raise anything but ValueError."""
        for parse in {parse for parse, _, _ in (*ACCEPTED, *REJECTED)}:
            try:
                parse(text)
            except ValueError as error:
                self.assertTrue(str(error), (parse, text))
