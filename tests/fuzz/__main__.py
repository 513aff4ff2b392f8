"""
C{python -m tests.fuzz TARGET... --seconds N}: look for inputs that break a promise.

With atheris (C{pip install -e .[test,fuzz]}) by the coverage that inputs reach, else by plain mutation.  What breaks
one is told, and kept as C{found-NAME} in the working directory; C{--merge} keeps in C{tests/fuzz/corpus} what reached
new code.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
import traceback
from importlib.util import find_spec
from pathlib import Path
from random import Random

from tests.fuzz import NAMES, Target, target
from tests.fuzz.mutation import LONGEST, mutated

KEPT = 40
"""Finds that are kept of one target: what the unit tests have time for."""

KEPT_SIZE = 2048
"""Bytes of a find that is kept."""


def main() -> int:
    """@return: the exit status: 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Look for inputs that break a promise.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(NAMES)}; default: each")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default: 60)")
    parser.add_argument("--merge", action="store_true", help="keep what reached new code")
    parser.add_argument("--plain", action="store_true", help="mutate without coverage, even where atheris is there")
    parser.add_argument("--guided", metavar="DIRECTORY", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.targets) - set(NAMES)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if options.guided:
        _guide(options.targets[0], Path(options.guided), options.seconds)
    search = _plain if options.plain or find_spec("atheris") is None else _guided
    broken = [name for name in options.targets or NAMES if not search(name, options.seconds, options.merge)]
    if broken:
        print(f"broken: {', '.join(broken)}")
    return 1 if broken else 0


def _plain(name: str, seconds: int, merge: bool) -> bool:
    """Mutations of the corpus and of one another, without knowledge of what they reach."""
    this = target(name)
    inputs = list(this.corpus)
    random = Random()  # a new one each time: another search
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        data = mutated(random.choice(inputs), inputs, random)
        count += 1
        try:
            this.one(data)
        except Exception:
            traceback.print_exc()
            found = Path(f"found-{name}.bin")
            found.write_bytes(data)
            print(f"{name}: {found} breaks it, after {count} inputs")
            return False
    print(f"{name}: {count} inputs, nothing found")
    return True


def _guided(name: str, seconds: int, merge: bool) -> bool:
    """A process of its own, for libFuzzer ends the one it runs in."""
    this = target(name)
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch, "corpus")
        corpus.mkdir()
        for data in this.corpus:
            (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
        command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(seconds), "--guided", str(corpus)]
        done = subprocess.run(command, check=False)
        if merge and done.returncode == 0:
            _keep(this, corpus)
    print(f"{name}: {'nothing found' if done.returncode == 0 else 'broken'}")
    return done.returncode == 0


def _guide(name: str, corpus: Path, seconds: int) -> None:
    """Hand over to libFuzzer; does not return."""
    import atheris

    with atheris.instrument_imports(include=["pybootd"]):
        this = target(name)
    words = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        "-timeout=20",
        f"-artifact_prefix=found-{name}-",
        "-verbosity=1",
        "-print_final_stats=1",
    ]
    atheris.Setup(words, this.one)
    atheris.Fuzz()


def _keep(this: Target, corpus: Path) -> None:
    """The smallest finds that are not known yet, up to a number that the unit tests have time for."""
    this.directory.mkdir(parents=True, exist_ok=True)
    known = set(this.corpus)
    room = KEPT - len(list(this.directory.glob("*.bin")))
    found = sorted((path.stat().st_mtime_ns, path) for path in corpus.iterdir())
    for _, path in reversed(found):
        data = path.read_bytes()
        if room <= 0:
            break
        if data not in known and len(data) <= KEPT_SIZE:
            (this.directory / f"{path.name[:16]}.bin").write_bytes(data)
            room -= 1


if __name__ == "__main__":
    sys.exit(main())
