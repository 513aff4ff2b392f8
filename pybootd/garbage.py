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

YOUNG, MIDDLE, OLD = 2_000, 20, 100
"""Objects more than before, until it looks through the young ones; and of those searches how many until the next.

With 10 000 young ones an exchange takes no less time, and a MiB more waits to be found.
"""


def search_rarely() -> None:
    """What there is now stays for good, and is not looked through again: to be called when everything has started."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
