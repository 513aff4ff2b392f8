"""
Datagrams to one client: a whole run of blocks in one call where the kernel cuts it (UDP_SEGMENT, Linux 4.18).

Where kernel or network adapter refuse, the same packets go one by one at once, and it is not tried again.
"""

from __future__ import annotations

import errno
import os
import socket
from struct import pack

from twisted.logger import Logger

from pybootd.net.udp import IP_PKTINFO
from pybootd.tftp.blocks import Run

SOL_UDP = 17
UDP_SEGMENT = 103

HEADERS = 28
"""Bytes of IPv4 and UDP before each datagram."""

Ancillary = list[tuple[int, int, bytes]]

_REFUSED = (errno.EIO, errno.EINVAL, errno.EOPNOTSUPP)
"""What the system says of itself: no ICMP message turns up as one of these."""

_ENONET = getattr(errno, "ENONET", errno.EHOSTDOWN)  # Linux has it, macOS does not
_ICMP = (errno.ECONNREFUSED, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.EPROTO, _ENONET)
"""What a client or router has said of an earlier datagram: a connected socket says it once, and sends nothing then."""

_LOST = (errno.ENOBUFS, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EPERM, *_ICMP)
"""What a way may suffer from for a while: as if the datagram were lost, so that the timer sends it again."""


class Offload:
    """Whether the kernel cuts runs into datagrams; one for the process."""

    log = Logger()

    def __init__(self, usable: bool = os.uname().sysname == "Linux") -> None:
        self.usable = usable

    def refused(self, error: OSError) -> None:
        """The system cannot do it, whoever the client is."""
        if self.usable:
            self.usable = False
            self.log.info(
                "UDP segmentation offload is refused ({reason}): blocks are sent one by one", reason=error.strerror
            )


class Sender:
    """
    The way to one client.

    @ivar client: its address and port.
    """

    __slots__ = ("_address", "_ancillary", "_cut", "_mtu", "_offload", "_segments", "_size", "_socket", "client")

    def __init__(
        self,
        sock: socket.socket,
        client: tuple[str, int],
        offload: Offload,
        mtu: int,
        source: int = 0,
        connected: bool = False,
    ) -> None:
        """
        @param mtu: of the way; larger packets are not cut but fragmented.
        @param source: the address to send from, for a socket that has several; 0: the socket's own.
        @param connected: the socket leads nowhere else.
        """
        self.client = client
        self._address = None if connected else client
        self._socket = sock
        self._offload = offload
        self._mtu = mtu
        self._segments = True
        self._size = 0
        self._cut: Ancillary = []
        self._ancillary: Ancillary = []
        if source and IP_PKTINFO:
            self._ancillary.append((socket.IPPROTO_IP, IP_PKTINFO, pack("!4xI4x", source)))

    def send(self, datagram: bytes | memoryview) -> bool:
        """
        Send one packet.

        @return: False where the socket takes no more for now.
        @raise OSError: this will not get better.
        """
        try:
            if self._address is None:
                self._socket.send(datagram)
            else:
                self._socket.sendmsg((datagram,), self._ancillary, 0, self._address)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _LOST:
                raise
        return True

    def cut(self, size: int) -> Ancillary | None:
        """What tells the kernel to cut a run into packets of so many bytes; None where it cannot."""
        if not self._segments or not self._offload.usable or size + HEADERS > self._mtu:
            return None
        if size != self._size:
            self._size = size
            self._cut = [*self._ancillary, (SOL_UDP, UDP_SEGMENT, pack("=H", size))]
        return self._cut

    def send_run(self, run: Run, at: int, count: int) -> int:
        """
        Send so many packets of a run from the one with index C{at}.

        @return: how many have left; fewer where the socket takes no more for now.
        @raise OSError: this will not get better.
        """
        sent = 0
        for share in run.shares(count):
            left = self._send_share(run, at + sent, share)
            sent += left
            if left < share:
                break
        return sent

    def _send_share(self, run: Run, at: int, count: int) -> int:
        """As L{send_run}, of no more than what one call sends."""
        control = self.cut(len(run.packets[at])) if count > 1 else None
        if control is not None:
            try:
                self._socket.sendmsg((run.part(at, count),), control, 0, self._address)
            except BlockingIOError:
                return 0
            except OSError as error:
                if error.errno in _REFUSED:
                    self._offload.refused(error)
                elif error.errno == errno.EMSGSIZE:
                    self._segments = False  # the way is narrower than its first link
                elif error.errno not in _LOST:
                    raise
            else:
                return count
        for sent in range(count):
            if not self.send(run.packets[at + sent]):
                return sent
        return count
