"""TFTP with the clients that people have: atftp, tftp-hpa, BusyBox, curl; and what no ordinary client does."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.lab import until
from tests.e2e.support.servers import Pybootd

SIZES = (0, 1, 511, 512, 513, 1468, 1468 * 7, 1_000_000)
PAST_ROLLOVER = 40_000_000
"""Bytes: 78125 blocks of 512."""

Get = Callable[[str, str, Path], Sequence[str | Path]]

GET: dict[str, Get] = {
    "atftp": lambda server, name, to: ("atftp", "--get", "-r", name, "-l", to, server),
    "atftp, blocks of 1468": lambda server, name, to: (
        *("atftp", "--option", "blksize 1468", "--option", "tsize 0"),
        *("--get", "-r", name, "-l", to, server),
    ),
    "atftp, windows": lambda server, name, to: (
        *("atftp", "--option", "blksize 1428", "--option", "windowsize 16"),
        *("--get", "-r", name, "-l", to, server),
    ),
    "tftp-hpa": lambda server, name, to: ("tftp", "-m", "binary", server, "-c", "get", name, to),
    "BusyBox": lambda server, name, to: ("busybox", "tftp", "-g", "-r", name, "-l", to, server),
    "BusyBox, blocks of 1428": lambda server, name, to: (
        *("busybox", "tftp", "-b", "1428", "-g", "-r", name, "-l", to, server),
    ),
    "curl": lambda server, name, to: ("curl", "-sS", "-o", to, f"tftp://{server}/{name}"),
    "curl, blocks of 1400": lambda server, name, to: (
        *("curl", "-sS", "--tftp-blksize", "1400", "-o", to, f"tftp://{server}/{name}"),
    ),
    "curl, no options": lambda server, name, to: (
        *("curl", "-sS", "--tftp-no-options", "-o", to, f"tftp://{server}/{name}"),
    ),
}

PUT: dict[str, Get] = {
    "atftp": lambda server, name, source: ("atftp", "--put", "-r", name, "-l", source, server),
    "tftp-hpa": lambda server, name, source: ("tftp", "-m", "binary", server, "-c", "put", source, name),
    "BusyBox": lambda server, name, source: ("busybox", "tftp", "-p", "-r", name, "-l", source, server),
    "curl": lambda server, name, source: ("curl", "-sS", "-T", source, f"tftp://{server}/{name}"),
}


class TftpTestCase(EndToEndTestCase):
    """A daemon that serves TFTP only, and a host beside it."""

    needs = ("atftp", "tftp", "busybox", "curl")

    def setUp(self) -> None:
        """Build both."""
        super().setUp()
        self.root = self.lab.directory("root")
        self.directory = self.lab.directory("daemon")
        self.client = self.lab.segment.host("10.77.0.50/24")
        self.place = self.lab.directory("client")

    def serve(self, **tftpd: object) -> None:
        """Start the daemon; C{tftpd} is further options of that section."""
        configuration = {"tftpd": {"root": self.root, **tftpd}}
        self.pybootd = Pybootd(self.lab.server, self.directory, configuration, "-t", ports=[("udp", 69)])

    def write(self, size: int) -> str:
        """A file of that size with something to tell apart at each place."""
        name = f"file{size}"
        pieces = (hashlib.sha256(b"%d" % at).digest() for at in range(0, size, 32))
        (self.root / name).write_bytes(b"".join(pieces)[:size])
        return name

    def fetch(self, client: str, name: str, *, server: str = "10.77.0.1", timeout: float = 60) -> None:
        """Fetch a file, which must arrive whole."""
        to = self.place / "fetched"
        to.unlink(missing_ok=True)
        done = self.client.run(*GET[client](server, name, to), timeout=timeout, directory=self.place)
        self.assertTrue(to.exists(), f"{client}: {name}: {done.stdout}{done.stderr}")
        whole = to.read_bytes() == (self.root / name).read_bytes()
        self.assertTrue(whole, f"{client}: {name}: {to.stat().st_size} bytes, others than there are")

    def script(self, text: str) -> object:
        """Run a Python script on the client's host; what it prints is read as JSON."""
        prelude = (
            "import json, socket, time\n"
            "def sock(address='10.77.0.50', port=0):\n"
            "    s = socket.socket(type=socket.SOCK_DGRAM); s.bind((address, port)); s.settimeout(2); return s\n"
            "def hear(s):\n"
            "    try:\n"
            "        data, source = s.recvfrom(65536)\n"
            "    except TimeoutError:\n"
            "        return None, None\n"
            "    return data, source\n"
        )
        done = self.client.run(sys.executable, "-c", prelude + text, timeout=60)
        return json.loads(done.stdout)


class DownloadTests(TftpTestCase):
    """Files out."""

    def test_sizes(self) -> None:
        """Every client gets files of every size, around blocks and empty ones."""
        self.serve()
        names = [self.write(size) for size in SIZES]
        for client in GET:
            for name in names:
                if name == "file0" and client.startswith("curl"):
                    continue  # curl makes no file of nothing
                self.fetch(client, name)
        until(lambda: "10.77.0.50 has file513: 513 bytes by TFTP" in self.pybootd.log, 60, "the log tells of it")

    def test_rollover(self) -> None:
        """More than 65535 blocks, with each client's own idea of them."""
        self.serve()
        name = self.write(PAST_ROLLOVER)
        for client in ("atftp", "tftp-hpa", "BusyBox", "curl, no options", "atftp, windows"):
            self.fetch(client, name, timeout=120)

    def test_single_port(self) -> None:
        """With single_port everything comes from port 69, and every client is content with it."""
        self.serve(single_port=True)
        names = [self.write(size) for size in (1, 512, 1_000_000)]
        for client in GET:
            for name in names:
                self.fetch(client, name)
        answer = self.script(
            "s = sock(); s.sendto(b'\\0\\1file1\\0octet\\0', ('10.77.0.1', 69)); data, source = hear(s)\n"
            "s.sendto(b'\\0\\4\\0\\1', source); print(json.dumps([data.hex(), source]))"
        )
        self.assertEqual(answer[1], ["10.77.0.1", 69])

    def test_netascii(self) -> None:
        """A Unix text becomes netascii on the wire, and a text again at the client."""
        self.serve()
        (self.root / "text").write_text("one\ntwo\n" * 500)
        to = self.place / "text"
        self.client.run("tftp", "-m", "netascii", "10.77.0.1", "-c", "get", "text", to)
        self.assertEqual(to.read_text(), "one\ntwo\n" * 500)

    def test_missing(self) -> None:
        """Each client says at once that there is no such file."""
        self.serve()
        for client in ("atftp", "tftp-hpa", "BusyBox", "curl"):
            done = self.client.run(*GET[client]("10.77.0.1", "nothing", self.place / "x"), check=False, timeout=20)
            self.assertRegex((done.stdout + done.stderr).lower(), r"no such file|not found|curl: \(68\)", client)

    def test_paths(self) -> None:
        """Firmware's ways of writing a path lead to the file; ways out of the root lead nowhere."""
        self.serve()
        (self.root / "boot").mkdir()
        (self.root / "boot" / "bcd").write_text("content")
        answers = self.script(
            "answers = []\n"
            "inside = (b'boot/bcd', b'/boot/bcd', b'\\\\boot\\\\bcd', b'boot//bcd')\n"
            "for name in (*inside, b'../../etc/passwd', b'/etc/passwd'):\n"
            "    s = sock(); s.sendto(b'\\0\\1' + name + b'\\0octet\\0', ('10.77.0.1', 69)); data, source = hear(s)\n"
            "    s.sendto(b'\\0\\4\\0\\1', source); answers.append(data[:4].hex())\n"
            "print(json.dumps(answers))"
        )
        self.assertEqual(answers, ["00030001"] * 4 + ["00050001"] * 2)


class WireTests(TftpTestCase):
    """What the RFCs say of ports, addresses and mistakes."""

    def test_second_address(self) -> None:
        """The answer comes from the address that was asked, from a fresh port; refusals too."""
        self.lab.server.ip("addr", "add", "10.77.0.2/24", "dev", "br0")
        self.serve()
        self.write(1)
        answers = self.script(
            "answers = []\n"
            "for name in (b'file1', b'nothing'):\n"
            "    s = sock(); s.sendto(b'\\0\\1' + name + b'\\0octet\\0', ('10.77.0.2', 69)); data, source = hear(s)\n"
            "    s.sendto(b'\\0\\4\\0\\1', source); answers.append(source)\n"
            "print(json.dumps(answers))"
        )
        self.assertEqual([address for address, _ in answers], ["10.77.0.2"] * 2)
        self.assertNotEqual(answers[0][1], 69)

    def test_stranger(self) -> None:
        """Another host, and another port of the same one, are told ERROR 5; the transfer goes on."""
        self.client.ip("addr", "add", "10.77.0.51/24", "dev", "eth0")
        self.serve()
        self.write(1_000_000)
        answers = self.script(
            "s = sock(); s.sendto(b'\\0\\1file1000000\\0octet\\0', ('10.77.0.1', 69)); data, source = hear(s)\n"
            "answers = []\n"
            "for stranger in (sock('10.77.0.51'), sock()):\n"
            "    stranger.sendto(b'\\0\\4\\0\\1', source); answers.append(hear(stranger)[0][:4].hex())\n"
            "s.sendto(b'\\0\\4\\0\\1', source); answers.append(hear(s)[0][:4].hex())\n"
            "s.sendto(b'\\0\\5\\0\\0\\0', source); print(json.dumps(answers))"
        )
        self.assertEqual(answers, ["00050005", "00050005", "00030002"])

    def test_repeated_request(self) -> None:
        """Twenty copies of a request begin one transfer."""
        self.serve()
        self.write(1_000_000)
        ports = self.script(
            "s = sock(); s.settimeout(0.5)\n"
            "for _ in range(20): s.sendto(b'\\0\\1file1000000\\0octet\\0', ('10.77.0.1', 69))\n"
            "ports = set()\n"
            "while (answer := hear(s))[0]: ports.add(answer[1][1])\n"
            "print(json.dumps(sorted(ports)))"
        )
        self.assertEqual(len(ports), 1)

    def test_silent_clients(self) -> None:
        """Twelve hundred clients that ask and vanish keep nobody waiting."""
        self.serve()
        name = self.write(1_000_000)
        self.script(
            "keep = []\n"
            "for number in range(1200):\n"
            "    s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('10.77.0.50', 20000 + number))\n"
            "    s.sendto(b'\\0\\1file1000000\\0octet\\0', ('10.77.0.1', 69)); s.close()\n"
            "print(1)"
        )
        self.fetch("atftp, blocks of 1468", name, timeout=15)


class UploadTests(TftpTestCase):
    """Files in."""

    def test_refused(self) -> None:
        """Unless a directory is named, nobody may write anything."""
        self.serve()
        source = self.place / "source"
        source.write_text("x")
        for client, put in PUT.items():
            self.client.run(*put("10.77.0.1", "evil", source), check=False, timeout=20)
            self.assertEqual(list(self.root.iterdir()), [], client)

    def test_taken(self) -> None:
        """With a directory, every client's new files arrive whole, and none is written over."""
        uploads = self.lab.directory("uploads")
        self.serve(upload=uploads)
        source = self.place / "source"
        for size in (0, 512, 100_000):
            content = bytes(index * 7 & 0xFF for index in range(size))
            source.write_bytes(content)
            for number, (client, put) in enumerate(PUT.items()):
                name = f"from{number}-{size}"
                self.client.run(*put("10.77.0.1", name, source), check=size > 0, timeout=30)
                until((uploads / name).exists, 60, f"{client}: a file of {size} bytes")
                self.assertEqual((uploads / name).read_bytes(), content, client)
        source.write_text("other")
        self.client.run(*PUT["curl"]("10.77.0.1", "from0-512", source), check=False, timeout=30)
        self.assertEqual((uploads / "from0-512").stat().st_size, 512)
