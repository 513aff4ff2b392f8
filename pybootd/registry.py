"""
Finds who fills a seam, by entry point: the built-in providers and a third party's are declared alike.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from attrs import frozen
from twisted.application.service import IService

from pybootd.config import Config
from pybootd.config.origin import Origin
from pybootd.errors import EnvironmentProblem, PybootdError

GROUPS = ("pybootd.access", "pybootd.filters", "pybootd.leases", "pybootd.sources", "pybootd.notifiers")
OWN = "pybootd"


@frozen
class Context:
    """What a provider is made of: its factory is called with one of these."""

    name: str
    """The name by which it was chosen: its entry point's."""
    config: Config
    options: Mapping[str, str]
    """The options of the configuration's section of that name, as text."""
    reactor: Any
    """The reactor; also the clock."""
    in_thread: Callable[..., Any]
    """C{in_thread(function, *arguments)} runs a function in a thread and returns a Deferred of its result."""
    attach: Callable[[IService], object] = lambda service: None
    """Takes a service of the provider's own, to start (without privileges) and stop with the server."""

    def origin(self, option: str = "") -> Origin:
        """Where an option was said, for messages."""
        return self.config.origin(self.name.lower(), option)


@cache
def _found() -> Mapping[str, Mapping[str, EntryPoint]]:
    # pybootd's own come last: nobody stands in for them by installing something of the same name
    return {group: {point.name: point for point in sorted(entry_points(group=group), key=_own)} for group in GROUPS}


def _own(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name == OWN


def third_party(group: str) -> Collection[str]:
    """The providers of one seam that are not pybootd's own."""
    return [name for name, point in _found()[group].items() if not _own(point)]


def plugin_names() -> Collection[str]:
    """All of these: they may have sections in the configuration."""
    return {name for group in GROUPS for name in third_party(group)}


def chosen(group: str, config: Config) -> Collection[str]:
    """Of these, the ones that the configuration has a section for."""
    return sorted(name for name in third_party(group) if name.lower() in config.plugins)


def provider(group: str, name: str, context: Context) -> Any:
    """
    Make a provider.

    @raise EnvironmentProblem: there is none of that name, or it cannot be made.
    """
    point = _found()[group].get(name)
    if point is None:
        known = ", ".join(sorted(_found()[group])) or "none"
        raise EnvironmentProblem(f"no provider {name} for {group}; installed are: {known}")
    try:
        return point.load()(context)
    except PybootdError:
        raise
    except Exception as error:
        raise EnvironmentProblem(f"the plugin {name} of {group} cannot be used: {error!r}") from error
