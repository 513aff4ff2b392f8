"""Table, pool, group commit and store together, through whatever happens to machines and to the server."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.pool import Pool
from pybootd.errors import StoreError
from pybootd.leases.commit import GroupCommit, Outcome
from pybootd.leases.lease import Claim, Lease, State
from pybootd.leases.sqlite import SqliteStore
from pybootd.leases.table import REST_SECONDS, LeaseTable
from tests.support.leases import FIRST, NOW, at_once, key

COUNT = 3
LAST = FIRST + COUNT - 1
LEASE = 1000.0
MACHINES = st.integers(1, 5)


class Broken(SqliteStore):
    """A store whose disk is full when the test says so."""

    full = False

    def commit(self, claims: list[Claim]) -> Deferred[list[bool]]:
        return fail(StoreError("full")) if self.full else super().commit(claims)


class Life(RuleBasedStateMachine):
    """
    Machines that ask, take, renew, give back, decline and fall silent, and a server that is restarted at any moment.

    @ivar promised: what was ACKed: by address, the machine and until when.
    """

    reclaim = False

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="pybootd-life-"))
        self.clock = Clock()
        self.clock.advance(NOW)
        self.promised: dict[int, tuple[int, float]] = {}
        self.resting: dict[int, float] = {}
        self.asked: dict[int, int] = {}
        self.store = Broken(self.directory / "leases", at_once)
        self.start()

    def teardown(self) -> None:
        """When everybody has fallen silent, every free address can be had: none was lost."""
        self.store.full = False
        self.clock.pump([0, 62, 62])
        free = [FIRST + place for place in range(COUNT) if self.pool.free(FIRST + place, self.now - 1)]
        had = set(iter(lambda: self.pool.take(self.now), 0))
        assert had.issuperset(free), (free, had)
        self.store.close()
        shutil.rmtree(self.directory)

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.clock.seconds()

    def start(self) -> None:
        """The server starts, with what is in its file."""
        self.store = Broken(self.directory / "leases", at_once)
        leases: list[Lease] = []
        self.store.open().addCallback(leases.extend)
        self.table = LeaseTable(leases, offers=3)
        self.pool = Pool(FIRST, COUNT, self.table, reclaim=self.reclaim)
        self.commit = GroupCommit(self.store, self.clock.callLater)

    def lease_of(self, machine: int) -> Lease | None:
        """The machine's lease, as a decision sees it."""
        return self.table.of(key(machine), FIRST, LAST)

    @rule(machine=MACHINES)
    def discover(self, machine: int) -> None:
        """DISCOVER: a machine is offered its own address, else one of the pool."""
        if self.table.pending(key(machine)):
            return
        lease = self.lease_of(machine)
        own = lease.address if lease is not None else self.table.offered(key(machine), self.now)
        if own and self.table.taken(own, key(machine), self.now):
            own = 0
        address = own or self.pool.take(self.now)
        if address:
            self.table.offer(key(machine), address, self.now)
            self.asked[machine] = address

    @rule(machine=MACHINES)
    def request(self, machine: int) -> None:
        """REQUEST: it takes what it was offered, however long ago, or renews."""
        lease, address = self.lease_of(machine), self.asked.get(machine, 0)
        if self.table.pending(key(machine)) or not address:
            return
        if self.table.owner(address, self.now) not in (None, key(machine)):
            return  # a NAK
        if lease is not None and lease.address != address:
            return  # a NAK: it has another one
        self.claim(machine, Lease(address, key(machine), State.BOUND, self.now + LEASE))

    @rule(machine=MACHINES)
    def boot(self, machine: int) -> None:
        """All of it at once."""
        self.discover(machine)
        self.request(machine)
        self.written()

    @rule(machine=MACHINES)
    def release(self, machine: int) -> None:
        """RELEASE."""
        lease = self.lease_of(machine)
        if lease is not None and lease.state is State.BOUND and not self.table.pending(key(machine)):
            if self.promised.get(lease.address, (0, 0.0))[0] == machine:
                del self.promised[lease.address]
            self.claim(machine, Lease(lease.address, lease.key, State.RELEASED, self.now))

    @rule(machine=MACHINES)
    def decline(self, machine: int) -> None:
        """DECLINE."""
        lease = self.lease_of(machine)
        if lease is not None and not self.table.pending(key(machine)):
            self.promised.pop(lease.address, None)
            self.claim(machine, Lease(lease.address, b"", State.DECLINED, self.now + REST_SECONDS))

    def claim(self, machine: int, lease: Lease) -> None:
        """Write it down, and answer then."""
        table, pool = self.table, self.pool

        def done(outcome: Outcome) -> None:
            table.settle(lease, outcome is Outcome.DURABLE)
            if outcome is not Outcome.DURABLE:
                pool.give_back(lease.address)
                return
            pool.note(lease)
            if lease.state is State.BOUND:
                self.acknowledge(machine, lease)
            elif lease.state is State.DECLINED:
                self.resting[lease.address] = lease.expires

        self.table.begin(lease)
        self.commit.submit(Claim(lease, fresh=True), done)

    def acknowledge(self, machine: int, lease: Lease) -> None:
        """An ACK leaves: no other machine may have been promised that address, and it may not rest."""
        holder, until = self.promised.get(lease.address, (machine, 0.0))
        assert holder == machine or until <= self.now, (lease, holder, until)
        assert self.resting.get(lease.address, 0.0) <= self.now, lease
        self.promised[lease.address] = (machine, lease.expires)
        self.asked[machine] = lease.address

    @rule(machine=MACHINES)
    def other_server(self, machine: int) -> None:
        """It chose another server."""
        self.pool.give_back(self.table.withdraw(key(machine)) or LAST + 1)

    @rule()
    def written(self) -> None:
        """The reactor wakes up."""
        self.clock.advance(0)

    @rule(seconds=st.sampled_from([1, 30, 61, 500, 1001, 3601]))
    def later(self, seconds: int) -> None:
        """Time passes."""
        self.clock.advance(seconds)

    @rule()
    def full(self) -> None:
        """The disk is full, or has room again."""
        self.store.full = not self.store.full

    @rule()
    def killed(self) -> None:
        """The server is killed, whatever is under way, and started anew."""
        now, self.clock = self.now, Clock()
        self.clock.advance(now + 1)
        self.store.close()
        self.start()

    @invariant()
    def kept(self) -> None:
        """Whatever was promised and has not ended is known, as that machine's."""
        for address, (machine, until) in self.promised.items():
            if until > self.now:
                lease = self.table.at(address)
                assert lease is not None, address
                assert (lease.key, lease.state, lease.expires) == (key(machine), State.BOUND, until), lease

    @precondition(lambda self: not self.reclaim)
    @invariant()
    def same_address(self) -> None:
        """A machine keeps its address for ever, unless it declined it."""
        for address, (machine, _) in self.promised.items():
            lease = self.table.at(address)
            assert lease is not None and lease.key == key(machine), lease


class Reclaiming(Life):
    """The same where addresses are given anew."""

    reclaim = True


SETTINGS = settings(max_examples=60, stateful_step_count=50, deadline=None)


class LifeTests(SynchronousTestCase):
    def test_never(self) -> None:
        """No address is promised twice, no promise is forgotten, and every machine keeps its address."""
        run_state_machine_as_test(Life, settings=SETTINGS)

    def test_reclaim(self) -> None:
        """With C{reclaim = expired} the same holds until leases end."""
        run_state_machine_as_test(Reclaiming, settings=SETTINGS)
