"""
The command-line flags that C{twistd pybootd} and the console script share.

Kept apart from both, so that C{pybootd check} and the daemon can never read the same
flags differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from getopt import GetoptError, gnu_getopt
from pathlib import Path

from attrs import frozen
from twisted.python import usage

from pybootd import __version__

DEFAULT_CONFIG = "pybootd.ini"
SEARCHED = (Path(DEFAULT_CONFIG), Path("pybootd/etc/pybootd.ini"), Path("/etc/pybootd.ini"))
"""Where the configuration is looked for when none is named; the first that exists is read."""


@frozen
class Flags:
    """What the command line says about one run."""

    config: Path
    dhcp: bool = True
    tftp: bool = True
    http: bool = False
    """HTTP was asked for with C{-H}; C{[httpd] enable} may ask for it too."""
    debug: bool = False


class BaseOptions(usage.Options):
    """What every command line of pybootd understands."""

    def parseArgs(self, *words: str) -> None:
        """@raise usage.UsageError: where a command takes words, it has this function of its own."""
        if words:
            raise usage.UsageError(f"{words[0]}: only options are taken here")

    def opt_h(self) -> None:
        """Display this help and exit."""
        self.opt_help()

    def opt_version(self) -> None:
        """Print the version and exit."""
        print(f"pybootd {__version__}")
        raise SystemExit(0)


class CommandSynopsis:
    """The help of a command of the console script begins with how that command is used, and nothing else."""

    synopsis: str

    def getSynopsis(self) -> str:
        """The first line."""
        return self.synopsis


class ServiceOptions(BaseOptions):
    """C{-c -p -t -H -d -h}."""

    optParameters = [
        ["config", "c", None, f"Configuration file (default: the first of {', '.join(map(str, SEARCHED))})."],
    ]
    optFlags = [
        ["pxe", "p", "Only BOOTP, DHCP and PXE."],
        ["tftp", "t", "Only TFTP."],
        ["http", "H", "Serve files over HTTP too."],
        ["debug", "d", "Log everything, with tracebacks."],
    ]
    compData = usage.Completions(optActions={"config": usage.CompleteFiles("*.ini")})

    def postOptions(self) -> None:
        """@raise usage.UsageError: C{-p} and C{-t} exclude each other."""
        if self["pxe"] and self["tftp"]:
            raise usage.UsageError("-p (only DHCP/PXE) and -t (only TFTP) exclude each other; without both, both run")

    def flags(self, directory: Path | None = None) -> Flags:
        """
        These options as a value.

        @param directory: where a relative file name starts, if not in the working directory.
        """
        base = directory or Path()
        return Flags(
            config=base / self["config"] if self["config"] else default_config(base),
            dhcp=not self["tftp"],
            tftp=not self["pxe"],
            http=bool(self["http"]),
            debug=bool(self["debug"]),
        )


class CommandOptions(CommandSynopsis, ServiceOptions):
    """A command of the console script; words beside its options may stand before, behind and between them."""

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """@raise usage.UsageError: there is no such option, or its value is missing."""
        try:
            found, words = gnu_getopt(list(options or ()), self.shortOpt, self.longOpt)
        except GetoptError as error:
            raise usage.UsageError(str(error)) from None
        ordered = [word for name, value in found for word in ((name, value) if self._takes_value(name) else (name,))]
        super().parseOptions([*ordered, "--", *words])

    def _takes_value(self, name: str) -> bool:
        return f"{name[2:]}=" in self.longOpt if name.startswith("--") else f"{name[1:]}:" in self.shortOpt


def default_config(base: Path = Path()) -> Path:
    """The first configuration file that exists where they are looked for, else the first of all."""
    return next((base / path for path in SEARCHED if (base / path).is_file()), base / SEARCHED[0])
