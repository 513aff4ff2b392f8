"""Files that are written when they are asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.templates import Templates
from pybootd.errors import EnvironmentProblem, SourceFailed
from pybootd.machine import Machine
from tests.content.test_filters import lines


class TemplateTests(SynchronousTestCase):
    """A template is rendered for the machine that asks."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.machine = Machine("52:54:00:12:34:56", hostname="node7", variables={"role": "db"})

    def render(self, text: str, machine: Machine | None = None) -> bytes | None:
        (self.directory / "boot.j2").write_text(text)
        template = Templates(lines(("boot.ipxe", "./boot.j2")), self.directory).find("boot.ipxe")
        assert template is not None
        content = template.render("boot.ipxe", machine)
        self.assertEqual(content.source, str(self.directory / "boot.j2"))
        assert content.size is not None
        data = content.body.read(0, content.size + 1)
        self.assertEqual(len(data or b""), content.size)
        return data

    def failure(self, text: str) -> str:
        with self.assertRaises(SourceFailed) as caught:
            self.render(text, self.machine)
        return str(caught.exception)

    def test_find(self) -> None:
        """The first pattern that matches has the file; other names are left to others."""
        templates = Templates(lines(("*.ipxe", "a"), ("boot.*", "/b")), self.directory)
        for name, path in (("boot.ipxe", self.directory / "a"), ("boot.cfg", Path("/b"))):
            template = templates.find(name)
            assert template is not None
            self.assertEqual(template.path, str(path))
        self.assertIsNone(templates.find("pxelinux.0"))

    def test_rendered(self) -> None:
        """A template sees the filters' variables and the machine's own; its last newline stays."""
        text = "#!ipxe\necho {{ mac }} {{ hostname }} {{ role }} {{ filename }}\n"
        self.assertEqual(self.render(text, self.machine), b"#!ipxe\necho 52-54-00-12-34-56 node7 db boot.ipxe\n")

    def test_unknown(self) -> None:
        """What is not known of a machine is empty, so that a template can ask."""
        self.assertEqual(self.render("{% if mac %}known{% else %}stranger{% endif %}", None), b"stranger")

    def test_include(self) -> None:
        """A template may include its neighbours, and nothing above them."""
        (self.directory / "head").write_text("head ")
        self.assertEqual(self.render("{% include 'head' %}{{ role }}", self.machine), b"head db")
        self.assertIn("TemplateNotFound", self.failure("{% include '../secret' %}"))

    def test_not_a_page(self) -> None:
        """Nothing is escaped: boot scripts are no web pages."""
        self.machine.variables = {"args": "a=1 && b<2"}
        self.assertEqual(self.render("{{ args }}", self.machine), b"a=1 && b<2")

    def test_wrong(self) -> None:
        """A mistake is told with its line, whether Jinja2 finds it early or late."""
        self.assertIn("boot.j2, line 2", self.failure("fine\n{% if %}\n"))
        self.assertIn("boot.j2, line 3", self.failure("fine\n\n{{ rolle }}\n"))
        self.assertIn("boot.j2, line 1", self.failure("{{ 1 // 0 }}"))

    def test_missing(self) -> None:
        """A template that is not there is a failure of the server, not an unknown file."""
        template = Templates(lines(("x", "nowhere.j2")), self.directory).find("x")
        assert template is not None
        with self.assertRaises(SourceFailed) as caught:
            template.render("x", None)
        self.assertIn("nowhere.j2", str(caught.exception))

    def test_sandbox(self) -> None:
        """A template cannot get at Python through what it is given."""
        self.assertIn("SecurityError", self.failure("{{ mac.__class__.__mro__ }}"))

    def test_client_text_is_no_template(self) -> None:
        """What a client said is put in as it is, never evaluated."""
        self.machine.hostname = "{{ 7 * 7 }}"
        self.assertEqual(self.render("{{ hostname }}", self.machine), b"{{ 7 * 7 }}")

    def test_without_jinja(self) -> None:
        """Without Jinja2 the server says at its start what to install."""
        with patch.dict(sys.modules, {"jinja2": None}), self.assertRaises(EnvironmentProblem) as caught:
            Templates(lines(("x", "y")), self.directory)
        self.assertIn("pybootd[status]", str(caught.exception))
