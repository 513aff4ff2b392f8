"""The plugins of C{docs/plugins.rst}, as they stand there."""

from __future__ import annotations

import importlib
import sys
from configparser import ConfigParser
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from twisted.internet.defer import maybeDeferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd.config.reader import read
from pybootd.errors import NotFound, SourceFailed
from pybootd.events import Leased, Released
from pybootd.interfaces import IAccessControl, IFilenameFilter, IFileSource, ILeaseStore, INotifier, Phase, Question
from pybootd.leases.lease import Claim, Lease, State
from pybootd.machine import Machine
from pybootd.registry import Context
from tests.support import examples

LINES = 30
MAC, ADDRESS = "52:54:00:00:00:01", IPv4Address("192.168.1.100")


class PageTests(SynchronousTestCase):
    """The page itself."""

    def test_short(self) -> None:
        """Each example has fewer than 30 lines of code."""
        for name, text in examples.files().items():
            self.assertLess(sum(1 for line in text.splitlines() if line.strip()), LINES, name)

    def test_configuration(self) -> None:
        """The configuration is right, once the package is installed."""
        config = read(examples.configuration(), plugins=self.names(), directory=Path("/srv"))
        self.assertEqual((config.bootpd.access, config.plugin_options("hours")["until"]), (("hours",), "18"))

    def names(self) -> list[str]:
        parser = ConfigParser(delimiters=("=",))
        parser.read_string(examples.files()["setup.cfg"])
        groups = parser["options.entry_points"].values()
        return [line.partition(" = ")[0] for group in groups for line in group.strip().splitlines()]


class ExampleTests(SynchronousTestCase):
    """Each example does what it says."""

    def setUp(self) -> None:
        self.place = Path(self.mktemp())
        examples.write(self.place)
        self.patch(sys, "path", [str(self.place), *sys.path])
        self.addCleanup(self.forget)

    def forget(self) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "bootclub"]:
            del sys.modules[name]

    def made(self, module: str, factory: str, **options: str) -> Any:
        """One of them, with these options in its section."""
        text = examples.configuration()
        names = ("hours", "menus", "zip", "journal", "diary")
        config = read(text, plugins=names, directory=self.place)
        context = Context(module, config, options, None, maybeDeferred)
        return getattr(importlib.import_module(f"bootclub.{module}"), factory)(context)

    def test_access(self) -> None:
        """Machines are served between two hours."""
        question = Question(b"\1" * 6, None, Phase.BOOT, 0, None)
        for first, last, allowed in (("0", "24", True), ("0", "0", False)):
            backend = self.made("hours", "OfficeHours", **{"from": first, "until": last})
            verifyObject(IAccessControl, backend)
            self.assertEqual(backend.check(question).allowed, allowed)

    def test_filter(self) -> None:
        """A machine with a host name has its own menu; other names and machines are none of its business."""
        rewriter = self.made("menus", "Menus", directory="menus/")
        verifyObject(IFilenameFilter, rewriter)
        target = rewriter.rewrite("menu.ipxe", Machine(MAC, hostname="node-7"))
        self.assertEqual((target.name, target.base), ("menus/node-7.ipxe", "menus/"))
        for name, machine in (("menu.ipxe", None), ("menu.ipxe", Machine(MAC)), ("x", Machine(MAC, hostname="a"))):
            self.assertIsNone(rewriter.rewrite(name, machine))

    def test_source(self) -> None:
        """Files of an archive; what is not there, and an archive that is none, are told as they should be."""
        with ZipFile(self.place / "boot.zip", "w") as archive:
            archive.writestr("a b/pxelinux.0", b"loader")
        (self.place / "bad.zip").write_bytes(b"x")
        source = self.made("archive", "ZipSource")
        verifyObject(IFileSource, source)
        root = f"zip://{self.place.absolute()}"
        content = self.successResultOf(source.open(f"{root}/boot.zip/a%20b/pxelinux.0"))
        self.assertEqual((content.size, content.body.read(0, 100)), (6, b"loader"))
        self.failureResultOf(source.open(f"{root}/boot.zip/gone"), NotFound)
        self.failureResultOf(source.open(f"{root}/bad.zip/x"), SourceFailed)

    def test_store(self) -> None:
        """What was committed is there when the store is opened again."""
        lease = Lease(int(ADDRESS), b"\1" * 6, State.BOUND, 1e10)
        for known in ([], [lease]):
            store = self.made("journal", "Journal")
            verifyObject(ILeaseStore, store)
            self.assertEqual(self.successResultOf(store.open()), known)
            self.assertEqual(self.successResultOf(store.commit([Claim(lease, True)])), [True])
            self.successResultOf(store.close())

    def test_notifier(self) -> None:
        """Boots are written down, and nothing else is."""
        diary = self.made("diary", "Diary", file="boots.csv")
        verifyObject(INotifier, diary)
        diary.notify(Leased(1.5, MAC, ADDRESS, None, True, "", "", 2.0))
        diary.notify(Leased(1.5, MAC, ADDRESS, None, False, "", "", 2.0))
        diary.notify(Released(1.5, MAC, ADDRESS, None))
        self.successResultOf(diary.close())
        [line] = (self.place / "boots.csv").read_text().splitlines()
        self.assertTrue(line.endswith(f"{MAC},{ADDRESS}"), line)
