"""The way from a root to a file below it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.walk import open_below
from pybootd.errors import NotFound, SourceFailed
from tests.support.tree import Tree, open_descriptors


class WalkTests(SynchronousTestCase):
    """What L{open_below} finds, and what it never does."""

    def setUp(self) -> None:
        self.tree = Tree(self.mktemp())
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors leaked"))

    def data(self, name: str, *, root: Path | None = None, ignore_case: bool = False) -> bytes:
        """The file's bytes."""
        fd, _, status = open_below(str(root or self.tree.root), name, ignore_case)
        try:
            return os.read(fd, status.st_size)
        finally:
            os.close(fd)

    def test_traps(self) -> None:
        """Nothing but files below the root is served: no link out, no FIFO, no directory; and nothing hangs."""
        for name in self.tree.traps():
            with self.assertRaises(NotFound, msg=name):
                self.data(name)

    def test_unreadable(self) -> None:
        """A file that this process may not read is not there."""
        self.tree.traps()
        with patch("os.open", side_effect=PermissionError(errno.EACCES, "no")), self.assertRaises(NotFound):
            self.data("unreadable")

    def test_dotdot(self) -> None:
        """Even a name that nobody normalised stays below the root."""
        self.tree.write("a/b", b"inside")
        self.assertEqual(self.data("a/../a/b"), b"inside")
        for name in ("../secret", "a/../../secret", "a/b/../../../secret", "..", "a/.."):
            with self.assertRaises(NotFound, msg=name):
                self.data(name)

    def test_absolute(self) -> None:
        """A leading C{/} is the root's."""
        self.tree.write("etc/passwd", b"ours")
        self.assertEqual(self.data("/etc/passwd"), b"ours")

    def test_links_inside(self) -> None:
        """A link that stays in the root is followed, relative or absolute, to a file or through directories."""
        self.tree.write("v2/kernel", b"two")
        self.tree.link("relative", "v2/kernel")
        self.tree.link("absolute", str(self.tree.root / "v2/kernel"))
        self.tree.link("current", "v2")
        self.tree.link("chain", "current/../relative")
        self.tree.link("v2/up", "../v2/./kernel")
        for name in ("relative", "absolute", "current/kernel", "chain", "current/up"):
            self.assertEqual(self.data(name), b"two", name)

    def test_root_through_links(self) -> None:
        """The root itself may be a link; absolute links may say it as configured or as it really is."""
        self.tree.write("file", b"here")
        alias = self.tree.top / "alias"
        alias.symlink_to("root")
        self.tree.link("by-alias", str(alias / "file"))
        self.tree.link("by-root", str(self.tree.root / "file"))
        for name in ("file", "by-alias", "by-root"):
            self.assertEqual(self.data(name, root=alias), b"here", name)

    def test_missing_root(self) -> None:
        """A root that is gone has no files."""
        with self.assertRaises(NotFound):
            self.data("file", root=self.tree.top / "nowhere")

    def test_swapped_for_a_link(self) -> None:
        """A file that becomes a link while it is being opened is not followed."""
        path = self.tree.write("file")
        real = os.open

        def swap(name: Any, flags: int, *args: Any, **options: Any) -> int:
            if name == b"file":
                path.unlink()
                path.symlink_to(self.tree.top / "secret")
            return real(name, flags, *args, **options)

        with patch("os.open", swap), self.assertRaises(NotFound):
            self.data("file")

    def test_swapped_directory(self) -> None:
        """A directory that becomes a link while it is being walked is not followed."""
        self.tree.write("directory/secret")
        path = self.tree.root / "directory"
        real = os.open

        def swap(name: Any, flags: int, *args: Any, **options: Any) -> int:
            if name == b"directory":
                path.rename(self.tree.root / "elsewhere")
                path.symlink_to("..")
            return real(name, flags, *args, **options)

        with patch("os.open", swap), self.assertRaises(NotFound):
            self.data("directory/secret")

    def test_swapped_for_a_fifo(self) -> None:
        """A file that becomes a FIFO while it is being opened neither hangs nor is served."""
        path = self.tree.write("file")
        real = os.open

        def swap(name: Any, flags: int, *args: Any, **options: Any) -> int:
            if name == b"file":
                path.unlink()
                os.mkfifo(path)
            return real(name, flags, *args, **options)

        with patch("os.open", swap), self.assertRaises(NotFound):
            self.data("file")

    def test_strange_bytes(self) -> None:
        """A name need not be UTF-8."""
        (self.tree.root / "caf\udce9").write_bytes(b"latin")
        self.assertEqual(self.data("caf\udce9"), b"latin")

    def test_ignore_case(self) -> None:
        """Where that is asked for, a name that differs in case only will do; the very name goes first."""
        self.tree.write("Boot/BCD", b"capitals")
        self.tree.write("Boot/bcd", b"small")
        self.tree.write("EFI/Microsoft/Fonts.ttf", b"fonts")
        with self.assertRaises(NotFound):
            self.data("efi/microsoft/fonts.TTF")
        self.assertEqual(self.data("efi/microsoft/fonts.TTF", ignore_case=True), b"fonts")
        self.assertEqual(self.data("boot/bcd", ignore_case=True), b"small")
        self.assertEqual(self.data("BOOT/BCD", ignore_case=True), b"capitals")
        for name in ("boot/none", "none/bcd"):
            with self.assertRaises(NotFound, msg=name):
                self.data(name, ignore_case=True)

    def test_exhausted(self) -> None:
        """No descriptor left is not the same as no such file."""
        self.tree.write("file")
        with patch("os.open", side_effect=OSError(errno.EMFILE, "too many")), self.assertRaises(SourceFailed):
            self.data("file")
