"""
Which boot file a client gets: C{[host]}, the access server's word, then C{[bootfile]} by architecture.

Pure; leaves a step in the trace for each place that it looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from pybootd.config import BootFile
from pybootd.dhcp.architectures import ALIKE, BIOS, BY_NUMBER, name_of
from pybootd.dhcp.decision import Step
from pybootd.dhcp.options import dotted
from pybootd.dhcp.pxe import IPXE_HTTP
from pybootd.dhcp.request import Request
from pybootd.dhcp.settings import Host, Network, Settings
from pybootd.machine import Firmware
from pybootd.origin import Origin


@frozen
class Choice:
    """The file, or why there is none."""

    file: str = ""
    reason: str = ""
    origin: Origin | None = None


def boot_file(
    request: Request, settings: Settings, network: Network, host: Host, named: str, trace: list[Step]
) -> Choice:
    """
    Choose.

    @param named: the file that the access server named, or nothing.
    """
    if host.boot_file:
        found = Choice(host.boot_file, origin=host.boot_file_origin)
    elif named:
        found = Choice(named)
    else:
        found = _by_architecture(request, settings, trace)
    if not found.file:
        return found
    found = _reachable(request, settings, network, found)
    trace.append(Step("boot file", found.file or found.reason, found.origin))
    return found


def _by_architecture(request: Request, settings: Settings, trace: list[Step]) -> Choice:
    for key in _keys(request):
        entry: BootFile | None = settings.files.get(key)
        if entry is not None:
            return Choice(entry.file, origin=entry.origin)
        trace.append(Step(f"[bootfile] {_key_name(*key)}", "no such entry"))
    wanted = name_of(request.architecture)
    origin = settings.origin("bootfile", "")
    return Choice("", f"[bootfile] has no entry for {wanted}; add e.g. {wanted} = FILE", origin)


def _keys(request: Request) -> Iterator[tuple[bool, int | None]]:
    """The entries that may serve this client, the nearest first."""
    architectures = request.architectures or (None,)
    if request.firmware is Firmware.IPXE:
        yield from ((True, one) for one in architectures if one is not None)
        yield True, None
    for one in architectures:
        if one is not None:
            yield False, one
            if one in ALIKE:
                yield False, ALIKE[one]
        if one in (None, BIOS):
            yield False, None


def _key_name(ipxe: bool, architecture: int | None) -> str:
    if architecture is None:
        return "ipxe" if ipxe else "default"
    return ("ipxe." if ipxe else "") + name_of(architecture)


def _reachable(request: Request, settings: Settings, network: Network, found: Choice) -> Choice:
    """A client that loads by HTTP wants a whole URL; one that cannot must not be given one."""
    known = BY_NUMBER.get(request.architecture or 0)
    by_http = request.firmware is Firmware.HTTP_BOOT or (
        known is not None and known.http and request.firmware is not Firmware.IPXE
    )
    is_url = "://" in found.file
    if by_http and not is_url:
        if not settings.http_port:
            return Choice(
                "", f"{found.file} is a bare name and HTTP is off; write an URL, or start HTTP with -H", found.origin
            )
        port = "" if settings.http_port == 80 else f":{settings.http_port}"
        return Choice(f"http://{dotted(network.server)}{port}/{found.file.lstrip('/')}", origin=found.origin)
    if is_url and request.ipxe_features and IPXE_HTTP not in request.ipxe_features and found.file.startswith("http"):
        return Choice("", f"this iPXE knows no HTTP and cannot load {found.file}", found.origin)
    return found
