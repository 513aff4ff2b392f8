"""Who has a port: C{/proc}, made up."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from pybootd.net.holders import Holder, holders, taken

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = "   0: 00000000:{:04X} 00000000:0000 {} 00000000:00000000 00:00000000 00000000     0        0 {} 2 0\n"


class HoldersTests(SynchronousTestCase):
    """Two programs and their sockets."""

    def setUp(self) -> None:
        """dnsmasq has UDP 67 and 69, nginx waits at TCP 80 and talks from TCP 69."""
        self.proc = Path(self.mktemp())
        (self.proc / "net").mkdir(parents=True)
        (self.proc / "net/udp").write_text(HEAD + ROW.format(67, "07", 11) + ROW.format(69, "07", 12))
        (self.proc / "net/tcp").write_text(HEAD + ROW.format(80, "0A", 21) + ROW.format(69, "01", 22))
        self.process(7, "dnsmasq", "/usr/sbin/dnsmasq\0-k\0", 11, 12)
        self.process(12, "nginx", "nginx: master\0", 21, 22)

    def process(self, pid: int, name: str, command: str, *inodes: int) -> None:
        """One program."""
        place = self.proc / str(pid)
        (place / "fd").mkdir(parents=True)
        for number, inode in enumerate(inodes):
            (place / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
        (place / "comm").write_text(name + "\n")
        (place / "cmdline").write_text(command)

    def test_found(self) -> None:
        """By port and protocol; a TCP socket that does not wait for anybody has no port to itself."""
        self.assertEqual([str(one) for one in holders(67, "UDP", self.proc)], ["dnsmasq (pid 7)"])
        self.assertEqual([str(one) for one in holders(80, "TCP", self.proc)], ["nginx (pid 12)"])
        self.assertEqual(holders(69, "TCP", self.proc), [])
        self.assertEqual(holders(68, "UDP", self.proc), [])

    def test_hidden(self) -> None:
        """A socket whose program may not be seen is known to be there."""
        (self.proc / "net/udp6").write_text(HEAD + ROW.format(4011, "07", 99))
        self.assertEqual(holders(4011, "UDP", self.proc), [])
        self.assertEqual(taken(4011, "UDP", self.proc), {"socket:[99]"})

    def test_several(self) -> None:
        """Programs that share a port."""
        self.process(9, "dnsmasq", "dnsmasq\0", 11)
        self.assertEqual([one.pid for one in holders(67, "UDP", self.proc)], [7, 9])

    def test_own(self) -> None:
        """Our own daemons, however they were started."""
        for command in (
            "/usr/bin/python3 -m pybootd -c x",
            "/opt/bin/python /opt/bin/pybootd",
            "twistd -n pybootd -c y",
        ):
            self.assertTrue(Holder(1, "x", tuple(command.split())).is_pybootd, command)
        for command in (
            "vi /etc/pybootd.ini",
            "dnsmasq -C /etc/pybootd",
            "python3 -m http.server pybootd",
            "twistd web",
        ):
            self.assertFalse(Holder(1, "x", tuple(command.split())).is_pybootd, command)
