"""Which question a packet asks, and what kind of program asks it."""

from __future__ import annotations

from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.client import understand
from pybootd.dhcp.packet import decode
from pybootd.dhcp.request import Kind
from pybootd.errors import MalformedPacket
from pybootd.machine import Firmware
from tests.support.captures import BY_NAME, CAPTURES
from tests.support.dhcp import (
    BIOS,
    DISCOVER,
    INFORM,
    IPXE,
    RELEASE,
    REQUEST,
    SYSTEM,
    UEFI,
    UEFI_HTTP,
    UUID,
    datagram,
    number,
    request,
)

ADDRESS = pack("!I", number("10.0.0.100"))
SERVER = pack("!I", number("10.0.0.1"))


class KindTests(SynchronousTestCase):
    """RFC 2131 4.3.2, and the messages of clients."""

    def test_requests(self) -> None:
        """The kinds of REQUEST are told apart by 54, 50, ciaddr, and how and where it was sent."""
        chosen = {43: b"\x47\4\x80\1\0\0\xff"}
        has, other = {"ciaddr": "10.0.0.100"}, {"ciaddr": "10.0.0.9"}
        rows = [
            ({50: ADDRESS, 54: SERVER}, {}, Kind.SELECTING),
            ({50: ADDRESS, 54: SERVER}, other, Kind.SELECTING),
            ({50: ADDRESS}, {}, Kind.INIT_REBOOT),
            ({50: ADDRESS}, other, Kind.INIT_REBOOT),
            ({}, {**has, "unicast": True}, Kind.RENEWING),
            ({54: SERVER}, {**has, "unicast": True}, Kind.RENEWING),
            ({50: ADDRESS}, {**has, "unicast": True}, Kind.RENEWING),
            ({}, has, Kind.REBINDING),
            ({}, {**has, "giaddr": "10.20.0.1", "unicast": True}, Kind.REBINDING),
            ({}, {**has, "port": 4011}, Kind.BOOT_SERVER),
            ({50: ADDRESS, 54: SERVER}, {**has, "port": 4011}, Kind.BOOT_SERVER),
            ({50: ADDRESS}, {"port": 4011}, Kind.BOOT_SERVER),
            ({**BIOS, **chosen}, {**has, "unicast": True}, Kind.BOOT_SERVER),
            ({**BIOS, **chosen, 50: ADDRESS, 54: SERVER}, {}, Kind.SELECTING),
            ({60: b"MSFT 5.0", **chosen}, has, Kind.REBINDING),
        ]
        for options, fields, kind in rows:
            self.assertIs(request(REQUEST, options, **fields).kind, kind, f"{options} {fields}")

    def test_others(self) -> None:
        """The other messages, and BOOTP."""
        rows = {1: Kind.DISCOVER, 4: Kind.DECLINE, 7: Kind.RELEASE, 8: Kind.INFORM, None: Kind.BOOTP}
        for number_, kind in rows.items():
            for port in (67, 4011):
                self.assertIs(request(number_, {50: ADDRESS}, port=port).kind, kind)

    def test_chosen_by_inform(self) -> None:
        """A PXE client with an address may name its choice in an INFORM, too (PXE 2.1 2.2.3)."""
        chosen = {43: b"\x47\4\x80\1\0\0\xff"}
        for options, kind in (
            ({**BIOS, **chosen}, Kind.BOOT_SERVER),
            (BIOS, Kind.INFORM),
            ({60: b"MSFT 5.0", **chosen}, Kind.INFORM),
        ):
            self.assertIs(request(INFORM, options, ciaddr="10.0.0.100").kind, kind)

    def test_not_a_clients(self) -> None:
        """Replies, a server's messages, and a REQUEST for nothing are refused, and the error says why."""
        rows = [
            (datagram(DISCOVER, op=2), "a server's reply"),
            (datagram(None, op=2), "a server's reply"),
            *((datagram(kind), f"message type {kind} ") for kind in (0, 2, 5, 6, 9, 255)),
            (datagram(None, {53: b"\1\1"}), "message type 0 "),
            (datagram(REQUEST), "a REQUEST for no address"),
            (datagram(DISCOVER, mac=b"", htype=32)[:-1] + (b"\x3d\xff" + bytes(255)) * 2 + b"\xff", "510 bytes"),
            (datagram(REQUEST, {54: SERVER}), "a REQUEST for no address"),
        ]
        for data, reason in rows:
            error = self.assertRaises(MalformedPacket, understand, decode(data))
            self.assertIn(reason, str(error))

    def test_bogus_ciaddr(self) -> None:
        """Who has no address yet has none, whatever its packet says; who has one keeps it."""
        fields = {"ciaddr": "10.0.0.9"}
        for kind, options in ((DISCOVER, {}), (REQUEST, {50: ADDRESS}), (REQUEST, {50: ADDRESS, 54: SERVER})):
            self.assertEqual(request(kind, options, **fields).ciaddr, 0)
        for kind in (None, REQUEST, RELEASE, INFORM):
            self.assertEqual(request(kind, {}, **fields).ciaddr, number("10.0.0.9"))

    def test_relayed(self) -> None:
        """What a relay sends to this server was broadcast by its client."""
        self.assertTrue(request(REQUEST, {}, ciaddr="10.0.0.9", unicast=True).unicast)
        self.assertFalse(request(REQUEST, {}, ciaddr="10.0.0.9", unicast=True, giaddr="10.0.0.1").unicast)


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
            ({**BIOS, 77: b"", 175: b"\x13\1\1"}, Firmware.PXE, 0),
            ({**UEFI_HTTP, 77: b"iPXE"}, Firmware.IPXE, 16),
            ({**BIOS, 97: b"\0RPi4" + b"\1" * 12}, Firmware.RASPBERRY_PI, 0),
            ({**BIOS, 97: b"\0" + b"\x44" * 16}, Firmware.RASPBERRY_PI, 0),
            ({97: b"\0RPi5" + b"\1" * 12}, Firmware.RASPBERRY_PI, None),
            ({**BIOS, 97: b"\0" + b"\xf5\x96\x86\x8d" * 4}, Firmware.RASPBERRY_PI, 0),
            ({**BIOS, 97: b"\0" + b"\xff" * 16}, Firmware.PXE, 0),
            ({**BIOS, 97: bytes(17)}, Firmware.PXE, 0),
            ({97: b"\1RPi5" + b"\1" * 12}, Firmware.UNKNOWN, None),
            ({60: b"U-Boot.armv8", 93: b"\0\x16"}, Firmware.U_BOOT, 22),
            ({60: b"U-Boot.armv7"}, Firmware.U_BOOT, None),
            ({60: b"PXEClient:Arch:00011:UNDI:003000", 93: b"\0\x0b"}, Firmware.PXE, 11),
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
        self.assertEqual((relay.raw, relay.link, relay.server), (raw, number("10.20.0.0"), number("10.20.0.1")))

    def test_max_size(self) -> None:
        """A client says how much it reads by option 57; a BOOTP client by what it writes."""
        self.assertEqual(request(DISCOVER, {57: b"\5\xdc"}).max_size, 1500)
        self.assertEqual(request(DISCOVER).max_size, 0)
        self.assertEqual(request(None, {57: b"\5\xdc"}).max_size, 1500)
        self.assertEqual(understand(decode(datagram(None).ljust(300, b"\0"))).max_size, 328)

    def test_odd_lengths(self) -> None:
        """An option of a length that it cannot have is as if it were absent."""
        asked = request(DISCOVER, {50: b"\1\2\3", 54: b"\1", 57: b"\1", 93: b"\1\2\3", 118: b"1"})
        self.assertEqual((asked.requested, asked.server, asked.max_size, asked.subnet), (0, 0, 0, 0))

    def test_menu_item(self) -> None:
        """The boot server that was chosen in a menu (option 43, sub-option 71), where option 43 is PXE's."""
        self.assertEqual(request(DISCOVER, {**BIOS, 43: b"\x47\4\x80\1\0\2\xff"}).menu_item, (0x8001, 2))
        self.assertIsNone(request(DISCOVER, {**BIOS, 43: b"\x47\2\x80\1"}).menu_item)
        self.assertIsNone(request(DISCOVER, {60: b"MSFT 5.0", 43: b"\x47\4\x80\1\0\2\xff"}).menu_item)


class CaptureTests(SynchronousTestCase):
    """What real clients send."""

    def test_kinds(self) -> None:
        """Each message is what its client meant by it."""
        for capture in CAPTURES:
            self.assertEqual(capture.request.kind.name, capture.kind, capture.client)

    def test_firmware(self) -> None:
        """Each kind of firmware is recognised in each of its messages."""
        rows = {
            "ovmf-pxe": (Firmware.PXE, 7),
            "ovmf-http": (Firmware.HTTP_BOOT, 16),
            "aavmf-pxe": (Firmware.PXE, 11),
            "aavmf-http": (Firmware.HTTP_BOOT, 19),
            "ipxe-rom": (Firmware.IPXE, 0),
            "ipxe-efi": (Firmware.IPXE, 7),
            "rpi3": (Firmware.RASPBERRY_PI, 0),
            "dhclient": (Firmware.UNKNOWN, None),
            "udhcpc": (Firmware.UNKNOWN, None),
            "dhcpcd": (Firmware.UNKNOWN, None),
            "relayed": (Firmware.UNKNOWN, None),
        }
        self.assertEqual({capture.client for capture in CAPTURES}, set(rows))
        for capture in CAPTURES:
            asked = capture.request
            self.assertEqual((asked.firmware, asked.architecture), rows[capture.client], capture.client)
            self.assertEqual(asked.boots, asked.architecture is not None)
            self.assertEqual(len(asked.uuid), 16 if asked.boots else 0)

    def test_details(self) -> None:
        """What the decision goes by, as it stands in these packets."""
        asked = BY_NAME["ipxe-rom", "DISCOVER"].request
        self.assertEqual(asked.client_id, b"\1" + asked.chaddr)
        self.assertLessEqual({0x13, 0x15}, asked.ipxe_features)  # HTTP and TFTP
        self.assertEqual(BY_NAME["ipxe-rom", "BOOT_SERVER"].request.menu_item, (0x8000, 0))
        self.assertEqual(BY_NAME["ovmf-pxe", "BOOT_SERVER"].request.menu_item, (0x8000, 0))
        self.assertEqual(BY_NAME["ovmf-pxe", "DISCOVER"].request.flags, 0x8000)
        relayed = BY_NAME["relayed", "DISCOVER"].request
        self.assertEqual((relayed.giaddr, relayed.relay.raw), (number("10.78.0.1"), b"\1\3br1"))
        declined = BY_NAME["udhcpc", "DECLINE"].request
        self.assertEqual((declined.requested, declined.server), (number("10.77.0.101"), number("10.77.0.1")))
