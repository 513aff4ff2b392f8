"""Which options are answered, and how."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.tftp.options import OPTIONS, Ceilings, _negotiated, negotiate
from pybootd.tftp.packet import decode_request


class NegotiateTests(SynchronousTestCase):
    def agree(self, ceilings: Ceilings | None = None, size: int | None = 1000, **asked: str) -> dict[str, int]:
        options = {name: text.encode() for name, text in asked.items()}
        return dict(negotiate(options, ceilings or Ceilings(), size).answered)

    def test_nothing_asked(self) -> None:
        """Who asks for nothing gets no OACK, 512-byte blocks and no windows."""
        agreement = negotiate({}, Ceilings(), 1000)
        self.assertEqual(agreement.oack, b"")
        self.assertEqual((agreement.blksize, agreement.windowsize), (512, 1))

    def test_default_blocksize(self) -> None:
        """[tftpd] blocksize is the size for those who ask for none, and does not show in an OACK."""
        agreement = negotiate({}, Ceilings(blocksize=1024), 1000)
        self.assertEqual(agreement.oack, b"")
        self.assertEqual(agreement.blksize, 1024)

    def test_firmware(self) -> None:
        """What OVMF asks is answered in its order, and holds."""
        agreement = negotiate({"tsize": b"0", "blksize": b"1468", "windowsize": b"4"}, Ceilings(), 12345)
        self.assertEqual(agreement.oack, b"\0\6tsize\x0012345\0blksize\x001468\0windowsize\x004\0")
        self.assertEqual((agreement.blksize, agreement.windowsize, agreement.sized), (1468, 4, True))

    def test_alike(self) -> None:
        """Equal requests are answered alike; another file's size or other ceilings are another answer."""
        asked = {"tsize": b"0", "windowsize": b"64"}
        self.assertIs(negotiate(asked, Ceilings(), 1000), negotiate(dict(asked), Ceilings(), 1000))
        self.assertIn(b"tsize\x001001\0", negotiate(asked, Ceilings(), 1001).oack)
        self.assertEqual(negotiate(asked, Ceilings(windowsize=8), 1000).windowsize, 8)

    def test_order(self) -> None:
        """The answer is in the order of the request, however somebody else asked before."""
        first = negotiate({"blksize": b"1024", "windowsize": b"4"}, Ceilings(), 1000)
        second = negotiate({"windowsize": b"4", "blksize": b"1024"}, Ceilings(), 1000)
        self.assertEqual(first.oack, b"\0\6blksize\x001024\0windowsize\x004\0")
        self.assertEqual(second.oack, b"\0\6windowsize\x004\0blksize\x001024\0")

    def test_long_values(self) -> None:
        """A value with more digits than any number has is left out, and not remembered either."""
        remembered = _negotiated.cache_info().currsize
        for length in (21, 600, 60000):
            self.assertEqual(negotiate({"blksize": b"0" * length, "comment": b"x" * length}, Ceilings(), 7).oack, b"")
        self.assertLessEqual(_negotiated.cache_info().currsize, remembered + 1)

    def test_ranges(self) -> None:
        """Values within the RFC's range are answered, cut to our ceilings; all others are left out."""
        ceilings = Ceilings(blksize=4096, windowsize=16)
        for option, asked, answer in (
            ("blksize", "8", 8),
            ("blksize", "4096", 4096),
            ("blksize", "65464", 4096),
            ("blksize", "65465", None),
            ("blksize", "7", None),
            ("blksize", "0", None),
            ("blksize", "-1", None),
            ("blksize", "abc", None),
            ("blksize", "1e3", None),
            ("blksize", "", None),
            ("timeout", "1", 1),
            ("timeout", "255", 255),
            ("timeout", "0", None),
            ("timeout", "256", None),
            ("windowsize", "1", 1),
            ("windowsize", "64", 16),
            ("windowsize", "65535", 16),
            ("windowsize", "0", None),
            ("windowsize", "65536", None),
            ("tsize", "0", 1000),
            ("tsize", "77", 1000),
            ("tsize", "-1", None),
            ("msftwindow", "31416", 27182),
            ("msftwindow", "1", None),
            ("multicast", "", None),
        ):
            expected = {} if answer is None else {option: answer}
            self.assertEqual(self.agree(ceilings, **{option: asked}), expected, (option, asked))

    def test_unknown_size(self) -> None:
        """Where the size is not known, tsize is left out."""
        self.assertEqual(self.agree(size=None, tsize="0", timeout="3"), {"timeout": 3})

    def test_window_of_large_blocks(self) -> None:
        """A window of large blocks is smaller: a burst stays one that sockets and switches take."""
        self.assertEqual(self.agree(blksize="65464", windowsize="64"), {"blksize": 65464, "windowsize": 2})
        self.assertEqual(self.agree(blksize="1468", windowsize="64"), {"blksize": 1468, "windowsize": 64})

    def test_variable_window(self) -> None:
        """Windows' boot manager starts with one block and may ask for as many as we grant anybody."""
        agreement = negotiate({"msftwindow": b"31416"}, Ceilings(), 1000)
        self.assertTrue(agreement.variable)
        self.assertEqual((agreement.windowsize, agreement.widest), (1, 64))

    def test_below(self) -> None:
        """Firmware gets no block that would be fragmented, but never less than it has by right."""
        self.assertEqual(Ceilings().below(1500).blksize, 1468)
        self.assertEqual(Ceilings(blksize=1024).below(1500).blksize, 1024)
        self.assertEqual(Ceilings().below(300).blksize, 512)
        self.assertEqual(Ceilings(blksize=256).below(1500).blksize, 256)

    def test_shown(self) -> None:
        """For people, an agreement is a few words."""
        self.assertEqual(str(negotiate({}, Ceilings(), 1)), "blksize 512")
        self.assertEqual(str(negotiate({"windowsize": b"4"}, Ceilings(), 1)), "blksize 512, windowsize 4")
        self.assertEqual(str(negotiate({"msftwindow": b"31416"}, Ceilings(), 1)), "blksize 512, variable window")

    def test_window_size(self) -> None:
        """No window holds more bytes than [limits] allows, but it holds a block at least."""
        ceilings = Ceilings(window_bytes=4096)
        for blksize, window in (("512", 8), ("1468", 2), ("8192", 1)):
            answered = self.agree(ceilings, blksize=blksize, windowsize="64")
            self.assertEqual(answered, {"blksize": int(blksize), "windowsize": window})

    @given(
        st.dictionaries(st.one_of(st.sampled_from(sorted(OPTIONS)), st.text(max_size=8)), st.binary(max_size=12)),
        st.one_of(st.none(), st.integers(0, 2**40)),
    )
    def test_anything(self, asked: dict[str, bytes], size: int | None) -> None:
        """Whatever is asked, only that is answered, once, and what holds can be kept."""
        agreement = negotiate(asked, Ceilings(), size)
        names = [name for name, _ in agreement.answered]
        self.assertEqual(len(names), len(set(names)))
        self.assertLessEqual(set(names), set(asked))
        self.assertTrue(8 <= agreement.blksize <= 65464)
        self.assertTrue(1 <= agreement.windowsize <= agreement.widest <= 64)
        if agreement.oack:
            as_request = decode_request(b"\0\1x\0octet\0" + agreement.oack[2:])
            self.assertEqual(as_request.options, {name: b"%d" % value for name, value in agreement.answered})
