"""
How a connection ends: what Twisted's HTTP client does not tell of a body without a length.

Such a body ends with its connection, and only if that is closed in order is it whole (RFC 9112 6.3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure


def minded(connection: Any, broke: Callable[[Failure], None]) -> Any:
    """
    Call C{broke} if the connection ends in another way than closed by the other side, before its protocol learns of it.

    @param connection: the protocol of a connection, just before a request is sent over it.
    @return: the same.
    """
    lost = type(connection).connectionLost.__get__(connection)  # not what an earlier request has put in its place

    def ended(reason: Failure = connectionDone) -> None:
        if not reason.check(ConnectionDone):
            broke(reason)
        lost(reason)

    connection.connectionLost = ended
    return connection
