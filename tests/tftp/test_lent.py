"""What stands in the server for a transfer that another process carries out."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.tftp.lent import Lent
from pybootd.tftp.transfer import NEVER, State

CLIENT = ("10.0.0.9", 2070)


class LentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told: list[str] = []
        self.lent = Lent(CLIENT, 512, 1, self)
        self.lent.carrier = self

    def ended(self, session: Lent, failure: str) -> None:
        self.assertIs(session, self.lent)
        self.told.append(f"ended {failure}")

    def drop(self) -> None:
        self.told.append("drop")

    def look(self) -> None:
        self.told.append("look")

    def test_standing(self) -> None:
        """The server sees a transfer that is under way, and has nothing to do for it."""
        lent = self.lent
        self.assertEqual((lent.client, lent.arrived, lent.transfer.resent), (CLIENT, 512, 1))
        self.assertEqual((lent.transfer.state, lent.transfer.deadline), (State.SENDING, NEVER))
        lent.progressed(2048, 3)
        self.assertEqual((lent.arrived, lent.transfer.resent), (2048, 3))

    def test_end(self) -> None:
        """The other process's end is told once."""
        self.lent.ended("the client fell silent")
        self.lent.ended("again")
        self.lent.close("the server stops")
        self.assertEqual(self.told, ["ended the client fell silent"])

    def test_close(self) -> None:
        """Who breaks it off tells the other process, once."""
        self.lent.close("the server stops")
        self.lent.close("again")
        self.assertEqual(self.told, ["drop", "ended the server stops"])

    def test_settle(self) -> None:
        """Who wants to know how it stands waits for the answer; the last one who asked is called, once."""
        self.lent.settle(lambda: self.told.append("first"))
        self.lent.settle(lambda: self.told.append("second"))
        self.assertEqual(self.told, ["look"])
        self.lent.looked()
        self.lent.looked()
        self.assertEqual(self.told, ["look", "second"])

    def test_settled_by_its_end(self) -> None:
        """An end, too, is an answer; it is told first."""
        self.lent.settle(lambda: self.told.append("after"))
        self.lent.ended("")
        self.lent.looked()
        self.assertEqual(self.told, ["look", "ended ", "after"])
