"""The configurations that come with pybootd."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import pybootd
from pybootd.config import LISTS, SECTIONS, Config, options
from pybootd.config.reader import read
from pybootd.content.patterns import Value

ROOT = Path(__file__).parent.parent
CONF = ROOT / "conf"
COMMON = ("pybootd", "debian", "local", "proxy", "ipxe", "http-boot", "raspberry-pi", "two-servers", "netboot-xyz")
OPTION = re.compile(r"^; ([\w./-]+ = \S.*)$", re.MULTILINE)
HEADER = re.compile(r"^; (\[[^\]]+\])$", re.MULTILINE)


def load(text: str) -> Config:
    """As the daemon reads it in the source tree."""
    return read(text, "x.ini", directory=ROOT)


class ConfTests(SynchronousTestCase):
    """Each file of C{conf/} does what it says."""

    def test_common_cases(self) -> None:
        """There is one for each common case."""
        self.assertEqual({path.stem for path in CONF.glob("*.ini")}, set(COMMON))

    def test_load(self) -> None:
        """Each loads without an error or a warning."""
        for path in CONF.glob("*.ini"):
            self.assertEqual(load(path.read_text()).warnings, (), path.name)

    def test_examples(self) -> None:
        """What is commented out in them works, too, when its comment sign goes."""
        for path in CONF.glob("*.ini"):
            load(HEADER.sub(r"\1", OPTION.sub(r"\1", path.read_text())))

    def test_sample_shows_everything(self) -> None:
        """The sample has every section of the original."""
        text = (CONF / "pybootd.ini").read_text()
        for section in ("logger", "bootpd", "bootfile", "tftpd", "httpd", "filters", *LISTS[:3], "buggy_clients"):
            self.assertIn(f"[{section}]", text)

    def test_files_named(self) -> None:
        """Files that filters take from the source tree are there."""
        for path in CONF.glob("*.ini"):
            for rule in load(path.read_text()).filters:
                if rule.value.startswith("./"):
                    self.assertTrue((ROOT / Value.parse(rule.value).parts[0]).is_file(), (path.name, rule.value))

    def test_proxy(self) -> None:
        """The proxy needs no editing: it names no address of any network."""
        config = load((CONF / "proxy.ini").read_text())
        self.assertEqual((config.bootpd.mode, config.bootpd.pool_start), ("proxy", None))

    def test_two_servers(self) -> None:
        """Two servers share a store, and neither is the router."""
        config = load((CONF / "two-servers.ini").read_text())
        self.assertEqual(config.leases.store, "postgresql://pybootd@192.168.1.5/pybootd")
        self.assertIsNotNone(config.bootpd.gateway)


class OptionsTests(SynchronousTestCase):
    """C{README.rst} and the program agree."""

    def setUp(self) -> None:
        """The reference: for each section its text, and its table of options with their defaults."""
        parts = re.split(r"^\[(.+)\]\n~+\n", (ROOT / "README.rst").read_text(), flags=re.MULTILINE)
        self.sections = {name.split(" ")[0]: text for name, text in zip(parts[1::2], parts[2::2], strict=True)}
        rows = re.compile(r"^   \* - ``([\w.]+)``\n     -(.*)\n     - \S", re.MULTILINE)
        self.tables = {name: dict(rows.findall(text)) for name, text in self.sections.items()}

    def test_sections(self) -> None:
        """Every section is documented, and no other."""
        self.assertEqual(set(self.sections), {*SECTIONS, *LISTS})

    def test_options(self) -> None:
        """Every option is documented, and no other."""
        for section in SECTIONS:
            documented = set(self.tables[section]) - {"var.NAME"}
            self.assertEqual(documented, set(options(section)), section)
        self.assertIn("var.NAME", self.tables["host"])

    def test_aliases(self) -> None:
        """Other spellings are documented."""
        for section in SECTIONS:
            for attribute in options(section).values():
                for alias in attribute.metadata["aliases"]:
                    self.assertIn(f"``{alias}``", self.sections[section])

    def test_defaults(self) -> None:
        """A default that is documented as a value is the program's."""
        for section in SECTIONS:
            for name, attribute in options(section).items():
                shown = re.fullmatch(r" ``([^`\[]+)``", self.tables[section][name])
                if shown:
                    self.assertEqual(attribute.metadata["parse"](shown[1]), attribute.default, (section, name))
                else:
                    self.assertIn(attribute.default, (None, (), ""), (section, name))

    def test_table_is_whole(self) -> None:
        """Every row has its three parts."""
        for section in SECTIONS:
            self.assertEqual(self.sections[section].count("   * - ``"), len(self.tables[section]), section)


class ReadTests(SynchronousTestCase):
    """Nothing that is accepted is ignored."""

    def test_every_option_is_read(self) -> None:
        """Each option is looked at somewhere behind the reader."""
        package = Path(pybootd.__file__).parent
        front = {*(package / "config").glob("*.py"), package / "check.py"}
        sources = [path for path in package.rglob("*.py") if path not in front]
        used = set(re.findall(r"\.([a-z_]+)\b", "\n".join(path.read_text() for path in sources)))
        settled = {("bootpd", "pool_end"), ("httpd", "enable")}  # the reader says them in another form
        for section in SECTIONS:
            for name in options(section):
                if (section, name) not in settled:
                    self.assertIn(name, used, section)
