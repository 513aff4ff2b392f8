"""From the command line's flags to a checked configuration: the one place that reads the file."""

from __future__ import annotations

from pathlib import Path

from pybootd.config.reader import read
from pybootd.config.sections import Config
from pybootd.errors import EnvironmentProblem
from pybootd.flags import Flags
from pybootd.registry import plugin_names


def load(flags: Flags, directory: Path | None = None) -> Config:
    """
    Read the configuration that these flags name.

    @param directory: the daemon's directory, where C{./} starts; the working directory if not said.
    @raise EnvironmentProblem: there is no such file, or it cannot be read.
    @raise ConfigError: it holds mistakes.
    """
    try:
        text = flags.config.read_bytes()
    except FileNotFoundError:
        raise EnvironmentProblem(f"{flags.config}: no such configuration; name one with -c FILE") from None
    except OSError as error:
        raise EnvironmentProblem(f"{flags.config}: {error.strerror}") from None
    return read(
        text,
        str(flags.config),
        directory=(directory or Path()).absolute(),
        plugins=plugin_names(),
        dhcp=flags.dhcp,
        tftp=flags.tftp,
        http=flags.http,
        debug=flags.debug,
    )
