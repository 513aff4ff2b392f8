"""Reading capture files."""

from __future__ import annotations

from io import BytesIO
from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from pybootd.pcap import DamagedCapture, Datagram, datagrams
from tests.support import pcap
from tests.support.pcap import BEGIN, frame

CLIENT, SERVER = ("0.0.0.0", 68), ("255.255.255.255", 67)


def read(data: bytes) -> list[Datagram]:
    """Every datagram of a capture."""
    return list(datagrams(BytesIO(data)))


class FileTests(SynchronousTestCase):
    """pcap and pcapng."""

    def test_pcap(self) -> None:
        """Number, time, ends and bytes of each datagram, in both byte orders and both resolutions."""
        for order in "<>":
            for nanoseconds in (False, True):
                data = pcap.pcap([frame(b"one"), frame(b"two")], order=order, nanoseconds=nanoseconds)
                expected = [
                    Datagram(1, BEGIN + 0.5, CLIENT, SERVER, b"one"),
                    Datagram(2, BEGIN + 1.5, CLIENT, SERVER, b"two"),
                ]
                self.assertEqual(read(data), expected, (order, nanoseconds))

    def test_pcapng(self) -> None:
        """The same of pcapng; ticks are microseconds, or what the interface says."""
        for order in "<>":
            for resolution in (None, 3, 9, 0x80 | 10):
                data = pcap.pcapng([frame(b"one"), frame(b"two")], order=order, resolution=resolution)
                expected = [Datagram(1, BEGIN, CLIENT, SERVER, b"one"), Datagram(2, BEGIN + 1, CLIENT, SERVER, b"two")]
                found = read(data)
                self.assertEqual([round(one.time, 3) for one in found], [BEGIN, BEGIN + 1], (order, resolution))
                self.assertEqual([one.data for one in found], [one.data for one in expected])

    def test_simple_packets(self) -> None:
        """Simple packet blocks have no time."""
        self.assertEqual(read(pcap.pcapng([frame(b"one")], simple=True)), [Datagram(1, 0.0, CLIENT, SERVER, b"one")])

    def test_sections(self) -> None:
        """Further sections have their own byte order and interfaces; blocks of other kinds are passed over."""
        data = pcap.pcapng([frame(b"one")]) + pcap.block(5, b"statistics") + pcap.pcapng([frame(b"two")], order=">")
        self.assertEqual([(one.number, one.data) for one in read(data)], [(1, b"one"), (2, b"two")])

    def test_no_capture(self) -> None:
        """Whatever else a file may be, it is said that it is no capture."""
        for data in (b"", b"\xa1", b"[bootpd]\npool_start = 10.0.0.1\n", bytes(100)):
            self.assertRaises(DamagedCapture, read, data)

    def test_cut(self) -> None:
        """A capture that ends in the middle gives what came before, then says so."""
        for whole in (pcap.pcap([frame(b"one"), frame(b"two")]), pcap.pcapng([frame(b"one"), frame(b"two")])):
            for missing in (1, 5, 44):
                found = datagrams(BytesIO(whole[:-missing]))
                self.assertEqual(next(found).data, b"one")
                self.assertRaises(DamagedCapture, lambda found=found: list(found))

    def test_enormous_record(self) -> None:
        """A record that claims gigabytes is damage, and nothing is read for it."""
        head = pcap.pcap([])
        self.assertRaises(DamagedCapture, read, head + pack("<IIII", 0, 0, 0xFFFFFFFF, 0xFFFFFFFF))

    def test_strange_blocks(self) -> None:
        """Blocks that are too short, and packets of an interface that is nowhere described, are damage."""
        section = pcap.pcapng([])
        for bad in (
            pack("<II", 6, 8),
            pcap.block(6, b"short"),
            pcap.block(6, pack("<5I", 7, 0, 0, 0, 0)),
            pcap.block(1, b"1"),
            pack("<II", 0x0A0D0D0A, 28) + bytes(20),
        ):
            self.assertRaises(DamagedCapture, read, section + bad)


class LinkTests(SynchronousTestCase):
    """Frames of several kinds."""

    def one(self, data: bytes, link: int) -> list[bytes]:
        """What a capture with this one frame holds."""
        return [found.data for found in read(pcap.pcap([data], link))]

    def test_links(self) -> None:
        """Ethernet, Linux cooked of both versions, bare IP, a BSD loopback; others are passed over."""
        packet = frame(b"x")[14:]
        for link, data in (
            (pcap.ETHERNET, frame(b"x")),
            (pcap.RAW, packet),
            (pcap.COOKED, pack("!HHH8sH", 4, 1, 6, b"", 0x0800) + packet),
            (pcap.COOKED_2, pack("!HHIHBB8s", 0x0800, 0, 2, 1, 4, 6, b"") + packet),
            (pcap.LOOPBACK, pack("<I", 2) + packet),
            (pcap.LOOPBACK, pack(">I", 2) + packet),
        ):
            self.assertEqual(self.one(data, link), [b"x"], link)
        self.assertEqual(self.one(frame(b"x"), 105), [])

    def test_vlan(self) -> None:
        """One VLAN tag, two of them, and tags in a cooked frame."""
        one = pack("!HH", 0x8100, 5)
        self.assertEqual(self.one(frame(b"x", tags=one), pcap.ETHERNET), [b"x"])
        self.assertEqual(self.one(frame(b"x", tags=pack("!HH", 0x88A8, 9) + one), pcap.ETHERNET), [b"x"])
        cooked = pack("!HHH8s", 4, 1, 6, b"") + one + pack("!H", 0x0800) + frame(b"x")[14:]
        self.assertEqual(self.one(cooked, pcap.COOKED), [b"x"])

    def test_padding(self) -> None:
        """What stands behind a short packet in its frame is not the datagram's."""
        self.assertEqual(self.one(frame(b"x").ljust(60, b"\xee"), pcap.ETHERNET), [b"x"])

    def test_others(self) -> None:
        """ARP, TCP, fragments, IPv6, datagrams with a wrong length: passed over, whatever they hold."""
        whole = frame(b"xxxx")
        for data in (
            whole[:12] + b"\x08\x06" + whole[14:],
            whole[:23] + b"\x06" + whole[24:],
            whole[:20] + b"\x20\0" + whole[22:],
            whole[:20] + b"\0\x01" + whole[22:],
            whole[:14] + b"\x65" + whole[15:],
            whole[:14] + b"\x42" + whole[15:],
            whole[:38] + b"\xff\xff" + whole[40:],
            whole[:38] + b"\0\1" + whole[40:],
            *(whole[:length] for length in range(42)),
        ):
            self.assertEqual(self.one(data, pcap.ETHERNET), [], data)

    def test_snapped(self) -> None:
        """A datagram of which the capture kept the beginning only is marked."""
        (found,) = read(pcap.pcap([frame(b"x" * 100)[:-1]]))
        self.assertFalse(found.whole)
        self.assertEqual(found.data, b"x" * 99)
