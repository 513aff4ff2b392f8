"""
Datagrams out: whole windows in one system call where the kernel can cut them (UDP_SEGMENT, Linux 4.18).

Blocks of one size behind one another, each with its header, leave as one message; kernel or network adapter make
packets of it.  Where that is refused, the same packets go one by one at once, and it is not tried again.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence

from twisted.logger import Logger

SOL_UDP = 17
UDP_SEGMENT = 103
SEGMENTS = 64
"""Packets in one call: what older kernels take."""
LONGEST = 65507
"""Bytes in one call: a UDP payload's limit, before it is cut."""

_REFUSALS = {errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP, errno.ENOPROTOOPT}
_SIZE = struct.Struct("@H")


class Sender:
    """Sends runs of packets, and remembers what the system refuses."""

    log = Logger()

    def __init__(self, segments: bool = os.uname().sysname == "Linux") -> None:
        self._segments = segments

    def send(self, sock: socket.socket, packets: Sequence[bytes], client: tuple[str, int], mtu: int) -> int:
        """
        Send packets in order; all but the last are of one size.

        @param mtu: of the way to the client: larger packets are not cut but fragmented.
        @return: how many have left; fewer than all when the socket takes no more for now.
        """
        size = len(packets[0])
        if len(packets) > 1 and self._segments and size + 28 <= mtu:
            return self._run(sock, packets, client, size)
        return _singly(sock, packets, client)

    def _run(self, sock: socket.socket, packets: Sequence[bytes], client: tuple[str, int], size: int) -> int:
        most = min(SEGMENTS, LONGEST // size)
        control = [(SOL_UDP, UDP_SEGMENT, _SIZE.pack(size))]
        sent = 0
        while sent < len(packets):
            run = packets[sent : sent + most]
            try:
                # one packet alone needs no cutting, and some kernels refuse to cut it
                sock.sendmsg(run, control if len(run) > 1 else [], 0, client)
            except BlockingIOError:
                return sent
            except OSError as error:
                if error.errno not in _REFUSALS:
                    raise
                self._segments = False
                self.log.info(
                    "segmentation offload is refused ({reason}): packets are sent one by one", reason=error.strerror
                )
                return sent + _singly(sock, packets[sent:], client)
            sent += len(run)
        return sent


def _singly(sock: socket.socket, packets: Sequence[bytes], client: tuple[str, int]) -> int:
    for sent, packet in enumerate(packets):
        try:
            sock.sendto(packet, client)
        except BlockingIOError:
            return sent
    return len(packets)
