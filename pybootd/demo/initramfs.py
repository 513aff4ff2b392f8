"""
The system that the machine boots: a kernel's modules, busybox, and a script that says hello and switches off.

It is an initial file system, packed as the kernel unpacks it (L{pybootd.demo.cpio}).
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence

from pybootd.demo.cpio import File, archive

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
    return gzip.compress(b"".join(archive(files)), 1)
