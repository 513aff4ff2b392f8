"""
What sharing costs: one pybootd on a PostgreSQL, then two on the same one, each with machines of its own.

    sudo python -m benchmarks.sharing [--rounds 3] [--write]

The servers give addresses of one pool, each behind a cable of its own; a load for each drives machines never seen
through DISCOVER, OFFER, REQUEST, ACK, 32 at a time.  The database syncs every commit.  The first server has one core;
the second, the loads and the database share the other, so that the rate of two is the least that is to be had: what
an exchange costs a server depends less on it.  Afterwards the database is asked whether every machine has an address
of its own.  Needs root, gcc, psycopg, and Debian's C{postgresql}.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from benchmarks import report
from benchmarks.dhcp import NEW, Load, daemon, ready
from benchmarks.lab import Lab, Process, lab, machine, median, run, table

USER = "postgres"
SECONDS = 4
MACHINES = 6000
"""For each load, at most."""

KNOWN = "SELECT count(DISTINCT machine) FROM pybootd_leases WHERE state = 1 AND machine > '\\x025001'"
"""Machines of the loads."""


@frozen
class Result:
    """One round with one server, or with two."""

    loads: Sequence[Load]
    doubled: int
    """Machines whose ACK promised an address that the database gives to another, or does not know."""


def _as_user(*words: str | Path) -> list[str]:
    """PostgreSQL does not run as root."""
    return ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", *map(str, words)]


@contextmanager
def database(place: Lab) -> Iterator[str]:
    """A database of its own, reached by a socket in the file system; yields what C{psql} calls it."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    home = place.scratch / "postgresql"
    home.mkdir()
    shutil.chown(home, USER, USER)
    place.scratch.chmod(0o755)
    run(*_as_user(programs[-1] / "initdb", "-D", home / "data", "-U", USER, "-A", "trust"))
    options = [f"-cunix_socket_directories={home}", "-clisten_addresses="]
    server = place.start("postgres", _as_user(programs[-1] / "postgres", "-D", home / "data", *options), core=1)
    deadline = time.monotonic() + 30
    while run(*_as_user("psql", "-h", home, "-c", "CREATE DATABASE pybootd"), check=False) != "CREATE DATABASE\n":
        if time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL does not answer: {server.log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)
    try:
        yield f"postgresql:///pybootd?host={home}&user={USER}"
    finally:
        server.stop()


def ask(url: str, statement: str) -> str:
    """What the database says."""
    return run("psql", "-X", "-A", "-t", "-c", statement, url).strip()


def measure(places: Sequence[Lab], url: str) -> Result:
    """A server in each place, and a load against each, all at once."""
    ask(url, "DROP TABLE IF EXISTS pybootd_leases, pybootd_slices")
    binary = places[0].scratch / "dhcpload"
    servers: list[Process] = []
    try:
        for core, place in enumerate(places):
            scratch = place.scratch / f"pybootd-{time.monotonic_ns()}"
            scratch.mkdir()
            command = ["env", "-C", str(scratch), *daemon(scratch, url, "-p")]
            servers.append(place.start("pybootd", command, core=core))
            ready(place, servers[-1], binary)
        before = [server.cpu() for server in servers]
        first = [NEW * (2 + number) for number in range(len(places))]
        words = (MACHINES, 32, SECONDS)
        clients = [
            place.start("load", [str(word) for word in (binary, "eth0", begin, *words)], where=place.client, core=1)
            for place, begin in zip(places, first, strict=True)
        ]
        for client in clients:
            client.popen.wait(90)
        used = [server.cpu() - cpu for server, cpu in zip(servers, before, strict=True)]
    finally:
        for server in servers:
            server.stop()
    seen = [json.loads(client.log.read_text().splitlines()[-1]) for client in clients]
    completed = sum(one["completed"] for one in seen)
    known = int(
        ask(url, "SELECT count(DISTINCT machine) FROM pybootd_leases WHERE state = 1 AND machine > '\\x025001'")
    )
    loads = [
        Load(
            one["rate"],
            cpu / max(one["completed"], 1) * 1e6,
            (one["offer_p50"], one["offer_p99"]),
            (one["ack_p50"], one["ack_p99"]),
            one["last"] * 1e3,
            one["again"],
            one["failed"] + one["naks"],
        )
        for one, cpu in zip(seen, used, strict=True)
    ]
    return Result(loads, max(0, completed - known))


def shown(results: dict[int, list[Result]]) -> str:
    """The table."""
    alone = [run.loads[0].rate for run in results[1]]
    rows = []
    for count, runs in results.items():
        for number in range(count):
            loads = [run.loads[number] for run in runs]
            rows.append(
                [
                    "alone" if count == 1 else ("first of two", "second of two")[number],
                    report.text(report.spread([one.rate for one in loads]), 0),
                    report.text(report.ratios([one.rate for one in loads], alone)),
                    report.text(report.spread([one.cpu for one in loads]), 0),
                    " / ".join(f"{median([one.ack[part] for one in loads]):.1f}" for part in (0, 1)),
                    str(sum(one.failed for one in loads)),
                    str(sum(run.doubled for run in runs)),
                ]
            )
    header = ["server", "new/s", "to one alone", "CPU us", "ACK p50/p99 ms", "failed or NAK", "addresses given twice"]
    return table(header, rows)


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="into docs/performance.rst")
    options = parser.parse_args()
    results: dict[int, list[Result]] = {1: [], 2: []}
    print(machine())
    with lab("a") as one, lab("b") as other:
        run("gcc", "-O2", "-o", str(one.scratch / "dhcpload"), str(Path(__file__).with_name("dhcpload.c")))
        with database(one) as url:
            for _ in range(options.rounds):
                for count, runs in results.items():
                    runs.append(measure((one, other)[:count], url))
    text = f"Medians of {options.rounds} rounds:\n\n{shown(results)}"
    print(f"\n{text}")
    if options.write:
        report.put("sharing", f"{report.heading('benchmarks.sharing')}\n\n{text}")


if __name__ == "__main__":
    main()
