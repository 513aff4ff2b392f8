"""What is on disk: the lease file, and whether the daemon's user may write it and read the boot files."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from pybootd.config import Config
from pybootd.doctor.finding import Finding, fine, wrong

ENOUGH = 1 << 20
"""Bytes of disk that leases may need before long."""


@frozen
class User:
    """Who would write, and read."""

    uid: int
    gid: int

    def __str__(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"user {self.uid}"

    def may_write(self, path: Path) -> bool:
        """By owner and mode; the groups that a user is a member of besides are not known."""
        state = path.stat()
        if self.uid == 0:
            return True
        bits = 0o200 if state.st_uid == self.uid else 0o020 if state.st_gid == self.gid else 0o002
        return bool(state.st_mode & bits)

    def shut_out(self, path: Path) -> Path | None:
        """
        What keeps it from reading a file: that, or a directory above it; None: nothing does, or some group that it may
        be a member of opens it.
        """
        if self.uid == 0:
            return None
        for one in (*reversed(path.parents), path):
            state, needed = one.stat(), 0o1 if one != path else 0o4
            bits = needed << 6 if state.st_uid == self.uid else needed << 3 | needed
            if not state.st_mode & bits:
                return one
        return None


def storage(config: Config, user: User) -> Iterator[Finding]:
    """
    Look at the lease file.

    @param user: of the running daemon; where none runs, of this process.
    """
    kind, _, path = config.leases.store.partition(":")
    if kind != "sqlite" or config.bootpd.mode == "proxy":
        return
    file, place = Path(path), Path(path).parent
    if not place.is_dir():
        yield wrong(f"{config.origin('leases', 'store')}: there is no directory {place}", f"mkdir -p {place}")
        return
    wants = [one for one in (place, *sorted(place.glob(f"{file.name}*"))) if one == place or one.is_file()]
    refused = [one for one in wants if not user.may_write(one)]
    disk = os.statvfs(place)
    if refused:
        names = " and ".join(map(str, refused))
        yield wrong(
            f"{user} may not write {names}: no lease can be promised", f"chown {user} {' '.join(map(str, refused))}"
        )
    elif disk.f_flag & os.ST_RDONLY:
        yield wrong(f"the file system of {place} is read-only", "mount -o remount,rw; or another place: [leases] store")
    elif disk.f_bavail * disk.f_frsize < ENOUGH:
        yield wrong(f"the disk of {place} is full: no lease can be promised", f"make room: du -xh {place}")
    else:
        yield fine(f"leases: {file} can be written")
