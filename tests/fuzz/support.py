"""What the targets share: promises about text that is shown, and about what the daemon says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.logger import LogEvent, globalLogPublisher


def shown(text: str, limit: int = 1000) -> None:
    """Text for a log or a page: one line of characters that print, and not too many."""
    assert text.isprintable(), ascii(text)
    assert len(text) <= limit, len(text)


@contextmanager
def no_failures() -> Iterator[None]:
    """Nothing in here may report a mistake of ours; a log line is no excuse."""
    failures: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        if "log_failure" in event:
            failures.append(event)

    globalLogPublisher.addObserver(observe)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(observe)
    if failures:
        raise AssertionError(str(failures[0])) from failures[0]["log_failure"].value
