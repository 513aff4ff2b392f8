"""Which program has a port, as far as this process may see (Linux: C{/proc})."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import frozen

PROC = Path("/proc")
LISTENS = "0A"
"""The state of a TCP socket that waits for connections."""


@frozen
class Holder:
    """A running program."""

    pid: int
    name: str
    words: tuple[str, ...] = ()
    """Its command line."""
    uid: int = 0
    gid: int = 0

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"

    @property
    def is_pybootd(self) -> bool:
        """Whether it is one of our own daemons: C{pybootd}, C{python -m pybootd}, C{twistd pybootd}."""
        names = [word.rpartition("/")[2] for word in self.words]
        program = next((name for name in names if name and not name.startswith(("python", "-"))), "")
        return program == "pybootd" or (program == "twistd" and "pybootd" in names)


def taken(port: int, protocol: str, proc: Path = PROC) -> set[str]:
    """
    The sockets that have a port of this network namespace, as C{/proc/PID/fd} names them.

    @param protocol: C{UDP} or C{TCP}.
    """
    found = set()
    for table in (proc / "net" / protocol.lower(), proc / "net" / f"{protocol.lower()}6"):
        try:
            rows = [line.split() for line in table.read_text().splitlines()[1:]]
        except OSError:
            continue
        waits = [row for row in rows if len(row) > 9 and (protocol == "UDP" or row[3] == LISTENS)]
        found |= {f"socket:[{row[9]}]" for row in waits if row[1].endswith(f":{port:04X}")}
    return found


def holders(port: int, protocol: str, proc: Path = PROC) -> list[Holder]:
    """The programs that have a port; none where nobody has it, or where it may not be seen who."""
    sockets = taken(port, protocol, proc)
    if not sockets:
        return []
    found = []
    for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            if any(os.readlink(fd) in sockets for fd in (process / "fd").iterdir()):  # noqa: PTH115 - a link to no path
                found.append(_holder(process))
        except OSError:
            continue
    return found


def _holder(process: Path) -> Holder:
    words = (process / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    owner = process.stat()
    name = (process / "comm").read_text().strip()
    return Holder(int(process.name), name, tuple(filter(None, words)), owner.st_uid, owner.st_gid)


def holder_of(port: int, protocol: str) -> str:
    """The first of them: C{dnsmasq (pid 123)}, or nothing."""
    return next((str(one) for one in holders(port, protocol)), "")
