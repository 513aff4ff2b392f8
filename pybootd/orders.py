"""
The list of next boots: a directory beside the lease file, with a small file for each machine that an order is for.

C{pybootd boot} writes it, the daemon looks there at each question of a machine that boots, and takes the file away when
the machine was given what it says.  A file comes and goes as a whole, so that neither waits for the other, and a power
cut leaves the one or the other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import frozen
from twisted.logger import Logger

from pybootd.config import Config
from pybootd.errors import EnvironmentProblem
from pybootd.machine import mac_text
from pybootd.text import printable

LIMIT = 4096
"""Orders at once."""

LARGEST = 1024
"""Bytes of a file's name or URL."""

_NAME = re.compile("([0-9a-f]{2}-){5}[0-9a-f]{2}")
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@frozen
class Order:
    """One machine's next boot."""

    mac: bytes
    file: str
    since: float
    """Seconds since the epoch."""

    def __str__(self) -> str:
        return f"{mac_text(self.mac)}  {printable(self.file)}"


def place_of(config: Config) -> Path:
    """Where the list is: C{pybootd.leases} has C{pybootd.next} beside it."""
    kind, _, path = config.leases.store.partition(":")
    return Path(path).with_suffix(".next") if kind == "sqlite" else config.directory / "pybootd.next"


class OrderBook:
    """
    The list, for the daemon (L{pybootd.dhcp.once.Orders}) and for the command.

    @ivar place: its directory.
    """

    log = Logger()

    def __init__(self, place: Path) -> None:
        self.place = place
        self._spent: dict[bytes, tuple[int, int]] = {}
        """Orders that were carried out and could not be taken away: they count no more."""

    def of(self, key: bytes) -> str:
        """The file that this machine is to boot next, or nothing; what cannot be read is no order."""
        if len(key) != 6:
            return ""
        try:
            fd = os.open(self._path(key), _READ)
        except OSError:
            return ""
        try:
            if self._spent and self._spent.get(key) == _mark(os.fstat(fd)):
                return ""
            text = os.read(fd, LARGEST + 1).decode("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""
        finally:
            os.close(fd)
        return text if sound(text) else ""

    def done(self, key: bytes) -> None:
        """The machine was given it: the order goes away.  Where that fails it counts no more while the daemon runs."""
        path = self._path(key)
        try:
            os.unlink(path)  # noqa: PTH108 - beside os.open
        except FileNotFoundError:
            pass
        except OSError as error:
            try:
                self._spent[key] = _mark(os.stat(path))  # noqa: PTH116
            except OSError:
                return
            self.log.error(
                "{path} was carried out and cannot be taken away ({error}): delete it, and let the daemon's user own"
                " its directory",
                path=path,
                error=error.strerror,
            )

    def put(self, mac: bytes, file: str) -> None:
        """
        The next boot of this machine, in place of any order before.

        @raise EnvironmentProblem: it cannot be written down.
        """
        if not sound(file):
            raise EnvironmentProblem(f"{printable(file)}: no name of a file: one line, at most {LARGEST} bytes")
        try:
            with self._opened() as place:
                if len(self.all()) >= LIMIT and not self.of(mac):
                    raise EnvironmentProblem(f"{self.place}: {LIMIT} orders wait there; pybootd boot MAC --cancel")
                new = f".{mac.hex('-')}.{os.getpid()}"
                with open(os.open(new, _WRITE, 0o644, dir_fd=place), "w", encoding="utf-8") as stream:  # noqa: PTH123
                    os.fchmod(stream.fileno(), 0o644)
                    stream.write(file + "\n")
                    stream.flush()
                    os.fsync(stream.fileno())
                os.rename(new, mac.hex("-"), src_dir_fd=place, dst_dir_fd=place)
                os.fsync(place)
        except OSError as error:
            raise EnvironmentProblem(f"{self.place}: {error.strerror}; who may write there may give orders") from None

    def cancel(self, mac: bytes) -> bool:
        """
        Take an order back; whether there was one.

        @raise EnvironmentProblem: it may not be taken back by this user.
        """
        try:
            os.unlink(self._path(mac))  # noqa: PTH108
        except FileNotFoundError:
            return False
        except OSError as error:
            raise EnvironmentProblem(f"{self._path(mac)}: {error.strerror}") from None
        return True

    def all(self) -> Sequence[Order]:
        """Every order, by hardware address."""
        try:
            names = sorted(name for name in os.listdir(self.place) if _NAME.fullmatch(name))  # noqa: PTH208
        except OSError:
            return ()
        found = []
        for name in names[:LIMIT]:
            mac = bytes.fromhex(name.replace("-", ""))
            file = self.of(mac)
            if file:
                try:
                    found.append(Order(mac, file, (self.place / name).stat().st_mtime))
                except OSError:
                    continue  # carried out this moment
        return found

    def _path(self, mac: bytes) -> str:
        return f"{self.place}/{mac.hex('-')}"

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """
        The directory, made if need be.

        It belongs to whom its parent belongs to: the daemon's user has to take orders away.  That user may be up to
        anything: what is opened once, and no link, is what is written to.
        """
        made = False
        with suppress(FileExistsError):
            self.place.mkdir(mode=0o755)
            made = True
        fd = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            state, owner = os.fstat(fd), self.place.parent.stat()
            if made and os.geteuid() == 0 and state.st_uid == 0 and not os.listdir(fd):  # noqa: PTH208
                os.fchown(fd, owner.st_uid, owner.st_gid)
            yield fd
        finally:
            os.close(fd)


def sound(file: str) -> bool:
    """Whether it can be the name of a file, or a URL."""
    return bool(file) and file.isprintable() and len(file.encode("utf-8", "replace")) <= LARGEST


def _mark(state: os.stat_result) -> tuple[int, int]:
    return state.st_ino, state.st_mtime_ns
