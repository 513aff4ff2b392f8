"""The flags that twistd and the console script share."""

from __future__ import annotations

from pathlib import Path

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from pybootd.flags import CommandOptions, Flags, ServiceOptions, default_config


def flags(*arguments: str) -> Flags:
    """What these arguments mean."""
    options = ServiceOptions()
    options.parseOptions(["-c", "x.ini", *arguments])
    return options.flags()


class FlagsTests(SynchronousTestCase):
    """C{-c -p -t -H -d}, as the contract has them."""

    def test_defaults(self) -> None:
        """Without flags DHCP and TFTP run, HTTP does not."""
        self.assertEqual(flags(), Flags(Path("x.ini"), dhcp=True, tftp=True, http=False, debug=False))

    def test_only_dhcp(self) -> None:
        """C{-p} leaves TFTP out."""
        self.assertEqual((flags("-p").dhcp, flags("--pxe").tftp), (True, False))

    def test_only_tftp(self) -> None:
        """C{-t} leaves DHCP out."""
        self.assertEqual((flags("-t").dhcp, flags("--tftp").tftp), (False, True))

    def test_http_and_debug(self) -> None:
        """C{-H} and C{-d} add."""
        self.assertEqual((flags("-H").http, flags("--debug").debug), (True, True))

    def test_both_alone(self) -> None:
        """C{-p -t} asks for two services each alone: a usage error."""
        self.assertRaises(UsageError, flags, "-p", "-t")

    def test_search(self) -> None:
        """Without C{-c} the first configuration that exists is read; else ./pybootd.ini."""
        base = Path(self.mktemp())
        (base / "pybootd/etc").mkdir(parents=True)
        self.assertEqual(default_config(base), base / "pybootd.ini")
        (base / "pybootd/etc/pybootd.ini").touch()
        self.assertEqual(default_config(base), base / "pybootd/etc/pybootd.ini")
        (base / "pybootd.ini").touch()
        self.assertEqual(default_config(base), base / "pybootd.ini")


class Command(CommandOptions):
    """A command with words and an option of its own."""

    def parseArgs(self, *words: str) -> None:
        self["words"] = words


class CommandTests(SynchronousTestCase):
    """L{CommandOptions}."""

    def test_anywhere(self) -> None:
        """Options stand before, behind and between the words of a command."""
        for line in (
            "-d -c x.ini one two",
            "one -dc x.ini two",
            "one two --debug --conf=x.ini",
            "one -d -c x.ini -- two",
        ):
            options = Command()
            options.parseOptions(line.split())
            self.assertEqual(
                (options["words"], options["config"], options["debug"]), (("one", "two"), "x.ini", 1), line
            )

    def test_wrong(self) -> None:
        """An unknown option, and one without its value, are usage errors."""
        self.assertRaises(UsageError, Command().parseOptions, ["one", "--nonsense"])
        self.assertRaises(UsageError, Command().parseOptions, ["one", "-c"])
