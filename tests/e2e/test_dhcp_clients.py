"""The DHCP clients of real systems through their lives: new, renewed, rebooted, released, declined, refused."""

from __future__ import annotations

import signal

from tests.e2e.support.capture import Recorder
from tests.e2e.support.case import EndToEndTestCase
from tests.e2e.support.clients import Client, Dhclient, Dhcpcd, Networkd, Udhcpc
from tests.e2e.support.lab import until
from tests.e2e.support.servers import Configuration, Pybootd

SERVER = "10.77.0.1"
POOL = [f"10.77.0.{number}" for number in range(100, 110)]


class ClientTestCase(EndToEndTestCase):
    """pybootd for operating systems, and a recorder on the client's own interface."""

    needs = ("tshark",)

    def serve(self, sections: Configuration | None = None) -> None:
        """Start a pybootd that serves everybody; C{sections} has more options."""
        configuration: dict[str, dict[str, object]] = {
            "bootpd": {
                "pool_start": POOL[0],
                "pool_count": len(POOL),
                "allow_simple_dhcp": True,
                "dns": "10.77.0.1;10.77.0.53",
                "domain": "example.org",
                "gateway": "10.77.0.254",
                "lease_time": 7200,
            },
        }
        for section, options in (sections or {}).items():
            configuration.setdefault(section, {}).update(options)
        directory = self.lab.directory("daemon")
        self.pybootd = Pybootd(self.lab.server, directory, configuration, "-p", ports=[("udp", 67)])

    def watch(self, client: Client) -> Recorder:
        """Record what passes the client's interface; at the end, nothing of the server's may be wrong in it."""
        recorder = Recorder(client.host, "eth0", client.place / "capture.pcap")
        self.addCleanup(lambda: self.assertEqual(recorder.complaints(SERVER), []))
        return recorder

    def mac(self, client: Client) -> str:
        """The client's hardware address."""
        return client.host.ip("-br", "link", "show", "dev", "eth0").split()[2]


class DhclientTests(ClientTestCase):
    """ISC's client, which Debian's ifupdown uses."""

    needs = ("tshark", "dhclient")

    def client(self) -> Dhclient:
        """A new host."""
        return Dhclient(self.lab, self.lab.segment.host())

    def test_options(self) -> None:
        """A new client is told everything that the configuration says."""
        self.serve()
        client = self.client()
        self.watch(client)
        client.obtain()
        told = client.told[-1]
        self.assertIn(client.address, POOL)
        expected = {
            "reason": "BOUND",
            "new_ip_address": client.address,
            "new_subnet_mask": "255.255.255.0",
            "new_broadcast_address": "10.77.0.255",
            "new_routers": "10.77.0.254",
            "new_domain_name": "example.org",
            "new_domain_name_servers": "10.77.0.1 10.77.0.53",
            "new_dhcp_server_identifier": SERVER,
            "new_dhcp_lease_time": "7200",
            "new_dhcp_renewal_time": "3600",
            "new_dhcp_rebinding_time": "6300",
        }
        self.assertEqual({name: told.get(name) for name in expected}, expected)

    def test_reboot(self) -> None:
        """A client that comes back with its lease is confirmed at once, without a DISCOVER."""
        self.serve()
        client = self.client()
        client.obtain()
        address = client.address
        client.stop()
        recorder = self.watch(client)
        client.obtain()
        self.assertEqual((client.address, client.told[-1]["reason"]), (address, "REBOOT"))
        kinds = [reply.kind for reply in recorder.dhcp()]
        self.assertEqual((kinds[-2:], "DISCOVER" in kinds), (["REQUEST", "ACK"], False), kinds)

    def test_wrong_network(self) -> None:
        """A client that comes from another network with its lease gets a NAK, and a right address."""
        self.serve()
        client = self.client()
        client.believe("192.168.5.5")
        recorder = self.watch(client)
        client.obtain()
        self.assertIn(client.address, POOL)
        self.assertEqual([reply.kind for reply in recorder.dhcp()][:2], ["REQUEST", "NAK"])

    def test_unknown_lease(self) -> None:
        """An authoritative server refuses the lease of an address that it keeps for another machine."""
        self.serve()
        first, second = self.client(), self.client()
        first.obtain()
        second.believe(first.address)
        recorder = self.watch(second)
        second.obtain()
        self.assertNotIn(second.address, ("", first.address))
        self.assertIn("NAK", [reply.kind for reply in recorder.dhcp()])

    def test_release(self) -> None:
        """An address that was given back stays its machine's: by default it never goes to another one."""
        self.serve()
        client, other = self.client(), self.client()
        client.obtain()
        address = client.address
        client.release()
        self.pybootd.program.expect(f"(?i){self.mac(client)}.*released")
        other.obtain()
        self.assertNotIn(other.address, ("", address))
        client.obtain()
        self.assertEqual(client.address, address)

    def test_restart(self) -> None:
        """After a restart of the daemon every machine has the address that it had."""
        self.serve()
        clients = [self.client() for _ in range(3)]
        before = []
        for client in clients:
            client.obtain()
            before.append(client.address)
            client.stop()
        self.assertEqual(len({*before}), 3)
        self.pybootd.restart()
        for client in reversed(clients):
            (client.place / "leases").unlink()
            client.obtain()
        self.assertEqual([client.address for client in clients], before)

    def test_static_address(self) -> None:
        """C{[static_dhcp]} gives a machine its own address, outside the pool, and everybody else from the pool."""
        client = self.client()
        self.serve({"static_dhcp": {self.mac(client).replace(":", "-"): "10.77.0.77"}})
        client.obtain()
        self.assertEqual(client.address, "10.77.0.77")
        other = self.client()
        other.obtain()
        self.assertIn(other.address, POOL)


class UdhcpcTests(ClientTestCase):
    """busybox' client, which initial file systems and small devices use."""

    needs = ("tshark", "udhcpc")

    def client(self) -> Udhcpc:
        """A new host."""
        return Udhcpc(self.lab, self.lab.segment.host())

    def test_life(self) -> None:
        """New, renewed by unicast, released."""
        self.serve()
        client = self.client()
        recorder = self.watch(client)
        program = client.start("-T", "20")  # each message is to be sent once, however late the answer is
        address = program.expect("lease of ([0-9.]+)")[1]
        until(lambda: client.address == address, 60, "its script has run")
        program.signal(signal.SIGUSR1)
        program.expect(f"lease of {address}")
        program.signal(signal.SIGUSR2)
        program.expect("entering released state")
        self.pybootd.program.expect("(?i)released")
        kinds = [reply.kind for reply in recorder.dhcp()]
        self.assertEqual(kinds, ["DISCOVER", "OFFER", "REQUEST", "ACK", "REQUEST", "ACK", "RELEASE"])
        self.assertIn(address, POOL)

    def test_host_name(self) -> None:
        """C{[host]} names a machine and gives it an address; it gets both."""
        client = self.client()
        self.serve({f"host {self.mac(client)}": {"address": "10.77.0.77", "hostname": "builder"}})
        client.obtain("-O", "hostname")
        self.assertEqual((client.address, client.told[-1].get("hostname")), ("10.77.0.77", "builder"))

    def test_simple_dhcp_off(self) -> None:
        """By default a client that never booted from here gets no answer, and the log names the option to change."""
        self.serve({"bootpd": {"allow_simple_dhcp": False}})
        client = self.client()
        self.assertIn("no lease, failing", client.in_vain())
        self.pybootd.program.expect(f"{self.mac(client)}.*allow_simple_dhcp")

    def test_denied(self) -> None:
        """A machine that C{[mac]} blocks gets no answer, and the log names the line that blocks it."""
        client = self.client()
        mac = self.mac(client).replace(":", "-").upper()
        self.serve({"bootpd": {"access": "mac"}, "mac": {mac: "disable", f"{mac[:8]}/24": "enable"}})
        self.assertIn("no lease, failing", client.in_vain())
        self.pybootd.program.expect(rf"{self.mac(client)}.*\[mac\]")

    def test_occupied_address(self) -> None:
        """An address that somebody uses without asking is found by a probe and not given away."""
        self.lab.segment.host(f"{POOL[0]}/24")
        self.serve()
        client = self.client()
        client.obtain("-a")
        self.assertIn(client.address, POOL[1:])
        self.assertEqual(client.address, client.told[-1]["ip"])
        self.pybootd.program.expect(f"(?i){POOL[0]}")

    def test_decline(self) -> None:
        """Where the server does not probe, the client does, and declines: it gets another address."""
        self.lab.segment.host(f"{POOL[0]}/24")
        self.serve({"bootpd": {"conflict_check": 0}})
        client = self.client()
        recorder = self.watch(client)
        client.start("-a", "-A", "1")
        until(lambda: client.address in POOL[1:], 60, "another address")
        self.assertIn("DECLINE", [reply.kind for reply in recorder.dhcp()])
        self.pybootd.program.expect("(?i)declined")

    def test_full_pool(self) -> None:
        """When every address is given away, a new machine gets none, and the log says why."""
        self.serve({"bootpd": {"pool_count": 2}})
        clients = [self.client() for _ in range(2)]
        for client in clients:
            client.obtain()
        self.assertEqual({client.address for client in clients}, {POOL[0], POOL[1]})
        late = self.client()
        self.assertIn("no lease, failing", late.in_vain())
        self.pybootd.program.expect(f"(?i){self.mac(late)}.*(pool|address)")


class DhcpcdTests(ClientTestCase):
    """Roy Marples' client."""

    needs = ("tshark", "dhcpcd")

    def test_life(self) -> None:
        """New, rebound by broadcast, released; the same address all along."""
        self.serve()
        client = Dhcpcd(self.lab, self.lab.segment.host())
        recorder = self.watch(client)
        program = client.start()
        address = program.expect("leased ([0-9.]+) for 7200")[1]
        program.expect("script BOUND")
        client.ask("--rebind")
        program.expect(f"leased {address} for 7200")
        client.ask("--release")
        self.pybootd.program.expect("(?i)released")
        kinds = [reply.kind for reply in recorder.dhcp()]
        self.assertEqual(kinds, ["DISCOVER", "OFFER", "REQUEST", "ACK", "REQUEST", "ACK", "RELEASE"])
        self.assertIn(address, POOL)


class NetworkdTests(ClientTestCase):
    """systemd's."""

    needs = ("tshark", "/lib/systemd/systemd-networkd")

    def test_life(self) -> None:
        """New, renewed when half of the lease is over, started anew, released; the same address all along."""
        self.serve({"bootpd": {"lease_time": 8}})
        client = Networkd(self.lab, self.lab.segment.host())
        recorder = self.watch(client)
        addresses = []
        for _ in range(2):
            program = client.start()
            addresses.append(program.expect(r"DHCPv4 address ([0-9.]+)/24")[1])
            program.expect("REQUEST .renewing.")
            program.expect("DHCPv4 client: ACK")
            program.stop()
        self.assertEqual((len({*addresses}), addresses[0] in POOL), (1, True))
        self.pybootd.program.expect("(?i)released")
        kinds = [reply.kind for reply in recorder.dhcp()]
        self.assertEqual(kinds.count("RELEASE"), 2, kinds)
        self.assertNotIn("NAK", kinds)
