"""C{pybootd watch}: the boots of the running daemon as they happen, read from its status site."""

from __future__ import annotations

import errno
import http.client
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, TextIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from attrs import frozen
from twisted.python import usage

from pybootd.config import Config
from pybootd.config.loading import load
from pybootd.content.urls import shown
from pybootd.errors import EnvironmentProblem
from pybootd.flags import CommandOptions, Flags
from pybootd.status.terminal import Board, Story
from pybootd.text import printable

SILENCE = 45.0
"""Seconds without a word after which the connection counts as dead; the server says something every 15."""

PAUSE = 2.0
"""Seconds until the next try, when the server was there before."""

LONGEST = 8 << 20
"""Bytes of one message."""

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
"""The terminal's other screen, without a cursor; and back."""
HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"

Message = tuple[str, str]
"""Its kind, and its data."""


class WatchOptions(CommandOptions):
    """C{pybootd watch}."""

    synopsis = "Usage: pybootd watch [-c FILE | URL [--token TOKEN]]"
    optParameters = [
        *CommandOptions.optParameters,
        ["token", None, None, "The token of the status site at URL; the configuration's own needs none."],
    ]

    def parseArgs(self, *words: str) -> None:
        if len(words) > 1:
            raise usage.UsageError("write: pybootd watch, or: pybootd watch http://SERVER:8067")
        self["url"] = words[0] if words else ""
        if words and urlsplit(words[0]).scheme not in ("http", "https"):
            raise usage.UsageError(f"{words[0]}: write a URL, e.g. http://192.168.1.1:8067")


@frozen
class Site:
    """Where the events come from."""

    url: str
    token: str = ""


class Gone(Exception):
    """The stream has ended; the message says why."""


def watch(options: WatchOptions, flags: Flags) -> int:
    """Show what happens, until Ctrl-C."""
    site = Site(options["url"].rstrip("/"), options["token"] or "") if options["url"] else site_of(load(flags))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it leaves the terminal as it was, too
    screen: Screen | Lines = Screen(sys.stdout) if sys.stdout.isatty() else Lines(sys.stdout)
    try:
        with_patience(lambda: messages(site), screen.show, screen.trouble, time.sleep)
    except KeyboardInterrupt:
        return 0
    finally:
        screen.close()


def site_of(config: Config) -> Site:
    """
    The status site of the daemon that has this configuration.

    @raise EnvironmentProblem: it has none.
    """
    status = config.status
    if not status.enable:
        origin = config.origin("status", "enable")
        raise EnvironmentProblem(f"{origin} = no: write enable = yes and restart pybootd, or name another server's URL")
    host = "127.0.0.1" if status.address.is_unspecified else str(status.address)
    return Site(f"http://{host}:{status.port}", status.token)


def with_patience(
    open: Callable[[], Iterator[Message]],
    show: Callable[[Mapping[str, Any]], object],
    trouble: Callable[[str], object],
    sleep: Callable[[float], object],
) -> NoReturn:
    """
    Show message after message; when the server goes away, wait for it.

    @param open: connects, and returns what comes.
    @raise EnvironmentProblem: it was never there, or does not let us in.
    """
    known = False
    while True:
        try:
            for kind, data in open():
                known = True
                content = _content(data) if kind == "machines" else None
                if content is not None:
                    show(content)
        except Gone as reason:
            if not known:
                raise EnvironmentProblem(str(reason)) from None
            trouble(f"{reason}; trying again")
        else:
            trouble("the server has ended the stream; trying again")
        sleep(PAUSE)


def _content(data: str) -> Mapping[str, Any] | None:
    try:
        content = json.loads(data)
    except ValueError:
        return None
    return content if isinstance(content, dict) and isinstance(content.get("machines"), list) else None


def messages(site: Site) -> Iterator[Message]:
    """
    What the site says, as it says it.

    @raise EnvironmentProblem: it does not let us in.
    @raise Gone: it is not there, or no longer.
    """
    request = Request(f"{site.url}/api/events?view=machines")  # noqa: S310 - http or https, as checked
    if site.token:
        request.add_unredirected_header("Authorization", f"Bearer {site.token}")
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=SILENCE) as response:
            yield ("open", "")
            yield from events(response)
    except HTTPError as error:
        with error:
            raise _refused(site, error.code) from None
    except URLError as error:
        reason = error.reason
        text = (isinstance(reason, OSError) and reason.strerror) or str(reason)
        refused = isinstance(reason, OSError) and reason.errno == errno.ECONNREFUSED
        advice = "; does pybootd run there, with enable = yes in [status]?" if refused else ""
        raise Gone(f"{shown(site.url)}: {printable(text)}{advice}") from None
    except (OSError, http.client.HTTPException) as error:
        raise Gone(f"{shown(site.url)}: {printable(str(error)) or 'no word for a while'}") from None


def _refused(site: Site, code: int) -> Exception:
    if code in (401, 403) and site.token:
        return EnvironmentProblem(f"{shown(site.url)}: the token is not the one of [status] there")
    if code in (401, 403):
        return EnvironmentProblem(f"{shown(site.url)}: a token is needed, [status] token there; write --token TOKEN")
    if code == 429:
        return Gone(f"{shown(site.url)}: too many wrong tokens came from here within a minute")
    if code == 503:
        return Gone(f"{shown(site.url)}: too many read along already")
    return EnvironmentProblem(f"{shown(site.url)}: no status site of pybootd (HTTP status {code})")


def events(lines: Any) -> Iterator[Message]:
    """
    Server-Sent Events (WHATWG HTML, 9.2.6): kind and data of each.

    @param lines: what has C{readline}.
    @raise Gone: a message is longer than honest ones are.
    """
    kind, held = "message", 0
    data: list[str] = []
    while line := lines.readline(LONGEST):
        held += len(line)
        if held > LONGEST or not line.endswith(b"\n"):
            raise Gone("the server sent something that is no event")
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if not text:
            if data:
                yield kind, "\n".join(data)
            kind, data, held = "message", [], 0
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)


class Lines:
    """Where the output is no terminal: a line for everything that happens."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._story = Story()

    def show(self, content: Mapping[str, Any]) -> None:
        """What the site says of some machines."""
        now = content.get("time")
        rows = [row for row in content["machines"] if isinstance(row, dict)]
        for line in self._story.news(rows, float(now) if isinstance(now, int | float) else time.time()):
            print(line, file=self._out, flush=True)

    def trouble(self, text: str) -> None:
        """Something about the connection."""
        print(f"pybootd: {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is left behind."""


class Screen:
    """A terminal: one row for each machine, in its place."""

    def __init__(self, out: TextIO, size: Callable[[], os.terminal_size] = shutil.get_terminal_size) -> None:
        self._out = out
        self._size = size
        self._board = Board()
        self._colour = "NO_COLOR" not in os.environ
        self._entered = False

    def show(self, content: Mapping[str, Any]) -> None:
        """What the site says of some machines."""
        self._board.update(row for row in content["machines"] if isinstance(row, dict))
        self._draw("")

    def trouble(self, text: str) -> None:
        """Something about the connection, below the machines."""
        self._draw(text)

    def _draw(self, below: str) -> None:
        columns, rows = self._size()
        lines = self._board.lines(columns, rows - 1, colour=self._colour)
        lines.append(below[:columns] or "Ctrl-C ends"[:columns])
        drawn = "\r\n".join(f"{line}{CLEAR_LINE}" for line in lines)
        self._out.write(("" if self._entered else ENTER) + HOME + drawn + CLEAR_BELOW)
        self._out.flush()
        self._entered = True

    def close(self) -> None:
        """The terminal is as it was before."""
        if self._entered:
            self._out.write(LEAVE)
            self._out.flush()
