"""A TFTP request: read, its options agreed upon, the answer read back by other means than the server's."""

from __future__ import annotations

from pybootd.errors import MalformedPacket
from pybootd.tftp.options import BLKSIZE_RANGE, Ceilings, negotiate
from pybootd.tftp.packet import decode_error, decode_request, encode_request, error, opcode
from tests.fuzz.support import shown

SEEDS = (
    b"\0\1pxelinux.0\0octet\0",
    b"\0\1bootx64.efi\xff\0octet\0tsize\0" + b"0\0blksize\0" + b"1468\0windowsize\0" + b"4\0",
    b"\0\1Boot\\BCD\0octet\0msftwindow\0" + b"31416\0timeout\0" + b"5\0",
    b"\0\1a\0octet\0blksize\0" + b"65464\0windowsize\0" + b"65535\0tsize\0" + b"0\0",
    b"\0\2upload\0netascii\0tsize\0" + b"100\0",
    b"\0\5\0\0User aborted\0",
    b"\0\4\0\1",
)

_SIZES = (None, 0, 511, 70_000, 1 << 40)


def one(data: bytes) -> None:
    """C{data} is the datagram."""
    opcode(data)
    said = decode_error(data)
    assert 0 <= said.code < 65536
    assert b"\0" not in said.message
    try:
        request = decode_request(data)
    except MalformedPacket as malformed:
        shown(str(malformed))
        return
    assert b"\0" not in request.name
    plain = request.mode.isascii() and all(name.isascii() for name in request.options)
    if plain and not request.name.endswith(b"\xff") and request.name:
        assert decode_request(encode_request(request)) == request
    for size in _SIZES:
        for ceilings in (Ceilings(), Ceilings(512, 1468, 8), Ceilings().below(1500)):
            _agreed(request.options, ceilings, size)
    written = error(1, data.decode("latin-1"))
    assert len(written) <= 512
    assert written.count(b"\0", 4) == 1


def _agreed(asked: dict[str, bytes], ceilings: Ceilings, size: int | None) -> None:
    """Only what was asked for is answered, once, and never more than was asked for or than is allowed."""
    agreement = negotiate(asked, ceilings, size)
    shown(str(agreement))
    fields = agreement.oack[2:].split(b"\0")[:-1]
    names, values = [field.decode() for field in fields[::2]], [int(field) for field in fields[1::2]]
    assert len(names) == len(set(names)) == len(values)
    assert set(names) <= set(asked)
    assert dict(zip(names, values, strict=True)) == dict(agreement.answered)
    assert BLKSIZE_RANGE[0] <= agreement.blksize <= max(ceilings.blksize, ceilings.blocksize)
    assert 1 <= agreement.windowsize <= agreement.widest <= ceilings.windowsize
    assert agreement.blksize * agreement.widest <= max(ceilings.window_bytes, agreement.blksize)
    for name in ("blksize", "windowsize", "timeout"):
        if name in names:
            assert dict(agreement.answered)[name] <= int(asked[name])
