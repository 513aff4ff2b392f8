"""The limit of open files."""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from pybootd.net.descriptors import allow


class AllowTests(SynchronousTestCase):
    """The soft limit of this very process, which is put back."""

    def setUp(self) -> None:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        self.hard = before[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, self.hard))

    @property
    def soft(self) -> int:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def test_raised(self) -> None:
        """A limit that is too low is raised as far as is wanted."""
        self.assertEqual((allow(300), self.soft), (300, 300))

    def test_never_lowered(self) -> None:
        """One that is high enough stays."""
        self.assertEqual((allow(100), self.soft), (100, 256))

    def test_hard_limit(self) -> None:
        """What the system forbids is told."""
        self.patch(resource, "getrlimit", lambda kind: (256, 512))
        self.patch(resource, "setrlimit", lambda kind, limits: self.assertEqual(limits, (512, 512)))
        self.assertEqual(allow(1000), 512)

    def test_no_limit(self) -> None:
        """Without any limit everything is allowed."""
        self.patch(resource, "getrlimit", lambda kind: (-1, -1))
        self.assertEqual(allow(1000), 1000)

    def test_refused(self) -> None:
        """Where it cannot be raised, it is what it was."""

        def refuse(kind: int, limits: tuple[int, int]) -> None:
            raise ValueError("not allowed to raise maximum limit")

        self.patch(resource, "setrlimit", refuse)
        self.assertEqual(allow(300), 256)
