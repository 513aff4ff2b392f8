"""What the kernel says of the way to a file; it may be one that says nothing."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.content import lookup, memory
from pybootd.content.lookup import Lookup, is_distant
from tests.support.tree import open_descriptors

MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:50 / /srv/nfs rw - nfs4 server:/export rw
31 21 0:51 / /srv/disk rw shared:5 - fuse.sshfs host: rw
32 21 0:52 / /srv/tmp rw - tmpfs tmpfs rw
"""


class LookupTests(SynchronousTestCase):
    def setUp(self) -> None:
        before = open_descriptors()
        self.addCleanup(lambda: self.assertEqual(open_descriptors(), before, "descriptors leaked"))

    def test_here(self) -> None:
        """A file that was used just now is known, unless the system cannot tell."""
        path = os.fsencode(Path(__file__))
        os.stat(path)  # noqa: PTH116
        self.assertIn(Lookup().errno(path), (0, errno.EAGAIN))

    def test_nowhere(self) -> None:
        """So is that there is none."""
        path = os.fsencode(Path(self.mktemp()).absolute())
        self.assertFalse(os.path.exists(path))  # noqa: PTH110
        one = Lookup()
        self.assertIn(one.errno(path), (errno.ENOENT, errno.EAGAIN) if one.possible else (0,))

    def test_impossible(self) -> None:
        """A system that does not know the question is asked once, and everything counts as known."""
        for error in (errno.ENOSYS, errno.EINVAL, errno.EPERM):
            one = Lookup()
            one.possible = True
            asked: list[object] = []

            def refuse(*arguments: object, error: int = error, asked: list[object] = asked) -> int:
                asked.append(arguments)
                ctypes.set_errno(error)
                return -1

            one._call = refuse
            one._where = None
            self.assertEqual([one.errno(b"/x"), one.errno(b"/y")], [0, 0])
            self.assertEqual(len(asked), 1)

    def test_distant(self) -> None:
        """Network file systems, and those made by a program, ask somebody else."""
        mounts = Path(self.mktemp())
        mounts.write_text(MOUNTS)
        self.patch(memory, "MOUNTS", mounts)
        is_distant.cache_clear()
        self.addCleanup(is_distant.cache_clear)
        found = {number: is_distant(os.makedev(*number)) for number in ((8, 1), (0, 50), (0, 51), (0, 52), (9, 9))}
        self.assertEqual(found, {(8, 1): False, (0, 50): True, (0, 51): True, (0, 52): False, (9, 9): False})
        self.assertIn("nfs4", lookup.DISTANT)
