"""
Where log lines go: C{[logger]}.

The observer that this module makes is handed to Twisted, by twistd or by the console script; nothing else in
pybootd knows where its lines end up.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import syslog
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    formatTime,
)
from zope.interface import implementer

from pybootd.config import LoggerConfig
from pybootd.errors import EnvironmentProblem

LEVELS = {
    "critical": LogLevel.critical,
    "error": LogLevel.error,
    "warning": LogLevel.warn,
    "info": LogLevel.info,
    "debug": LogLevel.debug,
}

INFO, DEBUG = LogLevel.info, LogLevel.debug
"""Looked up once: each look is a call, as much as the rest of choosing a line's mark."""

_SYSLOG = {
    LogLevel.debug: syslog.LOG_DEBUG,
    LogLevel.info: syslog.LOG_INFO,
    LogLevel.warn: syslog.LOG_WARNING,
    LogLevel.error: syslog.LOG_ERR,
    LogLevel.critical: syslog.LOG_CRIT,
}

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
"""Whatever got this far unescaped is escaped here."""

_BUT_LINES = {code: shown for code, shown in _CONTROLS.items() if code != ord("\n")}
"""The same for a traceback, which has lines of its own."""

OWN_NOISE = ("twisted.internet", "twisted.web", "treq", "log_legacy")
"""Libraries that announce each connection at the level of info: of no use to the person who watches machines boot."""


def text_line(event: LogEvent) -> str:
    """One event as a line, or as several where it carries a traceback."""
    text = _text(event)
    if not text.isprintable():
        text = text.translate(_CONTROLS)
    level = event.get("log_level", INFO)
    mark = "" if level is INFO or level is DEBUG else f"{level.name}: "
    failure = event.get("log_failure")
    trace = "\n" + failure.getTraceback().translate(_BUT_LINES).rstrip() if failure is not None else ""
    when = event.get("log_time")
    return f"{_stamp(None if when is None else int(when))} {mark}{text}{trace}"


def _text(event: LogEvent) -> str:
    """The words of a line: Python's own way of formatting, where Twisted's can no more (a call, a broken format)."""
    words = event.get("log_format")
    if type(words) is str and "(" not in words and "log_flattened" not in event:
        try:
            return words.format_map(event)
        except Exception:
            return formatEvent(event)
    return formatEvent(event)


@lru_cache(8)
def _stamp(second: int | None) -> str:
    """Once for all lines of the same second."""
    return formatTime(second, "%Y-%m-%d %H:%M:%S")


def json_line(event: LogEvent) -> str:
    """One event as a JSON object, its fields as they are."""
    row: dict[str, Any] = {
        "time": event.get("log_time"),
        "level": event.get("log_level", LogLevel.info).name,
        "message": _text(event),
    }
    row |= {key: _plain(value) for key, value in event.items() if not key.startswith(("log_", "_")) and key not in row}
    failure = event.get("log_failure")
    if failure is not None:
        row["traceback"] = failure.getTraceback()
    return json.dumps(row)


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


FORMATS: dict[str, Callable[[LogEvent], str]] = {"text": text_line, "json": json_line}


@implementer(ILogObserver)
class StreamObserver:
    """Writes lines to a stream."""

    def __init__(self, stream: IO[str], line: Callable[[LogEvent], str]) -> None:
        self._stream = stream
        self._line = line

    def __call__(self, event: LogEvent) -> None:
        with contextlib.suppress(OSError):  # nobody reads any more; that must not stop the server
            self._stream.write(self._line(event) + "\n")
            self._stream.flush()


MODE = 0o640
"""Of a log file that is not there yet: names of machines and people are nobody else's business."""


@implementer(ILogObserver)
class FileObserver:
    """Writes lines to a file, which may be moved away while it is written: L{reopen} begins it anew."""

    log = Logger()

    def __init__(self, path: Path, line: Callable[[LogEvent], str]) -> None:
        """@raise EnvironmentProblem: the file cannot be written."""
        self._path = path
        self.line = line
        self._lost = 0
        self._broken = False
        try:
            self._file = self._open()
        except OSError as error:
            raise EnvironmentProblem(f"[logger] file = {path}: {error.strerror}") from None

    def _open(self) -> IO[bytes]:
        # without a buffer: what a full disk did not take must not come later, or in the middle of another line
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
        return os.fdopen(fd, "ab", buffering=0)

    def __call__(self, event: LogEvent) -> None:
        line, held = self.line(event), _HELD.lines
        if held is None:
            self.write((line,))
        else:
            held.setdefault(self, []).append(line)

    def write(self, lines: Sequence[str]) -> None:
        """Write lines, and before them how many were lost; a full disk must not stop the server."""
        told = (_lost_line(self.line, self._lost),) if self._lost else ()
        taken = self._write((*told, *lines))
        if taken:
            self._lost = 0
        self._lost += len(lines) - max(0, taken - len(told))

    def _write(self, lines: Sequence[str]) -> int:
        """How many of them are whole in the file, from the first on."""
        begin = "\n" if self._broken else ""  # the disk took only a part of the last one
        data = _encoded(begin + "\n".join(lines) + "\n")
        left = self._written(data)
        if not left:
            self._broken = False
            return len(lines)
        room = len(data) - len(left)
        if room:
            self._broken = data[room - 1] != ord("\n")
        room -= len(begin)
        for count, line in enumerate(lines):
            room -= len(_encoded(line)) + 1
            if room < 0:
                return count
        return len(lines)

    def _written(self, data: bytes) -> bytes:
        """What the file does not take.  A pipe that is full may take a part and then the rest, a disk does not."""
        with contextlib.suppress(OSError):
            while data:
                taken = self._file.write(data)
                if not taken:
                    break
                data = data[taken:]
        return data

    def close(self) -> None:
        """Nothing more is written."""
        with contextlib.suppress(OSError):
            self._file.close()

    def reopen(self) -> None:
        """Go on in a file of the same name; where that cannot be, in the old one."""
        try:
            fresh = self._open()
        except OSError as error:
            self.log.error("{file} cannot be begun anew: {reason}", file=self._path, reason=error.strerror)
            return
        self.close()
        self._file, self._broken = fresh, False


class _Held(threading.local):
    """A thread's lines that are still to be written."""

    lines: dict[FileObserver, list[str]] | None = None
    """None: they are written at once."""


_HELD = _Held()


@contextlib.contextmanager
def together() -> Iterator[None]:
    """
    The lines that this thread logs within the block go into a file by one write: a call for each is a third of what
    a line costs.
    """
    held = _HELD.lines = {}
    try:
        yield
    finally:
        _HELD.lines = None
        for target, lines in held.items():
            target.write(lines)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _lost_line(line: Callable[[LogEvent], str], count: int) -> str:
    return line(
        {
            "log_format": "{count} lines could not be written to this file",
            "log_level": LogLevel.warn,
            "log_time": time.time(),
            "count": count,
        }
    )


@implementer(ILogObserver)
class SyslogObserver:
    """Hands lines to the system's log."""

    def __init__(self, line: Callable[[LogEvent], str]) -> None:
        self._line = line
        syslog.openlog("pybootd", syslog.LOG_PID, syslog.LOG_DAEMON)

    def __call__(self, event: LogEvent) -> None:
        priority = _SYSLOG.get(event.get("log_level", LogLevel.info), syslog.LOG_INFO)
        for line in self._line(event).splitlines():
            syslog.syslog(priority, line)


def _untimed(event: LogEvent) -> str:
    """A line for a log that keeps the time itself."""
    return text_line(event)[20:]


def _journal(event: LogEvent) -> str:
    """A line for systemd's journal: the level as C{<N>} before it (sd-daemon(3))."""
    priority = _SYSLOG.get(event.get("log_level", LogLevel.info), syslog.LOG_INFO)
    return "\n".join(f"<{priority}>{line}" for line in _untimed(event).splitlines())


def nobody(event: LogEvent) -> None:
    """C{type = none}."""


@implementer(ILogObserver)
class Lines:
    """Writes the lines as C{[logger]} wants it, which may change."""

    def __init__(self, config: LoggerConfig, debug: bool = False) -> None:
        """
        @param debug: C{-d}: everything, whatever C{level} says.
        @raise EnvironmentProblem: the log file cannot be written.
        """
        self._config = config
        self._debug = debug
        self._target = _target(config)
        self._write = _filtered(self._target, config, debug)

    def __call__(self, event: LogEvent) -> None:
        self._write(event)

    def reopen(self) -> None:
        """The log file was moved away: go on in a new one."""
        if isinstance(self._target, FileObserver):
            self._target.reopen()

    def prepare(self, config: LoggerConfig) -> Callable[[], None]:
        """
        Get ready to write in another way.

        @return: turns to it.
        @raise EnvironmentProblem: the log file cannot be written.
        """
        if config == self._config:
            return lambda: None
        target, line = self._target, FORMATS[config.format]
        # a file that stays is not opened again: who gave its privileges up might not be able to
        if not (isinstance(target, FileObserver) and (config.type, config.file) == ("file", self._config.file)):
            target = _target(config)
        write = _filtered(target, config, self._debug)

        def turn() -> None:
            before, self._config, self._target, self._write = self._target, config, target, write
            if isinstance(target, FileObserver):
                target.line = line
            if isinstance(before, FileObserver) and before is not target:
                before.close()

        return turn


def _filtered(target: Any, config: LoggerConfig, debug: bool) -> ILogObserver:
    """The target, for what is worth a line; which levels are, is looked up once for each part of the program."""
    level = DEBUG if debug else LEVELS[config.level]
    own = LogLevelFilterPredicate(defaultLogLevel=level)
    if level is not DEBUG:
        for namespace in OWN_NOISE:
            own.setLogLevelForNamespace(namespace, max(level, LogLevel.warn))

    @lru_cache(1024)
    def wanted(namespace: str, level: Any) -> bool:
        return bool(level >= own.logLevelForNamespace(namespace))

    def observe(event: LogEvent) -> None:
        level, namespace = event.get("log_level"), event.get("log_namespace")
        if level is not None and namespace is not None and wanted(namespace, level):
            target(event)

    return cast(ILogObserver, observe)


def _target(config: LoggerConfig) -> Any:
    line = FORMATS[config.format]
    if config.type == "file" and config.file is not None:
        return FileObserver(config.file, line)
    if config.type == "syslog":
        return SyslogObserver(json_line if config.format == "json" else _untimed)
    if config.type == "journald":
        return StreamObserver(sys.stderr, json_line if config.format == "json" else _journal)
    if config.type == "none":
        return nobody
    return StreamObserver(sys.stdout if config.type == "stdout" else sys.stderr, line)
