"""What filters and templates may say about the machine that asks."""

from __future__ import annotations

from collections.abc import Mapping

from pybootd.machine import Machine

NAMES = ("filename", "boot_file", "mac", "ip", "uuid", "arch", "hostname")
"""Known without any C{var.NAME}; each is left out where it is not known of a machine."""


def variables(filename: str, machine: Machine | None) -> Mapping[str, str]:
    """
    The variables for one request.

    A host name is the client's own word: one with control characters in it is left out,
    so that none can begin a line of its own in a template.

    @param filename: the name that was asked for, as L{pybootd.content.names.normalise} leaves it.
    """
    if machine is None:
        return {"filename": filename}
    known = {
        **machine.variables,
        "filename": filename,
        "boot_file": machine.boot_file,
        "mac": machine.mac.replace(":", "-"),
        "ip": "" if machine.address is None else str(machine.address),
        "uuid": "" if machine.uuid is None else str(machine.uuid),
        "arch": "" if machine.architecture is None else f"{machine.architecture:05d}",
        "hostname": machine.hostname if machine.hostname.isprintable() else "",
    }
    return {name: value for name, value in known.items() if value}
