"""The list of next boots on disk."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd import orders
from pybootd.config.reader import read
from pybootd.errors import EnvironmentProblem
from pybootd.orders import OrderBook, place_of, sound
from tests.support.dhcp import MAC, OTHER

BASE = "[bootpd]\npool_start = 10.0.0.100\n[tftpd]\nroot = /srv\n[leases]\nstore = {}\n"


class OrderBookTests(SynchronousTestCase):
    """L{OrderBook}."""

    def setUp(self) -> None:
        """An empty list."""
        self.place = Path(self.mktemp()).absolute()
        self.book = OrderBook(self.place)

    def test_life(self) -> None:
        """Given, replaced, carried out; another process sees the same."""
        self.assertEqual((self.book.of(MAC), list(self.book.all())), ("", []))
        self.book.put(MAC, "rescue.0")
        self.book.put(MAC, "http://h/x y?z=ü")
        self.book.put(OTHER, "other.0")
        daemon = OrderBook(self.place)
        self.assertEqual(daemon.of(MAC), "http://h/x y?z=ü")
        self.assertEqual([str(one) for one in daemon.all()][1], "52:54:00:00:00:02  other.0")
        self.assertAlmostEqual(daemon.all()[0].since, (self.place / "52-54-00-00-00-01").stat().st_mtime)
        daemon.done(MAC)
        daemon.done(MAC)
        self.assertEqual((self.book.of(MAC), self.book.of(OTHER)), ("", "other.0"))

    def test_cancel(self) -> None:
        """Taken back, if it was there."""
        self.book.put(MAC, "rescue.0")
        self.assertEqual((self.book.cancel(MAC), self.book.cancel(MAC), self.book.of(MAC)), (True, False, ""))

    def test_whole(self) -> None:
        """Nothing but whole orders is ever there, and others may read them."""
        self.book.put(MAC, "rescue.0")
        self.assertEqual([path.name for path in self.place.iterdir()], ["52-54-00-00-00-01"])
        self.assertEqual((self.place / "52-54-00-00-00-01").stat().st_mode & 0o777, 0o644)

    def test_strange(self) -> None:
        """Links, directories, FIFOs, other bytes, too many of them, other names: no orders."""
        self.book.put(OTHER, "other.0")
        path = self.place / "52-54-00-00-00-01"
        (self.place / "README").write_text("x")
        for make in (
            lambda: path.symlink_to(self.place / "52-54-00-00-00-02"),
            path.mkdir,
            lambda: os.mkfifo(path),
            lambda: path.write_bytes(b"\xff\xfe"),
            lambda: path.write_text("one\ntwo\n"),
            lambda: path.write_text("x" * 2000),
            lambda: path.write_text(""),
        ):
            make()
            self.assertEqual(self.book.of(MAC), "")
            self.assertEqual([one.mac for one in self.book.all()], [OTHER])
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        self.assertEqual(self.book.of(b"\xff\0\0\0a-duid"), "")

    def test_stuck(self) -> None:
        """An order that cannot be taken away counts no more, and is told; a new one counts."""
        self.book.put(MAC, "rescue.0")

        def refuse(path: str) -> None:
            raise PermissionError(13, "Permission denied")

        self.patch(orders.os, "unlink", refuse)
        self.book.done(MAC)
        self.assertEqual(self.book.of(MAC), "")
        self.assertRaises(EnvironmentProblem, self.book.cancel, MAC)
        self.book.put(MAC, "memtest.0")
        self.assertEqual(self.book.of(MAC), "memtest.0")

    def test_link(self) -> None:
        """A link in the directory's place is not followed: whoever owns its parent may be up to anything."""
        elsewhere = self.place.parent / f"{self.place.name}-elsewhere"
        elsewhere.mkdir()
        self.place.symlink_to(elsewhere)
        self.assertRaises(EnvironmentProblem, self.book.put, MAC, "a")
        self.assertEqual(list(elsewhere.iterdir()), [])

    def test_owner(self) -> None:
        """Root makes the directory for the owner of its parent, and leaves one that is there as it is."""
        given: list[tuple[int, int]] = []
        parent = self.place.parent.stat()
        self.patch(orders.os, "geteuid", lambda: 0)
        self.patch(orders.os, "fchown", lambda fd, uid, gid: given.append((uid, gid)))
        self.book.put(MAC, "a")
        expected = [(parent.st_uid, parent.st_gid)] if os.getuid() == 0 else []
        self.assertEqual(given, expected)
        self.book.put(OTHER, "b")
        self.assertEqual(given, expected)

    def test_full(self) -> None:
        """There may be only so many; those that are there may be replaced."""
        self.patch(orders, "LIMIT", 1)
        self.book.put(MAC, "a")
        self.book.put(MAC, "b")
        self.assertRaises(EnvironmentProblem, self.book.put, OTHER, "c")
        self.assertEqual(self.book.of(MAC), "b")

    def test_refused(self) -> None:
        """What is no name, and where nothing can be written, is said."""
        for file in ("", "a\nb", "x" * 2000):
            self.assertFalse(sound(file))
            self.assertRaises(EnvironmentProblem, self.book.put, MAC, file)
        self.assertRaises(EnvironmentProblem, OrderBook(self.place / "no/such").put, MAC, "a")

    def test_place(self) -> None:
        """Beside the lease file; where leases are in no file, in the daemon's directory."""
        directory = Path("/var/lib/pybootd")
        for store, expected in (
            ("sqlite:./pybootd.leases", "/var/lib/pybootd/pybootd.next"),
            ("sqlite:/srv/x", "/srv/x.next"),
            ("memory", "/var/lib/pybootd/pybootd.next"),
        ):
            config = read(BASE.format(store), directory=directory)
            self.assertEqual(place_of(config), Path(expected), store)
