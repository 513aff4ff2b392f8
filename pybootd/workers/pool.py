"""
The worker processes, as the main process sees them: started, asked in turn, started again when they die or hang, and
ended.

A worker is a fresh Python, not a copy of this process: it has the channel and nothing else, no configuration, no other
descriptor, no more privileges than are left when the server serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count as numbers
from typing import Any, Protocol

from attrs import define
from twisted.internet.defer import Deferred
from twisted.logger import Logger, LogLevel

from pybootd.text import printable
from pybootd.workers.census import Crew, Place
from pybootd.workers.channel import AVAILABLE
from pybootd.workers.messages import Drop, Ended, Look, Looked, Order, Progress, Said
from pybootd.workers.process import Process, Running
from pybootd.workers.watch import Watch

PAUSES = 1.0, 60.0
"""Seconds before a worker that died is started again: the first time, and at most, when it dies again and again."""

STEADY = 60.0
"""Seconds after which a worker's death is no consequence of the one before."""

DIED = "the worker process that sent it died"
STOPS = "the server stops"

STOPPING = 3.0
"""Seconds that a worker has to end itself."""


class Task(Protocol):
    """A transfer that a worker carries out: who is told of it in the main process."""

    def progressed(self, sent: int, resent: int) -> None:
        """So many bytes."""

    def looked(self) -> None:
        """The answer to L{Handle.look}."""

    def ended(self, failure: str) -> None:
        """It is over; C{failure} is empty where the whole file has arrived.  Called once, unless it was dropped."""


class Handle:
    """A task's worker, in as far as it is about this task."""

    def __init__(self, worker: _Worker, number: int) -> None:
        self._worker = worker
        self._number = number

    def drop(self) -> None:
        """Give it up; the task is told nothing more."""
        self._worker.drop(self._number)

    def look(self) -> None:
        """Have the task told what there is to tell, its end included; then that this was all."""
        self._worker.look(self._number)


class Pool:
    """
    So many workers.

    @ivar count: how many there are to be.
    @ivar running: the server serves.
    """

    log = Logger()

    def __init__(
        self, name: str, reactor: Any, start: Callable[..., Running] = Process, available: bool = AVAILABLE
    ) -> None:
        """
        @param name: whose workers these are, for the log.
        @param start: starts a process.
        """
        self.name = name
        self.count = 0
        self._reactor = reactor
        self._start = start
        self._available = available
        self._workers: list[_Worker] = []
        self._leaving: set[_Worker] = set()
        self.running = False
        self._stopped: Deferred[None] = Deferred()
        self._number = 0
        self._restarts = 0

    def start(self, count: int) -> None:
        """Have so many workers, once the reactor runs and takes care of processes."""
        self.count = count
        if count:
            self._reactor.callWhenRunning(self._begin)
        else:
            self.running = True

    def _begin(self) -> None:
        if not self._stopped.called:
            self.running = True
            self.resize(self.count)

    def resize(self, count: int) -> None:
        """Have another number of workers; who is one too many ends when its transfers have ended."""
        self.count = count
        if not self.running:
            return
        if count and not self._available:
            self.log.warn(
                "{name}: worker processes are not possible on this system; the main process serves all", name=self.name
            )
            return
        while len(self._workers) > count:
            worker = self._workers.pop()
            self._leaving.add(worker)
            worker.retire()
        while len(self._workers) < count:
            taken = {worker.index for worker in (*self._workers, *self._leaving)}
            worker = _Worker(self, next(index for index in numbers(1) if index not in taken))
            self._workers.append(worker)
            worker.start()

    def census(self) -> Crew:
        """How they are.  May be called from any thread."""
        workers = sorted((*self._workers, *self._leaving), key=lambda worker: worker.index)
        return Crew(self.name.lower(), self.count, self._restarts, [worker.place for worker in workers])

    def restarted(self) -> None:
        """One died, and is started again."""
        self._restarts += 1

    def hand(self, task: Task, order: Callable[[int], Order], descriptors: Sequence[int]) -> Handle | None:
        """
        Let the worker with the fewest transfers carry one out.

        @param order: makes the order, for the transfer's number.
        @return: None where nobody can take it now; it is up to the caller then.
        """
        ready = [worker for worker in self._workers if worker.ready]
        if not ready:
            return None
        self._number += 1
        worker = min(ready, key=lambda one: len(one.tasks))
        return Handle(worker, self._number) if worker.hand(self._number, task, order, descriptors) else None

    def stop(self) -> Deferred[None]:
        """End all of them, and their transfers; fires when no process is left."""
        self.running = False
        leaving = {*self._workers, *self._leaving}
        self._workers.clear()
        self._leaving = leaving
        for worker in tuple(leaving):
            worker.stop()
        self._all_gone()
        return self._stopped

    def gone(self, worker: _Worker) -> None:
        """One of those that were to leave has left."""
        self._leaving.discard(worker)
        if not self.running:
            self._all_gone()

    def _all_gone(self) -> None:
        if not self._leaving and not self._stopped.called:
            self._stopped.callback(None)

    def spawn(self, received: Callable[..., None], lost: Callable[[str], None]) -> Running:
        """A process; see L{Process}."""
        return self._start(self._reactor, received, lost)


@define
class _Errand:
    """A task under way."""

    task: Task
    sent: int = 0
    """Bytes that were told of."""


class _Worker:
    """One place in the pool: a process, and after its death the next one."""

    def __init__(self, pool: Pool, index: int) -> None:
        self.index = index
        self.tasks: dict[int, _Errand] = {}
        self._sent = 0
        self._pool = pool
        self._reactor = pool._reactor
        self._process: Running | None = None
        self._says = False
        self._wanted = True
        self._pause = PAUSES[0]
        self._begun = 0.0
        self._timer: Any = None
        self._watch = Watch(self._reactor, self._ask, self._hung)

    @property
    def ready(self) -> bool:
        """Whether it takes transfers."""
        return self._says and self._wanted

    @property
    def place(self) -> Place:
        """What there is to know of it."""
        return Place(self.index, self.ready, len(self.tasks), self._sent)

    def start(self) -> None:
        """Begin, or begin again."""
        self._timer = None
        self._begun = self._reactor.seconds()
        try:
            self._process = self._pool.spawn(self._received, self._lost)
        except OSError as error:
            self._lost(f"cannot be started: {error.strerror}")
        else:
            self._watch.start()

    def hand(self, number: int, task: Task, order: Callable[[int], Order], descriptors: Sequence[int]) -> bool:
        process = self._process
        if process is None or not process.hand(order(number), descriptors):
            return False
        self.tasks[number] = _Errand(task)
        return True

    def drop(self, number: int) -> None:
        if self.tasks.pop(number, None) is not None and self._process is not None:
            self._process.send(Drop(number))
            self._perhaps_leave()

    def look(self, number: int) -> None:
        if self._process is not None:
            self._process.send(Look(number))

    def retire(self) -> None:
        """Take no more transfers, and end with the last one."""
        self._wanted = False
        if self._process is None:
            self.stop()
        else:
            self._perhaps_leave()

    def stop(self) -> None:
        """End now."""
        self._wanted = False
        self._watch.stop()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._process is None:
            self._pool.gone(self)
            return
        self._process.close()
        if self._says:
            self._timer = self._reactor.callLater(STOPPING, self._process.kill)
        else:
            self._process.kill()  # it does not listen yet

    def _perhaps_leave(self) -> None:
        if not self._wanted and not self.tasks and self._process is not None:
            self.stop()

    # what the process tells

    def _received(self, message: object) -> None:
        if isinstance(message, Looked) and not message.number:
            self._answered()
        elif isinstance(message, Said):
            level = LogLevel.lookupByName(message.level) if message.level in _LEVELS else LogLevel.info
            self._pool.log.emit(
                level,
                "{name}: worker {index}: {text}",
                name=self._pool.name,
                index=self.index,
                text=printable(message.text, len(message.text)),
            )
        elif isinstance(message, Looked | Progress | Ended):
            self._reported(message)

    def _answered(self) -> None:
        """It is there; when it says so for the first time, it is ready."""
        self._watch.answered()
        if self._says or self._process is None:
            return
        self._says = True
        self._pool.log.info(
            "{name}: worker {index} is ready, process {process}",
            name=self._pool.name,
            index=self.index,
            process=self._process.pid,
        )

    def _reported(self, message: Looked | Progress | Ended) -> None:
        errand = self.tasks.get(message.number)
        if errand is None:
            return  # it was dropped
        if isinstance(message, Looked):
            errand.task.looked()
            return
        self._sent += max(0, message.sent - errand.sent)
        errand.sent = message.sent
        errand.task.progressed(message.sent, message.resent)
        if isinstance(message, Ended):
            del self.tasks[message.number]
            errand.task.ended(message.failure)
            self._perhaps_leave()

    # whether it answers

    def _ask(self) -> None:
        if self._process is not None:
            self._process.send(Look(0))

    def _hung(self, seconds: float) -> None:
        """It lives and does nothing: as good as dead, and treated so as soon as it is."""
        if self._process is None:
            return
        self._says = False
        self._pool.log.error(
            "{name}: worker {index}, process {process}, has not answered for {seconds:.0f} s, and is killed",
            name=self._pool.name,
            index=self.index,
            process=self._process.pid,
            seconds=seconds,
        )
        self._process.close()  # a late answer would be no sign of life any more
        self._process.kill()

    def _lost(self, how: str) -> None:
        """The process has gone."""
        self._watch.stop()
        self._process = None
        self._says = False
        tasks, self.tasks = self.tasks, {}
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for errand in tasks.values():
            errand.task.ended(DIED if self._pool.running else STOPS)
        if not self._wanted:
            self._pool.gone(self)
            return
        self._pool.restarted()
        if self._reactor.seconds() - self._begun >= STEADY:
            self._pause = PAUSES[0]
        self._pool.log.error(
            "{name}: worker {index} {how}; transfers lost: {count}; it is started again in {pause:.0f} s",
            name=self._pool.name,
            index=self.index,
            how=how,
            count=len(tasks),
            pause=self._pause,
        )
        self._timer = self._reactor.callLater(self._pause, self.start)
        self._pause = min(2 * self._pause, PAUSES[1])


_LEVELS: Mapping[str, object] = {level.name: level for level in LogLevel.iterconstants()}
