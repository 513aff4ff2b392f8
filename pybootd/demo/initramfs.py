"""
The system that the machine boots: a kernel's modules, busybox, and a script that says hello and switches off.

It is an initial file system, a cpio archive in the "new ASCII" format of the kernel's
C{Documentation/driver-api/early-userspace/buffer-format.rst}.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence

UP = "The machine is up:"
"""How the line begins that the system prints at its end; C{pybootd.demo=WORD} of its command line follows."""

INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox --install -s /bin
export PATH=/bin
for module in $(cat /modules/order); do insmod /modules/$module; done
for word in $(cat /proc/cmdline); do
    case $word in pybootd.demo=*) mark=${{word#*=}};; esac
done
for try in 1 2 3 4 5 6 7 8 9 10; do [ -e /sys/class/net/eth0 ] && break; sleep 0.2; done
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -n -q -f -t 5 -T 2 -s /bin/bound 2>&1
echo "This is Linux $(uname -r).  Its disk is empty; all of it came through the network."
ip -4 -o addr show dev eth0 | while read number name family address rest; do echo "Its address is $address."; done
echo "{UP} $mark"
sleep 1
poweroff -f
"""

BOUND = """#!/bin/busybox sh
[ "$1" = bound ] || exit 0
ifconfig "$interface" "$ip" netmask "$subnet"
"""

File = tuple[int, bytes]
"""Permissions and content."""


def initramfs(busybox: bytes, modules: Sequence[tuple[str, bytes]]) -> bytes:
    """
    All of it, packed.

    @param busybox: the program, linked statically.
    @param modules: names and contents, in the order in which they are loaded.
    """
    order = "".join(f"{name}\n" for name, _ in modules)
    files: dict[str, File] = {
        "init": (0o755, INIT.encode()),
        "bin/busybox": (0o755, busybox),
        "bin/bound": (0o755, BOUND.encode()),
        "modules/order": (0o644, order.encode()),
        **{f"modules/{name}": (0o644, content) for name, content in modules},
    }
    return gzip.compress(b"".join(_archive(files)), 1)


def _archive(files: Mapping[str, File]) -> Iterator[bytes]:
    yield from _entry("dev", 0o040755)
    yield from _entry("dev/console", 0o020600, device=(5, 1))
    for directory in sorted({name.partition("/")[0] for name in files if "/" in name}):
        yield from _entry(directory, 0o040755)
    for name, (mode, content) in files.items():
        yield from _entry(name, 0o100000 | mode, content)
    yield from _entry("TRAILER!!!", 0)


def _entry(name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> Iterator[bytes]:
    path = name.encode() + b"\0"
    # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    numbers = (0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + path
    yield head + bytes(-len(head) % 4)
    yield content + bytes(-len(content) % 4)
