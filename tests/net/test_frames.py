"""Frames, judged by scapy, which shares no code with them."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, in4_chksum
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw
from twisted.trial.unittest import SynchronousTestCase

from pybootd.net import frames

OURS, THEIRS = bytes.fromhex("020000000001"), bytes.fromhex("525400123456")
SERVER, CLIENT = int(IPv4Address("10.77.0.1")), int(IPv4Address("10.77.0.100"))


def udp_frame(payload: bytes) -> bytes:
    return frames.udp_frame(
        payload,
        source_mac=OURS,
        target_mac=THEIRS,
        source=SERVER,
        source_port=67,
        target=CLIENT,
        target_port=68,
    )


class UdpFrameTests(SynchronousTestCase):
    """A UDP datagram for a machine that answers no ARP yet."""

    def test_addresses(self) -> None:
        """Hardware, IP and port of both ends are where they belong."""
        frame = Ether(udp_frame(b"payload"))
        self.assertEqual((frame.src, frame.dst, frame.type), ("02:00:00:00:00:01", "52:54:00:12:34:56", 0x0800))
        self.assertEqual((frame[IP].src, frame[IP].dst, frame[IP].ttl), ("10.77.0.1", "10.77.0.100", 64))
        self.assertEqual((frame[UDP].sport, frame[UDP].dport), (67, 68))
        self.assertEqual(bytes(frame[UDP].payload), b"payload")

    @given(st.binary(max_size=1472))
    def test_checksums(self, payload: bytes) -> None:
        """Lengths and checksums are those that scapy computes, for even and odd lengths."""
        frame = Ether(udp_frame(payload))
        header, datagram = frame[IP].chksum, frame[UDP].chksum
        self.assertEqual((frame[IP].len, frame[UDP].len), (28 + len(payload), 8 + len(payload)))
        del frame[IP].chksum, frame[UDP].chksum
        again = Ether(bytes(frame))
        self.assertEqual((again[IP].chksum, again[UDP].chksum), (header, datagram))

    def test_checksum_of_zero(self) -> None:
        """A checksum that comes out as 0 is sent as 0xFFFF: 0 would mean that there is none (RFC 768)."""
        fitting = Ether(udp_frame(b"\0\0"))[UDP].chksum.to_bytes(2)
        frame = Ether(udp_frame(fitting))
        self.assertEqual(frame[UDP].chksum, 0xFFFF)
        self.assertEqual(in4_chksum(17, frame[IP], bytes(frame[UDP])), 0)

    def test_edges(self) -> None:
        """Nothing but zeros sums up to 0, nothing but ones to 0xFFFF, and so does whatever adds up to that."""
        for data, expected in (
            (b"", 0xFFFF),
            (b"\0" * 6, 0xFFFF),
            (b"\xff" * 6, 0),
            (b"\xff\xfe\0\1", 0),
            (b"\xff\xff\0\1", 0xFFFE),
            (b"\x12", 0xEDFF),
        ):
            self.assertEqual(frames.checksum(data), expected, data)


class ArpTests(SynchronousTestCase):
    """ARP itself."""

    def test_probe(self) -> None:
        """A probe asks everybody, and tells nobody an address of the sender (RFC 5227 2.1.1)."""
        frame = Ether(frames.arp_probe(OURS, CLIENT))
        self.assertEqual((frame.dst, len(frame)), ("ff:ff:ff:ff:ff:ff", 60))
        arp = frame[ARP]
        self.assertEqual((arp.op, arp.hwsrc, arp.psrc), (1, "02:00:00:00:00:01", "0.0.0.0"))
        self.assertEqual((arp.hwdst, arp.pdst), ("00:00:00:00:00:00", "10.77.0.100"))

    def test_announcement(self) -> None:
        """An announcement names the sender as sender and target, to one machine if need be (RFC 5227 3)."""
        frame = Ether(frames.arp_announcement(OURS, SERVER, THEIRS))
        self.assertEqual(frame.dst, "52:54:00:12:34:56")
        self.assertEqual((frame[ARP].psrc, frame[ARP].pdst), ("10.77.0.1", "10.77.0.1"))

    def test_sender(self) -> None:
        """Whoever sends a request or an answer speaks for its own address."""
        for op in (1, 2):
            frame = bytes(
                Ether(dst="02:00:00:00:00:01")
                / ARP(op=op, hwsrc="52:54:00:12:34:56", psrc="10.77.0.100", pdst="10.77.0.1")
            )
            self.assertEqual(frames.arp_sender(frame), (THEIRS, CLIENT), op)

    def test_no_sender(self) -> None:
        """Probes speak for nobody; other frames and cut ones are none."""
        for frame in (
            frames.arp_probe(THEIRS, CLIENT),
            bytes(Ether(dst="02:00:00:00:00:01") / ARP(hwtype=6, psrc="10.77.0.100")),
            bytes(Ether(dst="02:00:00:00:00:01") / IP() / Raw(b"x" * 40)),
            frames.arp_announcement(THEIRS, CLIENT)[:41],
            b"",
        ):
            self.assertIsNone(frames.arp_sender(frame), frame)

    @given(st.binary(max_size=128))
    def test_any_bytes(self, frame: bytes) -> None:
        """Nothing that is received makes it fail."""
        frames.arp_sender(b"\0" * 12 + b"\x08\x06" + frame)
