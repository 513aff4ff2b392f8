"""
A DHCP client that says just what it is told: C{python -m tests.e2e.support.asker INTERFACE SECONDS PORT HEX...}.

Each datagram is broadcast to that port, from the one above it; what comes back within the time is printed, one line of
hexadecimal each.
"""

from __future__ import annotations

import socket
import sys
import time


def main(interface: str, seconds: str, port: str, *datagrams: str) -> None:
    """Ask, and print the answers."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    sock.bind(("0.0.0.0", int(port) + 1))
    for text in datagrams:
        sock.sendto(bytes.fromhex(text), ("255.255.255.255", int(port)))
        deadline = time.monotonic() + float(seconds)
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                print(sock.recv(4096).hex(), flush=True)
            except TimeoutError:
                break
            # one answer is enough for one question; the rest of a second one is heard with the next
            deadline = min(deadline, time.monotonic() + 0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
