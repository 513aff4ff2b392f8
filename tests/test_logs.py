"""Where log lines go, and what they look like."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path
from threading import Thread

import attrs
from twisted.logger import Logger, LogPublisher, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from pybootd import logs
from pybootd.config import LoggerConfig
from pybootd.errors import EnvironmentProblem


class LogsTests(SynchronousTestCase):
    """L{logs.Lines}."""

    def written(self, config: LoggerConfig, debug: bool = False) -> Path:
        """A log file after one line of each level."""
        path = Path(self.mktemp())
        observer = logs.Lines(attrs.evolve(config, type="file", file=path), debug)
        log = Logger("test", observer=LogPublisher(observer))
        log.debug("d")
        log.info("i {mac}", mac="52:54:00:12:34:56")
        log.warn("w")
        log.error("e")
        log.critical("c")
        return path

    def test_levels(self) -> None:
        """Lines below the level are left out; C{-d} lets everything through."""
        rows = {"debug": 5, "info": 4, "warning": 3, "error": 2, "critical": 1}
        for level, count in rows.items():
            self.assertEqual(len(self.written(LoggerConfig(level=level)).read_text().splitlines()), count, level)
        self.assertEqual(len(self.written(LoggerConfig(level="critical"), debug=True).read_text().splitlines()), 5)

    def test_text(self) -> None:
        """A line has its time, its level where that is worth saying, and its text."""
        first, second, *_ = self.written(LoggerConfig()).read_text().splitlines()
        self.assertTrue(first.endswith(" i 52:54:00:12:34:56"), first)
        self.assertTrue(second.endswith(" warn: w"), second)

    def test_json(self) -> None:
        """One object a line, with the fields of the event."""
        row = json.loads(self.written(LoggerConfig(format="json")).read_text().splitlines()[0])
        self.assertEqual(
            (row["level"], row["message"], row["mac"]), ("info", "i 52:54:00:12:34:56", "52:54:00:12:34:56")
        )

    def test_forged_lines(self) -> None:
        """Whatever gets into a field, a record stays one line, and nothing steers a terminal."""
        stream = StringIO()
        observer = logs.StreamObserver(stream, logs.text_line)
        log = Logger("test", observer=LogPublisher(observer))
        log.info("asks for {name}", name="a\x1b[2J\u2028b\r\nc")
        self.assertEqual(stream.getvalue().count("\n"), 1)
        self.assertNotIn("\x1b", stream.getvalue())
        self.assertNotIn("\r", stream.getvalue())

    def test_formats(self) -> None:
        """Whatever Twisted's formats can say is said alike, also by an event without a time."""
        rows = (
            {"log_format": "{a} and {b!r}", "a": 1, "b": "x"},
            {"log_format": "called {a()}", "a": lambda: 2},
            {"log_format": "{missing} field", "a": 1},
            {"log_format": None},
        )
        for row in rows:
            self.assertEqual(logs.text_line(row), f"- {formatEvent(row)}", row)
            self.assertEqual(json.loads(logs.json_line(row))["message"], formatEvent(row), row)
        self.assertEqual(logs.text_line({**rows[0], "log_time": 1.9})[20:], "1 and 'x'")

    def test_reopened(self) -> None:
        """After the file was moved away, reopening begins it anew; the old one keeps what it has."""
        path = Path(self.mktemp())
        observer = logs.Lines(LoggerConfig(type="file", file=path))
        log = Logger("test", observer=LogPublisher(observer))
        log.info("before")
        path.rename(path.with_suffix(".1"))
        observer.reopen()
        log.info("after")
        self.assertIn("before", path.with_suffix(".1").read_text())
        self.assertIn("after", path.read_text())
        self.assertNotIn("before", path.read_text())

    def test_mode(self) -> None:
        """A new log file is for its user and group alone."""
        path = Path(self.mktemp())
        logs.Lines(LoggerConfig(type="file", file=path))
        self.assertEqual(path.stat().st_mode & 0o137, 0)

    def test_no_directory(self) -> None:
        """A file that cannot be written is one clear sentence."""
        config = LoggerConfig(type="file", file=Path("/nonexistent/x.log"))
        error = self.assertRaises(EnvironmentProblem, logs.Lines, config)
        self.assertIn("/nonexistent/x.log", str(error))

    def test_none(self) -> None:
        """C{type = none} writes nothing to the stream of the others."""
        stream = StringIO()
        self.patch(sys, "stderr", stream)
        for kind in ("none", "stderr"):
            Logger("test", observer=logs.Lines(LoggerConfig(type=kind))).info(kind)
        self.assertEqual([line[20:] for line in stream.getvalue().splitlines()], ["stderr"])

    def test_traceback(self) -> None:
        """A failure is written with its traceback."""
        stream = StringIO()
        log = Logger("test", observer=LogPublisher(logs.StreamObserver(stream, logs.text_line)))
        try:
            raise ValueError("broken")
        except ValueError:
            log.failure("it failed")
        self.assertIn("ValueError: broken", stream.getvalue())

    def test_not_reopened(self) -> None:
        """Where the file cannot be begun anew, the old one goes on."""
        path = Path(self.mktemp()) / "x.log"
        path.parent.mkdir()
        observer = logs.Lines(LoggerConfig(type="file", file=path))
        log = Logger("test", observer=LogPublisher(observer))
        moved = path.parent.rename(path.parent.with_suffix(".moved"))
        observer.reopen()
        log.info("after")
        self.assertIn("after", (moved / "x.log").read_text())

    def test_noise(self) -> None:
        """What libraries tell of themselves is left out, but for warnings and with C{-d}."""
        for debug, count in ((False, 1), (True, 2)):
            path = Path(self.mktemp())
            observer = logs.Lines(LoggerConfig(type="file", file=path), debug)
            log = Logger("twisted.internet.protocol", observer=LogPublisher(observer))
            log.info("Starting factory")
            log.warn("something is wrong")
            self.assertEqual(len(path.read_text().splitlines()), count, debug)

    def test_turned(self) -> None:
        """Another C{[logger]} holds when it is turned to, not before; the same one is no reason to do anything."""
        first, second = Path(self.mktemp()), Path(self.mktemp())
        config = LoggerConfig(type="file", file=first)
        observer = logs.Lines(config)
        log = Logger("test", observer=LogPublisher(observer))
        observer.prepare(config)()
        log.info("one")
        turn = observer.prepare(attrs.evolve(config, file=second, level="debug"))
        log.debug("two")
        turn()
        log.debug("three")
        self.assertIn("one", first.read_text())
        self.assertEqual((first.read_text().count("\n"), second.read_text().count("\n")), (1, 1))
        self.assertIn("three", second.read_text())

    def test_same_file(self) -> None:
        """A file that stays is not opened again: a server without privileges could not."""
        path = Path(self.mktemp())
        config = LoggerConfig(type="file", file=path)
        observer = logs.Lines(config)
        log = Logger("test", observer=LogPublisher(observer))
        moved = path.rename(path.with_suffix(".moved"))
        path.mkdir()  # nobody can open this for writing, not even root
        observer.prepare(attrs.evolve(config, level="error", format="json"))()
        log.warn("left out")
        log.error("written")
        self.assertEqual([json.loads(line)["message"] for line in moved.read_text().splitlines()], ["written"])

    def test_turned_in_vain(self) -> None:
        """Where lines cannot go, they go on where they went."""
        path = Path(self.mktemp())
        observer = logs.Lines(LoggerConfig(type="file", file=path))
        self.assertRaises(EnvironmentProblem, observer.prepare, LoggerConfig(type="file", file=Path("/nonexistent/x")))
        Logger("test", observer=LogPublisher(observer)).info("still")
        self.assertIn("still", path.read_text())


class FullDisk:
    """A file on a disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.data = b""

    def write(self, data: bytes) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        written = data[: self.room]
        self.data += written
        self.room -= len(written)
        return len(written)

    def close(self) -> None:
        raise OSError(28, "No space left on device")


class FullDiskTests(SynchronousTestCase):
    """L{logs.FileObserver} where the disk is full."""

    def setUp(self) -> None:
        """A log on such a disk, with room for a line and a half."""
        self.disk = FullDisk(45)
        self.path = Path(self.mktemp())
        self.observer = logs.FileObserver(self.path, logs.text_line)
        self.observer._file.close()
        self.observer._file = self.disk  # type: ignore[assignment]
        self.log = Logger("test", observer=LogPublisher(self.observer))

    def test_space_again(self) -> None:
        """Lines that do not fit are left out and counted; when there is space again, whole lines follow."""
        for word in ("first", "second", "third"):
            self.log.info(word)
        self.disk.room = 1000
        self.log.info("fourth")
        self.log.info("fifth")
        lines = self.disk.data.decode().splitlines()
        self.assertTrue(lines[0].endswith(" first"), lines)
        self.assertTrue(lines[2].endswith(" warn: 2 lines could not be written to this file"), lines)
        self.assertEqual([line[20:] for line in lines[3:]], ["fourth", "fifth"])

    def test_moved_away(self) -> None:
        """A full file can be moved away, and a new one be begun, where even closing fails."""
        for word in ("first", "second", "third"):
            self.log.info(word)
        self.observer.reopen()
        self.log.info("fourth")
        self.assertIn("fourth", self.path.read_text())
        self.assertIn("2 lines could not be written", self.path.read_text())

    def test_batch(self) -> None:
        """Of lines that are written at once, those that fit are whole; the others are counted, and not one is cut."""
        self.disk.room = 71  # two and a half
        with logs.together():
            for word in ("first", "second", "third", "fourth"):
                self.log.info(word)
        self.disk.room = 1000
        with logs.together():
            self.log.info("fifth")
            self.log.info("sixth")
        lines = [line[20:] for line in self.disk.data.decode().splitlines()]
        self.assertEqual(lines[:2], ["first", "second"])
        self.assertEqual(lines[3:], ["warn: 2 lines could not be written to this file", "fifth", "sixth"])

    def test_batch_in_vain(self) -> None:
        """A disk without any room takes nothing of a batch, and every line of it is counted, once."""
        self.disk.room = 0
        for word in ("one", "two"):
            with logs.together():
                self.log.info(word)
                self.log.info(word)
        self.disk.room = 1000
        self.log.info("again")
        lines = [line[20:] for line in self.disk.data.decode().splitlines()]
        self.assertEqual(lines, ["warn: 4 lines could not be written to this file", "again"])

    def test_cut_after_a_line(self) -> None:
        """A disk that is full just where a line ends leaves no empty line behind."""
        self.disk.room = 26
        with logs.together():
            self.log.info("first")
            self.log.info("second")
        self.disk.room = 1000
        self.log.info("third")
        lines = [line[20:] for line in self.disk.data.decode().splitlines()]
        self.assertEqual(lines, ["first", "warn: 1 lines could not be written to this file", "third"])


class Slow:
    """A file that takes a few bytes in each call, as a pipe does whose reader is slow."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.calls.append(data[:40])
        return len(self.calls[-1])

    def close(self) -> None:
        pass


class TogetherTests(SynchronousTestCase):
    """L{logs.together}."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.observer = logs.FileObserver(self.path, logs.text_line)
        self.addCleanup(self.observer.close)
        self.log = Logger("test", observer=LogPublisher(self.observer))

    def words(self) -> list[str]:
        """What is in the file by now."""
        return [line[20:] for line in self.path.read_text().splitlines()]

    def test_one_write(self) -> None:
        """Lines of the block are written at its end, in their order; whatever comes later is written at once."""
        self.log.info("one")
        with logs.together():
            self.log.info("two")
            self.log.info("three")
            self.assertEqual(self.words(), ["one"])
        self.assertEqual(self.words(), ["one", "two", "three"])
        self.log.info("four")
        self.assertEqual(self.words()[3:], ["four"])

    def test_cut_short(self) -> None:
        """An exception costs no line."""
        with self.assertRaises(ZeroDivisionError), logs.together():
            self.log.info("one")
            1 / 0  # noqa: B018
        self.log.info("two")
        self.assertEqual(self.words(), ["one", "two"])

    def test_threads(self) -> None:
        """A thread's lines wait for nobody else's block."""
        with logs.together():
            self.log.info("one")
            thread = Thread(target=self.log.info, args=("elsewhere",))
            thread.start()
            thread.join()
            self.assertEqual(self.words(), ["elsewhere"])
        self.assertEqual(self.words(), ["elsewhere", "one"])

    def test_slow_reader(self) -> None:
        """What is taken by halves is not lost."""
        slow = Slow()
        self.observer.close()
        self.observer._file = slow  # type: ignore[assignment]
        with logs.together():
            for word in ("one", "two", "three"):
                self.log.info(word)
        lines = b"".join(slow.calls).decode().splitlines()
        self.assertEqual([line[20:] for line in lines], ["one", "two", "three"])
        self.assertGreater(len(slow.calls), 1)
