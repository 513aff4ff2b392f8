"""C{pybootd replay} on captures of real clients."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.cli import main
from tests.support import pcap
from tests.support.captures import BY_NAME

BASE = """
[bootpd]
pool_start = 10.77.0.100
pool_count = 3
[bootfile]
default = pxelinux.0
x64-uefi = grub.efi
[tftpd]
root = /srv
"""
UEFI = [BY_NAME["ovmf-pxe", kind] for kind in ("DISCOVER", "SELECTING", "BOOT_SERVER")]


class ReplayTests(SynchronousTestCase):
    """A capture of OVMF booting from another server."""

    def setUp(self) -> None:
        """A directory, with the capture in it."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.capture(pcap.pcap([pcap.of(capture) for capture in UEFI]))

    def capture(self, data: bytes) -> None:
        """This is the capture from now on."""
        (self.directory / "x.pcap").write_bytes(data)

    def configuration(self, name: str, text: str) -> str:
        """Write a configuration."""
        (self.directory / name).write_text(text)
        return str(self.directory / name)

    def run_with(self, *words: str, text: str = BASE) -> tuple[int, list[str], str]:
        """Exit status, lines and errors; the directory is written as C{DIR}."""
        own = self.configuration("own.ini", text)
        out, err = StringIO(), StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        command = ["replay", str(self.directory / "x.pcap"), "-c", own, "--as", "10.77.0.1/24", *words]
        status = self.assertRaises(SystemExit, main, command).code
        said = [text.getvalue().replace(str(self.directory), "DIR") for text in (out, err)]
        return int(status or 0), said[0].splitlines(), said[1]

    def test_told(self) -> None:
        """One line for each request: number, time, who, what would be answered, and the line that decides it."""
        status, lines, _ = self.run_with()
        self.assertEqual(status, 0)
        self.assertEqual(
            lines,
            [
                "    1     0.000 52:54:00:12:34:01 DISCOVER, PXE x64-uefi: OFFER 10.77.0.100, boot file grub.efi   "
                "(DIR/own.ini:7: [bootfile] x64-uefi)",
                "    2     1.000 52:54:00:12:34:01 REQUEST (selecting), PXE x64-uefi: ACK 10.77.0.100, boot file "
                "grub.efi   (DIR/own.ini:7: [bootfile] x64-uefi) (as if it had taken our offer)",
                "    3     2.000 52:54:00:12:34:01 REQUEST (boot server), PXE x64-uefi: ACK, boot file grub.efi   "
                "(DIR/own.ini:7: [bootfile] x64-uefi)",
                "3 requests, 3 answered",
            ],
        )

    def test_shared(self) -> None:
        """Where several servers share the leases, every lease is a new one; else what is left of it is told."""
        self.capture(pcap.pcap([pcap.of(capture) for capture in UEFI[:2] * 2]))
        _, alone, _ = self.run_with("-v")
        _, shared, _ = self.run_with("-v", text=BASE + "[leases]\nstore = postgresql://host/db\n")
        self.assertEqual([sum("lease_time: 86400" in line for line in said) for said in (alone, shared)], [2, 4])

    def test_silence(self) -> None:
        """Who would get no answer: why, and which line to look at."""
        self.capture(pcap.pcapng([pcap.of(BY_NAME["aavmf-pxe", "DISCOVER"])]))
        _, lines, _ = self.run_with()
        self.assertIn("arm64-uefi: no answer: [bootfile] has no entry for arm64-uefi", lines[0])
        self.assertIn("(DIR/own.ini:5: [bootfile])", lines[0])
        self.assertEqual(lines[1], "1 requests, 0 answered")

    def test_trace(self) -> None:
        """C{-v} adds every rule that was tried, and the packet."""
        _, lines, _ = self.run_with("-v")
        self.assertIn("    address: 10.77.0.100   (DIR/own.ini:3: [bootpd] pool_start)", lines)
        self.assertIn("    yiaddr: 10.77.0.100", lines)

    def test_access(self) -> None:
        """The access lists decide; a remote server's yes is assumed, and that is said."""
        text = BASE.replace("[bootpd]", "[bootpd]\naccess = mac, http") + "[mac]\n52-54-00-99 = yes\n"
        text = text.replace("52-54-00-99", "52-54-00-99-99-99") + "[http]\nlocation = http://boss:secret@h/\n"
        _, lines, _ = self.run_with(text=text)
        self.assertEqual(lines[0], "access http: http://h would be asked; its yes is assumed here")
        self.assertIn("no answer: not in [mac]", lines[1])

    def test_same(self) -> None:
        """Two configurations that answer alike: nothing to show, status 0."""
        other = self.configuration("other.ini", BASE + "[filters]\nx = y\n")
        self.assertEqual(self.run_with("--against", other), (0, ["0 of 3 requests would be answered differently"], ""))

    def test_different(self) -> None:
        """Only what differs is shown, down to the options; status 1."""
        other = self.configuration("other.ini", BASE.replace("pool_count", "lease_time = 600\npool_count"))
        status, lines, _ = self.run_with("--against", other)
        self.assertEqual(status, 1)
        self.assertEqual(lines[-1], "2 of 3 requests would be answered differently")
        self.assertEqual(lines[0], "    1     0.000 52:54:00:12:34:01 DISCOVER, PXE x64-uefi")
        self.assertIn("      - 51 lease_time: 86400", lines)
        self.assertIn("      + 51 lease_time: 600", lines)
        self.assertFalse([line for line in lines if "yiaddr" in line])

    def test_answer_and_silence(self) -> None:
        """One answers, the other does not: both reasons are there."""
        other = self.configuration("other.ini", BASE.replace("x64-uefi", "arm64-uefi"))
        status, lines, _ = self.run_with("--against", other)
        self.assertEqual(status, 1)
        self.assertTrue(lines[1].startswith("    DIR/own.ini    OFFER 10.77.0.100"), lines[1])
        self.assertTrue(lines[2].startswith("    DIR/other.ini  no answer: [bootfile] has no entry"), lines[2])

    def test_only_requests(self) -> None:
        """Replies and other traffic are none of it; a datagram that is no request is told as such."""
        discover = UEFI[0].data
        self.capture(
            pcap.pcap(
                [
                    pcap.frame(b"\2" + discover[1:], ("10.77.0.9", 67), ("255.255.255.255", 67)),
                    pcap.frame(discover, destination=("10.77.0.1", 69)),
                    pcap.frame(b"\1\1\6", ("10.77.0.8", 68)),
                    pcap.frame(discover)[:-10],
                ]
            )
        )
        _, lines, _ = self.run_with()
        self.assertEqual(lines[0], "    3     0.000 10.77.0.8: no request: 3 bytes are no BOOTP packet")
        self.assertIn("the capture kept its beginning only", lines[1])
        self.assertEqual(len(lines), 3)

    def test_damaged(self) -> None:
        """A capture that breaks off: what stands before counts, and it is said."""
        self.capture(pcap.pcap([pcap.of(capture) for capture in UEFI])[:-5])
        status, lines, error = self.run_with()
        self.assertEqual((status, lines[-1]), (0, "2 requests, 2 answered"))
        self.assertEqual(error, "pybootd: the capture ends in the middle of a packet; nothing more is read\n")

    def test_nothing(self) -> None:
        """A capture without requests, and a file that is none."""
        self.capture(pcap.pcap([]))
        self.assertEqual(self.run_with()[1], ["no DHCP request to port 67 or 4011 in this capture"])
        self.capture(b"nonsense")
        status, _, error = self.run_with()
        self.assertEqual((status, error), (1, "DIR/x.pcap: this is no capture: neither pcap nor pcapng\n"))
        (self.directory / "x.pcap").unlink()
        status, _, error = self.run_with()
        self.assertEqual((status, error), (1, "DIR/x.pcap: No such file or directory\n"))

    def test_usage(self) -> None:
        """No file, two files, no address: wrong usage."""
        for words in (["y.pcap"], ["--as", "10.77.0.300/24"], ["--nonsense"], ["--against"]):
            self.assertEqual(self.run_with(*words)[0], 2, words)
