"""Two servers on one network that share a PostgreSQL: one truth, whatever stops when."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.postgresql import Postgresql
from tests.e2e.support.servers import Pybootd, ini
from tests.e2e.support.swarm import Answer, Swarm
from tests.support.dhcp import ACK, NAK

DATABASE, FIRST, SECOND = "10.77.0.1", "10.77.0.11", "10.77.0.12"
MACHINES = 400
LEASE = 12
"""Seconds; a lease has to end while the test waits."""

LATE = 40
"""Seconds that many machines, or a database that came back, may take on a slow host."""

NOTHING = 1.5
"""Seconds for which there is no answer."""


class SharedTestCase(EndToEndTestCase):
    """A database, two hosts for servers, and a host for the machines."""

    needs = ("setpriv", "psql", "/usr/lib/postgresql")

    def setUp(self) -> None:
        """Start the database."""
        super().setUp()
        self.lab.server.ip("addr", "add", f"{DATABASE}/16", "dev", "br0")
        self.database = Postgresql(self.lab, self.lab.server, DATABASE)
        self.hosts = {address: self.lab.segment.host(f"{address}/16") for address in (FIRST, SECOND)}
        self.swarm = Swarm(self.lab.segment.host(), "10.77.64.0/20")
        self.addCleanup(self.swarm.close)

    def serve(self, address: str, *, url: str = "", **bootpd: object) -> Pybootd:
        """Start one of the servers."""
        return Pybootd(
            self.hosts[address],
            self.lab.directory(f"pybootd-{address}-{len(list(self.lab.scratch.iterdir()))}"),
            {
                "bootpd": {
                    "pool_start": "10.77.64.0",
                    "pool_count": 4096,
                    "allow_simple_dhcp": True,
                    "conflict_check": 0,
                    **bootpd,
                },
                "leases": {"store": url or self.database.url},
            },
            "-p",
            ports=[("udp", 67)],
        )

    def written(self) -> dict[int, str]:
        """What the database says that the machines have."""
        rows = self.database.ask(
            "SELECT encode(machine, 'hex'), '0.0.0.0'::inet + address FROM pybootd_leases WHERE state = 1"
        )
        return {int(machine[6:], 16): address for machine, address in rows}

    def addresses(self, acks: Mapping[int, Answer]) -> dict[int, str]:
        """Which machine has which address; each of them is given once."""
        addresses = {machine: ack.address for machine, ack in acks.items()}
        self.assertEqual(len(set(addresses.values())), len(addresses))
        return addresses

    def promised(self) -> None:
        """Of all that was heard: no address was promised to two machines."""
        owners: dict[str, set[int]] = {}
        for answer in self.swarm.answers:
            if answer.kind == ACK:
                owners.setdefault(answer.address, set()).add(answer.machine)
        self.assertEqual({address: who for address, who in owners.items() if len(who) > 1}, {})


class LoadTests(SharedTestCase):
    """Two servers, many machines."""

    def test_killed(self) -> None:
        """
        One of two is killed under load: every machine gets an address, none is given twice, each keeps its own with
        the other, and with the first once it is back.
        """
        first, second = self.serve(FIRST), self.serve(SECOND)

        def kill(acked: int) -> None:
            if acked == MACHINES // 3:
                first.program.signal(signal.SIGKILL)

        acks = self.swarm.obtain(range(MACHINES), LATE, acked=kill)
        addresses = self.addresses(acks)
        self.assertEqual(len(addresses), MACHINES)
        self.assertEqual({ack.server for ack in acks.values()}, {FIRST, SECOND})
        self.assertEqual([answer for answer in self.swarm.answers if answer.kind == NAK], [])
        self.assertEqual(self.written(), addresses)
        told = self.swarm.renew(acks.values(), LATE)
        self.assertEqual(
            {machine: [(one.kind, one.address, one.server) for one in heard] for machine, heard in told.items()},
            {machine: [(ACK, address, SECOND)] for machine, address in addresses.items()},
        )
        first.restart()
        for machine in (0, 1, MACHINES - 1):
            offers = self.swarm.offers(machine, LATE, answers=2)
            self.assertEqual([offer.address for offer in offers], [addresses[machine]] * 2)
        self.promised()
        for log in (first.log, second.log):
            self.assertNotIn("Traceback", log)

    def test_known_to_the_other(self) -> None:
        """What one gave, the other offers to the same machine, and gives more time for; a stranger's is a NAK."""
        self.serve(FIRST)
        self.serve(SECOND)
        acks = self.swarm.obtain((1, 2), LATE)
        for machine, ack in acks.items():
            offers = self.swarm.offers(machine, LATE, answers=2)
            self.assertEqual(
                {offer.server: offer.address for offer in offers}, dict.fromkeys((FIRST, SECOND), ack.address)
            )
        told = self.swarm.renew(acks.values(), LATE, answers=2)
        self.assertEqual([[one.kind for one in heard] for heard in told.values()], [[ACK] * 2] * 2)
        strange = Answer(0, 1, acks[2].address, "", 0)
        self.assertEqual([one.kind for one in self.swarm.renew([strange], LATE, answers=2)[1]], [NAK] * 2)

    def test_small_pool(self) -> None:
        """Two servers and a pool of ten: ten machines get the ten addresses, wherever they ask."""
        self.serve(FIRST, pool_count=10)
        self.serve(SECOND, pool_count=10)
        acks = self.swarm.obtain(range(10), LATE)
        self.assertEqual(set(self.addresses(acks).values()), {f"10.77.64.{number}" for number in range(10)})


class OutageTests(SharedTestCase):
    """The database is gone for a while."""

    def test_stopped(self) -> None:
        """
        Who is known is served from memory until its lease ends, who is new gets no answer, one line says why; when the
        database is back, all is as before, without a restart.
        """
        server = self.serve(FIRST, lease_time=LEASE)
        known = self.swarm.obtain([1], LATE)[1]
        self.database.stop()
        (told,) = self.swarm.renew([known], LATE)[1]
        self.assertEqual((told.kind, told.address), (ACK, known.address))
        self.assertLess(told.seconds, LEASE)
        self.assertEqual(self.swarm.offers(2, NOTHING), [])
        self.ended(known)
        errors = [line for line in server.log.splitlines() if "[error]" in line.lower() or "error" in line.lower()]
        self.assertEqual(len(errors), 1, server.log)
        self.assertIn(f"postgresql://{DATABASE}/pybootd", errors[0])
        self.database.start()
        acks = self.swarm.obtain([1, 2], LATE)
        self.assertEqual(acks[1].address, known.address)
        self.assertEqual(set(acks), {1, 2})
        self.assertNotIn("Traceback", server.log)

    def ended(self, known: Answer) -> None:
        """Its lease ends, and with it what can be promised."""
        for _ in range(LEASE):
            if not self.swarm.renew([known], NOTHING)[known.machine]:
                return
            time.sleep(1)
        self.fail(f"it is promised its address for ever: {self.swarm.answers}")

    def test_frozen(self) -> None:
        """A database that does not answer keeps nobody waiting: the known are served, the server can be stopped."""
        first, second = self.serve(FIRST), self.serve(SECOND)
        known = self.swarm.obtain([1], LATE)[1]
        self.swarm.renew([known], LATE, answers=2)
        self.database.freeze()
        self.addCleanup(self.database.thaw)
        told = self.swarm.renew([known], LATE, answers=2)[1]
        self.assertEqual([(one.kind, one.address) for one in told], [(ACK, known.address)] * 2)
        self.assertEqual(self.swarm.offers(2, NOTHING), [])
        self.assertEqual(first.program.stop(LATE), 0)
        self.database.thaw()
        self.assertEqual(set(self.swarm.obtain([2], LATE)), {2})
        self.promised()
        self.assertNotIn("Traceback", first.log + second.log)

    def test_starts_later(self) -> None:
        """A database that starts after the server is waited for."""
        self.database.stop()
        server = self.serve(FIRST)
        server.program.expect("refused", LATE)
        self.database.start()
        self.assertEqual(set(self.swarm.obtain([1], LATE)), {1})


class MistakeTests(SharedTestCase):
    """What is wrong with the address of the database is said in one line, without the password."""

    def test_refused(self) -> None:
        """A wrong password, an unknown database, no psycopg."""
        for url, expected in (
            (self.database.other(password="wrong-word"), "password authentication failed"),
            (self.database.other(database="unknown"), 'database "unknown" does not exist'),
        ):
            server = self.serve(FIRST, url=url)
            server.program.expect(expected, LATE)
            self.assertEqual(self.swarm.offers(1, NOTHING), [])
            self.assertEqual(server.program.stop(), 0)
            said = [line for line in server.log.splitlines() if "postgresql://" in line]
            self.assertEqual(len(said), 1, server.log)
            self.assertNotIn("wrong-word", server.log)
            self.assertNotIn("Traceback", server.log)

        self.no_library()

    def no_library(self) -> None:
        """Without psycopg the server does not start, and says what to install."""
        directory = self.lab.directory("alone")
        (directory / "psycopg.py").write_text("raise ImportError('No module named psycopg')\n")
        status, said = self.told(directory, self.database.url, environment={"PYTHONPATH": str(directory)})
        self.assertEqual(status, 1)
        self.assertIn("pip install 'pybootd[postgresql]'", said)

    def test_command(self) -> None:
        """C{pybootd leases} lists what all servers gave; without the database it says why it cannot, and ends."""
        self.serve(FIRST)
        acks = self.swarm.obtain((1, 2), LATE)
        directory = self.lab.directory("command")
        status, said = self.told(directory, self.database.url, "leases")
        self.assertEqual(
            (status, {line.split()[0] for line in said.splitlines()}), (0, set(self.addresses(acks).values()))
        )
        status, said = self.told(directory, self.database.url, "leases", "release", acks[1].address)
        self.assertEqual((status, self.written()), (0, {2: acks[2].address}))
        self.database.stop()
        status, said = self.told(directory, self.database.url, "leases")
        self.assertEqual((status, len(said.splitlines())), (1, 1), said)
        self.assertIn(f"postgresql://{DATABASE}/pybootd", said)

    def told(
        self, directory: Path, url: str, *words: str, environment: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """What a command of pybootd says before it ends, and its status."""
        file = directory / "pybootd.ini"
        file.write_text(ini({"bootpd": {"pool_start": "10.77.64.0"}, "leases": {"store": url}}))
        line = [sys.executable, "-m", "pybootd", *words, "-c", file, *(() if words else ("-p",))]
        done = self.hosts[SECOND].run(*line, check=False, directory=directory, environment=environment)
        self.assertNotIn("Traceback", done.stdout + done.stderr)
        return done.returncode, done.stdout + done.stderr
