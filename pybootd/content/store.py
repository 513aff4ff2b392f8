"""
Files of remote servers, kept on disk: the layout and its promises.  L{pybootd.content.cache} decides what goes in.

For each URL a C{.data} file and a C{.json} note of what it is; while it is being fetched a
C{.part} file with a note of its own.  A note is written last and by renaming, and says how
long the file is and when it was written: whatever a crash, a full disk or a curious hand
leaves behind that does not agree with its note is thrown away.  Of a C{.part} only what was
synced before the note said so counts.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from collections import OrderedDict
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import attrs
from attrs import frozen

from pybootd.errors import EnvironmentProblem

_OURS = re.compile(r"[0-9a-f]{32}\.(data|json|part|note|tmp)")


@frozen
class Note:
    """What a file in the store is."""

    url: str
    size: int
    """Bytes of the whole file."""
    etag: str | None = None
    """As the server wrote it."""
    last_modified: str | None = None
    """As the server wrote it."""
    synced: int = 0
    """Of a part: how many of its bytes are sure to be right."""
    written: int = 0
    """Of a whole file: its time of modification, in nanoseconds."""

    @property
    def key(self) -> str:
        """The file's name without its ending."""
        return sha256(self.url.encode("utf-8", "surrogateescape")).hexdigest()[:32]

    @property
    def validator(self) -> str | None:
        """What If-Range may say of it: a strong ETag, or else the date."""
        strong = self.etag is not None and self.etag.startswith('"')
        return self.etag if strong else self.last_modified


class Store:
    """
    One directory with a bound on its size; the entry that was used longest ago goes first.

    Methods that say so may run in a thread; all others belong to the reactor's.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        """@param limit: bytes, of whole files and parts together."""
        self.directory = directory
        self.limit = limit
        self._lock = -1
        self._entries: OrderedDict[str, Note] = OrderedDict()
        self._parts: dict[str, Note] = {}
        self._busy: set[str] = set()

    def open(self) -> None:
        """
        Take the directory, and throw away what is not whole.

        @raise EnvironmentProblem: it cannot be used, or another server uses it.
        """
        where = f"[cache] directory = {self.directory}"
        try:
            self.directory.mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._scan()
        except BlockingIOError as error:
            self.close()
            raise EnvironmentProblem(f"{where}: another pybootd uses it") from error
        except OSError as error:
            self.close()
            raise EnvironmentProblem(f"{where}: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the directory; idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def find(self, url: str) -> Note | None:
        """The whole file of that URL, if it is here and as its note says; it counts as used."""
        note = self._entries.get(Note(url, 0).key)
        if note is None:
            return None
        if not _agrees(self._path(note.key, "data"), note):
            self._drop_entry(note.key)
            return None
        self._entries.move_to_end(note.key)
        with suppress(OSError):
            os.utime(self._path(note.key, "json"))
        return note

    def part(self, url: str) -> Note | None:
        """What is here of a file that was not fetched to its end."""
        return self._parts.get(Note(url, 0).key)

    def data(self, note: Note) -> str:
        """The name of a whole file in the directory."""
        return f"{note.key}.data"

    def begin(self, note: Note) -> int | None:
        """
        Make room for a file, and a place: a new one, or its part that is here, cut to what is sure.

        @return: a descriptor of the part, which the caller closes and then says L{end}; None: there is no room for it.
        @raise OSError: the disk refuses.
        """
        if not self._make_room(note):
            return None
        fd = os.open(self._path(note.key, "part"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, note.synced)
            if not note.synced:
                self._write(note, "note", sync=False)
        except OSError:
            os.close(fd)
            raise
        self._parts[note.key] = note
        self._busy.add(note.key)
        return fd

    def secure(self, fd: int, note: Note, synced: int) -> Note:
        """
        Sync a part and then its note.  May run in a thread; L{adopt} what it returns.

        @param synced: how much of the part is written.
        @raise OSError: the disk refuses.
        """
        os.fsync(fd)
        note = attrs.evolve(note, synced=synced)
        self._write(note, "note")
        return note

    def finish(self, fd: int, note: Note) -> Note:
        """
        Make a part the whole file.  May run in a thread; L{adopt} what it returns.

        @raise OSError: the disk refuses.
        """
        os.fsync(fd)
        note = attrs.evolve(note, synced=0, written=os.fstat(fd).st_mtime_ns)
        self._path(note.key, "part").replace(self._path(note.key, "data"))
        self._write(note, "json")
        self._path(note.key, "note").unlink(missing_ok=True)
        return note

    def adopt(self, note: Note) -> None:
        """Count a finished file, or a part that grew, as what it is now."""
        if note.written:
            self._parts.pop(note.key, None)
            self._entries[note.key] = note
            self._entries.move_to_end(note.key)
        else:
            self._parts[note.key] = note

    def end(self, note: Note) -> None:
        """Nobody writes to its part any more."""
        self._busy.discard(note.key)

    def drop(self, url: str) -> None:
        """Throw away all of a file; who has it open may read on."""
        self._drop(Note(url, 0).key)

    def _drop(self, key: str) -> None:
        self._drop_entry(key)
        self._drop_part(key)

    def _drop_entry(self, key: str) -> None:
        self._entries.pop(key, None)
        self._unlink(key, "json", "data")

    def _drop_part(self, key: str) -> None:
        self._parts.pop(key, None)
        self._unlink(key, "note", "part")

    def _unlink(self, key: str, *endings: str) -> None:
        for ending in endings:
            with suppress(OSError):
                self._path(key, ending).unlink()

    def _make_room(self, wanted: Note) -> bool:
        """Drop what was used longest ago, idle parts first; a part counts with the size that it will have."""
        taken = sum(note.size for note in self._entries.values())
        taken += sum(note.size for key, note in self._parts.items() if key != wanted.key)
        for key in [*self._parts, *self._entries]:
            if taken + wanted.size <= self.limit:
                break
            if key in self._entries:
                taken -= self._entries[key].size
                self._drop_entry(key)
            elif key != wanted.key and key not in self._busy:
                taken -= self._parts[key].size
                self._drop_part(key)
        return taken + wanted.size <= self.limit

    def _scan(self) -> None:
        """Read the notes; remove what none of them vouches for."""
        notes = [(path, note) for path in self.directory.iterdir() if (note := _read(path)) is not None]
        notes.sort(key=lambda found: found[0].stat().st_mtime)
        kept = set()
        for path, note in notes:
            ending = "data" if path.suffix == ".json" else "part"
            file = self._path(note.key, ending)
            if note.key == path.stem and _agrees(file, note):
                self.adopt(note)
                kept |= {path, file}
        for path in self.directory.iterdir():
            if path not in kept and _OURS.fullmatch(path.name):
                path.unlink()

    def _path(self, key: str, ending: str) -> Path:
        return self.directory / f"{key}.{ending}"

    def _write(self, note: Note, ending: str, sync: bool = True) -> None:
        temporary = self._path(note.key, "tmp")
        with temporary.open("w", encoding="ascii") as file:
            json.dump(attrs.asdict(note), file)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(self._path(note.key, ending))
        if sync:
            directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


def _agrees(file: Path, note: Note) -> bool:
    """Whether a file is what its note says."""
    try:
        status = file.lstat()
    except OSError:
        return False
    if not stat.S_ISREG(status.st_mode):
        return False
    if note.written:
        return status.st_size == note.size and status.st_mtime_ns == note.written
    return note.synced <= status.st_size and note.synced <= note.size


def _read(path: Path) -> Note | None:
    """The note in a file, if there is a good one."""
    if path.suffix not in (".json", ".note"):
        return None
    try:
        note = Note(**json.loads(path.read_text("ascii")))
    except (OSError, ValueError, TypeError):
        return None
    good = isinstance(note.url, str) and all(type(n) is int and n >= 0 for n in (note.size, note.synced, note.written))
    fields = all(value is None or isinstance(value, str) for value in (note.etag, note.last_modified))
    return note if good and fields and bool(note.written) == (path.suffix == ".json") else None
