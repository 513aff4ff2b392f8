"""
Files that clients write: new ones only, of bounded size, into one directory (C{[tftpd] upload}).

A file appears under its name when it is whole; until then it is hidden, and it goes when the transfer fails.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Protocol

from pybootd.tftp import packet
from pybootd.tftp.hub import Hub
from pybootd.tftp.netascii import Restorer
from pybootd.tftp.options import Agreement
from pybootd.tftp.packet import ErrorCode, number
from pybootd.tftp.ports import Port
from pybootd.tftp.reception import Reception
from pybootd.tftp.sender import Sender
from pybootd.tftp.transfer import NEVER, State

LARGEST = 65536
"""Bytes of a client's datagram that are looked at."""

NAME = 200
"""Bytes of a name."""


class Refusal(Exception):
    """The file is not taken."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Uploads:
    """The directory for them."""

    def __init__(self, directory: Path, limit: int) -> None:
        """@param limit: bytes of one file."""
        self.limit = limit
        self._directory = directory

    def open(self, name: bytes, asked: bytes | None) -> Upload:
        """
        Begin a file.

        @param asked: the client's C{tsize}, if it said one.
        @raise Refusal: it is not taken.
        """
        plain = name.removeprefix(b"/")
        if (
            not plain
            or len(plain) > NAME
            or b"/" in plain
            or b"\\" in plain
            or plain.startswith(b".")
            or b"\0" in plain
        ):
            raise Refusal(ErrorCode.ACCESS_VIOLATION, "files are taken under a plain name only")
        size = number(asked, 0, 2**63) if asked is not None else None
        if size is not None and size > self.limit:
            raise Refusal(ErrorCode.DISK_FULL, f"files of up to {self.limit} bytes are taken")
        path = self._directory / os.fsdecode(plain)
        if os.path.lexists(path):
            raise Refusal(ErrorCode.FILE_EXISTS, "there is such a file already")
        return Upload(path, self.limit)


class Upload:
    """One file that is being written."""

    def __init__(self, path: Path, limit: int) -> None:
        """@raise Refusal: it cannot be written."""
        self.path = path
        self._limit = limit
        self._size = 0
        self._hidden = path.with_name(f".{path.name}.{token_hex(4)}")
        try:
            self._fd = os.open(self._hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise Refusal(ErrorCode.ACCESS_VIOLATION, f"cannot be written: {error.strerror}") from error

    def write(self, data: bytes) -> None:
        """@raise Refusal: it is too large, or the disk is full."""
        self._size += len(data)
        if self._size > self._limit:
            raise Refusal(ErrorCode.DISK_FULL, f"files of up to {self._limit} bytes are taken")
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise Refusal(ErrorCode.DISK_FULL, f"cannot be written: {error.strerror}") from error

    def keep(self) -> None:
        """
        The file is whole.

        @raise Refusal: another of the same name came first.
        """
        try:
            os.link(self._hidden, self.path)
        except OSError as error:
            raise Refusal(ErrorCode.FILE_EXISTS, f"cannot be kept: {error.strerror}") from error
        finally:
            self.drop()

    def drop(self) -> None:
        """Forget what is hidden; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            with suppress(OSError):
                self._hidden.unlink()


class Owner(Protocol):
    """Who is told of a session's end."""

    def ended(self, session: UploadSession, failure: str) -> None:
        """It is over; C{failure} is empty when the whole file is here."""


class UploadSession:
    """One client's write transfer at work; used as L{pybootd.tftp.session.Session} is."""

    blocked = False

    def __init__(
        self,
        agreement: Agreement,
        upload: Upload,
        netascii: bool,
        sender: Sender,
        port: Port | None,
        hub: Hub,
        owner: Owner,
        timeout: float,
    ) -> None:
        """@param port: the transfer's own, which the session gives back; None where it shares the server's."""
        self.client = sender.client
        self.transfer = Reception(agreement, hub.clock(), timeout=timeout)
        self._upload = upload
        self._restore = Restorer().feed if netascii else None
        self._sender = sender
        self._port = port
        self._hub = hub
        self._owner = owner
        self._open = True
        self._kept = False
        if port is not None:
            port.begin(self)

    @property
    def arrived(self) -> int:
        """Bytes of the file that are here."""
        return self.transfer.received

    @property
    def shares(self) -> bool:
        """Whether it has no socket of its own."""
        return self._port is None

    def readable(self, now: float) -> bool:
        """The transfer's own socket has a datagram."""
        if self._port is not None:
            try:
                datagram = self._port.socket.recv(LARGEST)
            except OSError:
                return False
            self.receive(datagram, now)
        return False

    def receive(self, datagram: bytes, now: float) -> None:
        """A datagram from the client."""
        content = self.transfer.receive(datagram, now)
        try:
            if content:
                self._upload.write(self._restore(content) if self._restore is not None else content)
            if self.transfer.state is State.DONE and not self._kept:
                self._kept = True
                self._upload.keep()
        except Refusal as refusal:
            self._refuse(refusal.code, str(refusal))
            return
        self.pump(now)

    def writable(self, now: float) -> None:
        """Nothing is ever queued here: the timer repeats what could not leave."""

    def expire(self, now: float) -> None:
        """Time has passed."""
        self.transfer.expire(now)
        self.pump(now)

    def failed(self) -> None:
        """Something happened that should not, and was reported."""
        self._refuse(ErrorCode.UNDEFINED, "internal error")

    def pump(self, now: float) -> None:
        """Send what is to be answered; see whether it is over."""
        transfer = self.transfer
        if transfer.state in (State.ENDED, State.LOST):
            self.close(transfer.reason)
            return
        if transfer.reply is not None:
            reply, transfer.reply = transfer.reply, None
            with suppress(OSError):
                self._sender.send(reply)
        if transfer.state is State.DONE and transfer.deadline == NEVER:
            self.close("")

    def close(self, failure: str) -> None:
        """It is over, in whatever way; idempotent."""
        if not self._open:
            return
        self._open = False
        self._upload.drop()
        port, self._port = self._port, None
        if port is not None:
            port.end(again=self._kept)
        self._owner.ended(self, "" if self._kept else failure)

    def _refuse(self, code: int, reason: str) -> None:
        with suppress(OSError):
            self._sender.send(packet.error(code, reason))
        self._kept = False
        self.close(reason)
