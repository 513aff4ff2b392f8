"""A program that runs beside the test: its output as it comes, keys for it, and its end, each with a deadline."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ESCAPES = re.compile(rb"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][0-9A-Za-z]|\x1b[=>c78]|\r|\x00")
"""What terminals are steered with; firmware and boot loaders are full of it."""

PATIENCE = 60.0
"""Seconds for what takes a moment: a loaded machine is slow, and a deadline only ends what would never come."""

COMMON = {"LC_ALL": "C.UTF-8", "SHELL": "/bin/sh", "no_proxy": "*", "NO_PROXY": "*"}
"""
What every program of a test is told, whoever runs the tests, and wherever: messages are in English, C{script} has a
shell that runs commands, and servers are asked straight, for no proxy can be reached from a laboratory.
"""

TAIL = 3000
"""So many of the last characters are shown when something did not come."""


class Unexpected(AssertionError):
    """The program did not say or do in time what the test waited for; the message has the end of its output."""


def _heedful() -> None:
    """A program minds signals, though whoever started the tests may have told them to ignore some (C{nohup})."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Program:
    """
    A running program.

    Standard output and standard error are one stream here, as on a terminal, without the
    sequences that steer one.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._output = bytearray()
        self._seen = 0
        self._news = threading.Condition()
        self._popen = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env={**os.environ, **COMMON, **(environment or {})},
            start_new_session=True,
            preexec_fn=_heedful,
            bufsize=0,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout is not None
        while more := self._popen.stdout.read(65536):
            with self._news:
                self._output += more
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._popen.pid

    @property
    def output(self) -> str:
        """Everything that it printed so far."""
        with self._news:
            return ESCAPES.sub(b"", bytes(self._output)).decode("utf-8", "replace")

    @property
    def returncode(self) -> int | None:
        """Its exit status; None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    def expect(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """
        Wait until the output, after what was expected before, holds the pattern.

        @param pattern: a regular expression; C{^} and C{$} mean lines.
        @param timeout: seconds.
        @raise Unexpected: it did not come, or the program ended without it.
        """
        regular = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + timeout
        while True:
            reading = self._reader.is_alive()
            output = self.output
            if found := regular.search(output, self._seen):
                self._seen = found.end()
                return found
            left = deadline - time.monotonic()
            if not reading or left <= 0:
                why = f"within {timeout:g} s" if reading else f"before it ended with status {self._popen.wait()}"
                raise Unexpected(f"{self.name} did not print {pattern!r} {why}; its output ends:\n{output[-TAIL:]}")
            with self._news:
                self._news.wait(min(left, 0.2))

    def send(self, keys: bytes, pause: float = 0.06) -> None:
        """
        Press keys, one after the other.

        @param pause: seconds after each: firmware loses keys that come faster.
        """
        assert self._popen.stdin is not None
        for key in keys:
            self._popen.stdin.write(bytes([key]))
            time.sleep(pause)

    def insist(self, keys: bytes, pattern: str, timeout: float = PATIENCE) -> None:
        """
        Press keys again and again until the pattern comes: for a prompt that is there for a moment only.

        @param timeout: seconds.
        @raise Unexpected: it did not come.
        """
        deadline = time.monotonic() + timeout
        while True:
            self.send(keys)
            try:
                self.expect(pattern, min(0.5, max(0.0, deadline - time.monotonic())))
            except Unexpected:
                if self.returncode is not None or time.monotonic() >= deadline:
                    raise
            else:
                return

    def wait(self, timeout: float = PATIENCE) -> int:
        """
        Wait for its own end.

        @return: its exit status; all of its output has arrived then.
        @raise Unexpected: it still runs after C{timeout} seconds.
        """
        try:
            status = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Unexpected(f"{self.name} still runs after {timeout:g} s:\n{self.output[-TAIL:]}") from None
        self._reader.join(2)
        return status

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self._popen.poll() is None:
            self._popen.send_signal(number)

    def stop(self, timeout: float = 30) -> int:
        """
        Ask it to end, and end it the hard way if it does not listen.

        @return: its exit status.
        """
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except Unexpected:
            self.signal(signal.SIGKILL)
            return self.wait(timeout)
        finally:
            with contextlib.suppress(OSError):
                if self._popen.stdin is not None:
                    self._popen.stdin.close()
