"""What the kernel says of the way to a file; it may be one that says nothing."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.lookup import Lookup
from tests.support.tree import open_descriptors


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
