"""
What the machines boot: Debian's kernel and an initial file system of our own that proves itself.

Its C{init} asks for an address as an operating system does (busybox' udhcpc), fetches what it was told to fetch, and
prints all that it knows on the serial console: its address, the firmware's, and a token that only somebody can know who
was served this boot's configuration.  It is told by words on the kernel's command line::

    pb.token=TOKEN     what to print
    pb.address=A.B.C.D the firmware's address (or C{ip=A.B.C.D:...}, which pxelinux writes)
    pb.tftp=NAME       a file to fetch from the server by TFTP and print the SHA-256 of
    pb.http=URL        the same by HTTP
"""

from __future__ import annotations

import gzip
import re
from functools import lru_cache
from pathlib import Path

from attrs import frozen

from pybootd.demo.cpio import archive
from tests.e2e.support import debian
from tests.e2e.support.program import Program

MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
)
"""What Debian's kernel needs for the card, in the order in which it is loaded."""

CONSOLE = {"amd64": "ttyS0", "arm64": "ttyAMA0"}

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox --install -s /bin
export PATH=/bin
for module in $(cat /modules/order); do insmod /modules/$module; done
for word in $(cat /proc/cmdline); do
    case $word in
        pb.token=*) token=${word#*=};;
        pb.address=*) firmware=${word#*=};;
        ip=*) firmware=${word#*=}; firmware=${firmware%%:*};;
        pb.tftp=*) tftp=${word#*=};;
        pb.http=*) http=${word#*=};;
    esac
done
ip link set lo up
for try in 1 2 3 4 5 6 7 8 9 10; do [ -e /sys/class/net/eth0 ] && break; sleep 0.2; done
ip link set eth0 up
udhcpc -i eth0 -n -q -f -t 5 -T 2 -s /bin/bound >/tmp/udhcpc 2>&1 || cat /tmp/udhcpc
. /tmp/lease
echo "PAYLOAD address=$ip firmware=${firmware:-unknown} router=$router dns=$dns hostname=$hostname lease=$lease"
[ -z "$tftp" ] || { tftp -g -b 1432 -l /tmp/file -r "$tftp" "$serverid"; echo "PAYLOAD tftp=$(sha256sum </tmp/file)"; }
[ -z "$http" ] || { wget -q -O /tmp/file "$http"; echo "PAYLOAD http=$(sha256sum </tmp/file)"; }
echo "PAYLOAD token=$token"
sleep 0.2
poweroff -f
"""

BOUND = """#!/bin/busybox sh
[ "$1" = bound ] || exit 0
ifconfig "$interface" "$ip" netmask "$subnet"
[ -z "$router" ] || route add default gw ${router%% *}
for name in ip router dns hostname lease serverid; do
    eval "value=\\$$name"
    echo "$name='$value'"
done >/tmp/lease
"""


@frozen
class Proof:
    """What a booted payload said of itself."""

    token: str
    address: str
    """The address that the system was given."""
    firmware: str
    """The address that the firmware or the boot loader had; C{unknown} where it could not tell."""
    router: str
    dns: str
    hostname: str
    lease: str
    tftp: str = ""
    """SHA-256 of the file that it fetched, where it was told to."""
    http: str = ""


def proof(console: Program, timeout: float) -> Proof:
    """
    Wait until a machine's payload has proved itself.

    @raise Unexpected: it has not after C{timeout} seconds.
    """
    found = console.expect(r"^PAYLOAD address(?:.*\n)*?PAYLOAD token=\S+\r?\n", timeout)[0]
    words = re.findall(r"(\w+)=(\S*)", " ".join(line for line in found.splitlines() if line.startswith("PAYLOAD")))
    return Proof(**dict(words))


def command_line(token: str, architecture: str = "amd64", **words: str) -> str:
    """
    The kernel's command line for a boot.

    @param words: C{address}, C{tftp}, C{http}, as in the module's docstring.
    """
    extra = "".join(f" pb.{name}={value}" for name, value in words.items())
    return f"console={CONSOLE[architecture]} quiet loglevel=0 panic=-1 pb.token={token}{extra}"


def kernel(architecture: str = "amd64") -> Path:
    """Debian's kernel for virtual machines; Debian has signed it for Secure Boot."""
    return next((_kernel_package(architecture) / "boot").glob("vmlinuz-*"))


@lru_cache
def initramfs(architecture: str = "amd64") -> bytes:
    """The initial file system, gzipped (1.2 MB)."""
    tree = _kernel_package(architecture)
    busybox = Path("/bin/busybox")
    if architecture != "amd64":
        busybox = next(debian.unpacked("busybox-static", architecture).glob("**/bin/busybox"))
    modules = {Path(name).name: next(tree.glob(f"lib/modules/*/kernel/{name}.ko")) for name in MODULES}
    order = "".join(f"{name}\n" for name in modules)
    files = {
        "init": (0o755, INIT.encode()),
        "bin/busybox": (0o755, busybox.read_bytes()),
        "bin/bound": (0o755, BOUND.encode()),
        "modules/order": (0o644, order.encode()),
        **{f"modules/{name}": (0o644, path.read_bytes()) for name, path in modules.items()},
    }
    return gzip.compress(b"".join(archive(files)), 6)


def _kernel_package(architecture: str) -> Path:
    package = debian.depends(
        f"linux-image-cloud-{architecture}", rf"linux-image-\S+-cloud-{architecture}", architecture
    )
    return debian.unpacked(package, architecture)
