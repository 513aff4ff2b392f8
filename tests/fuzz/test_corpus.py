"""The kept corpus, and a few mutations of each of its inputs: what the fuzzer found once stays found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random
from time import monotonic

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz import CORPUS, NAMES, target
from tests.fuzz.mutation import LONGEST, mutated

MUTATIONS = 10
"""Of each input."""

SECONDS = 0.2
"""For the mutations of one target: on a slow machine fewer are tried."""


class CorpusTests(SynchronousTestCase):
    """Every promise holds for every input that is known."""

    def test_corpus(self) -> None:
        """Each seed and each kept find."""
        for name in NAMES:
            this = target(name)
            for index, data in enumerate(this.corpus):
                try:
                    this.one(data)
                except Exception as error:
                    self.fail(f"{name}, input {index}: {data[:200]!r}: {error!r}")

    def test_mutations(self) -> None:
        """A few changes of each, always the same ones."""
        for name in NAMES:
            this = target(name)
            until = monotonic() + SECONDS
            inputs, random = this.corpus, Random(name)
            for data in inputs * MUTATIONS:
                if monotonic() > until:
                    break
                changed = mutated(data, inputs, random)
                try:
                    this.one(changed)
                except Exception as error:
                    self.fail(f"{name}: {changed!r}: {error!r}")

    def test_nothing_astray(self) -> None:
        """The corpus holds finds of known targets, and nothing else."""
        self.assertLessEqual({path.name for path in CORPUS.iterdir()}, set(NAMES))
        for path in CORPUS.rglob("*"):
            self.assertTrue(path.is_dir() or path.suffix == ".bin", path)
            self.assertLess(path.stat().st_size, LONGEST)


class RunTests(SynchronousTestCase):
    """C{python -m tests.fuzz}."""

    def run_for(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it in a directory of its own."""
        directory = Path(self.mktemp())
        directory.mkdir()
        command = [sys.executable, "-m", "tests.fuzz", *words]
        top = str(Path(__file__).resolve().parents[2])
        return subprocess.run(
            command, cwd=directory, env={"PYTHONPATH": top, "PATH": ""}, capture_output=True, text=True, check=False
        )

    def test_nothing_found(self) -> None:
        """It says how many inputs it tried, and ends with status 0."""
        done = self.run_for("range", "--seconds", "0", "--plain")
        self.assertEqual((done.returncode, done.stdout), (0, "range: 0 inputs, nothing found\n"), done.stderr)

    def test_unknown_target(self) -> None:
        """A target that does not exist is a usage error."""
        self.assertEqual(self.run_for("nonsense").returncode, 2)
