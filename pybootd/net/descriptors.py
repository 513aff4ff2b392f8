"""How many descriptors this process may open: as many as its own ceilings need, where the system allows it."""

from __future__ import annotations

import resource
from contextlib import suppress

RESERVE = 256
"""For files, the lease store, the server's own sockets, questions to web servers, and whatever libraries open."""

TRANSFER = 2
"""Sockets of a TFTP transfer; see L{pybootd.tftp.ports}."""


def allow(wanted: int) -> int:
    """
    Raise this process's limit so far, where it is lower and the hard limit permits.

    @return: what is allowed now, in any case no more than C{wanted}.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < wanted:  # -1: no limit at all
        better = wanted if hard < 0 else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (better, hard))
            soft = better
    return wanted if soft < 0 else min(soft, wanted)
