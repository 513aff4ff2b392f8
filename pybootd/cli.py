"""
The console script C{pybootd}: the daemon in the foreground, and the commands that answer questions about it.

Exit status: 0 fine; 1 the configuration or the host is wrong; 2 wrong usage.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from twisted.python import usage

from pybootd import __version__
from pybootd.boot import BootOptions, boot
from pybootd.demo.command import DemoOptions, demo
from pybootd.doctor.command import DoctorOptions, doctor
from pybootd.errors import PybootdError
from pybootd.explain import ExplainOptions, explain
from pybootd.flags import Flags, ServiceOptions
from pybootd.inspect import CheckOptions, LeasesOptions, check, leases
from pybootd.replay import ReplayOptions, replay

USAGE = 2


class Options(ServiceOptions):
    """All of the command line."""

    synopsis = "Usage: pybootd [options] [command [options]]"
    longdesc = "Without a command: serve in the foreground, until Ctrl-C."
    subCommands = [
        ["boot", None, BootOptions, "Say what a machine boots the next time only, and wake it."],
        ["check", None, CheckOptions, "Say every error and warning, and what would be served where."],
        ["demo", None, DemoOptions, "Boot a virtual machine here, without touching any network."],
        ["doctor", None, DoctorOptions, "Say what is wrong on this host, and what to do about it."],
        ["explain", None, ExplainOptions, "Say step by step what a client would get, and which line decides it."],
        ["leases", None, LeasesOptions, "List leases, or give one back: leases release MAC|IP."],
        ["replay", None, ReplayOptions, "Say what would be answered to the requests of a capture."],
    ]

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"pybootd {__version__}")
        raise SystemExit(0)


COMMANDS: dict[str, Callable[[Any, Flags], int]] = {
    "boot": boot,
    "check": check,
    "demo": demo,
    "doctor": doctor,
    "explain": explain,
    "leases": leases,
    "replay": replay,
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; never returns."""
    options = Options()
    try:
        options.parseOptions(sys.argv[1:] if arguments is None else list(arguments))
    except usage.UsageError as error:
        print(f"pybootd: {error}; see pybootd --help", file=sys.stderr)
        raise SystemExit(USAGE) from None
    try:
        if options.subCommand:
            command: Any = options.subOptions
            raise SystemExit(COMMANDS[options.subCommand](command, command.flags()))
        raise SystemExit(serve(options))
    except PybootdError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:
        raise SystemExit(0) from None


def serve(options: Options) -> int:
    """
    The daemon in the foreground.

    @return: the exit status.
    @raise PybootdError: it cannot start.
    """
    from twisted.internet import reactor

    from pybootd import logs
    from pybootd.foreground import run
    from pybootd.loading import load
    from pybootd.reload import Reload
    from pybootd.service import compose
    from pybootd.steady import steady

    steady(reactor)
    flags = options.flags()
    config = load(flags)
    observer = logs.Lines(config.logger, config.debug)
    server = compose(config, reactor)
    server.bind()
    return run(server, observer, reactor, Reload(server, lambda: load(flags), observer))
