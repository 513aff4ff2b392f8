"""A refusal that iPXE shows on its screen, where it would else show only a number."""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[^A-Za-z0-9 .,:;_=/()\[\]-]")
"""What means something to iPXE in a line of a script, or cannot be shown."""

_SCRIPT = """#!ipxe
echo
echo This machine may not boot from here:
echo {reason}
echo
sleep 15
exit 1
"""


def script(reason: str) -> bytes:
    """An iPXE script that says why, waits a little, and fails."""
    return _SCRIPT.format(reason=_UNSAFE.sub("?", reason)[:200]).encode("ascii")
