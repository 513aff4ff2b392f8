"""A bound for what Twisted's HTTP client reads without one: the header of an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LONGEST = 128 << 10
"""Bytes from the question to the end of the answer's header; honest ones are a hundred times shorter."""


def bound(connection: Any, answered: Callable[[], bool], longest: int = LONGEST) -> Any:
    """
    Abort a connection that sends more than C{longest} bytes while C{answered} is not true.

    @param connection: the protocol of a connection, just before a request is sent over it.
    @return: the same.
    """
    left = longest
    receive = type(connection).dataReceived.__get__(connection)  # not what an earlier request has put in its place

    def received(data: bytes) -> None:
        nonlocal left
        left -= len(data)
        if left >= 0 or answered():
            receive(data)
        else:
            connection.transport.abortConnection()

    connection.dataReceived = received
    return connection
