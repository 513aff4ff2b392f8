"""Which question a packet asks, and what kind of program asks it."""

from __future__ import annotations

from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.client import understand
from pybootd.dhcp.packet import decode
from pybootd.dhcp.request import Kind
from pybootd.errors import MalformedPacket
from pybootd.machine import Firmware
from tests.support.dhcp import BIOS, DISCOVER, IPXE, REQUEST, SYSTEM, UEFI, UEFI_HTTP, UUID, datagram, number, request

ADDRESS = pack("!I", number("10.0.0.100"))
SERVER = pack("!I", number("10.0.0.1"))


class KindTests(SynchronousTestCase):
    """RFC 2131 4.3.2, and the messages of clients."""

    def test_kinds(self) -> None:
        """The four kinds of REQUEST are told apart by 54, 50, ciaddr, and how it was sent."""
        rows = [
            ({50: ADDRESS, 54: SERVER}, {}, Kind.SELECTING),
            ({50: ADDRESS}, {}, Kind.INIT_REBOOT),
            ({}, {"ciaddr": "10.0.0.100", "unicast": True}, Kind.RENEWING),
            ({}, {"ciaddr": "10.0.0.100"}, Kind.REBINDING),
            ({}, {"ciaddr": "10.0.0.100", "port": 4011}, Kind.BOOT_SERVER),
        ]
        for options, fields, kind in rows:
            self.assertIs(request(REQUEST, options, **fields).kind, kind)

    def test_others(self) -> None:
        """The other messages, and BOOTP."""
        rows = {1: Kind.DISCOVER, 4: Kind.DECLINE, 7: Kind.RELEASE, 8: Kind.INFORM, None: Kind.BOOTP}
        for number_, kind in rows.items():
            self.assertIs(request(number_, {50: ADDRESS}).kind, kind)

    def test_not_a_clients(self) -> None:
        """Replies, a server's messages, and a REQUEST for nothing are refused."""
        for data in (datagram(DISCOVER, op=2), *(datagram(kind) for kind in (0, 2, 5, 6, 9, 255)), datagram(REQUEST)):
            self.assertRaises(MalformedPacket, understand, decode(data))

    def test_bogus_ciaddr(self) -> None:
        """A DISCOVER has no address, whatever it says."""
        self.assertEqual(request(DISCOVER, BIOS, ciaddr="10.0.0.9").ciaddr, 0)


class FirmwareTests(SynchronousTestCase):
    """Who speaks."""

    def test_firmware(self) -> None:
        """By options 60, 77, 93, 97 and 175."""
        rows = [
            (BIOS, Firmware.PXE, 0),
            (UEFI, Firmware.PXE, 7),
            (UEFI_HTTP, Firmware.HTTP_BOOT, 16),
            (IPXE, Firmware.IPXE, 0),
            ({**BIOS, 77: b"\x04iPXE"}, Firmware.IPXE, 0),
            ({**BIOS, 77: b"gPXE"}, Firmware.IPXE, 0),
            ({**BIOS, 175: b"\x13\1\1"}, Firmware.IPXE, 0),
            ({**BIOS, 77: b"own", 175: b"\x13\1\1"}, Firmware.PXE, 0),
            ({**BIOS, 97: b"\0RPi4" + b"\1" * 12}, Firmware.RASPBERRY_PI, 0),
            ({**BIOS, 97: b"\0" + b"\x44" * 16}, Firmware.RASPBERRY_PI, 0),
            (SYSTEM, Firmware.UNKNOWN, None),
            ({60: b"AAPLBSDPC/i386/x"}, Firmware.UNKNOWN, None),
        ]
        for options, firmware, architecture in rows:
            asked = request(DISCOVER, options)
            self.assertEqual((asked.firmware, asked.architecture), (firmware, architecture), str(options))

    def test_architecture_from_text(self) -> None:
        """Without option 93 the five digits of option 60 count; with it, it does."""
        self.assertEqual(request(DISCOVER, {60: b"PXEClient:Arch:00011:UNDI:003000"}).architecture, 11)
        self.assertEqual(request(DISCOVER, {60: b"PXEClient:Arch:00011", 93: b"\0\7\0\x10"}).architectures, (7, 16))
        self.assertEqual(request(DISCOVER, {60: b"PXEClient:Arch:99999", 93: b"\0"}).architectures, ())

    def test_uuid(self) -> None:
        """Option 97 is a UUID only with type 0 and 16 bytes."""
        self.assertEqual(request(DISCOVER, BIOS).uuid, UUID)
        for raw in (b"\1" + UUID, UUID, b"\0" + UUID + b"\0", b""):
            self.assertEqual(request(DISCOVER, {97: raw}).uuid, b"")

    def test_features(self) -> None:
        """Of iPXE's features those count that are switched on."""
        asked = request(DISCOVER, {**IPXE, 175: b"\x13\1\1\x12\1\0\x0f\1"})
        self.assertEqual(asked.ipxe_features, {0x13})

    def test_hostname(self) -> None:
        """A host name is one, or it is nothing."""
        for raw, name in (
            (b"node-7", "node-7"),
            (b"a.b\0", "a.b"),
            (b"a b", ""),
            (b"-a", ""),
            (b"\x1b[m", ""),
            (b"", ""),
        ):
            self.assertEqual(request(DISCOVER, {12: raw}).hostname, name)

    def test_relay(self) -> None:
        """Link selection and server override are read; the whole option is kept as it came."""
        raw = b"\1\2ab\2\1r\5\4\x0a\x14\0\0\x0b\4\x0a\x14\0\1\xfe"
        relay = request(DISCOVER, {82: raw}).relay
        self.assertEqual((relay.raw, relay.circuit, relay.remote), (raw, b"ab", b"r"))
        self.assertEqual((relay.link, relay.server), (number("10.20.0.0"), number("10.20.0.1")))

    def test_odd_lengths(self) -> None:
        """An option of a length that it cannot have is as if it were absent."""
        asked = request(DISCOVER, {50: b"\1\2\3", 54: b"\1", 57: b"\1", 93: b"\1\2\3", 118: b"1"})
        self.assertEqual((asked.requested, asked.server, asked.max_size, asked.subnet), (0, 0, 0, 0))

    def test_menu_item(self) -> None:
        """The boot server that was chosen in a menu (option 43, sub-option 71)."""
        self.assertEqual(request(DISCOVER, {**BIOS, 43: b"\x47\4\x80\1\0\2\xff"}).menu_item, (0x8001, 2))
        self.assertIsNone(request(DISCOVER, {43: b"\x47\2\x80\1"}).menu_item)
