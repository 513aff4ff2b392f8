"""Remote files on disk, and what a crash leaves of them."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.store import Note, Store
from pybootd.errors import EnvironmentProblem

LIMIT = 100


def note(name: str = "a", size: int = 10, **fields: str) -> Note:
    """A file's note."""
    return Note(f"http://mirror/{name}", size, **{"etag": '"1"', **fields})


class StoreCase(SynchronousTestCase):
    """A store on disk that can be opened again, as after a crash."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.store = self.opened()

    def opened(self, limit: int = LIMIT) -> Store:
        store = Store(self.directory, limit)
        store.open()
        self.addCleanup(store.close)
        return store

    def crash(self) -> None:
        """The process is gone, and another one begins."""
        self.store.close()
        self.store = self.opened()

    def keep(self, what: Note, data: bytes | None = None) -> Note:
        """Store a whole file."""
        fd = self.store.begin(what)
        assert fd is not None
        os.pwrite(fd, data if data is not None else b"x" * what.size, 0)
        done = self.store.finish(fd, what)
        self.store.adopt(done)
        self.store.end(done)
        os.close(fd)
        return done

    def part(self, what: Note, written: int, synced: int) -> None:
        """Store a part of a file, of which only so much is sure."""
        fd = self.store.begin(what)
        assert fd is not None
        os.pwrite(fd, b"x" * written, 0)
        if synced:
            self.store.adopt(self.store.secure(fd, what, synced))
        self.store.end(what)
        os.close(fd)

    def names(self) -> list[str]:
        """The endings of the files on disk."""
        return sorted(path.suffix for path in self.directory.iterdir() if path.name != "lock")


class WholeTests(StoreCase):
    """Files that were fetched to their end."""

    def test_kept(self) -> None:
        """A finished file is found, also by another process, with what its server said of it."""
        kept = self.keep(note(last_modified="yesterday"))
        self.assertIs(self.store.find(kept.url), kept)
        self.crash()
        self.assertEqual(self.store.find(kept.url), kept)
        self.assertEqual((self.directory / self.store.data(kept)).read_bytes(), b"x" * 10)
        self.assertIsNone(self.store.find("http://mirror/b"))
        self.assertEqual(self.names(), [".data", ".json"])

    def test_replaced(self) -> None:
        """A newer file takes the place of the older one."""
        self.keep(note())
        newer = self.keep(note(etag='"2"'), b"new bytes!")
        self.crash()
        self.assertEqual(self.store.find(newer.url), newer)
        self.assertEqual((self.directory / self.store.data(newer)).read_bytes(), b"new bytes!")

    def test_dropped(self) -> None:
        """Of a file that is dropped nothing is left."""
        kept = self.keep(note())
        self.store.drop(kept.url)
        self.assertEqual((self.store.find(kept.url), self.names()), (None, []))

    def test_corrupted(self) -> None:
        """A file that is not as its note says is thrown away, when it is looked for and at the start."""

        def shorter(path: Path) -> None:
            os.truncate(path, 9)

        def changed(path: Path) -> None:
            with path.open("r+b") as file:
                file.write(b"y")
            os.utime(path)

        def replaced_by_link(path: Path) -> None:
            path.unlink()
            path.symlink_to("/etc/passwd")

        for damage in (shorter, changed, replaced_by_link, Path.unlink):
            for restart in (False, True):
                kept = self.keep(note())
                damage(self.directory / self.store.data(kept))
                if restart:
                    self.crash()
                self.assertIsNone(self.store.find(kept.url), damage)
                self.assertEqual(self.names(), [], damage)

    def test_damaged_notes(self) -> None:
        """A note that cannot be read costs its file, and nothing else."""
        other = self.keep(note("other"))
        for text in (
            "",
            "{",
            "[]",
            "{}",
            '{"url": 1, "size": 10, "written": 1}',
            '{"url": "x", "size": -1}',
            "\xff" * 9,
        ):
            kept = self.keep(note())
            (self.directory / f"{kept.key}.json").write_bytes(text.encode("latin-1"))
            self.crash()
            self.assertIsNone(self.store.find(kept.url), text)
            self.assertEqual(self.store.find(other.url), other, text)
            self.assertEqual(self.names(), [".data", ".json"], text)

    def test_foreign_note(self) -> None:
        """A note under another file's name vouches for nothing."""
        kept = self.keep(note())
        (self.directory / f"{kept.key}.json").rename(self.directory / f"{note('b').key}.json")
        self.crash()
        self.assertEqual((self.store.find(kept.url), self.names()), (None, []))

    def test_foreign_files(self) -> None:
        """Files that are not the store's stay."""
        (self.directory / "README.json").write_text("{}")
        self.crash()
        self.assertEqual(self.names(), [".json"])


class PartTests(StoreCase):
    """Files that were not fetched to their end."""

    def test_sure(self) -> None:
        """Of a part what was synced counts, and goes on from there."""
        self.part(note(), written=8, synced=5)
        self.crash()
        part = self.store.part(note().url)
        self.assertEqual(part, evolve(note(), synced=5))
        assert part is not None
        fd = self.store.begin(part)
        assert fd is not None
        self.addCleanup(os.close, fd)
        self.assertEqual(os.fstat(fd).st_size, 5)
        self.assertIsNone(self.store.find(note().url))

    def test_lost_tail(self) -> None:
        """A part that is shorter than its note says is thrown away."""
        self.part(note(), written=5, synced=5)
        os.truncate(self.directory / f"{note().key}.part", 4)
        self.crash()
        self.assertEqual((self.store.part(note().url), self.names()), (None, []))

    def test_other_version(self) -> None:
        """A new version begins at the beginning."""
        self.part(note(), written=5, synced=5)
        fd = self.store.begin(note(etag='"2"'))
        assert fd is not None
        self.addCleanup(os.close, fd)
        self.assertEqual(os.fstat(fd).st_size, 0)
        self.crash()
        self.assertEqual(self.store.part(note().url), note(etag='"2"'))

    def test_validator(self) -> None:
        """A part is asked after by a strong ETag, or else by its date."""
        self.assertEqual(note(last_modified="then").validator, '"1"')
        self.assertEqual(note(etag='W/"1"', last_modified="then").validator, "then")
        self.assertIsNone(note(etag='W/"1"').validator)


class CrashTests(StoreCase):
    """Killed between any two steps, the store has the old file, the new one or none; never a mixture."""

    def crash_in(self, step: str, occurrence: int, old: Note) -> None:
        fd = self.store.begin(note(etag='"2"', size=20))
        assert fd is not None
        os.pwrite(fd, b"n" * 20, 0)
        owner, name = {"fsync": (os, "fsync"), "replace": (Path, "replace"), "unlink": (Path, "unlink")}[step]
        real = getattr(owner, name)
        calls = [0]

        def dying(*args: object, **options: object) -> object:
            calls[0] += 1
            if calls[0] > occurrence:
                raise KeyboardInterrupt
            return real(*args, **options)

        with patch.object(owner, name, dying), self.assertRaises(KeyboardInterrupt):
            self.store.finish(fd, note(etag='"2"', size=20))
        os.close(fd)
        self.crash()
        found = self.store.find(old.url)
        if found is not None:
            data = (self.directory / self.store.data(found)).read_bytes()
            self.assertEqual(data, b"x" * 10 if found.size == 10 else b"n" * 20, (step, occurrence))

    def test_everywhere(self) -> None:
        """Each system call of the end of a download is the last one once."""
        for step, occurrences in (("fsync", 3), ("replace", 2), ("unlink", 1)):
            for occurrence in range(occurrences):
                self.crash_in(step, occurrence, self.keep(note()))


class SizeTests(StoreCase):
    """The store stays below its limit."""

    def test_oldest_use_goes(self) -> None:
        """What was used longest ago makes room, also if another process used it."""
        for name in "abc":
            self.keep(note(name, 30))
        for path, when in zip(sorted(self.directory.glob("*.json")), range(3), strict=True):
            os.utime(path, (when, when))
        self.crash()
        self.store.find(note("a").url)
        self.crash()
        self.keep(note("d", 30))
        self.keep(note("e", 30))
        self.assertEqual([name for name in "abcde" if self.store.find(note(name).url)], ["a", "d", "e"])

    def test_parts_go_first(self) -> None:
        """A part that nobody fetches goes before any whole file; one that is being fetched stays."""
        self.keep(note("whole", 40))
        self.part(note("idle", 40), 5, 5)
        fd = self.store.begin(note("busy", 50))
        assert fd is not None
        os.close(fd)
        self.assertIsNone(self.store.part(note("idle").url))
        self.assertIsNone(self.store.begin(note("more", 60)))
        self.assertIsNotNone(self.store.part(note("busy").url))

    def test_too_large(self) -> None:
        """What does not fit at all is not begun."""
        self.assertIsNone(self.store.begin(note(size=LIMIT + 1)))
        self.assertEqual(self.names(), [])


class OpenTests(StoreCase):
    """The directory belongs to one server."""

    def problem(self, directory: Path) -> str:
        with self.assertRaises(EnvironmentProblem) as caught:
            Store(directory, LIMIT).open()
        return str(caught.exception)

    def test_in_use(self) -> None:
        """A second server is refused, until the first lets go."""
        self.assertIn("another pybootd", self.problem(self.directory))
        self.store.close()
        self.opened()

    def test_impossible(self) -> None:
        """What is no directory, or has no parent, is told in one line with the option's name."""
        (self.directory / "file").write_text("")
        for where in ("file", "none/none"):
            self.assertIn(f"[cache] directory = {self.directory / where}", self.problem(self.directory / where))

    def test_mode(self) -> None:
        """A directory that is made for it is nobody else's."""
        self.assertEqual(self.directory.stat().st_mode & 0o777, 0o700)
