"""
A client that fetches a file, halts in the middle until it is sent a line, and then says what arrived.

C{python -m tests.e2e.support.halting tftp|http SERVER NAME [BYTES]}: prints C{halts} when so many bytes are there, or
the first ones, and at the end C{SHA-256 BYTES}, or why there is no end.
"""

from __future__ import annotations

import hashlib
import socket
import sys
from collections.abc import Iterator

PIECE = 65536


def tftp(server: str, name: str) -> Iterator[bytes]:
    """RFC 1350, in blocks of 512: a server that is not heard of for a while is reminded."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(1)
    sock.sendto(b"\0\1" + name.encode() + b"\0octet\0", (server, 69))
    wanted, reminders = 1, 0
    acknowledged: tuple[bytes, tuple[str, int]] | None = None
    while True:
        try:
            data, source = sock.recvfrom(PIECE)
        except TimeoutError:
            reminders += 1
            if acknowledged is None or reminders > 10:
                raise
            sock.sendto(*acknowledged)
            continue
        if data[:2] == b"\0\5":
            raise OSError(data[4:-1].decode())
        if int.from_bytes(data[2:4], "big") != wanted & 0xFFFF:
            continue
        acknowledged = b"\0\4" + data[2:4], source
        yield data[4:]
        sock.sendto(*acknowledged)
        wanted, reminders = wanted + 1, 0
        if len(data) < 516:
            return


def http(server: str, name: str) -> Iterator[bytes]:
    """HTTP/1.0."""
    sock = socket.create_connection((server, 80), 30)
    sock.sendall(f"GET /{name} HTTP/1.0\r\n\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(PIECE)
        if not more:
            raise OSError("no header")
        data += more
    head, _, data = data.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise OSError(head.decode())
    yield data
    while data := sock.recv(PIECE):
        yield data


def main(protocol: str, server: str, name: str, at: str = "0") -> None:
    """Fetch, halt, go on."""
    digest, size, halted = hashlib.sha256(), 0, False
    try:
        for piece in {"tftp": tftp, "http": http}[protocol](server, name):
            if not halted and size >= int(at):
                halted = True
                print("halts", flush=True)
                sys.stdin.readline()
            digest.update(piece)
            size += len(piece)
    except OSError as error:
        print(f"no end after {size} bytes: {error}", flush=True)
        return
    print(digest.hexdigest(), size, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
