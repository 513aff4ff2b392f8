"""The doctor and the lease file."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.config.reader import read
from pybootd.doctor.storage import User, storage

BASE = "[bootpd]\npool_start = 10.0.0.100\n[tftpd]\nroot = /srv\n[leases]\nstore = {}\n"


class StorageTests(SynchronousTestCase):
    """L{storage}, for root and for somebody whose nothing is."""

    def setUp(self) -> None:
        """A directory for the leases."""
        self.place = Path(self.mktemp()).absolute()
        self.place.mkdir()
        self.stranger = User(os.getuid() + 5000, os.getgid() + 5000)

    def found(self, user: User, store: str = "") -> list[str]:
        """What is said, the directory written as C{DIR}."""
        config = read(BASE.format(store or f"sqlite:{self.place}/leases"))
        return [str(one).replace(str(self.place), "DIR") for one in storage(config, user)]

    def test_fine(self) -> None:
        """Root may write anywhere; so may the owner."""
        for user in (User(0, 0), User(os.getuid(), os.getgid())):
            self.assertEqual(self.found(user), ["fine:    leases: DIR/leases can be written"])

    def test_refused(self) -> None:
        """The directory, or a file of the store in it, is another's."""
        self.place.chmod(0o755)
        (said,) = self.found(self.stranger)
        self.assertIn(f"{self.stranger} may not write DIR: no lease can be promised", said)
        self.assertIn(f"chown {self.stranger} DIR", said)
        self.place.chmod(0o777)
        (self.place / "leases-wal").touch(0o600)
        (said,) = self.found(self.stranger)
        self.assertIn("may not write DIR/leases-wal", said)

    def test_group(self) -> None:
        """The group's bits count for the group."""
        self.place.chmod(0o770)
        self.assertTrue(User(self.stranger.uid, self.place.stat().st_gid).may_write(self.place))
        self.assertFalse(self.stranger.may_write(self.place))

    def test_missing(self) -> None:
        """There is no such directory."""
        (said,) = self.found(User(0, 0), f"sqlite:{self.place}/no/leases")
        self.assertIn("mkdir -p DIR/no", said)

    def test_full(self) -> None:
        """A disk that is full, and one that is read-only."""
        state = list(os.statvfs(self.place))
        state[4] = 0
        self.patch(os, "statvfs", lambda path: os.statvfs_result(state))
        self.assertIn("is full", self.found(User(0, 0))[0])
        state[8] |= os.ST_RDONLY
        self.assertIn("read-only", self.found(User(0, 0))[0])

    def test_elsewhere(self) -> None:
        """Leases that are in no file."""
        self.assertEqual(self.found(self.stranger, "memory"), [])

    def test_shut_out(self) -> None:
        """What keeps a user from reading a file: its mode, or that of a directory above it; a group may let him in."""
        stranger = User(os.geteuid() + 1, os.getegid() + 1)
        file = Path(self.mktemp())
        file.write_text("x")
        for place in file.parents:
            place.chmod(0o755)
        for mode, closed in ((0o644, None), (0o640, None), (0o604, None), (0o600, file)):
            file.chmod(mode)
            self.assertEqual(stranger.shut_out(file), closed, oct(mode))
        self.assertIsNone(User(0, 0).shut_out(file))
        self.assertEqual(User(os.geteuid() or 1, 1).shut_out(file), None if os.geteuid() else file)
        file.parent.chmod(0o700)
        self.assertEqual(stranger.shut_out(file), file.parent)
