"""From a client's name to content."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from pybootd.content.content import Content, from_bytes
from pybootd.content.filters import FilenameFilter
from pybootd.content.local import LocalFiles
from pybootd.content.resolver import Resolver, Step
from pybootd.content.templates import Templates
from pybootd.errors import Forbidden, NotFound, SourceFailed
from pybootd.interfaces import IFilenameFilter, IFileSource, Target
from pybootd.machine import Machine, Refusal
from tests.content.test_filters import lines
from tests.content.test_names import NOTHING
from tests.support.tree import SECRET, Tree

MACHINE = Machine("52:54:00:12:34:56", hostname="node7")


@implementer(IFileSource)
class MemorySource:
    """Every URL's file is the URL itself."""

    schemes = ("http", "https")

    def open(self, url: str) -> Deferred[Content]:
        return succeed(from_bytes(url, url.encode()))


class RefusalTests(SynchronousTestCase):
    """Machines to which access is denied."""

    def test_forbidden(self) -> None:
        """They get no file, and are told why; whether it is there is none of their business."""
        tree = Tree(self.mktemp())
        tree.write("pxelinux.0", b"loader")
        resolver = Resolver("./root", tree.top, LocalFiles())
        machine = Machine("52:54:00:12:34:56", refusal=Refusal("[mac] blocks it", "x.ini:3"))
        for name in ("pxelinux.0", "gone"):
            error = self.assertRaises(Forbidden, resolver.resolve, name, machine)
            self.assertEqual((str(error), error.setting), ("[mac] blocks it", "x.ini:3"))
            self.assertRaises(Forbidden, resolver.url_of, name, machine)


class ResolverCase(SynchronousTestCase):
    """A tree, and resolvers for it."""

    def setUp(self) -> None:
        self.tree = Tree(self.mktemp())
        self.tree.write("pxelinux.0", b"loader")
        self.tree.write("cfg/default", b"default")

    def resolver(self, *filters: tuple[str, str], root: str = "./root", **options: object) -> Resolver:
        return Resolver(
            root,
            self.tree.top,
            LocalFiles(),
            filters=[FilenameFilter(lines(*filters))],
            sources=[MemorySource()],
            **options,  # type: ignore[arg-type]
        )

    def get(self, resolver: Resolver, name: bytes | str, machine: Machine | None = MACHINE) -> bytes | None:
        content = resolver.resolve(name, machine)
        if isinstance(content, Deferred):
            content = self.successResultOf(content)
        try:
            return content.body.read(0, content.size or 0)
        finally:
            content.body.close()


class RootTests(ResolverCase):
    """Without filters a name is looked for below the root."""

    def test_found(self) -> None:
        """A file below the root, by each spelling of its name."""
        for name in (b"pxelinux.0", b"/pxelinux.0", b"\\pxelinux.0", b"./cfg/../pxelinux.0", b"pxelinux.0\xff"):
            self.assertEqual(self.get(self.resolver(), name), b"loader", name)

    def test_absolute_root(self) -> None:
        """A root may be absolute."""
        self.assertEqual(self.get(self.resolver(root=str(self.tree.root)), b"pxelinux.0"), b"loader")

    def test_traps(self) -> None:
        """What must not be served is not there, in every spelling."""
        resolver = self.resolver()
        for name in (*NOTHING, *self.tree.traps(), str(self.tree.top / "secret"), "/etc/passwd", "file:///etc/passwd"):
            with self.assertRaises(NotFound, msg=name):
                self.get(resolver, name)

    def test_no_root(self) -> None:
        """Without a root nothing is served, not even the daemon's own directory, but for what filters name."""
        self.tree.write("../pybootd.ini")
        resolver = self.resolver(("loader", "./root/pxelinux.0"), root="")
        with self.assertRaises(NotFound):
            self.get(resolver, b"pybootd.ini")
        self.assertEqual(self.get(resolver, b"loader"), b"loader")

    def test_ignore_case(self) -> None:
        """WinPE's spellings are found where that is asked for."""
        self.assertEqual(self.get(self.resolver(ignore_case=True), b"\\CFG\\Default"), b"default")

    @given(st.binary(max_size=30), st.sampled_from((b"", b"../", b"..\\", b"/", b"//", b"./../", b"cfg/../../")))
    def test_never_the_secret(self, tail: bytes, head: bytes) -> None:
        """No name at all brings out what is beside the root."""
        for name in (head + tail, head + b"secret" + tail, head + b"root-sibling/secret" + tail):
            with contextlib.suppress(NotFound):
                self.assertNotEqual(self.get(self.resolver(), name), SECRET)


class RemoteRootTests(ResolverCase):
    """Below an URL a name changes the path only."""

    def url(self, name: bytes, *filters: tuple[str, str]) -> bytes | None:
        return self.get(self.resolver(*filters, root="http://mirror/debian/"), name)

    def test_joined(self) -> None:
        """The name goes below the prefix, quoted."""
        self.assertEqual(self.url(b"/a b/c?d"), b"http://mirror/debian/a%20b/c%3Fd")
        self.assertEqual(self.url(b"http://evil/x"), b"http://mirror/debian/http%3A/evil/x")
        self.assertEqual(self.url(b"//evil/x"), b"http://mirror/debian/evil/x")
        self.assertEqual(self.url(b"@evil"), b"http://mirror/debian/%40evil")

    def test_above(self) -> None:
        """It never goes above the prefix."""
        for name in NOTHING:
            with self.assertRaises(NotFound, msg=name):
                self.url(name)

    def test_filters(self) -> None:
        """Targets below the prefix, at other servers, and on this host, with what the client said contained in each."""
        filters = (
            ("l/*", "./root/pxelinux.0"),
            ("m/*", "https://other/x/{filename}"),
            ("n/*", "cfg/{hostname}"),
            ("o", "fixed name"),
        )
        self.assertEqual(self.url(b"l/x", *filters), b"loader")
        self.assertEqual(self.url(b"m/y?z", *filters), b"https://other/x/m/y%3Fz")
        self.assertEqual(self.url(b"n/x", *filters), b"http://mirror/debian/cfg/node7")
        self.assertEqual(self.url(b"o", *filters), b"http://mirror/debian/fixed%20name")

    def test_indirect(self) -> None:
        """A file that holds the name is a local one under an URL root too."""
        self.tree.write("../names/node7", b"vmlinuz\n")
        self.assertEqual(self.url(b"kernel", ("kernel", "[names/{hostname}]")), b"http://mirror/debian/vmlinuz")

    def test_unknown_scheme(self) -> None:
        """An URL that no source serves is a failure of the server."""
        with self.assertRaises(SourceFailed):
            self.get(self.resolver(root="nfs://host/x"), b"file")


class FilterTests(ResolverCase):
    """A target is the administrator's; what variables bring into it is contained."""

    def test_anywhere(self) -> None:
        """A target without variables may be anywhere, and reached through links."""
        self.tree.write("../elsewhere/file", b"elsewhere")
        self.tree.link("shortcut", "../elsewhere/file")
        for target in ("./elsewhere/file", str(self.tree.top / "elsewhere/file"), "../elsewhere/file", "shortcut"):
            self.assertEqual(self.get(self.resolver(("x", target)), b"x"), b"elsewhere", target)

    def test_relative(self) -> None:
        """A relative target is below the root."""
        self.assertEqual(self.get(self.resolver(("cfg/*", "cfg/default")), b"cfg/01-52-54-00-12-34-56"), b"default")

    def test_variable(self) -> None:
        """A variable names a file below the directory before it."""
        self.tree.write("../hosts/52-54-00-12-34-56/boot.cfg", b"mine")
        resolver = self.resolver(("*.cfg", "./hosts/{mac}/{filename}"))
        self.assertEqual(self.get(resolver, b"boot.cfg"), b"mine")

    def test_variable_escapes(self) -> None:
        """No variable leads out of the directory before it, by its text or by a link."""
        self.tree.link("cfg/out", "../../secret")
        for hostname in ("..", "../secret", "../../secret", "/etc/passwd", "x/../../secret", "out", "\0", "default/.."):
            machine = Machine("52:54:00:12:34:56", hostname=hostname)
            for target in ("cfg/{hostname}", "./root/cfg/{hostname}", f"{self.tree.root}/cfg/{{hostname}}"):
                with self.assertRaises(NotFound, msg=(hostname, target)):
                    self.get(self.resolver(("x", target)), b"x", machine)

    def test_bare_variable(self) -> None:
        """A value that begins with a variable stays below the root, even if that looks absolute or like an URL."""
        for hostname in ("/etc/passwd", "./secret", "http://evil/x", "../secret"):
            machine = Machine("52:54:00:12:34:56", hostname=hostname)
            with self.assertRaises(NotFound, msg=hostname):
                self.get(self.resolver(("x", "{hostname}")), b"x", machine)

    def test_indirect(self) -> None:
        """The first line of a file that stands in brackets is the target, taken as it stands."""
        self.tree.write("name", b"  pxelinux.0 \r\nmore\n")
        self.tree.write("braces", b"{filename}")
        self.tree.write("empty", b"\n")
        self.assertEqual(self.get(self.resolver(("x", "[name]")), b"x"), b"loader")
        for name in ("braces", "empty", "missing", "cfg"):
            with self.assertRaises(NotFound, msg=name):
                self.get(self.resolver(("x", f"[{name}]")), b"x")

    def test_indirect_disk(self) -> None:
        """Where the disk of that file has to be waited for, all that comes of it has."""
        asked: list[Deferred[bytes]] = []

        def ask_read(*_: object) -> Deferred[bytes]:
            asked.append(Deferred())
            return asked[-1]

        resolver = self.resolver(("x", "[name]"))
        self.patch(LocalFiles, "ask_read", ask_read)
        found = [resolver.resolve(b"x", MACHINE) for _ in range(3)]
        self.assertIsNone(resolver.url_of("x", MACHINE))
        results: list[Any] = []
        for each in found:
            assert isinstance(each, Deferred)
            self.assertNoResult(each)
            each.addBoth(results.append)
        for waiting, data in zip(asked, (b"pxelinux.0\n", b"http://mirror/x", b""), strict=False):
            waiting.callback(data)
        asked[3].errback(NotFound("no such file"))
        for content in results[:2]:
            content.body.close()
        self.assertEqual([each.source.rpartition("/")[2] for each in results[:2]], ["pxelinux.0", "x"])
        self.assertIsInstance(results[2].value, NotFound)

    def test_url_of(self) -> None:
        """What is remote has an URL, before it is fetched; what is here has none."""
        resolver = self.resolver(("far", "http://mirror/{hostname}"))
        self.assertEqual(resolver.url_of("far", MACHINE), "http://mirror/node7")
        self.assertIsNone(resolver.url_of("pxelinux.0", MACHINE))

    def test_indirect_url(self) -> None:
        """It may be an URL."""
        self.tree.write("name", b"http://mirror/x")
        self.assertEqual(self.get(self.resolver(("x", "[name]")), b"x"), b"http://mirror/x")

    def test_unknown_machine(self) -> None:
        """Where a target needs a machine and none is known, there is no such file."""
        with self.assertRaises(NotFound):
            self.get(self.resolver(("x", "{mac}")), b"x", None)

    def test_client_markers(self) -> None:
        """Markers mean something in the configuration only."""
        resolver = self.resolver(("y", "z"))
        for name in (b"{filename}", b"[cfg/default]", b"{0.__class__}", b"%(x)s"):
            with self.assertRaises(NotFound, msg=name):
                self.get(resolver, name)


@implementer(IFilenameFilter)
class OwnFilter:
    """A plugin's filter, whatever it does."""

    name = "own"

    def __init__(self, rewrite: Callable[[str], Target | None]) -> None:
        self._rewrite = rewrite

    def rewrite(self, filename: str, machine: Machine | None) -> Target | None:
        return self._rewrite(filename)


class PluginTests(ResolverCase):
    """Filters of plugins are asked in their turn, and contained like our own."""

    def resolve(self, *filters: Callable[[str], Target | None]) -> bytes | None:
        resolver = Resolver("./root", self.tree.top, LocalFiles(), filters=[OwnFilter(each) for each in filters])
        return self.get(resolver, b"x")

    def test_order(self) -> None:
        """The first that has something to say decides."""
        self.assertEqual(self.resolve(lambda _: None, lambda _: Target("pxelinux.0"), lambda _: Target("z")), b"loader")

    def test_contained(self) -> None:
        """A result that leaves its own base is refused."""
        for target in (
            Target("cfg/../../secret", "cfg/"),
            Target("other/x", "cfg/"),
            Target("http://a/../x", "http://a/"),
        ):
            with self.assertRaises(NotFound, msg=target):
                self.resolve(lambda _, target=target: target)

    def test_broken(self) -> None:
        """A filter that raises is reported; the client hears that the server failed."""
        with self.assertRaises(SourceFailed):
            self.resolve(lambda _: {}["x"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)


class TemplatedTests(ResolverCase):
    """Templates come before filters and files."""

    def test_rendered(self) -> None:
        """A name that a template has is rendered for the machine."""
        self.tree.write("../boot.j2", b"{{ hostname }} {{ filename }}")
        templates = Templates(lines(("*.ipxe", "boot.j2")), self.tree.top)
        resolver = self.resolver(("*", "pxelinux.0"), templates=templates)
        self.assertEqual(self.get(resolver, b"/auto.ipxe"), b"node7 auto.ipxe")
        self.assertEqual(self.get(resolver, b"other"), b"loader")


class ExplainTests(ResolverCase):
    """L{Resolver.explain} says what would be done, and does nothing."""

    def test_file(self) -> None:
        """A file below the root: what the name means, where it was looked for, what it is."""
        root = str(self.tree.root)
        self.assertEqual(
            self.resolver().explain(b"/pxelinux.0", None),
            [Step("name", "pxelinux.0"), Step("root", root), Step("file", f"{root}/pxelinux.0, 6 bytes")],
        )

    def test_filter(self) -> None:
        """A filter is named with its line."""
        self.tree.write("name", b"https://mirror/x")
        steps = self.resolver(("a*", "[name]")).explain(b"abc", None)
        self.assertEqual(
            steps,
            [
                Step("name", "abc"),
                Step("[filters]", "name", "boot.ini:1: [filters] a*"),
                Step("name in that file", "https://mirror/x"),
                Step("fetch", "https://mirror/x"),
            ],
        )

    def test_refused(self) -> None:
        """A refusal ends it, with its reason; control characters are shown as such."""
        self.assertEqual(self.resolver().explain(b"../x", None), [Step("answer", "leads out of the root")])
        steps = self.resolver().explain(b"a\nb", None)
        self.assertEqual((steps[0].outcome, steps[-1]), ("a\\x0ab", Step("answer", "no such file")))

    def test_template(self) -> None:
        """A template is named, and tried."""
        self.tree.write("../boot.j2", b"{% if %}")
        templates = Templates(lines(("x", "boot.j2")), self.tree.top)
        steps = self.resolver(templates=templates).explain(b"x", MACHINE)
        self.assertEqual([step.rule for step in steps], ["name", "[templates]", "answer"])
