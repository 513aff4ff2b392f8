"""What the documentation names is there, and what it shows works."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from xml.etree.ElementTree import fromstring

import attrs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.interface import InterfaceClass

import pybootd
from pybootd import interfaces
from pybootd.cli import COMMANDS, Options
from pybootd.config import LISTS, SECTIONS, Pattern, options
from pybootd.config.origin import Origin
from pybootd.config.reader import read
from pybootd.content.templates import Template
from pybootd.errors import ConfigError
from pybootd.events import KINDS, Event
from pybootd.machine import Machine

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LITERAL = re.compile(r"``([^`]+)``")
OURS = re.compile(r"(?:conf|docs|pybootd|script|tests|twisted|benchmarks)(?:/[\w.-]+)+/?")
PLAIN = re.compile(r"\[([a-z_]+)\] ([\w.]+)(?: = .*)?")
SETTING = re.compile(r"([a-z_]+) = [^=]+")
OPTION = re.compile(r"``([\w.]+)``\s+in\s+``\[([a-z_]+)\]``")
BLOCK = re.compile(r"^( *)\.\. code(?:-block)?:: ini\n\n((?:\1 +.*\n|\n)+)", re.MULTILINE)

ENTRIES = {"ipxe", "bios", "default"}
"""Of C{[bootfile]}."""


class NamesTests(SynchronousTestCase):
    """Every page of C{docs/}, and the README."""

    def pages(self) -> Iterator[tuple[str, str]]:
        for path in [*sorted(DOCS.rglob("*.rst")), ROOT / "README.rst"]:
            yield str(path.relative_to(ROOT)), path.read_text()

    def literals(self) -> Iterator[tuple[str, str]]:
        yield from ((page, literal) for page, text in self.pages() for literal in LITERAL.findall(text))

    def test_files(self) -> None:
        """A file of the project that is named is there."""
        named = [(page, name) for page, name in self.literals() if OURS.fullmatch(name)]
        self.assertGreater(len(named), 20)
        there = (ROOT / "pybootd").exists() and (ROOT / "script").exists()  # not where an installed package is tested
        self.assertEqual([one for one in named if there and not (ROOT / one[1]).exists()], [])

    def test_options(self) -> None:
        """An option that is named with its section is one of that section."""
        named = [(page, *names) for page, text in self.pages() for names in OPTION.findall(text)]
        for page, literal in self.literals():
            if found := PLAIN.fullmatch(literal):
                named.append((page, found[2], found[1]))
        self.assertGreater(len(named), 5)
        unknown = [
            (page, option, section)
            for page, option, section in named
            if section not in LISTS and option not in options(section)
        ]
        self.assertEqual(unknown, [])

    def test_settings(self) -> None:
        """A setting that is shown has the name of an option."""
        known = {option for section in SECTIONS for option in options(section)} | ENTRIES
        named = [(page, found[1]) for page, literal in self.literals() if (found := SETTING.fullmatch(literal))]
        self.assertGreater(len(named), 15)
        self.assertEqual([one for one in named if one[1] not in known], [])

    def test_configurations(self) -> None:
        """Every configuration that is shown can be read; one that is only a part may lack what must be set."""
        for page, text in self.pages():
            if page == "docs/plugins.rst":
                continue  # its own test installs the plugins first
            for _, block in BLOCK.findall(text):
                self.assertEqual(problems(block), [], f"{page}:\n{block}")


def problems(configuration: str) -> list[str]:
    """What is wrong with a configuration, but for what is not said in it."""
    lines = [line.strip() for line in configuration.splitlines()]
    try:
        read("\n".join(lines), directory=Path("/srv"))
    except ConfigError as error:
        return [problem for problem in error.problems if ": pool_start is missing" not in problem]
    return []


class EventsTests(SynchronousTestCase):
    """C{docs/reference/events.rst} and the program agree."""

    def setUp(self) -> None:
        """The rows of its tables: what is said of each event."""
        text = (DOCS / "reference" / "events.rst").read_text()
        parts = re.split(r"^   \* - ``(\w+)``\n", text, flags=re.MULTILINE)
        self.rows = dict(zip(parts[1::2], parts[2::2], strict=True))
        self.general = re.findall(r"^``(\w+)``$", text, flags=re.MULTILINE)

    def test_events(self) -> None:
        """Every event is documented, and no other."""
        self.assertEqual(set(self.rows), set(KINDS))

    def test_fields(self) -> None:
        """So is every field."""
        common = [field.name for field in attrs.fields(Event)]
        self.assertEqual(self.general, common)
        for name, kind in KINDS.items():
            fields = self.rows[name].split("\n     - ", 1)[-1]
            for field in attrs.fields(kind)[len(common) :]:
                self.assertIn(f"``{field.name}``", fields, name)


class TemplateTests(SynchronousTestCase):
    """The template of C{docs/howto/templates.rst}"""

    def render(self, machine: Machine) -> str:
        page = (DOCS / "howto" / "templates.rst").read_text()
        block = re.search(r"code-block:: jinja\n\n((?:   .*\n|\n)+)", page)
        assert block is not None
        place = Path(self.mktemp())
        place.mkdir()
        (place / "boot.ipxe").write_text(dedent(block[1]))
        content = Template(Pattern("boot.ipxe", "boot.ipxe", Origin("pybootd.ini", 1, "templates")), place).render(
            "boot.ipxe", machine
        )
        return (content.body.read(0, 10_000) or b"").decode()

    def test_known(self) -> None:
        """A machine gets its own values."""
        variables = {"release": "trixie", "console": "ttyS0,115200"}
        machine = Machine("52:54:00:12:34:56", hostname="build1", address=IPv4Address("10.0.0.1"), variables=variables)
        self.assertEqual(
            self.render(machine).split("\n")[:4],
            [
                "#!ipxe",
                "# build1, 10.0.0.1",
                "",
                "kernel /trixie/vmlinuz initrd=initrd.img console=ttyS0,115200 ip=dhcp",
            ],
        )

    def test_unknown(self) -> None:
        """One of which nothing is known gets what stands for that."""
        lines = self.render(Machine("52:54:00:12:34:56")).split("\n")
        self.assertEqual(
            lines[1:4], ["# 52-54-00-12-34-56, ", "", "kernel /bookworm/vmlinuz initrd=initrd.img ip=dhcp"]
        )


class CommandsTests(SynchronousTestCase):
    """C{docs/commands.rst}"""

    def test_commands(self) -> None:
        """Every command has its section, and there is no other."""
        sections = re.findall(r"^(\w+)\n-+$", (DOCS / "commands.rst").read_text(), flags=re.MULTILINE)
        self.assertEqual(set(sections), set(COMMANDS))
        self.assertEqual({name for name, *_ in Options.subCommands}, set(COMMANDS))


class ArchitectureTests(SynchronousTestCase):
    """C{docs/explanation/architecture.rst}"""

    def test_rooms(self) -> None:
        """Every package is named, and what it is for."""
        page = (DOCS / "explanation" / "architecture.rst").read_text()
        rooms = [path.parent.name for path in Path(pybootd.__file__).parent.glob("*/__init__.py")]
        self.assertEqual([room for room in rooms if f"``pybootd/{room}/``" not in page], [])


def load(name: str) -> ModuleType:
    """An extension of the documentation's."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "extensions" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class SeamsTests(SynchronousTestCase):
    """The page of interfaces, which is made of the source."""

    def setUp(self) -> None:
        self.epytext = load("epytext")
        self.page = self.epytext.document(Path(interfaces.__file__).read_text())

    def test_all(self) -> None:
        """Every interface is there with all its names."""
        seams = [one for one in vars(interfaces).values() if isinstance(one, InterfaceClass)]
        for seam in (one for one in seams if one.__module__ == interfaces.__name__):
            self.assertIn(f"\n{seam.__name__}\n~", self.page)
            for name in seam.names():
                self.assertRegex(self.page, rf"``{name}(``|\()")

    def test_readable(self) -> None:
        """Nothing of the docstrings' notation is left."""
        self.assertNotRegex(self.page, r"[CL]\{|@param|@return|@raise")

    def test_fields(self) -> None:
        """Fields of a docstring become fields of reST."""
        said = "\n\n".join(self.epytext.described("Do it.\n\n@param one: C{1}\n    or more.\n@raise Bad: L{no <a.b>}."))
        self.assertEqual(said, "Do it.\n\n:parameter ``one``: ``1`` or more.\n:raises ``Bad``: ``no``.")


class DiagramTests(SynchronousTestCase):
    """Sequence diagrams."""

    def setUp(self) -> None:
        self.drawing = load("diagram").drawing

    def test_drawing(self) -> None:
        """It says its title, its parties, its messages and its notes, as XML that can be read."""
        svg = self.drawing("A & B", ["a", "b"], ["a > b: 1 < 2", "b: waits"])
        drawn = fromstring(svg)
        self.assertEqual([text for text in drawn.itertext() if text.strip()], ["A & B", "a", "b", "1 < 2", "waits"])

    def test_wrong(self) -> None:
        """A line that is no message, or between strangers, is refused."""
        for line in ("a > c: hello", "nothing", "c: waits"):
            self.assertRaises(ValueError, self.drawing, "title", ["a", "b"], [line])
