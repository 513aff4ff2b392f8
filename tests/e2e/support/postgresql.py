"""A PostgreSQL of the test's own: in a directory of its own, reached over the laboratory's network only."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from functools import cache
from pathlib import Path

from tests.e2e.support.lab import Lab, Namespace, run, until
from tests.e2e.support.program import Program, Unexpected
from tests.e2e.support.servers import ready

PROGRAMS = Path("/usr/lib/postgresql")
"""Debian has one directory for each version here."""

USER = "postgres"
PASSWORD = secrets.token_hex(8)
PORT = 5432
QUICK = ("fsync=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=20", "logging_collector=off")
"""Nobody pulls the plug of this host, so nothing needs to reach a disk."""


def program(name: str) -> Path:
    """
    One of the newest PostgreSQL's programs.

    @raise Unexpected: there is none.
    """
    found = sorted(PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: float(path.parent.parent.name))
    if not found:
        raise Unexpected(f"there is no {name} below {PROGRAMS}")
    return found[-1]


def _as_user(name: str, *words: str | Path) -> list[str | Path]:
    """The program's command line; PostgreSQL does not run as root."""
    return ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", program(name), *words]


@cache
def _empty() -> tempfile.TemporaryDirectory[str]:
    """A directory with an empty database, which is made once and copied for each test; it goes when the tests end."""
    made = tempfile.TemporaryDirectory(prefix="pybootd-test-postgresql-")
    place = Path(made.name)
    word = place / "word"
    word.write_text(PASSWORD)
    for path in (place, word):
        shutil.chown(path, USER, USER)
    options = ("-U", USER, "-A", "scram-sha-256", f"--pwfile={word}", "--no-sync", "--wal-segsize=1")
    run(*_as_user("initdb", "-D", place / "data", *options))
    return made


class Postgresql:
    """
    A server with one empty database, C{pybootd}, of a user with a password.

    @ivar url: how servers reach it.
    """

    def __init__(self, lab: Lab, namespace: Namespace, address: str) -> None:
        """Make the database, and start it; it ends with the laboratory."""
        self._namespace = namespace
        self._address = address
        self._place = lab.directory(f"postgresql-{namespace.name}")
        self._data = self._place / "data"
        self._program: Program | None = None
        self.url = self.other()
        shutil.chown(self._place, USER, USER)
        run("cp", "-a", Path(_empty().name, "data"), self._data)
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {address}/16 scram-sha-256\n")
        self.start()
        self.ask("CREATE DATABASE pybootd", database=USER)

    def other(self, *, password: str = "", database: str = "pybootd") -> str:
        """The address of this server with something wrong in it."""
        return f"postgresql://{USER}:{password or PASSWORD}@{self._address}:{PORT}/{database}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = (f"listen_addresses={self._address}", f"unix_socket_directories={self._place}", *QUICK)
        words = [word for setting in settings for word in ("-c", setting)]
        self._program = self._namespace.start(*_as_user("postgres", "-D", self._data, *words))
        ready(self._namespace, self._program, [("tcp", PORT)])
        until(self._answers, 60, "PostgreSQL answers")

    def stop(self) -> None:
        """Stop it as an administrator does: connections are closed, not waited for."""
        assert self._program is not None
        self._program.signal(signal.SIGINT)
        self._program.wait()

    def freeze(self) -> None:
        """All of its processes stand still: connections stay, and get no answer."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)

    def ask(self, statement: str, database: str = "pybootd") -> list[list[str]]:
        """Ask it something: a list of the columns for each row."""
        words = ("psql", "-X", "-q", "-A", "-t", "-F", "|", "-v", "ON_ERROR_STOP=1", "-c", statement)
        url = self.other(database=database)
        done = self._namespace.run(*words, url, timeout=30)
        return [line.split("|") for line in done.stdout.splitlines()]

    def _answers(self) -> bool:
        words = (program("pg_isready"), "-q", "-h", self._address, "-p", str(PORT))
        return self._namespace.run(*words, check=False).returncode == 0

    def _signal(self, number: signal.Signals) -> None:
        """To the server and all of its children, which have a session of their own each."""
        assert self._program is not None
        children = Path(f"/proc/{self._program.pid}/task/{self._program.pid}/children").read_text().split()
        for pid in (self._program.pid, *map(int, children)):
            os.kill(pid, number)
