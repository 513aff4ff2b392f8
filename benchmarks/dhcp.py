"""
DHCP side by side: pybootd, Kea (memfile), dnsmasq and ISC dhcpd, in one interleaved run.

    sudo python -m benchmarks.dhcp [--rounds 3] [--leases 100,10000,60000] [--exchanges 4000] [--only pybootd,kea]

Each server starts with so many leases on record, on one core; a load on the other core drives machines through
DISCOVER, OFFER, REQUEST, ACK, 32 at a time: first machines the server has never seen, then the same ones again.
Needs root, gcc, and the peers (Debian: C{kea-dhcp4-server dnsmasq-base isc-dhcp-server}); a peer that is not
installed is left out and said so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

from attrs import frozen
from twisted.internet.defer import maybeDeferred

from benchmarks.lab import CLIENT_ADDRESS, SERVER_ADDRESS, Lab, Process, lab, machine, median, table
from pybootd.leases.lease import Claim, Lease, State
from pybootd.leases.sqlite import SqliteStore

POOL = IPv4Address("10.91.1.0")
SIZE = 64_000
NEW = 0x01000000
"""Where the numbers of unknown machines begin; machines on record count from 0."""


def mac(number: int) -> str:
    """The hardware address of a machine of the load."""
    return ":".join(f"{byte:02x}" for byte in b"\x02\x50" + number.to_bytes(4, "big"))


@frozen
class Server:
    """One competitor: how it is set up with so many leases, and started."""

    name: str
    program: str
    prepare: Callable[[Path, int], list[str]]


def kea(scratch: Path, leases: int) -> list[str]:
    """Kea with a memfile that is written through."""
    now = int(time.time())
    rows = ["address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context"]
    rows += [f"{POOL + i},{mac(i)},,86400,{now + 80000},1,0,0,,0," for i in range(leases)]
    (scratch / "kea.csv").write_text("\n".join(rows) + "\n")
    config = {
        "Dhcp4": {
            "interfaces-config": {"interfaces": ["eth0"], "dhcp-socket-type": "raw"},
            "lease-database": {"type": "memfile", "persist": True, "name": str(scratch / "kea.csv"), "lfc-interval": 0},
            "valid-lifetime": 86400,
            "multi-threading": {"enable-multi-threading": False},
            "subnet4": [
                {
                    "id": 1,
                    "subnet": "10.91.0.0/16",
                    "pools": [{"pool": f"{POOL} - {POOL + SIZE - 1}"}],
                    "option-data": [{"name": "routers", "data": SERVER_ADDRESS}],
                }
            ],
            "loggers": [{"name": "kea-dhcp4", "severity": "WARN", "output_options": [{"output": "stderr"}]}],
        }
    }
    (scratch / "kea.json").write_text(json.dumps(config))
    return [
        "env",
        f"KEA_PIDFILE_DIR={scratch}",
        f"KEA_LOCKFILE_DIR={scratch}",
        "kea-dhcp4",
        "-c",
        str(scratch / "kea.json"),
    ]


def dnsmasq(scratch: Path, leases: int) -> list[str]:
    """dnsmasq, its lease file as it is by default."""
    expires = int(time.time()) + 80000
    (scratch / "dnsmasq.leases").write_text("".join(f"{expires} {mac(i)} {POOL + i} * *\n" for i in range(leases)))
    return [
        *("dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--user=root", "--no-ping", "--interface=eth0"),
        f"--dhcp-range={POOL},{POOL + SIZE - 1},255.255.0.0,24h",
        f"--dhcp-leasefile={scratch / 'dnsmasq.leases'}",
        f"--dhcp-lease-max={SIZE + 1000}",
        f"--pid-file={scratch / 'dnsmasq.pid'}",
        "--quiet-dhcp",
    ]


def dhcpd(scratch: Path, leases: int) -> list[str]:
    """ISC dhcpd."""
    ends = time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime(time.time() + 80000))
    (scratch / "dhcpd.leases").write_text(
        "".join(
            f"lease {POOL + i} {{\n starts 2 2024/01/02 00:00:00;\n ends 2 {ends};\n binding state active;\n"
            f" hardware ethernet {mac(i)};\n}}\n"
            for i in range(leases)
        )
    )
    (scratch / "dhcpd.conf").write_text(
        "authoritative; ping-check false; default-lease-time 86400; max-lease-time 86400;\n"
        f"subnet 10.91.0.0 netmask 255.255.0.0 {{ range {POOL} {POOL + SIZE - 1}; option routers {SERVER_ADDRESS}; }}\n"
    )
    return [
        *("dhcpd", "-4", "-f", "-q", "-cf", str(scratch / "dhcpd.conf"), "-lf", str(scratch / "dhcpd.leases")),
        *("-pf", str(scratch / "dhcpd.pid"), "eth0"),
    ]


def pybootd(scratch: Path, leases: int) -> list[str]:
    """pybootd with its durable SQLite store, access open, log at info, events on."""
    expires = time.time() + 80000
    store = SqliteStore(scratch / "pybootd.leases", maybeDeferred)
    store.open()
    rows = ((int(POOL + i), bytes.fromhex(mac(i).replace(":", ""))) for i in range(leases))
    store.commit([Claim(Lease(address, key, State.BOUND, expires), fresh=True) for address, key in rows])
    store.close()
    (scratch / "pybootd.ini").write_text(
        "[logger]\ntype = file\nfile = ./pybootd.log\n"
        "[bootpd]\nallow_simple_dhcp = yes\nconflict_check = 0\n"
        f"pool_start = {POOL}\npool_count = {SIZE}\n"
        "[leases]\nstore = sqlite:./pybootd.leases\n"
        "[bootfile]\ndefault = pxelinux.0\n"
    )
    return [sys.executable, "-m", "pybootd", "-p", "-c", str(scratch / "pybootd.ini")]


SERVERS = (
    Server("pybootd", sys.executable, pybootd),
    Server("kea", "kea-dhcp4", kea),
    Server("dnsmasq", "dnsmasq", dnsmasq),
    Server("dhcpd", "dhcpd", dhcpd),
)


@frozen
class Result:
    """One server, one number of leases, one round."""

    start: float
    memory: float
    new: dict[str, float]
    new_cpu: float
    known: dict[str, float]
    known_cpu: float


def load(place: Lab, binary: Path, first: int, count: int) -> dict[str, float]:
    """One load, to its end."""
    done = place.inside(str(binary), "eth0", str(first), str(count), "32", timeout=90)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return dict(json.loads(done.stdout))


def measure(place: Lab, binary: Path, server: Server, leases: int, exchanges: int) -> Result:
    """Start, load with unknown machines, load with known ones, stop."""
    scratch = place.scratch / f"{server.name}-{leases}-{time.monotonic_ns()}"
    scratch.mkdir()
    command = server.prepare(scratch, leases)
    process: Process = place.start(server.name, ["env", "-C", str(scratch), *command])
    try:
        start = ready(place, process, binary)
        costs: list[float] = []
        loads: list[dict[str, float]] = []
        for _ in range(2):
            before = process.cpu()
            loads.append(load(place, binary, NEW, exchanges))
            costs.append((process.cpu() - before) / max(loads[-1]["completed"], 1) * 1e6)
        return Result(start, process.memory(), loads[0], costs[0], loads[1], costs[1])
    finally:
        process.stop()


def ready(place: Lab, process: Process, binary: Path) -> float:
    """Seconds until the first exchange succeeds."""
    begin = time.monotonic()
    while time.monotonic() - begin < 60:
        if process.popen.poll() is not None:
            raise RuntimeError(f"{process.name} ended: {process.log.read_text(errors='replace')[-2000:]}")
        done = place.inside("timeout", "0.15", str(binary), "eth0", str(NEW - 1), "1", "1")
        if done.returncode == 0 and json.loads(done.stdout)["completed"]:
            return time.monotonic() - begin
    raise RuntimeError(f"{process.name} does not answer: {process.log.read_text(errors='replace')[-2000:]}")


def main() -> None:
    """Run, and print one table for each number of leases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--leases", default="100,10000,60000")
    parser.add_argument("--exchanges", type=int, default=4000, help="for pybootd and Kea; slower peers do a tenth")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    chosen = [s for s in SERVERS if (not options.only or s.name in options.only.split(",")) and shutil.which(s.program)]
    for server in SERVERS:
        if not shutil.which(server.program):
            print(f"{server.name} is not installed: left out", file=sys.stderr)
    print(machine())
    with lab() as place:
        binary = place.scratch / "dhcpload"
        subprocess.run(["gcc", "-O2", "-o", str(binary), str(Path(__file__).with_name("dhcpload.c"))], check=True)
        for leases in map(int, options.leases.split(",")):
            results: dict[str, list[Result]] = {server.name: [] for server in chosen}
            for _ in range(options.rounds):
                for server in chosen:
                    count = options.exchanges if server.name in ("pybootd", "kea") else options.exchanges // 10
                    results[server.name].append(measure(place, binary, server, leases, min(count, SIZE - leases - 10)))
            print(f"\n{leases} leases on record, median of {options.rounds}, {CLIENT_ADDRESS} asks {SERVER_ADDRESS}\n")
            print(report(results))


def report(results: dict[str, list[Result]]) -> str:
    """The table."""
    reference = median([r.new["rate"] for r in results["kea"]]) if results.get("kea") else float("nan")
    rows = []
    for name, runs in results.items():
        new = median([r.new["rate"] for r in runs])
        rows.append(
            [
                name,
                f"{new:.0f}",
                f"{new / reference:.2f}",
                f"{median([r.known['rate'] for r in runs]):.0f}",
                f"{median([r.new_cpu for r in runs]):.0f}, {median([r.known_cpu for r in runs]):.0f}",
                f"{median([r.new['offer_p50'] for r in runs]):.2f} / {median([r.new['offer_p99'] for r in runs]):.2f}",
                f"{median([r.new['ack_p50'] for r in runs]):.2f} / {median([r.new['ack_p99'] for r in runs]):.2f}",
                f"{median([r.start for r in runs]):.2f}",
                f"{median([r.memory for r in runs]):.0f}",
                f"{sum(r.new['failed'] + r.known['failed'] for r in runs):.0f}",
            ]
        )
    header = ["server", "new/s", "to kea", "known/s", "CPU us (new, known)", "OFFER p50/p99 ms", "ACK p50/p99 ms"]
    return table([*header, "start s", "MB", "failed"], rows)


if __name__ == "__main__":
    main()
