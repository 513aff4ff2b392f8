"""A body on its way to a client through Twisted's transport: streams, and anything under TLS."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from pybootd.content.content import Body
from pybootd.errors import ContentError
from pybootd.http.sendfile import GONE

CHUNK = 64 * 1024
"""Bytes read at once; as much again may wait in the transport."""


@implementer(IPushProducer)
class Stream:
    """
    Writes one part of one body at the pace at which the client takes it.

    It is running while C{_write} is there.
    """

    def __init__(
        self,
        body: Body,
        begin: int,
        end: int | None,
        write: Callable[[bytes], None],
        done: Callable[[str | None], None],
    ) -> None:
        """
        @param end: the first byte that is not sent; None: up to the body's end.
        @param write: takes bytes, and calls L{pauseProducing} when it has enough.
        @param done: called once: with None at the end, or with what went wrong.
        """
        self._body = body
        self._offset = begin
        self._end = end
        self._write: Callable[[bytes], None] | None = write
        self._done = done
        self._paused = False
        self._waiting = False

    def resumeProducing(self) -> None:
        """Also begins."""
        self._paused = False
        self._advance()

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        """Nobody is there to write to any more."""
        self._finish(GONE)

    def _advance(self) -> None:
        while self._write is not None and not self._paused and not self._waiting:
            length = CHUNK if self._end is None else min(CHUNK, self._end - self._offset)
            if not length:
                self._finish(None)
                return
            try:
                data = self._body.read(self._offset, length)
            except ContentError as error:
                self._finish(str(error))
                return
            if data is None:
                self._waiting = True
                self._body.wait(self._ready)
            elif data:
                self._offset += len(data)
                self._body.discard(self._offset)
                self._write(data)
            else:
                self._finish(None if self._end is None else "The file ended too soon")

    def _ready(self) -> None:
        self._waiting = False
        self._advance()

    def _finish(self, problem: str | None) -> None:
        if self._write is not None:
            self._write = None
            self._done(problem)
