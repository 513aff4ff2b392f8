"""The status site of one server, put together."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.config.reader import read
from pybootd.status.board import lines_of
from tests.support.boots import MAC
from tests.support.status import Status


class LineTests(SynchronousTestCase):
    """The lines of the configuration that sentences name."""

    def test_lines(self) -> None:
        """What stands there has its line; the root of HTTP may be that of TFTP."""
        both = lines_of(read("[tftpd]\nroot = /a\n[httpd]\nroot = /b\n", dhcp=False))
        self.assertEqual(both("httpd", "root"), "pybootd.ini:4: [httpd] root")
        one = lines_of(read("[tftpd]\nroot = /a\n", dhcp=False))
        self.assertEqual(one("httpd", "root"), "pybootd.ini:2: [tftpd] root")
        self.assertEqual(one("bootpd", "broadcast"), "[bootpd] broadcast (default)")

    def test_in_a_sentence(self) -> None:
        """A sentence has the line of this server's own configuration."""
        status = Status()
        status.story.addressed(file="")
        status.reactor.advance(100)
        status.story.now = status.reactor.seconds()
        found = status.get(f"/api/machines/{MAC}").json["diagnosis"]
        self.assertEqual((found["kind"], found["setting"]), ("no_boot_file", "pybootd.ini:3: [bootfile]"))
