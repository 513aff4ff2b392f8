"""A file for each machine, made when it asks: C{[templates]}, over TFTP and HTTP alike."""

from __future__ import annotations

from tests.e2e.support.seed import MAC, SERVER, SeedTestCase
from tests.support.dhcp import BIOS

SCRIPT = """#!ipxe
{% if role == "web" -%}
set role {{ role }}
{% endif -%}
ifconf --configurator dhcp
echo {{ hostname }} {{ mac }} {{ ip }} {{ arch }} asked for {{ filename }}
"""


class TemplateTests(SeedTestCase):
    """One template, two ways to fetch it."""

    needs = ("curl",)

    def test_machine(self) -> None:
        """C{autoexec.ipxe} at whatever path, with what is known of the machine that asks."""
        machine = {"address": "10.77.0.9", "hostname": "node9", "var.role": "web"}
        sections = {f"host {MAC.hex(':')}": machine, "templates": {"*autoexec.ipxe": "./boot.ipxe"}}
        self.serve({**sections, "httpd": {"enable": "yes", "port": 8000}})
        (self.pybootd.directory / "boot.ipxe").write_text(SCRIPT)
        self.lease(BIOS)
        about = f"node9 {MAC.hex('-')} 10.77.0.9 00000 asked for"
        for path in ("autoexec.ipxe", "EFI/debian/autoexec.ipxe"):
            for url in (f"tftp://{SERVER}/{path}", f"http://{SERVER}:8000/{path}"):
                text = self.client.run("curl", "-s", url).stdout
                lines = ["#!ipxe", "set role web", "ifconf --configurator dhcp", f"echo {about} {path}"]
                self.assertEqual(text.splitlines(), lines, url)

    def test_mistake(self) -> None:
        """A template that cannot be rendered is a file that cannot be had, and the log says what is wrong with it."""
        self.serve({"templates": {"x": "./broken"}})
        (self.pybootd.directory / "broken").write_text("{{ 7 / 0 }}")
        self.assertNotEqual(self.client.run("curl", "-s", f"tftp://{SERVER}/x", check=False).returncode, 0)
        self.pybootd.program.expect("broken.*division")
