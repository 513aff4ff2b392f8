"""What the services have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from pybootd import shared
from pybootd.config import Config
from pybootd.registry import Context
from pybootd.shared import Shared


class ProviderTests(SynchronousTestCase):
    """What providers are made of."""

    def test_threads(self) -> None:
        """Sources wait for disks, in threads that are none of the lease store's."""
        contexts: dict[str, Context] = {}

        def provider(group: str, name: str, context: Context) -> Any:
            contexts[name] = context

        self.patch(shared, "provider", provider)
        services = Shared(Config(Path("pybootd.ini"), Path()), MemoryReactorClock())
        services.provider("pybootd.sources", "http")
        services.provider("pybootd.leases", "sqlite")
        self.assertEqual(contexts["http"].in_thread, services.disks.run)
        self.assertEqual(contexts["sqlite"].in_thread, services.in_thread)
