"""
Which part of a file an HTTP request is about: conditions (RFC 9110 13) and ranges (RFC 9110 14).

A pure function of the request's fields and the file's validators.  One range at most is
granted; a request for several, or for something that is no range, gets the whole file, as
the RFC allows, so that no request makes an answer larger than the file.
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

from pybootd.content.content import Content
from pybootd.value import value

_RANGE = re.compile(rb"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)
_ETAGS = re.compile(rb'(?:W/)?"([^"]*)"')


@value
class Conditions:
    """The fields of one request that decide; None: not sent."""

    range: bytes | None = None
    if_range: bytes | None = None
    if_none_match: bytes | None = None
    if_modified_since: bytes | None = None


@value
class Selection:
    """The answer: its status, and which bytes go with it."""

    status: int
    begin: int = 0
    end: int | None = None
    """The first byte that is not sent; None: up to the end of a file of unknown length."""
    range: bytes | None = None
    """Content-Range, where there is to be one."""

    @property
    def length(self) -> int | None:
        """Bytes to send, where known."""
        return None if self.end is None else self.end - self.begin


def select(content: Content, conditions: Conditions) -> Selection:
    """
    What to answer for C{content}.

    @return: 304 and 416 send nothing; 206 a part; 200 everything.
    """
    if _is_current(content, conditions):
        return Selection(304, 0, 0)
    size = content.size
    whole = Selection(200, 0, size)
    if (
        conditions.range is None
        or size is None
        or not content.seekable
        or not _range_holds(content, conditions.if_range)
    ):
        return whole
    match = _RANGE.fullmatch(conditions.range)
    if match is None or match.group(1) == match.group(2) == b"":
        return whole
    return _part(size, match.group(1), match.group(2)) or whole


def _part(size: int, first: bytes, last: bytes) -> Selection | None:
    if not first:  # the last so many bytes
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < begin:
            return None
    if begin >= end:
        return Selection(416, 0, 0, b"bytes */%d" % size)
    return Selection(206, begin, end, b"bytes %d-%d/%d" % (begin, end - 1, size))


def _is_current(content: Content, conditions: Conditions) -> bool:
    """Whether the client has this very file already."""
    if conditions.if_none_match is not None:
        if conditions.if_none_match.strip() == b"*":
            return True
        return content.etag is not None and content.etag.encode() in _ETAGS.findall(conditions.if_none_match)
    if conditions.if_modified_since is None or content.modified is None:
        return False
    since = _seconds(conditions.if_modified_since)
    return since is not None and int(content.modified) <= since


def _range_holds(content: Content, if_range: bytes | None) -> bool:
    """Whether what the client has a part of is this very file; weak validators do not count."""
    if if_range is None:
        return True
    if if_range.startswith(b'"'):
        return content.etag is not None and if_range == b'"%s"' % content.etag.encode()
    return content.modified is not None and _seconds(if_range) == int(content.modified)


def _seconds(date: bytes) -> int | None:
    """An HTTP date in seconds since the epoch, if it is one."""
    try:
        return int(parsedate_to_datetime(date.decode("ascii")).timestamp())
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
