"""Workers: started, asked in turn, started again, ended."""

from __future__ import annotations

from typing import Any

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pybootd.workers.census import Crew, Place
from pybootd.workers.messages import Drop, Ended, Look, Looked, Progress, Said, SendFile
from pybootd.workers.pool import DIED, PAUSES, STEADY, STOPPING, STOPS, Handle, Pool
from pybootd.workers.watch import ANSWERING, INTERVAL, STARTING
from tests.support.workers import FakeProcess, Reactor


class Task:
    """What is told of one transfer."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def progressed(self, sent: int, resent: int) -> None:
        self.told.append((sent, resent))

    def looked(self) -> None:
        self.told.append("looked")

    def ended(self, failure: str) -> None:
        self.told.append(failure or "whole")


class PoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.addCleanup(lambda: self.assertEqual(self.reactor.getDelayedCalls(), []))
        self.addCleanup(self.end)
        self.processes: list[FakeProcess] = []
        self.refusal: OSError | None = None
        self.lines: list[str] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)
        self.pool = Pool("TFTP", self.reactor, self.spawn, available=True)

    def observe(self, event: dict[str, Any]) -> None:
        if event.get("log_namespace") == "pybootd.workers.pool.Pool":
            self.lines.append(event["log_format"].format(**event))

    def spawn(self, *arguments: Any) -> FakeProcess:
        if self.refusal is not None:
            raise self.refusal
        self.processes.append(FakeProcess(*arguments))
        return self.processes[-1]

    def ready(self, count: int) -> list[FakeProcess]:
        """So many workers, all ready."""
        self.pool.start(count)
        for process in self.processes:
            process.tell(Looked(0))
        return self.processes

    def hand(self, task: Task | None = None) -> Handle | None:
        return self.pool.hand(task or Task(), lambda number: SendFile(number, 0, 9), (1, 2))

    def end(self) -> None:
        stopped = self.pool.stop()
        for process in self.processes:
            if process.closed:
                process.lost("ended")
        self.successResultOf(stopped)

    def test_none(self) -> None:
        """Without workers there is no process, and nothing is handed over."""
        self.pool.start(0)
        self.assertEqual((self.processes, self.hand()), ([], None))

    def test_ready(self) -> None:
        """A worker that has not said that it is ready gets nothing."""
        self.pool.start(1)
        self.assertIsNone(self.hand())
        self.processes[0].tell(Looked(0))
        self.assertIsNotNone(self.hand())
        self.assertIn("TFTP: worker 1 is ready, process 4711", self.lines)

    def test_fewest(self) -> None:
        """The worker with the fewest transfers under way gets the next one."""
        one, two = self.ready(2)
        for _ in range(4):
            self.hand()
        self.assertEqual((len(one.orders), len(two.orders)), (2, 2))
        for order in tuple(two.orders):
            two.tell(Ended(order.number, 9, ""))
        self.hand()
        self.assertEqual((len(one.orders), len(two.orders)), (2, 3))

    def test_full(self) -> None:
        """A worker that cannot take more right now leaves the transfer to the main process."""
        self.ready(1)[0].takes = False
        self.assertIsNone(self.hand())

    def test_reports(self) -> None:
        """A task is told of its progress and its end, and of nothing after that; of others' it is not."""
        [process] = self.ready(1)
        one, two = Task(), Task()
        self.hand(one)
        handle = self.hand(two)
        assert handle is not None
        first, second = (order.number for order in process.orders)
        process.tell(Progress(first, 5, 1))
        handle.look()
        self.assertEqual(process.orders[-1], Look(second))
        process.tell(Looked(second))
        process.tell(Ended(first, 9, "", 2))
        process.tell(Ended(first, 9, "again"))
        self.assertEqual(one.told, [(5, 1), (9, 2), "whole"])
        self.assertEqual(two.told, ["looked"])

    def test_drop(self) -> None:
        """A task that was given up is told nothing more, and the worker is told once."""
        [process] = self.ready(1)
        task = Task()
        handle = self.hand(task)
        assert handle is not None
        number = process.orders[0].number
        handle.drop()
        handle.drop()
        process.tell(Ended(number, 9, ""))
        self.assertEqual((process.orders[1:], task.told), ([Drop(number)], []))

    def test_death(self) -> None:
        """A worker's death fails its transfers, is logged, and another one is started after a pause."""
        one, two = self.ready(2)
        lost, others = Task(), Task()
        self.hand(lost)
        self.hand(others)
        one.lost("was ended by signal 9")
        self.assertEqual((lost.told, others.told), ([DIED], []))
        self.assertIn("TFTP: worker 1 was ended by signal 9; transfers lost: 1; it is started again in 1 s", self.lines)
        self.hand(others)
        self.assertEqual(len(two.orders), 2)
        self.reactor.advance(PAUSES[0])
        self.assertEqual(len(self.processes), 3)
        self.processes[2].tell(Looked(0))
        self.hand()
        self.assertEqual(len(self.processes[2].orders), 1)

    def test_pauses(self) -> None:
        """Who dies again and again waits longer each time, up to a ceiling; who lived long, does not."""
        self.pool.start(1)
        for pause in (1, 2, 4, 8, 16, 32, 60, 60):
            self.processes[-1].lost("failed with status 1")
            count = len(self.processes)
            self.reactor.advance(pause - 0.01)
            self.assertEqual(len(self.processes), count, pause)
            self.reactor.advance(0.01)
            self.assertEqual(len(self.processes), count + 1, pause)
        self.reactor.advance(STEADY)
        self.processes[-1].lost("ended")
        self.reactor.advance(PAUSES[0])
        self.assertEqual(len(self.processes), 10)

    def pass_by(self, seconds: float) -> None:
        """Time, one round of the watch after the other."""
        self.reactor.pump([INTERVAL] * round(seconds / INTERVAL))

    def test_hang(self) -> None:
        """A worker that lives and does not answer is killed, the log says why, and it is treated as dead."""
        one, two = self.ready(2)
        lost = Task()
        self.hand(lost)
        self.reactor.advance(INTERVAL)
        self.assertEqual((one.orders[-1], two.orders), (Look(0), [Look(0)]))
        two.tell(Looked(0))
        self.pass_by(ANSWERING)
        self.assertEqual((one.killed, two.killed), (1, 0))
        self.assertIn("TFTP: worker 1, process 4711, has not answered for 30 s, and is killed", self.lines)
        self.hand()
        self.hand()
        self.assertEqual(len([order for order in two.orders if isinstance(order, SendFile)]), 2)
        self.assertEqual((lost.told, one.closed), ([], 1))
        one.lost("was ended by signal 9")
        self.assertEqual(lost.told, [DIED])
        self.reactor.advance(PAUSES[0])
        self.assertEqual(len(self.processes), 3)
        self.processes[2].tell(Looked(0))
        self.assertEqual(
            [line for line in self.lines if "ready" in line][2:], ["TFTP: worker 1 is ready, process 4711"]
        )

    def test_answers(self) -> None:
        """A worker that answers is asked on and on, and its answers are no news."""
        [process] = self.ready(1)
        for _ in range(50):
            asked = len(process.orders)
            self.reactor.advance(INTERVAL)
            self.assertEqual(len(process.orders), asked + 1)
            process.tell(Looked(0))
        self.assertEqual((process.killed, len(self.lines)), (0, 1))

    def test_hung_start(self) -> None:
        """A worker that never says that it is ready is killed in the end, and started again."""
        self.pool.start(1)
        self.pass_by(STARTING - INTERVAL)
        self.assertEqual((self.processes[0].killed, self.processes[0].orders), (0, []))
        self.pass_by(INTERVAL)
        self.assertEqual(self.processes[0].killed, 1)
        self.processes[0].lost("was ended by signal 9")
        self.reactor.advance(PAUSES[0])
        self.assertEqual(len(self.processes), 2)

    def test_hang_at_the_end(self) -> None:
        """A worker that hangs on its last transfer is killed, and leaves; the server's end stops all questions."""
        [process] = self.ready(1)
        task = Task()
        self.hand(task)
        self.pool.resize(0)
        self.pass_by(INTERVAL + ANSWERING)
        self.assertEqual(process.killed, 1)
        process.lost("was ended by signal 9")
        self.assertEqual((task.told, self.reactor.getDelayedCalls()), ([DIED], []))

    def test_no_process(self) -> None:
        """Where no process can be started, that is logged and tried again; the main process serves."""
        self.refusal = FileNotFoundError(2, "No such file or directory")
        self.pool.start(1)
        self.assertIn("cannot be started: No such file or directory", self.lines[0])
        self.refusal = None
        self.reactor.advance(PAUSES[0])
        self.assertEqual(len(self.processes), 1)

    def test_resize(self) -> None:
        """Workers are added at once; one too many takes nothing more, and ends with its last transfer."""
        [one] = self.ready(1)
        self.pool.resize(2)
        two = self.processes[1]
        two.tell(Looked(0))
        self.hand()
        task = Task()
        self.hand(task)
        self.pool.resize(1)
        self.assertEqual(two.closed, 0)
        self.hand()
        self.assertEqual((len(one.orders), len(two.orders)), (2, 1))
        two.tell(Ended(two.orders[0].number, 9, ""))
        self.assertEqual((task.told[-1], two.closed), ("whole", 1))
        two.lost("ended")
        self.assertEqual(len(self.processes), 2)
        self.assertFalse([line for line in self.lines if "started again" in line])

    def test_indices(self) -> None:
        """A worker is numbered with the least number that no other one has, so that there are as few as workers."""
        self.ready(2)
        self.hand()
        self.hand()
        self.pool.resize(1)
        self.pool.resize(2)
        places = [place.index for place in self.pool.census().places]
        self.assertEqual(places, [1, 2, 3])
        self.processes[1].tell(Ended(self.processes[1].orders[0].number, 9, ""))
        self.processes[1].lost("ended")
        self.pool.resize(3)
        self.assertEqual([place.index for place in self.pool.census().places], [1, 2, 3])

    def test_census(self) -> None:
        """What is told of them: who is there, how much each has to do and has done, and how often one was restarted."""
        self.assertEqual(self.pool.census(), Crew("tftp", 0, 0, []))
        one, _ = self.ready(2)
        self.hand()
        self.hand()
        self.hand()
        first, second = (order.number for order in one.orders)
        one.tell(Progress(first, 300))
        one.tell(Progress(first, 500))
        one.tell(Ended(second, 70, ""))
        places = [Place(1, True, 1, 570), Place(2, True, 1, 0)]
        self.assertEqual(self.pool.census(), Crew("tftp", 2, 0, places))
        one.lost("failed with status 1")
        places[0] = Place(1, False, 0, 570)
        self.assertEqual(self.pool.census(), Crew("tftp", 2, 1, places))
        self.reactor.advance(PAUSES[0])
        self.processes[2].tell(Looked(0))
        self.hand()
        self.processes[2].tell(Ended(self.processes[2].orders[0].number, 30, "gone"))
        places[0] = Place(1, True, 0, 600)
        self.assertEqual(self.pool.census(), Crew("tftp", 2, 1, places))

    def test_stop(self) -> None:
        """The server's end is told to every task, waits for every process, and for none that hangs."""
        one, two = self.ready(2)
        task = Task()
        self.hand(task)
        stopped = self.pool.stop()
        self.assertEqual((one.closed, two.closed), (1, 1))
        self.assertNoResult(stopped)
        one.lost("ended")
        self.assertEqual(task.told, [STOPS])
        self.reactor.advance(STOPPING)
        self.assertEqual((one.killed, two.killed), (0, 1))
        two.lost("was ended by signal 9")
        self.successResultOf(stopped)
        self.assertEqual(len(self.processes), 2)

    def test_stop_early(self) -> None:
        """A worker that is still starting is not waited for, and one that waits to be started is not started."""
        self.pool.start(2)
        self.processes[1].lost("ended")
        stopped = self.pool.stop()
        self.assertEqual(self.processes[0].killed, 1)
        self.processes[0].lost("was ended by signal 9")
        self.successResultOf(stopped)

    def test_log(self) -> None:
        """A worker's lines appear in the server's log, on one line each."""
        [process] = self.ready(1)
        process.tell(Said("warn", "a\nb"))
        process.tell(Said("nonsense", "c"))
        self.assertEqual(self.lines[-2:], ["TFTP: worker 1: a\\x0ab", "TFTP: worker 1: c"])

    def test_unavailable(self) -> None:
        """A system without what workers need says so, and the main process serves."""
        self.pool = Pool("TFTP", self.reactor, self.spawn, available=False)
        self.pool.start(2)
        self.assertEqual((self.processes, self.hand()), ([], None))
        self.assertIn("not possible on this system", self.lines[0])
