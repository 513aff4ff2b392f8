"""pybootd as a program under test, and the programs it meets: dnsmasq, nginx, ISC's relay agent."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.support.lab import Lab, Namespace, Segment, until
from tests.e2e.support.program import Program, Unexpected

TWISTD = Path(sys.executable).with_name("twistd")
READY = 60
"""Seconds that a server may take until it listens."""

Configuration = Mapping[str, Mapping[str, object]]
"""Section, option, value."""


def ini(sections: Configuration) -> str:
    """A configuration as text; booleans become C{yes} and C{no}."""
    lines: list[str] = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        for name, value in options.items():
            lines.append(f"{name} = {('no', 'yes')[value] if isinstance(value, bool) else value}")
    return "\n".join([*lines, ""])


class Pybootd:
    """
    A pybootd, started and listening.

    @ivar program: its process; what it logs is the program's output.
    @ivar directory: its working directory, which C{./} in the configuration means.
    """

    def __init__(
        self,
        namespace: Namespace,
        directory: Path,
        configuration: Configuration,
        *flags: str,
        ports: Sequence[tuple[str, int]] = (("udp", 67), ("udp", 69)),
        twistd: Sequence[str] | None = None,
        mounts: Mapping[str, Path] | None = None,
        under: Sequence[str | Path] = (),
    ) -> None:
        """
        Write the configuration and start the daemon in the foreground.

        @param flags: further command-line flags, such as C{-H}.
        @param ports: what it will listen on.
        @param twistd: instead of the console script, C{twistd} with these options of its own, C{-n} among them.
        @param mounts: files of the system in whose place it sees others.
        @param under: a command that becomes this one, such as C{env NAME=VALUE}.
        """
        self.directory = directory
        self.configuration = directory / "pybootd.ini"
        self.configuration.write_text(ini(configuration))
        self._namespace = namespace
        self._ports = ports
        self._command = [
            *(["sh", "-c", mounting(mounts), "sh"] if mounts else []),
            *under,
            *command(*flags, configuration=self.configuration, twistd=twistd),
        ]
        self.program = self._start()

    def _start(self) -> Program:
        program = self._namespace.start(*self._command, directory=self.directory)
        ready(self._namespace, program, self._ports)
        return program

    @property
    def log(self) -> str:
        """What it logged so far."""
        return self.program.output

    def restart(self) -> None:
        """Stop it and start it again with what is in its files now."""
        self.program.stop()
        self.program = self._start()


def command(*flags: str, configuration: Path, twistd: Sequence[str] | None = None) -> list[str]:
    """The command line of a daemon in the foreground, under the Python that runs the tests."""
    if twistd is None:
        return [sys.executable, "-m", "pybootd", "-c", str(configuration), *flags]
    return [str(TWISTD), *twistd, "pybootd", "-c", str(configuration), *flags]


def mounting(mounts: Mapping[str, Path]) -> str:
    """A line of shell that puts files in the place of others, for a program in its own mount namespace alone."""
    made = [f"{{ [ -e {place} ] || : >{place}; }} && mount --bind {file} {place}" for place, file in mounts.items()]
    return " && ".join([*made, 'exec "$@"'])


def ready(namespace: Namespace, program: Program, ports: Sequence[tuple[str, int]]) -> None:
    """
    Wait until the program listens on all of these ports.

    @raise Unexpected: it ended, or does not listen in time.
    """

    def listens() -> bool:
        if program.returncode is not None:
            raise Unexpected(f"{program.name} ended with status {program.wait()}:\n{program.output}")
        return all(namespace.listening(*port) for port in ports)

    try:
        until(listens, READY, f"{program.name} listens on {ports}")
    except Unexpected as problem:
        raise Unexpected(f"{problem}\n{program.output}") from None


def dnsmasq(lab: Lab, namespace: Namespace, interface: str, *options: str, dns: bool = False) -> Program:
    """
    A foreign DHCP server.

    @param options: without their leading dashes, such as C{dhcp-range=10.77.0.100,10.77.0.120}.
    """
    place = lab.directory(f"dnsmasq-{namespace.name}")
    common = (
        "keep-in-foreground log-facility=- user=root no-ping no-resolv no-hosts log-dhcp conf-file=/dev/null "
        f"bind-interfaces interface={interface} dhcp-leasefile={place}/leases pid-file={place}/pid"
    )
    program = namespace.start(
        "dnsmasq",
        *(f"--{option}" for option in (*common.split(), *([] if dns else ["port=0"]), *options)),
        directory=place,
    )
    ready(namespace, program, [("udp", 67)])
    return program


def nginx(lab: Lab, namespace: Namespace, root: Path, *, port: int = 80, server: str = "") -> Program:
    """
    A foreign web server for a directory.

    @param server: further lines for its C{server} block.
    """
    place = lab.scratch / f"nginx-{namespace.name}-{port}"
    place.mkdir(exist_ok=True)  # another one may have been there before
    place.chmod(0o777)
    temporary = "\n".join(
        f"{kind}_temp_path {place}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (place / "nginx.conf").write_text(f"""
        daemon off; pid {place}/pid; worker_processes 1; error_log stderr notice; user root;
        events {{ }}
        http {{
            {temporary}
            access_log /dev/stdout; default_type application/octet-stream; sendfile on;
            server {{ listen {port}; root {root}; {server} }}
        }}
    """)
    program = namespace.start("nginx", "-p", place, "-c", place / "nginx.conf", directory=place)
    ready(namespace, program, [("tcp", port)])
    return program


def dhcrelay(far: Segment, server: str) -> Program:
    """ISC's relay agent on a router between a far network and the server's; it adds option 82."""
    router = far.namespace
    program = router.start("dhcrelay", "-4", "-d", "--no-pid", "-a", "-iu", "eth0", "-id", far.bridge, server)
    ready(router, program, [("udp", 67)])
    return program
