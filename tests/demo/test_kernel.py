"""A kernel is found on this host, with the modules that the machine's card needs."""

from __future__ import annotations

import lzma
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.demo.kernel import find
from pybootd.errors import EnvironmentProblem

PC = bytes(0x202) + b"HdrS"


def module(*depends: str) -> bytes:
    """A module's file, as far as it matters here."""
    return b"\x7fELF\0license=GPL\0depends=" + ",".join(depends).encode() + b"\0name=x\0"


class FindTests(SynchronousTestCase):
    """L{find}"""

    def setUp(self) -> None:
        """An empty system."""
        self.system = Path(self.mktemp())

    def write(self, name: str, content: bytes) -> None:
        path = self.system / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def kernel(self, version: str, content: bytes = PC) -> None:
        """A kernel with everything built in but the card's driver."""
        self.write(f"boot/vmlinuz-{version}", content)
        self.write(f"lib/modules/{version}/modules.builtin", b"kernel/drivers/virtio/virtio-pci.ko\n")
        self.write(f"lib/modules/{version}/kernel/virtio_net.ko", module())

    def version(self) -> str | None:
        found = find(self.system)
        return found.version if found else None

    def test_none(self) -> None:
        """An empty system has none."""
        self.assertIsNone(self.version())

    def test_newest(self) -> None:
        """The newest by its numbers."""
        for version in ("6.9.1-amd64", "6.12.0-amd64", "5.10.0-amd64"):
            self.kernel(version)
        self.assertEqual(self.version(), "6.12.0-amd64")

    def test_cloud(self) -> None:
        """One made for virtual machines comes first: it starts in a third of the time."""
        self.kernel("6.1.0-cloud-amd64")
        self.kernel("6.12.0-amd64")
        self.assertEqual(self.version(), "6.1.0-cloud-amd64")

    def test_other_processor(self) -> None:
        """A kernel for another processor is passed over."""
        self.kernel("6.12.0-arm64", bytes(4096))
        self.assertIsNone(self.version())

    def test_beside_its_modules(self) -> None:
        """Some distributions keep the kernel beside its modules."""
        self.kernel("6.12.0")
        (self.system / "boot/vmlinuz-6.12.0").rename(self.system / "lib/modules/6.12.0/vmlinuz")
        self.assertEqual(self.version(), "6.12.0")

    def test_order(self) -> None:
        """Modules come after those that they need; what is built in is left out."""
        self.kernel("6.1.0")
        place = "lib/modules/6.1.0/kernel"
        self.write(f"{place}/virtio_net.ko", module("net-failover", "virtio_ring"))
        self.write(f"{place}/net_failover.ko", module("failover"))
        self.write(f"{place}/failover.ko", module())
        self.write(f"{place}/virtio_ring.ko", module())
        found = find(self.system)
        assert found is not None
        self.assertEqual([name for name, _ in found.modules], ["failover", "net_failover", "virtio_ring", "virtio_net"])

    def test_missing(self) -> None:
        """A kernel whose driver needs what is not there cannot be used."""
        self.kernel("6.1.0")
        self.write("lib/modules/6.1.0/kernel/virtio_net.ko", module("gone"))
        self.assertIsNone(self.version())

    def test_packed(self) -> None:
        """Modules may be compressed."""
        self.kernel("6.1.0")
        (self.system / "lib/modules/6.1.0/kernel/virtio_net.ko").unlink()
        self.write("lib/modules/6.1.0/kernel/virtio_net.ko.xz", lzma.compress(module()))
        found = find(self.system)
        assert found is not None
        self.assertEqual(found.modules, [("virtio_net", module())])

    def test_broken(self) -> None:
        """A module that cannot be unpacked is named."""
        self.kernel("6.1.0")
        (self.system / "lib/modules/6.1.0/kernel/virtio_net.ko").unlink()
        self.write("lib/modules/6.1.0/kernel/virtio_net.ko.xz", b"no")
        error = self.assertRaises(EnvironmentProblem, find, self.system)
        self.assertIn("virtio_net.ko.xz", str(error))
