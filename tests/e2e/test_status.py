"""The dashboard while machines boot: what programs read, and what a person sees in a browser."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.e2e.support import trees
from tests.e2e.support.boots import BOOT_TIME, BootTestCase
from tests.e2e.support.browser import CHROMIUM, DRIVER, RECORDER, Browser
from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.clients import Udhcpc
from tests.e2e.support.lab import Namespace, until
from tests.e2e.support.machines import Firmware
from tests.e2e.support.servers import Configuration, Pybootd

PORTS = (("udp", 67), ("udp", 69), ("tcp", 8067))
SITE = "http://127.0.0.1:8067"
STAGES = ["asked", "offered", "leased", "loader", "kernel", "initrd", "running"]
ARM64 = ("-V", "PXEClient:Arch:00011:UNDI:003000", "-x", "0x5d:000b")
"""A udhcpc that says of itself to be firmware, of an architecture for which there is no boot file."""


def get(host: Namespace, path: str, *words: str, site: str = SITE) -> Any:
    """What the API says."""
    return json.loads(host.run("curl", "-sS", "--fail-with-body", *words, f"{site}{path}").stdout)


class ApiTests(EndToEndTestCase):
    """The API, with a token, for a host beside the server."""

    needs = ("curl", "udhcpc")

    def setUp(self) -> None:
        super().setUp()
        self.root = self.lab.directory("root")
        (self.root / "vmlinuz").write_bytes(b"k" * 300_000)
        self.client = self.lab.segment.host("10.77.0.50/24")

    def serve(self, **status: object) -> Pybootd:
        """A server with a dashboard."""
        configuration: Configuration = {
            "bootpd": {"pool_start": "10.77.0.100", "allow_simple_dhcp": True, "conflict_check": 0},
            "tftpd": {"root": self.root},
            "bootfile": {"bios": "pxelinux.0"},
            "status": {"enable": True, **status},
        }
        self.pybootd = Pybootd(self.lab.server, self.lab.directory("daemon"), configuration, ports=PORTS)
        return self.pybootd

    def test_token(self) -> None:
        """Others see nothing without the token, everything with it, and a machine's lease and boot as they happen."""
        self.serve(address="0.0.0.0", token="open-sesame")
        site, token = "http://10.77.0.1:8067", ("-H", "Authorization: Bearer open-sesame")
        status = self.client.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{site}/api/machines").stdout
        self.assertEqual(status, "401")
        stream = self.client.start("curl", "-sN", *token, f"{site}/api/events")
        stream.expect("retry:")
        machine = self.lab.segment.host()
        client = Udhcpc(self.lab, machine)
        client.obtain()
        machine.run("curl", "-s", "-o", "/dev/null", "tftp://10.77.0.1/vmlinuz")
        for event in ("seen", "offered", "leased", "file_asked", "transfer_begun", "transfer_ended"):
            stream.expect(f"^event: {event}$")
        (row,) = get(self.client, "/api/machines", *token, site=site)["machines"]
        self.assertEqual(
            (row["address"], row["state"], row["transfers"][0]["sent"]), (client.address, "running", 300_000)
        )
        (lease,) = get(self.client, "/api/leases", *token, site=site)["leases"]
        self.assertEqual((lease["address"], lease["mac"], lease["state"]), (client.address, row["mac"], "bound"))
        page = get(self.client, f"/api/machines/{row['mac']}", *token, site=site)
        self.assertEqual([one["message"] for one in page["exchanges"]], ["REQUEST (selecting)", "DISCOVER"])
        self.assertTrue(any("ACK for" in line for line in page["exchanges"][0]["replies"][0]))
        self.assertIn("pool_start", json.dumps(page["exchanges"][1]["trace"]))
        metrics = self.client.run("curl", "-s", *token, f"{site}/metrics").stdout
        self.assertIn('pybootd_sent_bytes_total{protocol="tftp"} 300000.0', metrics)
        self.assertIn('pybootd_workers{protocol="tftp"} 0.0', metrics)
        self.assertEqual(get(self.client, "/healthz", site=site)["status"], "ok")
        self.assertEqual(self.pybootd.program.stop(), 0, self.pybootd.log)
        self.assertNotIn("Traceback", self.pybootd.log)

    def test_description(self) -> None:
        """The API is as its description says, whatever it is asked."""
        self.serve()
        Udhcpc(self.lab, self.lab.segment.host()).obtain()
        done = self.lab.server.run(
            *(Path(sys.executable).with_name("schemathesis"), "run", f"{SITE}/api/openapi.json", "--url", SITE),
            *("--exclude-path", "/api/events", "--checks", "all", "--max-examples", "20", "--no-color"),
            check=False,
            timeout=120,
            directory=self.lab.scratch,
        )
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        self.assertNotIn("Traceback", self.pybootd.log)


class BrowserTests(BootTestCase):
    """The page, in Chromium, on the server's own host."""

    needs = (*Firmware.BIOS.needs, *map(str, trees.NEEDED), "tshark", "curl", "udhcpc", CHROMIUM, DRIVER)

    def browse(self) -> Browser:
        """A browser that has the page, and keeps what its bars show."""
        browser = Browser(self.lab.server, self.lab.scratch)
        self.addCleanup(browser.close)
        browser.open(f"{SITE}/")
        browser.wait("#connection", "live")
        browser.run(RECORDER)
        return browser

    def test_boot(self) -> None:
        """A machine boots: its row appears, its bar grows, its steps are done; its page has decisions and packets."""
        loader = trees.pxelinux(self.root, self.token)
        self.serve({"bios": loader}, {"status": {"enable": True}})
        browser = self.browse()
        self.assertIn("No machine", browser.text("#empty"))
        boot = self.switch_on(Firmware.BIOS)
        browser.wait("#machines tbody tr .state", "booting", BOOT_TIME)
        browser.picture("booting")
        proof = self.check(boot)
        browser.wait("#machines tbody tr .state", "running")
        browser.picture("running")
        self.assertEqual(browser.text("#machines tbody .address"), proof.address)
        self.assertEqual(len(browser.find("#machines .steps li.done")), len(STAGES))
        bars = browser.run("return window.bars")
        growing = [values for values in bars.values() if len(set(values)) > 2]
        self.assertTrue(growing, bars)
        self.assertEqual(browser.find("#empty:not([hidden])"), [])

        browser.click("#machines tbody a")
        browser.wait("#machine h2", boot.machine.mac.split(":")[-1] if not proof.hostname else "")
        browser.wait("#machine .exchanges", "DISCOVER")
        browser.run("document.querySelectorAll('#machine details').forEach((one) => (one.open = true))")
        self.assertIn("pybootd.ini:", browser.text("#machine .exchanges"))
        for words in ("OFFER for", "ACK for", "pxelinux.0"):
            self.assertIn(words, browser.text("#machine .exchanges"))
        browser.picture("machine")
        (row,) = get(self.lab.server, "/api/machines")["machines"]
        self.assertEqual(list(row["stages"]), STAGES)
        self.assertEqual(browser.complaints(), [])

    def test_login(self) -> None:
        """With a token the page asks for it; a wrong one is told so, the right one leads to the machines."""
        self.serve({"bios": "pxelinux.0"}, {"status": {"enable": True, "address": "10.77.0.1", "token": "open-sesame"}})
        browser = Browser(self.lab.server, self.lab.scratch)
        self.addCleanup(browser.close)
        browser.open("http://10.77.0.1:8067/")
        browser.wait("label", "Token")
        browser.press("sesame\ue007")
        browser.wait("[role=alert]", "not the token")
        browser.press("open-sesame\ue007")
        browser.wait("#connection", "live")
        browser.wait("#empty", "No machine")
        browser.picture("login")

    def test_failure(self) -> None:
        """
        Machines that do not boot: the sentence with its line, found by searching, by the keyboard alone; what a client
        writes is text and nothing else, on a telephone as well.
        """
        self.serve({"bios": "pxelinux.0"}, {"status": {"enable": True}})
        browser = self.browse()
        refused = Udhcpc(self.lab, self.lab.segment.host(mac="52:54:00:00:00:0a"))
        refused.start("-n", "-q", *ARM64)
        browser.wait("#machines tbody .sentence", "arm64-uefi")
        browser.wait("#machines tbody .setting", "[bootfile]")
        browser.wait("#machines tbody .state", "stopped")
        browser.wait("#said", "stopped: ")

        other = self.lab.segment.host(mac="52:54:00:00:00:0b")
        client = Udhcpc(self.lab, other)
        client.obtain("-V", "PXEClient:Arch:00000:UNDI:002001", "-x", "0x5d:0000")
        evil = "<img src=x onerror=window.stolen=1>"
        other.run("curl", "-s", f"tftp://10.77.0.1/{evil.replace(' ', '%20').replace('<', '%3C')}", check=False)
        until(lambda: "onerror" in browser.text("#machines"), 60, "the name that was asked for")
        browser.picture("failures")
        self.assertEqual(browser.run("return [window.stolen ?? null, document.images.length]"), [None, 0])
        self.assertEqual(browser.run("return window.forbidden"), [])

        browser.press("/")
        browser.press("00:0b")
        until(lambda: len(browser.find("#machines tbody tr:not([hidden])")) == 1, 60, "one machine is found")
        browser.press("\ue015")  # arrow down
        browser.press("\ue007")  # enter
        browser.wait("#machine h2", "52:54:00:00:00:0b")
        self.assertIn(evil, browser.text("#machine"))
        browser.press("\ue00c")  # escape
        until(lambda: bool(browser.find("#list:not([hidden])")), 60, "the list is back")

        browser.run("arguments[0].click()", browser.find("#theme")[0])
        with_telephone = "return document.documentElement.scrollWidth <= innerWidth"
        browser.resize(400, 800)
        until(lambda: bool(browser.run(with_telephone)), 60, "the page is not wider than a telephone")
        browser.picture("telephone")
        self.assertEqual(browser.complaints(), [])
