"""The longest mask that fits decides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.config import Access
from pybootd.config.masks import Masks
from pybootd.config.origin import Origin
from pybootd.config.words import masked_mac, masked_uuid


def masks(*lines: str, parse=masked_mac) -> Masks:
    """A list whose lines are numbered from 1."""
    return Masks(
        Access(parse(line), True, Origin("x.ini", number, "mac", line)) for number, line in enumerate(lines, 1)
    )


def found(among: Masks, *identifiers: str) -> int:
    """The line that decides, 0 if none."""
    entry = among.find(*(bytes.fromhex(one.replace("-", "")) for one in identifiers))
    return entry.origin.line if entry else 0


class MasksTests(SynchronousTestCase):
    """L{Masks} finds one line for one machine."""

    def test_exact(self) -> None:
        """Without a mask only this machine fits."""
        among = masks("AA-BB-CC-DD-EE-FF")
        self.assertEqual((found(among, "AA-BB-CC-DD-EE-FF"), found(among, "AA-BB-CC-DD-EE-FE")), (1, 0))

    def test_longest(self) -> None:
        """The longest mask wins, wherever it stands."""
        among = masks("AA-BB-CC/24", "AA-BB-CC-DD/30", "AA-BB-CC-DD-EE-FF", "00/0")
        self.assertEqual(found(among, "AA-BB-CC-DD-EE-FF"), 3)
        self.assertEqual(found(among, "AA-BB-CC-DC-00-00"), 2)
        self.assertEqual(found(among, "AA-BB-CC-00-00-00"), 1)
        self.assertEqual(found(among, "11-11-11-11-11-11"), 4)

    def test_nobody(self) -> None:
        """An empty list knows nobody."""
        self.assertEqual(found(masks(), "AA-BB-CC-DD-EE-FF"), 0)

    def test_several_forms(self) -> None:
        """Of a machine that has several forms, the longest match of any counts."""
        among = masks("77aabbcc/32", "ccbbaa77-2211/48", parse=masked_uuid)
        forms = ("77aabbcc112233445566778899aabbcc", "ccbbaa77221144335566778899aabbcc")
        self.assertEqual((found(among, *forms), found(among, forms[0])), (2, 1))

    def test_odd_lengths(self) -> None:
        """What is shorter than a mask cannot fit it; nothing raises."""
        self.assertEqual((found(masks("AA-BB-CC/24"), "AA-BB"), found(masks("AA-BB-CC/24"), "")), (0, 0))

    @given(
        st.lists(st.tuples(st.binary(min_size=6, max_size=6), st.integers(0, 48))), st.binary(min_size=6, max_size=6)
    )
    def test_as_defined(self, lines: list[tuple[bytes, int]], mac: bytes) -> None:
        """It finds what a look at every line would find."""
        entry = masks(*(f"{value.hex('-')}/{bits}" for value, bits in lines)).find(mac)

        def fits(value: bytes, bits: int) -> bool:
            return int.from_bytes(value) >> 48 - bits == int.from_bytes(mac) >> 48 - bits

        longest = max((bits for value, bits in lines if fits(value, bits)), default=None)
        self.assertEqual(entry and entry.who.bits, longest)
