"""Conditions and ranges."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.content import BytesBody, Content
from pybootd.http.selection import Conditions, Selection, select

DATE = b"Thu, 01 Jan 1970 00:01:40 GMT"
LATER = b"Thu, 01 Jan 1970 00:01:41 GMT"
EARLIER = b"Thu, 01 Jan 1970 00:01:39 GMT"


def content(size: int | None = 1000, seekable: bool = True) -> Content:
    """A file with validators."""
    return Content("x", size, BytesBody(b""), modified=100.7, etag="e-1", seekable=seekable)


WHOLE = Selection(200, 0, 1000)


class RangeTests(SynchronousTestCase):
    """One range, strictly read."""

    def range(self, value: bytes, size: int | None = 1000, **options: bool) -> Selection:
        return select(content(size, **options), Conditions(range=value))

    def test_parts(self) -> None:
        """From the beginning, from the middle, from the end; cut where the file ends."""
        for value, begin, end in (
            (b"bytes=0-0", 0, 1),
            (b"bytes=0-499", 0, 500),
            (b"bytes=500-999", 500, 1000),
            (b"bytes=500-", 500, 1000),
            (b"bytes=500-99999", 500, 1000),
            (b"bytes=0-", 0, 1000),
            (b"bytes=-1", 999, 1000),
            (b"bytes=-1000", 0, 1000),
            (b"bytes=-99999", 0, 1000),
            (b"Bytes=999-999", 999, 1000),
            (b"bytes=00-01", 0, 2),
            (b"bytes=0-999999999999999999", 0, 1000),
        ):
            self.assertEqual(
                self.range(value), Selection(206, begin, end, b"bytes %d-%d/1000" % (begin, end - 1)), value
            )

    def test_unsatisfiable(self) -> None:
        """A range that begins behind the end."""
        for value in (b"bytes=1000-", b"bytes=1000-1001", b"bytes=99999-", b"bytes=-0"):
            self.assertEqual(self.range(value), Selection(416, 0, 0, b"bytes */1000"), value)
        for value in (b"bytes=0-", b"bytes=0-0", b"bytes=-1"):
            self.assertEqual(self.range(value, 0), Selection(416, 0, 0, b"bytes */0"), value)

    def test_no_range(self) -> None:
        """What is no range, or several, is as if it were not there."""
        for value in (
            b"",
            b"bytes",
            b"bytes=",
            b"bytes=-",
            b"bytes=a-b",
            b"bytes=5-4",
            b"bytes= 0-5",
            b"bytes=0 - 5",
            b"bytes=0-5 ",
            b"bytes=+0-+5",
            b"bytes=1_0-2_0",
            b"bytes=0x0-0x5",
            b"bytes=--5",
            b"bytes=0-5-6",
            b"bytes=0-5,10-15",
            b"bytes=0-,0-,0-",
            b"bytes=\xd9\xa0-\xd9\xa5",
            b"bytes=1.0-2",
            b"lines=0-5",
            b"bytes=" + b"9" * 5000 + b"-",
            b"bytes=0-5\n",
            b"bytes=" + b"0-," * 1000,
        ):
            self.assertEqual(self.range(value), WHOLE, value[:40])

    def test_not_possible(self) -> None:
        """A stream, and a file of unknown length, are sent as a whole."""
        self.assertEqual(self.range(b"bytes=5-9", seekable=False), WHOLE)
        self.assertEqual(self.range(b"bytes=5-9", None), Selection(200, 0, None))

    @given(st.one_of(st.binary(max_size=40), st.from_regex(rb"bytes=[0-9, -]*")), st.integers(0, 2000))
    def test_never_more_than_the_file(self, value: bytes, size: int) -> None:
        """Whatever is asked, what is sent is within the file."""
        selection = self.range(value, size)
        assert selection.end is not None
        self.assertTrue(0 <= selection.begin <= selection.end <= size)
        self.assertIn(selection.status, (200, 206, 416))
        if selection.status == 206:
            self.assertLess(selection.begin, selection.end)


class ConditionTests(SynchronousTestCase):
    """What the client has already is not sent again."""

    def status(self, **fields: bytes) -> int:
        return select(content(), Conditions(**fields)).status

    def test_if_none_match(self) -> None:
        """The client names what it has; weak and strong are compared alike."""
        for value in (b'"e-1"', b'"a", "e-1"', b'W/"e-1"', b"*"):
            self.assertEqual(self.status(if_none_match=value), 304, value)
        for value in (b'"e-2"', b"e-1", b'"e-1', b"", b'"', b'W/"x"'):
            self.assertEqual(self.status(if_none_match=value), 200, value)

    def test_if_modified_since(self) -> None:
        """A date counts where no ETag is named; fractions of seconds do not."""
        for value, status in ((DATE, 304), (LATER, 304), (EARLIER, 200), (b"yesterday", 200), (b"", 200)):
            self.assertEqual(self.status(if_modified_since=value), status, value)
        self.assertEqual(self.status(if_none_match=b'"e-2"', if_modified_since=DATE), 200)

    def test_if_range(self) -> None:
        """A part is sent only of the very file that the client has a part of."""
        for value, status in (
            (b'"e-1"', 206),
            (b'"e-2"', 200),
            (b'W/"e-1"', 200),
            (DATE, 206),
            (LATER, 200),
            (EARLIER, 200),
            (b"", 200),
        ):
            self.assertEqual(self.status(range=b"bytes=0-5", if_range=value), status, value)

    def test_without_validators(self) -> None:
        """A file about which nothing is known never matches."""
        bare = Content("x", 10, BytesBody(b""))
        for conditions in (
            Conditions(if_none_match=b'"e-1"'),
            Conditions(if_modified_since=LATER),
            Conditions(range=b"bytes=0-1", if_range=DATE),
            Conditions(range=b"bytes=0-1", if_range=b'"e-1"'),
        ):
            self.assertEqual(select(bare, conditions).status, 200)

    @given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
    def test_any_bytes(self, first: bytes, second: bytes, third: bytes) -> None:
        """No field's bytes do harm."""
        select(content(), Conditions(b"bytes=0-1", first, second, third))
        select(content(), Conditions(b"bytes=0-1", first, None, third))
