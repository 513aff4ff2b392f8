"""Who fills a seam: pybootd's own providers and those of others."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pybootd import registry
from pybootd.config import Config
from pybootd.config.origin import Origin
from pybootd.errors import EnvironmentProblem
from pybootd.interfaces import IAccessControl, IFilenameFilter, IFileSource, ILeaseStore, INotifier
from pybootd.registry import Context, chosen, plugin_names, provider, third_party
from tests.support.net import ReaderReactor

INTERFACES: dict[str, Any] = {
    "pybootd.access": IAccessControl,
    "pybootd.filters": IFilenameFilter,
    "pybootd.leases": ILeaseStore,
    "pybootd.sources": IFileSource,
    "pybootd.notifiers": INotifier,
}
CONFIG = Config("pybootd.ini", Path("/srv"))


def context(name: str, config: Config = CONFIG) -> Context:
    return Context(name, config, config.plugin_options(name), ReaderReactor(), lambda function, *args: function(*args))


def broken(context: Context) -> None:
    """A factory that fails."""
    raise KeyError("url")


def picky(context: Context) -> None:
    """A factory that says what is wrong."""
    raise EnvironmentProblem(f"{context.origin('url')}: is missing")


class OwnTests(SynchronousTestCase):
    """Pybootd's own are found by entry point too."""

    def test_each(self) -> None:
        """Each of them is made, and keeps the promise of its seam."""
        own = {
            group: [name for name in found if name not in third_party(group)]
            for group, found in registry._found().items()
        }
        self.assertLessEqual({"mac", "uuid", "http"}, set(own["pybootd.access"]))
        self.assertLessEqual({"memory", "sqlite"}, set(own["pybootd.leases"]))
        for group, names in own.items():
            self.assertTrue(names, group)
            for name in names:
                if (group, name) == ("pybootd.leases", "postgresql"):
                    continue  # needs a database
                made = provider(group, name, context(name))
                verifyObject(INTERFACES[group], made)
                if group == "pybootd.notifiers":
                    self.successResultOf(made.close())

    def test_unknown(self) -> None:
        """Of an unknown name the message says which there are."""
        problem = self.assertRaises(EnvironmentProblem, provider, "pybootd.access", "ldap", context("ldap"))
        self.assertIn("http, mac, uuid", str(problem))


class OtherTests(SynchronousTestCase):
    """Those of others."""

    def install(self, group: str, **values: str) -> None:
        """As if a package with these entry points were installed."""
        found = {one: dict(points) for one, points in registry._found().items()}
        found[group] |= {name: EntryPoint(name, value, group) for name, value in values.items()}
        self.patch(registry, "_found", lambda: found)

    def test_found(self) -> None:
        """They are told apart, may have sections, and are used where they have one."""
        self.install("pybootd.notifiers", Chat="x:y", mail="x:z")
        self.assertEqual(set(third_party("pybootd.notifiers")), {"Chat", "mail"})
        self.assertLessEqual({"Chat", "mail"}, set(plugin_names()))
        config = Config("pybootd.ini", Path("/srv"), plugins={"chat": {"room": "7"}})
        self.assertEqual(list(chosen("pybootd.notifiers", config)), ["Chat"])
        self.assertEqual(context("Chat", config).options, {"room": "7"})

    def test_broken(self) -> None:
        """One that cannot be loaded or made is one clear sentence, which names it."""
        self.install("pybootd.access", gone="no_such_module:x", broken=f"{__name__}:broken")
        for name, why in (("gone", "no_such_module"), ("broken", "url")):
            problem = self.assertRaises(EnvironmentProblem, provider, "pybootd.access", name, context(name))
            self.assertIn(f"plugin {name}", str(problem))
            self.assertIn(why, str(problem))

    def test_says_so_itself(self) -> None:
        """One that knows what is wrong says it with the line of the configuration."""
        self.install("pybootd.access", picky=f"{__name__}:picky")
        config = Config("x.ini", Path("/srv"), origins={("picky", "url"): Origin("x.ini", 7, "picky", "url")})
        problem = self.assertRaises(EnvironmentProblem, provider, "pybootd.access", "picky", context("picky", config))
        self.assertEqual(str(problem), "x.ini:7: [picky] url: is missing")

    def test_no_stand_in(self) -> None:
        """Nobody stands in for pybootd's own by installing something of the same name."""
        points = [EntryPoint("mac", "x:y", "pybootd.access"), registry._found()["pybootd.access"]["mac"]]
        for order in (points, points[::-1]):
            found = {point.name: point for point in sorted(order, key=registry._own)}
            self.assertTrue(registry._own(found["mac"]))
