"""Events as a boot makes them, in few words."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from pybootd import events
from pybootd.events import Event
from pybootd.machine import Firmware

MAC = "52:54:00:12:34:56"
ADDRESS = IPv4Address("10.77.0.100")


class Story:
    """
    Tells what happens to one machine.

    @ivar now: the time of the next event; each event takes a second.
    @ivar told: everything that happened.
    """

    def __init__(self, tell: Any, mac: str = MAC, address: IPv4Address = ADDRESS) -> None:
        self._tell = tell
        self.mac = mac
        self.address: IPv4Address | None = address
        self.now = 1000.0
        self.told: list[Event] = []
        self._number = 0

    def _say(self, kind: type[Event], address: IPv4Address | None, *fields: Any) -> None:
        self.now += 1
        event = kind(self.now, self.mac, address, *fields)
        self.told.append(event)
        self._tell(event)

    def seen(self, firmware: Firmware = Firmware.PXE, message: str = "DISCOVER", architecture: int | None = 0) -> None:
        """A request."""
        self._say(events.Seen, None, message, firmware, architecture, None, "eth1")

    def offered(self, file: str = "pxelinux.0") -> None:
        """An OFFER."""
        self._say(events.Offered, self.address, file)

    def leased(self, file: str = "pxelinux.0", boot: bool = True, hostname: str = "") -> None:
        """An ACK."""
        self._say(events.Leased, self.address, None, boot, file, hostname, self.now + 86400)

    def ignored(self, reason: str, setting: str = "", message: str = "DISCOVER") -> None:
        """No answer."""
        self._say(events.Ignored, None, message, reason, setting)

    def refused(self, message: str, reason: str, setting: str = "") -> None:
        """A NAK, or a file that is denied."""
        self._say(events.Refused, self.address, message, reason, setting)

    def missing(self, name: str, reason: str = "no such file", protocol: str = "tftp") -> None:
        """A file that is not there."""
        self._say(events.FileAsked, self.address, protocol, name)
        self._say(events.FileMissing, self.address, protocol, name, reason)

    def begun(self, name: str, size: int | None = 1000, detail: str = "", protocol: str = "tftp") -> int:
        """A transfer begins; its number."""
        self._number += 1
        self._say(events.FileAsked, self.address, protocol, name)
        source = f"/srv/{name}"
        self._say(events.TransferBegun, self.address, protocol, self._number, name, source, size, detail)
        return self._number

    def progress(self, sent: int) -> None:
        """So much of the last transfer has arrived."""
        self._say(events.TransferProgress, self.address, self._number, sent)

    def ended(self, name: str, sent: int = 1000, again: int = 0, protocol: str = "tftp") -> None:
        """The last transfer has arrived."""
        self._say(events.TransferEnded, self.address, protocol, self._number, name, sent, 1.0, again)

    def failed(self, name: str, reason: str = "the client fell silent", sent: int = 400, probe: bool = False) -> None:
        """The last transfer did not."""
        self._say(events.TransferFailed, self.address, "tftp", self._number, name, sent, reason, probe)

    def fetched(self, name: str) -> None:
        """A whole transfer."""
        self.begun(name)
        self.ended(name)

    def addressed(self, firmware: Firmware = Firmware.PXE, file: str = "pxelinux.0") -> None:
        """DISCOVER, OFFER, REQUEST, ACK."""
        self.seen(firmware)
        self.offered(file)
        self.seen(firmware, "REQUEST (selecting)")
        self.leased(file)

    def system(self) -> None:
        """The system asks for its address."""
        self.seen(Firmware.SYSTEM)
        self.offered("")
        self.seen(Firmware.SYSTEM, "REQUEST (selecting)")
        self.leased("", boot=False, hostname="node7")

    def boot(self) -> None:
        """A whole boot."""
        self.addressed()
        for name in ("pxelinux.0", "ldlinux.c32", "pxelinux.cfg/default", "debian/linux", "debian/initrd.gz"):
            self.fetched(name)
        self.system()
