"""
DHCP side by side: pybootd, Kea (memfile), dnsmasq and ISC dhcpd, in one interleaved run.

    sudo python -m benchmarks.dhcp [--rounds 3] [--leases 100] [--exchanges 10000] [--only pybootd,kea] [--write]

Each server starts with so many leases on record, on one core; a load on the other core drives machines through
DISCOVER, OFFER, REQUEST, ACK: first machines the server has never seen, 32 at a time; then the same ones
again; then 500 more that begin one after another, 500 in a second; then 1000 more that all begin at once.
Needs root, gcc, and the peers (Debian: C{kea-dhcp4-server dnsmasq-base isc-dhcp-server}); a peer that is not
installed is left out and said so.  C{--write} puts tables and plots into docs/performance.rst.
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

from benchmarks import report
from benchmarks.lab import SERVER_ADDRESS, Lab, Process, lab, machine, median, table
from pybootd.leases.lease import Claim, Lease, State
from pybootd.leases.sqlite import SqliteStore

POOL = IPv4Address("10.91.1.0")
SIZE = 64_000
NEW = 0x01000000
"""Where the numbers of unknown machines begin; machines on record count from 0."""

STARTS = 180
"""Seconds, at most, until a server answers for the first time; dnsmasq takes half a minute to read 60 000 leases."""

PATIENCE = 0.03
"""Seconds for the first exchange, before it is tried anew: the start is measured as exactly as that."""

SECONDS = 4
"""For one load; slow servers see fewer machines."""

PACED, RATE = 500, 500
"""Machines that begin one after another, and how many in a second."""

STORM = 1000
"""Machines that begin at once."""


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
    """pybootd with its durable SQLite store, with so many leases in it."""
    expires = time.time() + 80000
    store = SqliteStore(scratch / "pybootd.leases", maybeDeferred)
    store.open()
    rows = ((int(POOL + i), bytes.fromhex(mac(i).replace(":", ""))) for i in range(leases))
    store.commit([Claim(Lease(address, key, State.BOUND, expires), fresh=True) for address, key in rows])
    store.close()
    return daemon(scratch, "sqlite:./pybootd.leases", "-p")


def daemon(scratch: Path, store: str, *flags: str) -> list[str]:
    """pybootd, access open, log at info, events on."""
    (scratch / "pybootd.ini").write_text(
        "[logger]\ntype = file\nfile = ./pybootd.log\n"
        "[bootpd]\nallow_simple_dhcp = yes\nconflict_check = 0\n"
        f"pool_start = {POOL}\npool_count = {SIZE}\n"
        f"[leases]\nstore = {store}\n"
        "[bootfile]\ndefault = pxelinux.0\n"
        "[tftpd]\nroot = ./root\n"
    )
    (scratch / "root").mkdir()
    return [sys.executable, "-m", "pybootd", *flags, "-c", str(scratch / "pybootd.ini")]


SERVERS = (
    Server("pybootd", sys.executable, pybootd),
    Server("kea", "kea-dhcp4", kea),
    Server("dnsmasq", "dnsmasq", dnsmasq),
    Server("dhcpd", "dhcpd", dhcpd),
)


@frozen
class Load:
    """What one load saw, in milliseconds where it is about time, and what it cost the server."""

    rate: float
    cpu: float
    """Microseconds for each exchange."""
    offer: tuple[float, float]
    """Until the OFFER: the median, and the 99th percentile."""
    ack: tuple[float, float]
    last: float
    """Until the last ACK."""
    again: int
    """Messages that were sent again, for no answer came within a second."""
    failed: int


@frozen
class Result:
    """One server, one number of leases, one round."""

    start: float
    memory: float
    new: Load
    known: Load
    paced: Load
    storm: Load


def load(place: Lab, binary: Path, process: Process, first: int, count: int, *words: int) -> Load:
    """One load, to its end.  C{words}: how many at a time, for how many seconds, how many in a second."""
    before = process.cpu()
    done = place.inside(str(binary), "eth0", *map(str, (first, count, *words)), timeout=90)
    if done.returncode:
        raise RuntimeError(done.stderr)
    seen = json.loads(done.stdout)
    return Load(
        seen["rate"],
        (process.cpu() - before) / max(seen["completed"], 1) * 1e6,
        (seen["offer_p50"], seen["offer_p99"]),
        (seen["ack_p50"], seen["ack_p99"]),
        seen["last"] * 1e3,
        seen["again"],
        seen["failed"] + seen["naks"],
    )


def measure(place: Lab, binary: Path, server: Server, leases: int, exchanges: int) -> Result:
    """Start, one load after another, stop."""
    scratch = place.scratch / f"{server.name}-{leases}-{time.monotonic_ns()}"
    scratch.mkdir()
    command = server.prepare(scratch, leases)
    process: Process = place.start(server.name, ["env", "-C", str(scratch), *command])
    try:
        start = ready(place, process, binary)
        count = min(exchanges, SIZE - leases - PACED - STORM - 10)
        new = load(place, binary, process, NEW, count, 32, SECONDS)
        known = load(place, binary, process, NEW, max(1, int(new.rate * new.last / 1e3) - 32), 32, SECONDS)
        paced = load(place, binary, process, 2 * NEW, PACED, PACED, SECONDS, RATE)
        storm = load(place, binary, process, 3 * NEW, STORM, STORM, SECONDS)
        return Result(start, process.memory(), new, known, paced, storm)
    finally:
        process.stop()


def ready(place: Lab, process: Process, binary: Path) -> float:
    """Seconds until the first exchange succeeds; a slow server is given ever more time for one."""
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < STARTS:
        if process.popen.poll() is not None:
            raise RuntimeError(f"{process.name} ended: {process.log.read_text(errors='replace')[-2000:]}")
        patience = max(PATIENCE, passed / 10)
        done = place.inside("timeout", f"{patience:.2f}", str(binary), "eth0", str(NEW - 1), "1", "1")
        if done.returncode == 0 and json.loads(done.stdout)["completed"]:
            return time.monotonic() - begin
    raise RuntimeError(f"{process.name} does not answer: {process.log.read_text(errors='replace')[-2000:]}")


def main() -> None:
    """Run, and print the tables for each number of leases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--leases", default="100")
    parser.add_argument("--exchanges", type=int, default=10000, help="machines in a load, at most")
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true", help="into docs/performance.rst")
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
                    results[server.name].append(measure(place, binary, server, leases, options.exchanges))
            shown = f"{leases} leases on record, medians of {options.rounds} rounds:\n\n{tables(results)}"
            print(f"\n{shown}")
            if options.write:
                title = plot(f"dhcp-{leases}", results)
                report.put(f"dhcp-{leases}", f"{report.heading('benchmarks.dhcp')}\n\n{shown}", title)


def rates(results: dict[str, list[Result]], name: str, which: str) -> list[float]:
    """Exchanges in a second, of each round."""
    return [getattr(one, which).rate for one in results.get(name, [])]


def tables(results: dict[str, list[Result]]) -> str:
    """One of throughput and cost, one of how long machines wait."""
    rows, waits = [], []
    for name, runs in results.items():
        costs = [report.spread([getattr(one, which).cpu for one in runs]) for which in ("new", "known")]
        rows.append(
            [
                name,
                *(f"{median(rates(results, name, which)):.0f}" for which in ("new", "known")),
                *(
                    report.text(report.ratios(rates(results, name, which), rates(results, "kea", which)))
                    for which in ("new", "known")
                ),
                *(report.text(cost, 0) for cost in costs),
                f"{median([one.start for one in runs]):.2f}",
                f"{median([one.memory for one in runs]):.0f}",
                str(sum(one.new.failed + one.known.failed for one in runs)),
            ]
        )
        waits.append(
            [name, *(waited([getattr(one, which) for one in runs]) for which in ("new", "paced")), *last(runs)]
        )
    costs_of = table(
        [
            "server",
            "new/s",
            "known/s",
            "new, to Kea",
            "known, to Kea",
            "CPU us, new",
            "known",
            "start s",
            "MB",
            "failed",
        ],
        rows,
    )
    waits_of = table(
        [
            "server",
            "32 at a time: OFFER; ACK p50/p99 ms",
            f"{RATE} in a second: OFFER; ACK p50/p99 ms",
            f"{STORM} at once: last ACK ms",
            "messages sent again",
        ],
        waits,
    )
    return f"{costs_of}\n\n{waits_of}"


def waited(loads: list[Load]) -> str:
    """How long for an OFFER, and for an ACK."""
    offer, ack = ([median([getattr(one, what)[part] for one in loads]) for part in (0, 1)] for what in ("offer", "ack"))
    return f"{offer[0]:.2f} / {offer[1]:.2f}; {ack[0]:.2f} / {ack[1]:.2f}"


def last(runs: list[Result]) -> list[str]:
    """How many machines of the storm had an ACK in the end, and when the last."""
    again = median([one.storm.again for one in runs])
    return [f"{median([one.storm.last for one in runs]):.0f}", f"{again:.0f}"]


def plot(name: str, results: dict[str, list[Result]]) -> str:
    """Rates, as ratios to Kea's."""
    cases = {"machines never seen": "new", "machines seen before": "known"}
    series = {
        server: [report.ratios(rates(results, server, which), rates(results, "kea", which)) for which in cases.values()]
        for server in results
    }
    return report.bars(name, "exchanges in a second, to Kea", list(cases), series)


if __name__ == "__main__":
    main()
