"""What raw sockets hear: ARP frames, ICMP echoes, router solicitations; and frames that are written."""

from __future__ import annotations

from pybootd.net.advertisement import solicitor
from pybootd.net.echo import answers, request
from pybootd.net.frames import arp_announcement, arp_probe, arp_sender, checksum, udp_frame

MAC = b"\x52\x54\0\0\0\1"
SEEDS = (
    arp_announcement(MAC, 0x0A000001),
    arp_probe(MAC, 0x0A000001),
    b"\x45" + bytes(19) + b"\0" + request(7)[1:],
    b"\x85" + bytes(7) + b"\1\1" + MAC,
    udp_frame(b"payload", source_mac=MAC, target_mac=MAC, source=1, source_port=67, target=2, target_port=68),
)


def one(data: bytes) -> None:
    """C{data} is a frame, a packet, or a message."""
    spoke = arp_sender(data)
    if spoke is not None:
        assert len(spoke[0]) == 6
        assert 0 < spoke[1] < 1 << 32
        assert arp_sender(arp_announcement(*spoke)) == spoke
    assert answers(data, 7) in (True, False)
    for source in ("fe80::5054:ff:fe00:1%eth0", "::", "fe80::1"):
        mac = solicitor(data, source)
        assert mac == "" or len(bytes.fromhex(mac.replace(":", ""))) == 6
    assert 0 <= checksum(data) < 65536
    frame = udp_frame(data[:1400], source_mac=MAC, target_mac=MAC, source=1, source_port=67, target=2, target_port=68)
    assert checksum(frame[14:34]) == 0
    assert frame.endswith(data[:1400])
