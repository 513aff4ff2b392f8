"""The test case that end-to-end tests extend: what they need is there or the test says what is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.e2e.support.lab import Lab

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where servers and clients are; a user's PATH may lack half of it."""

REQUIRED = os.environ.get("CI") == "true" or os.environ.get("PYBOOTD_E2E") == "required"
"""Whether a missing requirement is a failure."""


class EndToEndTestCase(SynchronousTestCase):
    """
    A test with a laboratory of its own.

    @cvar needs: programs and files that the test cannot do without.
    @ivar lab: gone with the test, and every program in it.
    """

    needs: ClassVar[Sequence[str]] = ()

    def setUp(self) -> None:
        """Check what is needed, then build the laboratory."""
        missing = [need for need in ("ip", *self.needs) if not _there(need)]
        if os.geteuid() != 0:
            self.lacks("needs root: network namespaces")
        if missing:
            self.lacks(f"needs {', '.join(missing)}; script/test installs the packages where it runs as root")
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def lacks(self, reason: str) -> None:
        """The test cannot run here: a skip, or a failure where the tests are required."""
        if REQUIRED:
            self.fail(reason)
        raise SkipTest(reason)


def _there(need: str) -> bool:
    return Path(need).exists() if need.startswith("/") else shutil.which(need, path=SYSTEM_PATH) is not None
