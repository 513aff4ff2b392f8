"""
Why a machine does not boot: where it stopped, the likely reason in a sentence, and the configuration line to look at.

Pure: one record of the L{timeline <pybootd.status.timeline>} and the time go in.  The rules are tried in order; the
first that fits is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice

from attrs import frozen

from pybootd.machine import Firmware
from pybootd.status.roles import INITRD, KERNEL, LOADER, base_of, configures, role_of
from pybootd.status.timeline import ASKED, LEASED, OFFERED, RUNNING, STAGES, Record, Transfer

STALL = 8.0
"""Seconds without a byte after which a transfer stands still; TFTP's own patience is a little longer."""

QUIET = 8.0
"""Seconds of silence after which a name that was not there counts as the end."""

IDLE = 20.0
"""Seconds within which firmware that has its address asks for its file."""

LINGER = 60.0
"""Seconds that a loader may take to ask for more: menus wait for people."""

BOOTING = 300.0
"""Seconds that a kernel may take until its system asks for an address."""

REPEATED, LOOPED = 3, 3
"""As often as that is no accident: the same DISCOVER; the same loader."""

LOST = 30
"""Blocks sent again in one transfer: more than a busy firmware loses."""

SHOWN = 4
"""Names that a sentence lists."""

FAILURE, WARNING = "failure", "warning"

Where = Callable[[str, str], str]
"""A section and an option: where they stand in the configuration, as C{pybootd.ini:14: [tftpd] root}."""


@frozen
class Diagnosis:
    """What is the matter."""

    kind: str
    severity: str
    """C{failure}, or C{warning} where it may still go on."""
    sentence: str
    setting: str = ""
    """The line of the configuration to look at, where there is one."""


def diagnose(record: Record, now: float, where: Where) -> Diagnosis | None:
    """What keeps this machine from booting, if anything."""
    for rule in _RULES:
        found = rule(record, now, where)
        if found is not None:
            return found
    return None


def stage_of(record: Record) -> str:
    """The last step that its boot has reached."""
    return next((stage for stage in reversed(STAGES) if stage in record.stages), "")


def state_of(record: Record, now: float, found: Diagnosis | None) -> str:
    """C{stopped}, C{running} (its system is up), C{booting}, or C{quiet}: nothing was heard for a while."""
    if found is not None and found.severity == FAILURE:
        return "stopped"
    if RUNNING in record.stages:
        return "running"
    return "booting" if now - record.last_seen < BOOTING else "quiet"


# the rules


def _turned_away(record: Record, now: float, where: Where) -> Diagnosis | None:
    refusal = record.refusal
    if refusal is None:
        return None
    if refusal.message == "DECLINE":
        return Diagnosis("conflict", FAILURE, _sentence(refusal.reason))
    verb = "is left unanswered" if refusal.silent else "is refused"
    return Diagnosis("refused", FAILURE, f"Its {refusal.message} {verb}: {refusal.reason}.", refusal.setting)


def _loop(record: Record, now: float, where: Where) -> Diagnosis | None:
    name, times = max(record.loads.items(), key=lambda item: item[1], default=("", 0))
    if times < LOOPED:
        return None
    if record.firmware is Firmware.IPXE:
        why = "iPXE is given itself; give it a script in the line ipxe"
    else:
        why = "the loader starts and gives up; look at the machine's screen, and whether its own files are there"
    return Diagnosis("loop", FAILURE, f"It loads {name} again and again, {times} times by now: {why}.", _file(where))


def _broken(record: Record, now: float, where: Where) -> Diagnosis | None:
    """The last file did not arrive, or has stopped arriving."""
    transfer = record.current[-1] if record.current else None
    if transfer is None or transfer.state == "done" or now < transfer.seen:
        return None
    if record.stages.get(RUNNING, now) < transfer.begun:
        return None  # the system's own download
    if transfer.state == "running":
        standing = now - transfer.seen
        return _silent(transfer, where, f"{standing:.0f} s ago") if standing >= STALL else None
    if "fell silent" in transfer.reason or "never answered" in transfer.reason:
        return _silent(transfer, where, "")
    what = f"It did not get {transfer.name} ({_share(transfer)}): {transfer.reason}."
    return Diagnosis("transfer", FAILURE, what, where(_server(transfer.protocol), "root"))


def _silent(transfer: Transfer, where: Where, when: str) -> Diagnosis:
    if not transfer.sent and transfer.protocol == "tftp":
        what = (
            f"It asked for {transfer.name} and took no block of it: answers from other ports than 69 do not come"
            " through (a firewall, a network address translation); single_port = yes needs no others."
        )
        return Diagnosis("blocked", FAILURE, what, where("tftpd", "single_port"))
    what = f"It went silent in the middle of {transfer.name}{f', {when}' if when else ''} ({_share(transfer)})"
    if _blksize(transfer) > 1468:
        what += ": blocks larger than the network's packets get lost on the way; max_blocksize = 1468 avoids them"
        return Diagnosis("silent", FAILURE, f"{what}.", where("tftpd", "max_blocksize"))
    what += ": it was switched off, its link broke, or its loader crashed"
    return Diagnosis("silent", FAILURE, f"{what}.", where(_server(transfer.protocol), "root"))


def _not_there(record: Record, now: float, where: Where) -> Diagnosis | None:
    if not record.missing or RUNNING in record.stages:
        return None  # what a system does not find is no matter of its boot
    if any(transfer.state == "running" for transfer in record.current):
        return None
    names = list(record.missing)
    told = base_of(record.boot_file)
    its_own = bool(told) and any(base_of(name) == told for name in names)
    needed = its_own or _needs_one_of(record, names)
    if not its_own and now - record.last_seen < (QUIET if needed else LINGER):
        return None
    severity = FAILURE if needed else WARNING
    listed = ", ".join(islice(names, SHOWN)) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    if len(names) == 1:
        what = f"It asked for {listed}, which is not there: {record.missing[names[0]]}."
    else:
        what = f"It found none of the files that it tried: {listed}."
    return Diagnosis("missing", severity, what, where(_server(record.asked_by), "root"))


def _needs_one_of(record: Record, names: Sequence[str]) -> bool:
    """
    Whether a loader cannot go on without these files: a kernel, or its configuration.  One that has its configuration
    may ask for fonts and pictures, and waits for a person then.
    """
    configured = any(transfer.state == "done" and configures(transfer.name) for transfer in record.current)
    return not configured or any(role_of(name, "", True) in (KERNEL, INITRD) for name in names)


def _boot_server(record: Record, now: float, where: Where) -> Diagnosis | None:
    if record.waiting < 2:
        return None
    what = f"Its question to port 4011 was not answered, {record.waiting} times: it has no boot file from there."
    return Diagnosis("boot_server", FAILURE, what, where("bootpd", "mode"))


def _ignores(record: Record, now: float, where: Where) -> Diagnosis | None:
    if record.discovers < REPEATED or record.offers < REPEATED - 1:
        return None
    what = (
        f"It has asked {record.discovers} times and takes none of our offers: they do not reach it, or another"
        " DHCP server's please it better."
    )
    return Diagnosis("offer_ignored", FAILURE, what, where("bootpd", "broadcast"))


def _unanswered(record: Record, now: float, where: Where) -> Diagnosis | None:
    if record.offers or record.discovers < REPEATED or record.firmware is Firmware.SYSTEM:
        return None
    what = f"It has asked {record.discovers} times and was sent nothing: no verdict and no address was there in time."
    return Diagnosis("unanswered", FAILURE, what, where("bootpd", "timeout"))


def _no_file(record: Record, now: float, where: Where) -> Diagnosis | None:
    told = record.stages.get(LEASED)
    if told is None or record.files or RUNNING in record.stages or now - told < IDLE:
        return None
    if not record.boot_file:
        return Diagnosis("no_boot_file", FAILURE, "It has its address, and no boot file was named to it.", _file(where))
    if "://" in record.boot_file:
        server, port = "httpd", "the web server"
    else:
        server, port = "tftpd", "TFTP (UDP port 69)"
    what = f"It has its address and does not ask for {record.boot_file}: {port} is out of reach, or it boots otherwise."
    return Diagnosis("no_request", FAILURE, what, where(server, "port"))


def _stuck(record: Record, now: float, where: Where) -> Diagnosis | None:
    """It has something and asks for nothing more: where it is, nobody tells a server."""
    stage, quiet = stage_of(record), now - record.last_seen
    if stage == LOADER and quiet >= LINGER:
        last = record.current[-1].name if record.current else "its loader"
        what = (
            f"It has {last} and asks for nothing more: the loader waits at its screen, finds no network card, or is no"
            " program for such a machine (pybootd check looks)."
        )
        return Diagnosis("loader", WARNING, what, _file(where))
    if stage in (KERNEL, INITRD) and quiet >= BOOTING:
        what = "It has its kernel, and its system has not asked for an address: look at the machine's screen."
        return Diagnosis("kernel", WARNING, what)
    if stage in (ASKED, OFFERED) and quiet >= LINGER and record.firmware is not Firmware.SYSTEM:
        return Diagnosis(
            "left", WARNING, f"It {stage_text(stage)} and was not heard again.", where("bootpd", "address")
        )
    return None


def _lossy(record: Record, now: float, where: Where) -> Diagnosis | None:
    for transfer in record.current:
        if transfer.retransmitted >= LOST:
            what = (
                f"{transfer.retransmitted} blocks of {transfer.name} had to be sent again: packets get lost on the way"
            )
            if _number("windowsize", transfer.detail) > 1:
                what += f", or its firmware cannot take {_number('windowsize', transfer.detail)} of them in a row"
            return Diagnosis("loss", WARNING, f"{what}.", where("tftpd", "max_windowsize"))
    return None


_RULES = (
    _turned_away, _loop, _broken, _not_there, _boot_server, _ignores, _unanswered, _no_file, _stuck, _lossy,
)  # fmt: skip


# words


def stage_text(stage: str) -> str:
    """A stage as the end of a sentence about the machine."""
    return {ASKED: "asked", OFFERED: "was made an offer"}.get(stage, stage)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _share(transfer: Transfer) -> str:
    if transfer.size:
        return f"after {100 * min(transfer.sent, transfer.size) // transfer.size} %"
    return f"after {transfer.sent} bytes"


def _server(protocol: str) -> str:
    return "httpd" if protocol == "http" else "tftpd"


def _file(where: Where) -> str:
    return where("bootfile", "")


def _blksize(transfer: Transfer) -> int:
    return _number("blksize", transfer.detail)


def _number(name: str, detail: str) -> int:
    found = re.search(rf"{name} (\d+)", detail)
    return int(found[1]) if found else 0
