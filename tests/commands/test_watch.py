"""C{pybootd watch}."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pybootd.cli import main
from pybootd.commands import watch
from pybootd.commands.watch import Gone, Lines, Message, Screen, Site, events, messages, site_of, with_patience
from pybootd.config.reader import read
from pybootd.errors import EnvironmentProblem
from tests.support.loopback import Quiet, loopback

BASE = "[bootpd]\npool_start = 10.0.0.100\n[tftpd]\nroot = /srv\n"
ROW = '{"id":"52:54:00:00:00:01","state":"booting","stage":"asked","last_seen":5,"stages":{"asked":5}}'
DATA = f'{{"time":6,"total":1,"machines":[{ROW}]}}'
STREAM = f"retry: 2000\n\n: \n\nevent: machines\ndata: {DATA}\n\n"


class StreamTests(SynchronousTestCase):
    """Server-Sent Events."""

    def read(self, text: str) -> list[Message]:
        """All of a stream."""
        return list(events(BytesIO(text.encode())))

    def test_events(self) -> None:
        """Kind and data; several lines of data are one; comments and other fields say nothing."""
        self.assertEqual(self.read(STREAM), [("machines", DATA)])
        self.assertEqual(
            self.read("id: 7\r\ndata: a\r\ndata:b\r\n\r\nevent: x\n\ndata: c\n\ndata: unfinished\n"),
            [("message", "a\nb"), ("message", "c")],
        )

    def test_enormous(self) -> None:
        """A message without end is none."""
        self.patch(watch, "LONGEST", 100)
        self.assertRaises(Gone, self.read, "data: " + "x" * 200)
        self.assertRaises(Gone, self.read, "data: x\n" * 200)


class Web(Quiet):
    """A status site that says one thing, to who has the token."""

    def do_GET(self) -> None:
        """The stream."""
        server: Any = self.server
        server.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(server.status)
        self.end_headers()
        if server.status == 200:
            self.wfile.write(STREAM.encode())


class SiteTests(SynchronousTestCase):
    """A site on the loopback interface."""

    @contextmanager
    def site(self, status: int = 200) -> Iterator[str]:
        """Its URL, while it is there."""
        server: Any
        self.asked: list[tuple[str, str | None]] = []
        with loopback(Web) as (server, host):
            server.asked, server.status = self.asked, status
            yield f"http://{host}"

    def test_read(self) -> None:
        """What it says, and that it is there; the token goes along where there is one."""
        with self.site() as url:
            self.assertEqual(list(messages(Site(url, "secret"))), [("open", ""), ("machines", DATA)])
            list(messages(Site(url)))
        path = "/api/events?view=machines"
        self.assertEqual(self.asked, [(path, "Bearer secret"), (path, None)])

    def test_refused(self) -> None:
        """A token is needed, or is wrong; it is no such site; it is not there; too many read along."""
        for status, kind, token, words in (
            (401, EnvironmentProblem, "", "a token is needed"),
            (401, EnvironmentProblem, "secret", "the token is not the one of [status] there"),
            (404, EnvironmentProblem, "", "no status site of pybootd"),
            (429, Gone, "", "too many wrong tokens"),
            (503, Gone, "", "too many read along"),
        ):
            with self.site(status) as url:
                error = self.assertRaises(kind, list, messages(Site(url, token)))
            self.assertIn(words, str(error))
        error = self.assertRaises(Gone, list, messages(Site(url)))
        self.assertIn("Connection refused; does pybootd run there", str(error))

    def test_where(self) -> None:
        """The configuration's own site, with its token; none is told how to get one."""
        text = BASE + "[status]\nenable = yes\naddress = 0.0.0.0\nport = 99\ntoken = secret\n"
        self.assertEqual(site_of(read(text)), Site("http://127.0.0.1:99", "secret"))
        error = self.assertRaises(EnvironmentProblem, site_of, read(BASE))
        self.assertIn("write enable = yes", str(error))

    def run_with(self, *words: str) -> tuple[int, str, str]:
        """Exit status, output, errors; it ends when it would wait for the server to come back."""
        out, err = StringIO(), StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        self.patch(watch.signal, "signal", lambda *arguments: None)

        def interrupted(seconds: float) -> None:
            raise KeyboardInterrupt

        self.patch(watch.time, "sleep", interrupted)
        status = self.assertRaises(SystemExit, main, ["watch", *words]).code
        return int(status or 0), out.getvalue(), err.getvalue()

    def test_command(self) -> None:
        """Lines of what happens, until Ctrl-C; a URL's token is its own, never the configuration's."""
        file = Path(self.mktemp())
        with self.site() as url:
            file.write_text(BASE + f"[status]\nenable = yes\nport = {url.rpartition(':')[2]}\ntoken = secret\n")
            for words in (("-c", str(file)), (url + "/", "-c", str(file)), (url, "--token", "other")):
                status, out, err = self.run_with(*words)
                self.assertEqual(status, 0)
                self.assertTrue(out.endswith("  52:54:00:00:00:01  asks\n"), out)
                self.assertIn("the server has ended the stream; trying again", err)
        self.assertEqual([token for _, token in self.asked], ["Bearer secret", None, "Bearer other"])

    def test_usage(self) -> None:
        """What is no URL, and two of them."""
        for words in (("10.0.0.1:8067",), ("http://a", "http://b")):
            self.assertEqual(self.run_with(*words)[0], 2)


class PatienceTests(SynchronousTestCase):
    """A server that goes away and comes back."""

    def run_with(self, *streams: Any) -> tuple[list[Any], list[str], list[float]]:
        """What was shown, told, and how long was waited; Ctrl-C comes after the last stream."""
        left = list(streams)
        shown: list[Any] = []
        told: list[str] = []
        waited: list[float] = []

        def open() -> Iterator[Message]:
            if not left:
                raise KeyboardInterrupt
            for one in left.pop(0):
                if isinstance(one, Exception):
                    raise one
                yield one

        self.assertRaises(KeyboardInterrupt, with_patience, open, shown.append, told.append, waited.append)
        return shown, told, waited

    def test_again(self) -> None:
        """It is waited for, and what it says then is shown."""
        shown, told, waited = self.run_with(
            [("open", ""), ("machines", DATA), Gone("no word")], [Gone("refused")], [("machines", DATA)]
        )
        self.assertEqual(len(shown), 2)
        self.assertEqual(told[:2], ["no word; trying again", "refused; trying again"])
        self.assertEqual(waited, [watch.PAUSE] * 3)

    def test_never_there(self) -> None:
        """It was not there in the first place: that is an error."""

        def open() -> Iterator[Message]:
            raise Gone("refused")
            yield ("", "")

        error = self.assertRaises(EnvironmentProblem, with_patience, open, print, print, print)
        self.assertEqual(str(error), "refused")

    def test_nonsense(self) -> None:
        """What is no list of machines is passed over."""
        shown, _, _ = self.run_with(
            [("machines", "nonsense"), ("machines", "[]"), ("machines", '{"machines":3}'), ("other", DATA)]
        )
        self.assertEqual(shown, [])


class OutputTests(SynchronousTestCase):
    """A terminal, and anything else."""

    CONTENT: Any = {"time": 6, "machines": [{"id": "a", "state": "quiet", "stage": "asked", "stages": {"asked": 5}}, 7]}

    def test_screen(self) -> None:
        """The other screen, drawn from its top again and again, and left as it was."""
        self.patch(os, "environ", {"NO_COLOR": "1"})
        out = StringIO()
        screen = Screen(out, lambda: os.terminal_size((40, 5)))
        screen.close()
        self.assertEqual(out.getvalue(), "", "nothing was shown, nothing is to be restored")
        screen.show(self.CONTENT)
        drawn = out.getvalue()
        self.assertTrue(drawn.startswith(watch.ENTER + watch.HOME + "1 machine: 1 quiet\x1b[K\r\na"), drawn)
        self.assertTrue(drawn.endswith(f"Ctrl-C ends{watch.CLEAR_LINE}{watch.CLEAR_BELOW}"))
        screen.trouble("the server is gone")
        again = out.getvalue()[len(drawn) :]
        self.assertTrue(again.startswith(watch.HOME + "1 machine"))
        self.assertIn("the server is gone", again)
        screen.close()
        self.assertTrue(out.getvalue().endswith(watch.LEAVE))

    def test_lines(self) -> None:
        """A line for each thing, and errors on the other stream."""
        out, err = StringIO(), StringIO()
        self.patch(sys, "stderr", err)
        lines = Lines(out)
        lines.show(self.CONTENT)
        lines.trouble("gone")
        lines.close()
        self.assertRegex(out.getvalue(), r"^\d\d:\d\d:\d\d  a                  asks\n$")
        self.assertEqual(err.getvalue(), "pybootd: gone\n")
