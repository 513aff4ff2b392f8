"""What machines made of our answers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.history import History
from tests.support.dhcp import BIOS, DISCOVER, IPXE, MAC, OTHER, UEFI, request, selecting
from tests.support.server import mac

ASKS, TAKES = request(DISCOVER, UEFI), selecting("10.0.0.100", options=UEFI)


class AttemptTests(SynchronousTestCase):
    """Forms that were ignored."""

    def attempts(self, history: History, *times: float) -> list[int]:
        """One DISCOVER at each of these times, each of them answered."""
        return [self.attempt(history, when) for when in times]

    def attempt(self, history: History, when: float, key: bytes = MAC) -> int:
        """One DISCOVER, which is answered."""
        attempt = history.attempt(key, ASKS, when)
        history.answered(key)
        return attempt

    def test_again(self) -> None:
        """Each repetition is one more form that was ignored; a copy within a second is none."""
        self.assertEqual(self.attempts(History(), 0, 0.3, 4, 12, 28), [0, 0, 1, 2, 3])

    def test_later(self) -> None:
        """A minute later it is a new question."""
        self.assertEqual(self.attempts(History(), 0, 4, 70), [0, 1, 0])

    def test_not_answered(self) -> None:
        """Whoever was not answered has not ignored anything."""
        history = History()
        self.assertEqual([history.attempt(MAC, ASKS, when) for when in (0, 4, 8)], [0, 0, 0])
        self.assertEqual(self.attempts(history, 16, 32), [0, 1])
        self.assertEqual([history.attempt(MAC, ASKS, when) for when in (36, 40)], [2, 2])

    def test_other_program(self) -> None:
        """Another program on the same machine asks a question of its own."""
        history = History()
        self.attempts(history, 0, 4)
        self.assertEqual(history.attempt(MAC, request(DISCOVER, BIOS), 8), 0)

    def test_taken(self) -> None:
        """The form that was taken goes first with the next machine of the make, and stays for this one's REQUEST."""
        history = History()
        self.attempts(history, 0, 4)
        self.assertEqual(history.attempt(MAC, TAKES, 5), 1)
        self.assertEqual(history.attempt(MAC, TAKES, 6), 1)
        self.assertEqual(history.attempt(OTHER, ASKS, 7), 1)
        self.assertEqual(history.attempt(mac(1), ASKS, 8), 0)

    def test_unlearnt(self) -> None:
        """A make that takes the usual form after all is told in the usual form again."""
        history = History()
        self.attempts(history, 0, 4)
        history.attempt(MAC, TAKES, 5)
        self.assertEqual([self.attempt(history, when, OTHER) for when in (100, 104, 112)], [1, 2, 3])
        history.attempt(OTHER, TAKES, 113)
        self.assertEqual(history.attempt(MAC, ASKS, 300), 3)

    def test_bounded(self) -> None:
        """The latest machines are remembered, no more than so many."""
        history = History(limit=10)
        for index in range(100):
            self.attempt(history, 0, mac(index))
        self.assertEqual([history.attempt(mac(index), ASKS, 4) for index in (99, 5)], [1, 0])


class LoadTests(SynchronousTestCase):
    """Files that are loaded again and again."""

    def loads(self, history: History, *times: float, file: str = "ipxe.efi") -> None:
        """It is told to load a file, and takes it, at each of these times."""
        for when in times:
            history.told(MAC, file)
            history.took(MAC, when)

    def test_in_a_row(self) -> None:
        """The same file again within a short while."""
        history = History()
        self.loads(history, 0, 10, 20)
        self.assertEqual(history.loads(MAC, 25), ("ipxe.efi", 3))
        self.assertEqual(history.loads(MAC, 60), ("", 0))

    def test_another_file(self) -> None:
        """Another file begins another row, and so does a pause."""
        history = History()
        self.loads(history, 0, 10)
        self.loads(history, 20, file="other.efi")
        self.assertEqual(history.loads(MAC, 20), ("other.efi", 1))
        self.loads(history, 100, file="other.efi")
        self.assertEqual(history.loads(MAC, 100), ("other.efi", 1))

    def test_not_taken(self) -> None:
        """Being told is not yet loading; a machine that was told nothing loads nothing."""
        history = History()
        history.took(MAC, 0)
        for _ in range(5):
            history.told(MAC, "ipxe.efi")
        self.assertEqual(history.loads(MAC, 0), ("", 0))
        self.assertEqual(history.attempt(MAC, request(DISCOVER, IPXE), 0), 0)
