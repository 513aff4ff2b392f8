"""
What was on the wire, and the judges of it: tshark, which knows every protocol better than its author.

The recorder sits on one port of a switch, so it sees frames as they leave for one machine: after segmentation, with
whatever a raw socket wrote into them.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from attrs import frozen

from tests.e2e.support.lab import Namespace, run, within

ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA = 263, 8
SO_RCVBUFFORCE = 33
CHECKSUM_NOT_READY = 1 << 3  # TP_STATUS_CSUMNOTREADY: the card was to fill it in
PACKET = struct.Struct("=IIIHHHH")  # struct tpacket_auxdata
SETTLE = 0.3
"""Seconds for the last frames to arrive."""

JUDGING = 600
"""Seconds for tshark, which reads every packet of an installer that came over this cable."""

JUDGED = "(dhcp || tftp || udp || arp || icmp || icmpv6) && !http"
COMPLAINT = "_ws.malformed || _ws.short || (_ws.expert.severity >= 0x600000 && tftp.opcode != 5)"
"""
What tshark says of broken packets: expert severity warning (0x600000) and above.  It warns of every TFTP ERROR, for
which there are good reasons.
"""

CHECKED = [
    word
    for preference in ("ip.check_checksum", "udp.check_checksum", "tcp.check_checksum")
    for word in ("-o", f"{preference}:TRUE")
]


@frozen
class Reply:
    """A DHCP message as tshark reads it."""

    kind: str
    """C{DISCOVER}, C{OFFER}, C{REQUEST}, C{ACK}, C{NAK}...; nothing for BOOTP."""
    mac: str
    yiaddr: str
    siaddr: str
    file: str
    destination: str
    """The IP address it was sent to."""
    server: str
    """Option 54."""
    source: str


KINDS = ("", "DISCOVER", "OFFER", "REQUEST", "DECLINE", "ACK", "NAK", "RELEASE", "INFORM")


class Recorder:
    """Writes every frame that passes an interface to a file, until it is stopped."""

    def __init__(self, namespace: Namespace, interface: str, file: Path) -> None:
        self.file = file
        self._socket = within(namespace, partial(_packets, interface))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._record, daemon=True)
        self._thread.start()

    def stop(self) -> Path:
        """
        Stop.

        @return: the file, complete.
        """
        if not self._ended.is_set():
            time.sleep(SETTLE)
            self._ended.set()
            self._thread.join(30)
            self._socket.close()
        return self.file

    def dhcp(self) -> list[Reply]:
        """The DHCP messages that were seen, in their order; stops the recording."""
        fields = (
            "dhcp.option.dhcp",
            "dhcp.hw.mac_addr",
            "dhcp.ip.your",
            "dhcp.ip.server",
            "dhcp.file",
            "ip.dst",
            "dhcp.option.dhcp_server_id",
            "ip.src",
        )
        words = [word for field in fields for word in ("-e", field)]
        table = run(
            "tshark", "-r", self.stop(), "-Y", "dhcp", "-T", "fields", "-E", "occurrence=f", *words, timeout=JUDGING
        ).stdout
        rows = (line.split("\t") for line in table.splitlines())
        return [Reply(KINDS[int(kind or 0)], *rest) for kind, *rest in rows]

    def complaints(self, source: str) -> list[str]:
        """
        What tshark finds wrong with the packets that this address sent; stops the recording.

        @param source: the IP address of the host under test.
        @return: one line for each such packet.
        """
        columns = ("frame.number", "_ws.col.Protocol", "_ws.col.Info", "_ws.expert.message")
        words = [word for column in columns for word in ("-e", column)]
        judged = f"ip.src == {source} && ({JUDGED}) && ({COMPLAINT})"
        judge = ("tshark", "-r", self.stop(), *CHECKED, "-Y", judged, "-T", "fields", *words)
        return run(*judge, timeout=JUDGING).stdout.splitlines()

    def _record(self) -> None:
        with self.file.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
            while True:
                ended = self._ended.is_set()
                try:
                    frame, ancillary, _, _ = self._socket.recvmsg(262144, 64, socket.MSG_DONTWAIT if ended else 0)
                except OSError:
                    if ended:
                        return  # everything that had come by then is in the file
                    continue
                now = time.time()
                if _unfinished(ancillary):
                    frame = _checksummed(frame)
                file.write(struct.pack("<IIII", int(now), int(now % 1 * 1e6), len(frame), len(frame)) + frame)


def _packets(interface: str) -> socket.socket:
    """A packet socket that sees all that an interface carries."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    raw.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    raw.bind((interface, ETH_P_ALL))
    raw.settimeout(0.1)
    return raw


def _unfinished(ancillary: Sequence[tuple[int, int, bytes]]) -> bool:
    return any(
        level == SOL_PACKET and kind == PACKET_AUXDATA and PACKET.unpack(data[: PACKET.size])[0] & CHECKSUM_NOT_READY
        for level, kind, data in ancillary
    )


def _checksummed(frame: bytes) -> bytes:
    """An IPv4 frame with the UDP or TCP checksum that the kernel left to the card; others as they are."""
    if frame[12:14] != b"\x08\x00":
        return frame
    transport = 14 + (frame[14] & 15) * 4
    end = 14 + int.from_bytes(frame[16:18])
    position = {17: 6, 6: 16}.get(frame[23])
    if position is None:
        return frame
    whole = bytearray(frame)
    whole[transport + position : transport + position + 2] = bytes(2)
    body = whole[transport:end]
    pseudo = frame[26:34] + struct.pack("!HH", frame[23], len(body)) + body + bytes(len(body) % 2)
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    whole[transport + position : transport + position + 2] = struct.pack("!H", ~total & 0xFFFF or 0xFFFF)
    return bytes(whole)
