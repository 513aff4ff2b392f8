"""What main process and worker say to each other, as datagrams and back."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from pybootd.workers import messages
from pybootd.workers.messages import LARGEST, SENTENCE, Drop, Ended, Look, Looked, Progress, Said, SendBlocks, SendFile

SEND = SendBlocks(7, "10.0.0.9", 2070, 1500, 1 << 40, 1468, 16, 16, False, 2.5, 5, 1, 0.001, 0)
ALL = (
    SEND,
    SendFile(8, 0, 1 << 40),
    Drop(9),
    Look(9),
    Looked(0),
    Progress(9, 1 << 40, 3),
    Ended(9, 5, "the client fell silent", 2),
    Said("warn", "é\n"),
)


class MessageTests(SynchronousTestCase):
    def test_round(self) -> None:
        """Every message comes out as it went in, and there is no other."""
        for message in ALL:
            self.assertEqual(messages.decode(messages.encode(message)), message)
        self.assertEqual({type(message) for message in ALL}, set(messages.KINDS.values()))

    def test_size(self) -> None:
        """The longest sentence fits, whatever its characters."""
        text = messages.sentence("\U0001f600" * 10_000)
        self.assertEqual(len(text), SENTENCE)
        self.assertLess(len(messages.encode(Said("critical", "é" * SENTENCE))), LARGEST)
        self.assertEqual(messages.sentence("short"), "short")

    def test_nonsense(self) -> None:
        """Whatever is none of them is refused, and nothing else happens."""
        for data in (
            b"",
            b"\xff",
            b"{}",
            b"[]",
            b"7",
            b'["nothing", 1]',
            b'["drop"]',
            b'["drop", 1, 2]',
            b'["drop", "1"]',
            b'["ended", 1, 2, null]',
            json.dumps(["said", "warn", 5]).encode(),
        ):
            self.assertRaises(ValueError, messages.decode, data)
