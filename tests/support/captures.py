"""What real clients sent: the files of C{tests/captures}, each with its origin in its first lines."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from pybootd.dhcp.client import understand
from pybootd.dhcp.packet import decode
from pybootd.dhcp.request import Request

PLACE = Path(__file__).parent.parent / "captures"


@frozen
class Capture:
    """One datagram."""

    client: str
    """The file's name: C{ovmf-pxe}."""
    kind: str
    """What it asks, as a name of L{pybootd.dhcp.request.Kind}."""
    source: tuple[str, int]
    destination: tuple[str, int]
    data: bytes

    @property
    def request(self) -> Request:
        """As a server understands it."""
        unicast = self.destination[0] != "255.255.255.255"
        return understand(decode(self.data), self.source, self.destination[1], 2, unicast)


def _captures(file: Path) -> list[Capture]:
    captures = []
    for block in file.read_text().split("\n\n")[1:]:
        title, *lines = block.splitlines()
        kind, *ends = title.split()
        source, destination = ((address, int(port)) for address, _, port in (end.partition(":") for end in ends))
        captures.append(Capture(file.stem, kind, source, destination, bytes.fromhex("".join(lines))))
    return captures


CAPTURES = tuple(capture for file in sorted(PLACE.glob("*.hex")) for capture in _captures(file))
BY_NAME = {(capture.client, capture.kind): capture for capture in CAPTURES}
