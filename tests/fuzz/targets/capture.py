"""A capture file: read to its end, whatever it holds."""

from __future__ import annotations

from io import BytesIO

from pybootd.errors import MalformedPacket
from pybootd.pcap import datagrams
from tests.fuzz.support import shown
from tests.support import pcap

SEEDS = (
    pcap.pcap([pcap.frame(b"one"), pcap.frame(b"two")]),
    pcap.pcap([pcap.frame(b"one", tags=b"\x81\0\0\5")], order=">", nanoseconds=True),
    pcap.pcap([pcap.frame(b"one")[14:]], pcap.RAW),
    pcap.pcapng([pcap.frame(b"one"), pcap.frame(b"two")], resolution=9),
    pcap.pcapng([pcap.frame(b"one")], order=">", simple=True),
)


def one(data: bytes) -> None:
    """C{data} is the file."""
    before = 0
    try:
        for found in datagrams(BytesIO(data)):
            assert found.number > before
            assert len(found.data) <= len(data)
            assert found.time >= 0
            before = found.number
    except MalformedPacket as error:
        shown(str(error))
