"""TFTP with clients that we did not write: atftp, tftp-hpa, busybox and curl."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.servers import Pybootd

SERVER = "10.77.0.1"
SIZES = (0, 1, 511, 512, 513, 1024, 1468 * 7, 1468 * 7 + 1, 300_000)
ROLLOVER = 65536 * 512 + 700
"""Bytes: with blocks of 512 the 16 bits of a block number are passed."""


class ClientTests(EndToEndTestCase):
    """Each client gets each file whole."""

    needs = ("atftp", "tftp", "busybox", "curl", "tshark")

    def setUp(self) -> None:
        super().setUp()
        directory = self.lab.directory("daemon")
        self.root = directory / "root"
        self.root.mkdir()
        self.client = self.lab.segment.host("10.77.0.9/24")
        self.place = self.lab.directory("client")

    def serve(self, **options: object) -> None:
        """Start a TFTP server, and nothing else."""
        tftpd = {"root": "./root", **options}
        self.pybootd = Pybootd(self.lab.server, self.root.parent, {"tftpd": tftpd}, "-t", ports=[("udp", 69)])

    def file(self, name: str, size: int) -> bytes:
        """A file of the server's; its bytes."""
        data = random.Random(size).randbytes(size)
        (self.root / name).write_bytes(data)
        return data

    def check(self, data: bytes, *command: str | Path, timeout: float = 60) -> None:
        """The command leaves the file C{got} in the client's directory."""
        got = self.place / "got"
        got.unlink(missing_ok=True)
        self.client.run(*command, directory=self.place, timeout=timeout)
        self.assertEqual(hashlib.sha256(got.read_bytes()).hexdigest(), hashlib.sha256(data).hexdigest(), command)

    def all_sizes(self, *command: str, least: int = 0) -> None:
        """The command with C{NAME} for the file's name, for files of all sizes from C{least} on."""
        for size in (size for size in SIZES if size >= least):
            data = self.file(f"file-{size}", size)
            self.check(data, *(word.replace("NAME", f"file-{size}") for word in command))

    def test_atftp(self) -> None:
        """atftp: plain, with large blocks, with windows, with all options."""
        self.serve()
        get = ("atftp", "--get", "-r", "NAME", "-l", "got")
        for options in (
            (),
            ("blksize 1468",),
            ("windowsize 8",),
            ("blksize 1024", "windowsize 16", "tsize 0", "timeout 3"),
        ):
            words = [word for option in options for word in ("--option", option)]
            self.all_sizes(*get, *words, SERVER)

    def test_hpa(self) -> None:
        """tftp-hpa, in octet mode."""
        self.serve()
        self.all_sizes("sh", "-c", f"tftp -m binary {SERVER} -c get NAME got")

    def test_busybox(self) -> None:
        """busybox, with and without blksize."""
        self.serve()
        self.all_sizes("busybox", "tftp", "-g", "-r", "NAME", "-l", "got", SERVER)
        self.all_sizes("busybox", "tftp", "-g", "-b", "1428", "-r", "NAME", "-l", "got", SERVER)

    def test_curl(self) -> None:
        """curl, with its options (where it takes a tsize of 0 for an error) and without any."""
        self.serve()
        self.all_sizes("curl", "-s", "-o", "got", f"tftp://{SERVER}/NAME", least=1)
        self.all_sizes("curl", "-s", "--tftp-no-options", "-o", "got", f"tftp://{SERVER}/NAME")
        self.all_sizes("curl", "-s", "--tftp-blksize", "1400", "-o", "got", f"tftp://{SERVER}/NAME", least=1)

    def test_netascii(self) -> None:
        """A text in netascii comes back as it was, line ends and all."""
        self.serve()
        text = b"one\ntwo\r\nthree\rfour\n" * 300
        (self.root / "text").write_bytes(text)
        self.check(text, "sh", "-c", f"tftp -m ascii {SERVER} -c get text got")

    def test_rollover(self) -> None:
        """A file of more than 65535 blocks, lockstep and in windows: the numbers go on at 0."""
        self.serve()
        data = self.file("large", ROLLOVER)
        self.check(data, "atftp", "--get", "-r", "large", "-l", "got", SERVER, timeout=120)
        self.check(data, "atftp", "--get", "--option", "windowsize 32", "-r", "large", "-l", "got", SERVER, timeout=120)

    def test_single_port(self) -> None:
        """C{single_port = yes}: everything comes from port 69."""
        self.serve(single_port=True)
        self.all_sizes("curl", "-s", "-o", "got", f"tftp://{SERVER}/NAME", least=1)
        data = self.file("windows", 200_000)
        self.check(data, "atftp", "--get", "--option", "windowsize 8", "-r", "windows", "-l", "got", SERVER)

    def test_missing(self) -> None:
        """What is not there is error 1 at once; curl calls it 68."""
        self.serve()
        done = self.client.run("curl", "-s", f"tftp://{SERVER}/nothing", check=False, timeout=5)
        self.assertEqual(done.returncode, 68)

    def test_read_only(self) -> None:
        """A write is refused with error 2, and nothing is left behind; curl calls it 69."""
        self.serve()
        (self.place / "up").write_text("x")
        done = self.client.run(
            "curl", "-s", "-T", "up", f"tftp://{SERVER}/up", directory=self.place, check=False, timeout=9
        )
        self.assertEqual(done.returncode, 69)
        self.assertFalse((self.root / "up").exists())

    def test_many_at_once(self) -> None:
        """Thirty clients at once, each its own file, none fails."""
        self.serve()
        files = [self.file(f"many-{i}", 100_000 + i) for i in range(30)]
        get = f"curl -s -o many-$i tftp://{SERVER}/many-$i"
        script = f'for i in $(seq 0 29); do {get} & all="$all $!"; done; for one in $all; do wait $one || exit 1; done'
        self.client.run("sh", "-c", script, directory=self.place)
        for i, data in enumerate(files):
            self.assertEqual((self.place / f"many-{i}").read_bytes(), data)
