"""
Values of which every datagram makes several: requests, decisions, replies, leases, events.

The type checker takes them for C{attrs.frozen}, so that nobody changes one.  At run time they are not, for a frozen
class sets each attribute by a call: C{Request}, with its two dozen, took 4 us for it, and takes 1.5 so (Python 3.11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["value"]

if TYPE_CHECKING:
    from attrs import frozen as value
else:
    from functools import partial

    from attrs import define

    value = partial(define, unsafe_hash=True)
