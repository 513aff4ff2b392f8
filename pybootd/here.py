"""What a configuration means on this very host."""

from __future__ import annotations

from collections.abc import Sequence

from pybootd.config import Config
from pybootd.dhcp.settings import HostInterface, Settings, settings_from
from pybootd.net.interfaces import default_interface, interfaces, name_servers


def settings_here(config: Config, among: Sequence[HostInterface] | None = None) -> Settings:
    """
    Compile the configuration for this host.

    @param among: the host's interfaces, where somebody has looked already.
    @raise EnvironmentProblem: as L{settings_from}, or this host does not tell of its interfaces.
    """
    among = interfaces() if among is None else among
    way_out = default_interface(among)
    return settings_from(config, among, name_servers(), way_out.name if way_out is not None else "")
