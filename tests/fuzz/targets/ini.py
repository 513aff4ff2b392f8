"""A configuration file: read, or refused in sentences; every mistake at once, never a traceback."""

from __future__ import annotations

from pathlib import Path

from pybootd.config.ini import parse
from pybootd.config.reader import read
from pybootd.errors import ConfigError
from tests.fuzz.support import shown
from tests.support.dhcp import USUAL

_CONF = Path(__file__).resolve().parents[3] / "conf"
SEEDS = (
    USUAL.encode(),
    *(path.read_bytes() for path in sorted(_CONF.glob("*.ini"))),
    b"\xef\xbb\xbf[a]\r\n x = 1\r  y\n;c\n[host 52:54:00:00:00:01]\naddress=10.0.0.7\nvar.x = {y}\n",
    b"[subnet 10.9.0.0/16]\npool_start = 10.9.0.10\n[mac]\nAA-BB-CC/24 = off\n[filters]\n* = [{mac}]\n",
)


def one(data: bytes) -> None:
    """C{data} is the file."""
    document = parse(data, "x.ini")
    lines = data.count(b"\n") + data.count(b"\r") + 1
    for section in document.sections:
        for entry in section.entries:
            assert 0 < entry.origin.line <= lines
            assert entry.name
    try:
        config = read(data, "x.ini", directory=Path("/srv"), http=True)
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.startswith("x.ini"), problem
            shown(problem, 3 * len(data) * 4 + 4000)
        return
    assert config.file == "x.ini"
    assert 0 < config.bootpd.port < 65536
