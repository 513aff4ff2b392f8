"""Disks for a lease store: one that loses what was not synced and fails at a word, and one that is soon full."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.support.lab import run

PYTHON = "/usr/bin/python3"
"""Debian's, which has Debian's packages."""

NEEDED = (PYTHON, "/dev/fuse", "/usr/lib/python3/dist-packages/_pyfuse3.py")


class FragileDisk:
    """
    A disk with a cache, whose power can be cut; L{tests.e2e.support.fragile}.

    @ivar path: where it is mounted.
    """

    def __init__(self, path: Path, contents: Path | None = None) -> None:
        """
        @param path: an empty directory.
        @param contents: the files that are on it from the beginning.
        """
        self.path = path
        program = Path(__file__).with_name("fragile.py")
        self._popen = subprocess.Popen(
            [PYTHON, str(program), str(path), *([str(contents)] if contents else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._answered()

    def cut(self, directory: Path, seed: int) -> Path:
        """What would be left on it if the power were cut now, in this new directory."""
        directory.mkdir()
        self._command("cut", str(directory), str(seed))
        return directory

    def fail(self, error: str) -> None:
        """Writing fails with this error from now on, until it is C{none}."""
        self._command("fault", error)

    def slow(self, seconds: float) -> None:
        """A read, of 128 KiB at most, takes so long from now on; what was read once is in memory, and quick."""
        self._command("slow", str(seconds))

    def slow_names(self, seconds: float) -> None:
        """To find a file takes so long from now on, each time anew."""
        self._command("names", str(seconds))

    def forgets(self) -> None:
        """Nothing of a file that is opened from now on stays in memory."""
        self._command("forgets")

    def hangs(self) -> None:
        """From now on nothing is read, until it L{recovers}."""
        self._command("hangs")

    def recovers(self) -> None:
        """It answers again."""
        self._command("recovers")

    def _command(self, *words: str) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(" ".join(words) + "\n")
        self._popen.stdin.flush()
        self._answered()

    def _answered(self) -> None:
        assert self._popen.stdout is not None
        if self._popen.stdout.readline() != "done\n":
            raise AssertionError(f"the fragile disk ended with status {self._popen.wait(60)}")

    def close(self) -> None:
        """Unmount it."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        try:
            self._popen.stdin.close()
            self._popen.wait(60)
        except (OSError, subprocess.TimeoutExpired):
            self._popen.kill()
            self._popen.wait(60)
            run("umount", "--lazy", self.path, check=False)
        self._popen.stdout.close()


class SmallDisk:
    """
    A file system of a few hundred kilobytes.

    @ivar path: where it is mounted.
    """

    def __init__(self, path: Path, size: int) -> None:
        """
        @param path: an empty directory.
        @param size: in kilobytes.
        """
        self.path = path
        run("mount", "-t", "tmpfs", "-o", f"size={size}k,mode=755", "tmpfs", path)

    def fill(self) -> None:
        """Somebody else's file takes all the room there is."""
        with (self.path / "filler").open("ab", buffering=0) as filler:
            for size in (65536, 4096, 1):
                try:
                    while filler.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def make_room(self) -> None:
        """That file is gone."""
        (self.path / "filler").unlink()

    def read_only(self) -> None:
        """Nothing can be written; only while no file is open."""
        run("mount", "-o", "remount,ro", self.path)

    def close(self) -> None:
        """Unmount it."""
        run("umount", "--lazy", self.path, check=False)
