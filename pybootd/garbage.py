"""
The search for cycles of garbage, done as rarely as it is of use.

Python looks through what was made lately with every 700 objects that stay: with leases and machines, which stay, that
was a tenth of the work of a DHCP exchange.  What it looks for are objects that refer to one another and that nobody
needs: here a few of a failed connection or of a configuration that was replaced, and four objects of each piece of
work that Twisted's pool of threads did, half a KiB together: a lease on a slow disk is one.  So it is not done so
rarely that thousands of them wait.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG, MIDDLE, OLD = 2_000, 20, 100
"""Objects more than before, until it looks through the young ones; and of those searches how many until the next.

With 10 000 young ones an exchange takes no less time, and a MiB more waits to be found.
"""


@contextmanager
def searched_rarely() -> Iterator[None]:
    """
    Around the start of the services: what is there by its end stays for good, and is not looked through again.

    What loading left is searched for before: afterwards, with 60 000 leases, that takes 35 ms in place of 12.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
    yield
    gc.freeze()
