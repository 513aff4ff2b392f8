"""Where log lines go, and what they look like."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import attrs
from twisted.logger import Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pybootd import logs
from pybootd.config import LoggerConfig
from pybootd.errors import EnvironmentProblem


class LogsTests(SynchronousTestCase):
    """L{logs.observer}."""

    def written(self, config: LoggerConfig, debug: bool = False) -> Path:
        """A log file after one line of each level."""
        path = Path(self.mktemp())
        observer = logs.observer(attrs.evolve(config, type="file", file=path), debug)
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

    def test_reopened(self) -> None:
        """After the file was moved away, reopening begins it anew; the old one keeps what it has."""
        path = Path(self.mktemp())
        observer = logs.observer(LoggerConfig(type="file", file=path))
        log = Logger("test", observer=LogPublisher(observer))
        log.info("before")
        path.rename(path.with_suffix(".1"))
        observer.reopen()
        log.info("after")
        self.assertIn("before", path.with_suffix(".1").read_text())
        self.assertIn("after", path.read_text())
        self.assertNotIn("before", path.read_text())

    def test_no_directory(self) -> None:
        """A file that cannot be written is one clear sentence."""
        config = LoggerConfig(type="file", file=Path("/nonexistent/x.log"))
        error = self.assertRaises(EnvironmentProblem, logs.observer, config)
        self.assertIn("/nonexistent/x.log", str(error))

    def test_none(self) -> None:
        """C{type = none} writes nothing and fails at nothing."""
        log = Logger("test", observer=LogPublisher(logs.observer(LoggerConfig(type="none"))))
        log.info("x")

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
        observer = logs.observer(LoggerConfig(type="file", file=path))
        log = Logger("test", observer=LogPublisher(observer))
        moved = path.parent.rename(path.parent.with_suffix(".moved"))
        observer.reopen()
        log.info("after")
        self.assertIn("after", (moved / "x.log").read_text())

    def test_noise(self) -> None:
        """What libraries tell of themselves is left out, but for warnings and with C{-d}."""
        for debug, count in ((False, 1), (True, 2)):
            path = Path(self.mktemp())
            observer = logs.observer(LoggerConfig(type="file", file=path), debug)
            log = Logger("twisted.internet.protocol", observer=LogPublisher(observer))
            log.info("Starting factory")
            log.warn("something is wrong")
            self.assertEqual(len(path.read_text().splitlines()), count, debug)
