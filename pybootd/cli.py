"""
The console script C{pybootd}: the daemon in the foreground, and the commands that answer questions about it.

Exit status: 0 fine; 1 the configuration or the host is wrong; 2 wrong usage.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

from attrs import frozen
from twisted.python import usage

from pybootd.errors import PybootdError
from pybootd.flags import ServiceOptions

USAGE = 2


@frozen
class Command:
    """What one word of the command line stands for; its module is loaded when it is used, not by the daemon."""

    name: str
    module: str
    does: str
    """A sentence for C{--help}."""

    def options(self) -> usage.Options:
        """The parser of its own options: C{LeasesOptions} for C{leases}."""
        made: Any = getattr(self._loaded(), f"{self.name.capitalize()}Options")()
        made.longdesc = getattr(made, "longdesc", None) or self.does
        options: usage.Options = made
        return options

    def run(self, options: Any) -> int:
        """Do it; the exit status."""
        status: int = getattr(self._loaded(), self.name)(options, options.flags())
        return status

    def _loaded(self) -> Any:
        return import_module(f"pybootd.{self.module}")


COMMANDS = {
    command.name: command
    for command in (
        Command("boot", "commands.boot", "Say what a machine boots the next time only, and wake it."),
        Command("check", "commands.inspect", "Say every error and warning, and what would be served where."),
        Command("demo", "demo.command", "Boot a virtual machine here, without touching any network."),
        Command("doctor", "doctor.command", "Say what is wrong on this host, and what to do about it."),
        Command("explain", "commands.explain", "Say step by step what a client would get, and which line decides it."),
        Command("leases", "commands.inspect", "List leases, or give one back: leases release MAC|IP."),
        Command("replay", "commands.replay", "Say what would be answered to the requests of a capture."),
        Command("watch", "commands.watch", "Show the boots of a running server as they happen."),
    )
}


class Options(ServiceOptions):
    """All of the command line."""

    synopsis = "Usage: pybootd [options] [command [options]]"
    longdesc = "Without a command: serve in the foreground, until Ctrl-C."
    subCommands = [[one.name, None, one.options, one.does] for one in COMMANDS.values()]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """@raise usage.UsageError: an unknown command is told the one that it resembles."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            unknown = str(error).partition("Unknown command: ")[2]
            close = get_close_matches(unknown, COMMANDS, n=1)
            raise usage.UsageError(f"{error}; did you mean {close[0]}?" if close else str(error)) from None


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; never returns."""
    try:
        try:
            raise SystemExit(_run(sys.argv[1:] if arguments is None else list(arguments)))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python writes what is left at its end
        raise SystemExit(0) from None


def _run(arguments: Sequence[str]) -> int:
    """@return: the exit status."""
    options = Options()
    try:
        options.parseOptions(arguments)
        if options.subCommand:
            return COMMANDS[options.subCommand].run(options.subOptions)
        return serve(options)
    except usage.UsageError as error:
        command = f"{options.subCommand} " if options.subCommand else ""
        end = "" if str(error).endswith("?") else ";"
        print(f"pybootd: {error}{end} see pybootd {command}--help", file=sys.stderr)
        return USAGE
    except PybootdError as error:
        print(error, file=sys.stderr)
        return 1


def serve(options: Options) -> int:
    """
    The daemon in the foreground.

    @return: the exit status.
    @raise PybootdError: it cannot start.
    """
    from twisted.internet import reactor

    from pybootd import logs
    from pybootd.config.loading import load
    from pybootd.foreground import run
    from pybootd.reload import Reload
    from pybootd.service import compose
    from pybootd.steady import steady

    steady(reactor)
    flags = options.flags()
    config = load(flags)
    observer = logs.Lines(config.logger, config.debug)
    server = compose(config, reactor)
    reload = Reload(server, lambda: load(flags), observer)
    return run(server, observer, reactor, reload, reload.started)
