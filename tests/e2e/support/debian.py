"""
Files from Debian packages that are not installed, kept in a cache: kernels, installers, other architectures' programs.

The cache is C{$PYBOOTD_TEST_CACHE}, by default C{~/.cache/pybootd-tests}.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from tests.e2e.support.lab import CommandFailed, run

CACHE = Path(os.environ.get("PYBOOTD_TEST_CACHE") or Path.home() / ".cache/pybootd-tests")
DOWNLOAD_TIME = 300
"""Seconds that a download may take."""


@lru_cache
def unpacked(package: str, architecture: str = "amd64") -> Path:
    """
    The directory that holds a package's files.

    @param package: its name; the newest version that apt knows is taken, once.
    """
    directory = CACHE / f"{package}_{architecture}"
    with _lock():
        if not directory.exists():
            _unpack(package, architecture, directory)
    return directory


def depends(package: str, pattern: str, architecture: str = "amd64") -> str:
    """The name of the package that this one depends on and that the pattern fits: a metapackage's content."""
    with _lock():
        options = _apt_options(architecture)
    found = re.search(rf"Depends: ({pattern})$", run("apt-cache", *options, "depends", package).stdout, re.MULTILINE)
    if found is None:
        raise CommandFailed(f"{package} depends on nothing like {pattern}; is apt's package list there?")
    return found[1]


def _unpack(package: str, architecture: str, directory: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as place:
        options = ("-o", "APT::Sandbox::User=root", *_apt_options(architecture))
        run("apt-get", *options, "download", package, directory=Path(place), timeout=DOWNLOAD_TIME)
        archive = next(Path(place).glob("*.deb"))
        tree = Path(place, "tree")
        run("dpkg-deb", "-x", archive, tree)
        tree.rename(directory)


def _apt_options(architecture: str) -> list[str]:
    """What makes apt look at another architecture's packages without touching this system's own list."""
    if architecture == "amd64":
        return []
    state = CACHE / f"apt-{architecture}"
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
        "Dir::State": state / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": state / "cache",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    if not state.exists():
        for part in ("state/lists/partial", "cache/archives/partial"):
            (state / part).mkdir(parents=True)
        try:
            run("apt-get", *words, "update", timeout=DOWNLOAD_TIME)
        except CommandFailed:
            shutil.rmtree(state)
            raise
    return words


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """One process at a time fills the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
