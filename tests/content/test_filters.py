"""C{[filters]} as a filter among others."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd.config import Pattern
from pybootd.config.origin import Origin
from pybootd.content.filters import FilenameFilter
from pybootd.errors import NotFound
from pybootd.interfaces import IFilenameFilter, Target
from pybootd.machine import Machine


def lines(*pairs: tuple[str, str]) -> list[Pattern]:
    """Lines of a section, from the first line on."""
    return [
        Pattern(pattern, value, Origin("boot.ini", number, "filters", pattern))
        for number, (pattern, value) in enumerate(pairs, 1)
    ]


class FilenameFilterTests(SynchronousTestCase):
    """L{FilenameFilter} answers with a target, or has nothing to say."""

    def test_interface(self) -> None:
        """It is a filter like any plugin's."""
        verifyObject(IFilenameFilter, FilenameFilter([]))

    def test_nothing(self) -> None:
        """A name that no pattern matches is none of its business."""
        self.assertIsNone(FilenameFilter(lines(("*.cfg", "x"))).rewrite("pxelinux.0", None))

    def test_first_match(self) -> None:
        """The first pattern that matches decides, and its line is named."""
        rewriter = FilenameFilter(lines(("a*", "one"), ("*", "two")))
        self.assertEqual(rewriter.rewrite("ab", None), Target("one", None, "boot.ini:1: [filters] a*"))
        self.assertEqual(rewriter.rewrite("b", None), Target("two", None, "boot.ini:2: [filters] *"))

    def test_variables(self) -> None:
        """Variables are filled from the request and from the machine."""
        rewriter = FilenameFilter(lines(("*.cfg", "cfg/{mac}/{filename}"), ("*", "[./hosts/{mac}]")))
        machine = Machine("52:54:00:12:34:56")
        self.assertEqual(
            rewriter.rewrite("x.cfg", machine),
            Target("cfg/52-54-00-12-34-56/x.cfg", "cfg/", "boot.ini:1: [filters] *.cfg"),
        )
        self.assertEqual(
            rewriter.rewrite("x", machine),
            Target("./hosts/52-54-00-12-34-56", "./hosts/", "boot.ini:2: [filters] *", True),
        )

    def test_unknown_machine(self) -> None:
        """A value that needs what is not known: no such file, and the line to look at."""
        with self.assertRaises(NotFound) as caught:
            FilenameFilter(lines(("*", "{mac}"))).rewrite("x", None)
        self.assertIn("boot.ini:1", str(caught.exception))
