"""
Which boot file a client gets: what is ordered for its next boot, C{[host]}, the access server's word, then C{[menu]}
and C{[bootfile]} by architecture.

Pure; leaves a step in the trace for each place that it looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from pybootd.config.origin import Origin
from pybootd.dhcp.architectures import ALIKE, ARM_RPIBOOT, BIOS, BY_NUMBER, name_of
from pybootd.dhcp.facts import Situation
from pybootd.dhcp.menu import Menu, form_of
from pybootd.dhcp.pxe import IPXE_HTTP
from pybootd.dhcp.quirks import Form, Offers, forms
from pybootd.dhcp.request import Kind, Request
from pybootd.machine import Firmware
from pybootd.value import value

LOADS = 4
"""How often iPXE may be given the same loader within a short while, until that counts as a loop."""

SAFE = "/:@!$&'()*+,;=-._~"
"""What stays as it is in the path of a URL (RFC 3986 3.3)."""


@value
class Choice:
    """The file, or why there is none."""

    file: str = ""
    reason: str = ""
    origin: Origin | None = None
    menu: Menu | None = None
    """A menu to show first; the file is for firmware that shows none."""

    def told(self, form: Form) -> str:
        """The file, as far as this form names it or leads to it."""
        return "" if self.menu is not None and not form.names_file else self.file


NOTHING = Choice()


def boot_file(situation: Situation) -> Choice:
    """Choose.  Neither a file nor a reason: this client needs no file."""
    ordered = _ordered(situation)
    if ordered.file:
        return ordered
    particular = _noted(situation, _particular(situation))
    if particular.file:
        return particular
    menu = _menu(situation)
    if menu is not None:
        return _noted(situation, _of_menu(situation, menu))
    for ipxe, architecture in _keys(situation.request):
        entry = situation.settings.files.get((ipxe, architecture))
        if entry is not None:
            choice = _usable(situation, Choice(entry.file, origin=entry.origin))
            return _noted(situation, choice if ipxe else _unless_loop(situation, choice))
        if situation.trace is not None:
            situation.note(f"[bootfile] {_key_name(ipxe, architecture)}", "no such entry")
    return particular if particular.reason else _none(situation)


def offers(situation: Situation, choice: Choice) -> Offers:
    """In which forms the client is told of a choice; one that ignored a form is told in the next."""
    ipxe = situation.request.firmware is Firmware.IPXE
    menu = None if choice.menu is None else form_of(choice.menu, situation.server, ipxe)
    proxy, attempt = situation.settings.proxy, situation.facts.attempt
    return forms(situation.request, proxy, attempt, situation.quirk, menu)


def _noted(situation: Situation, choice: Choice) -> Choice:
    if choice.file or choice.reason:
        situation.note("boot file", choice.file or choice.reason, choice.origin)
    return choice


def _ordered(situation: Situation) -> Choice:
    """
    What was ordered for this boot only.

    A client that cannot load it gets the usual: the iPXE that it loads, perhaps, can, and asks next.
    """
    file = situation.facts.next_boot
    if not file:
        return NOTHING
    choice = _usable(situation, Choice(file))
    if choice.reason:
        situation.note("next boot", f"{choice.reason}; it stays in order")
        return NOTHING
    situation.note("next boot", f"{choice.file}, this time only")
    situation.next_boot = True
    return choice


def _particular(situation: Situation) -> Choice:
    """What C{[host]}, or the access server, has for this very machine."""
    host, named = situation.host, situation.facts.verdict.boot_file
    file = host.boot_file or named
    if situation.request.firmware is Firmware.IPXE and "://" not in file and _has_script(situation):
        # the machine's own loader has been loaded: what runs iPXE already goes on with the script
        return NOTHING
    return _usable(situation, Choice(file, origin=host.boot_file_origin)) if file else NOTHING


def _menu(situation: Situation) -> Menu | None:
    """The menu of its architecture, for firmware that can show one; an iPXE that has a script needs none."""
    firmware, menus = situation.request.firmware, situation.settings.menus
    if not menus or not (firmware is Firmware.PXE or (firmware is Firmware.IPXE and not _has_script(situation))):
        return None
    return next((menus[one] for ipxe, one in _keys(situation.request) if not ipxe and one in menus), None)


def _of_menu(situation: Situation, menu: Menu) -> Choice:
    """The item that was chosen at the screen; before that, the menu."""
    request = situation.request
    if request.kind is Kind.BOOT_SERVER and request.menu_item is not None:
        item = menu.chosen(request.menu_item[0])
        if item is None:
            return Choice(reason=f"the menu has no item {request.menu_item[0]}", origin=menu.origin)
        return Choice(item.file, origin=item.origin)
    listed = (situation.settings.files.get(key) for key in _keys(request) if not key[0])
    plain = next((entry for entry in listed if entry is not None), None) or menu.first
    return Choice(plain.file if plain is not None else "", origin=menu.origin, menu=menu)


def _has_script(situation: Situation) -> bool:
    return any(key[0] and key in situation.settings.files for key in _keys(situation.request))


def _keys(request: Request) -> Iterator[tuple[bool, int | None]]:
    """The entries that may serve this client, the nearest first: (is for iPXE, architecture)."""
    if request.firmware is Firmware.RASPBERRY_PI:
        # it says x86 BIOS of itself, whose file it cannot use
        yield False, ARM_RPIBOOT
        yield False, None
        return
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


def _usable(situation: Situation, choice: Choice) -> Choice:
    """A client that loads by HTTP wants a whole URL; one that cannot must not be given one."""
    request, file = situation.request, choice.file
    is_url = "://" in file
    if _by_http(request):
        if is_url:
            return choice
        if not situation.network.http:
            return _refusal(choice, f"{file} is a bare name and HTTP is off; write a URL, or start HTTP with -H")
        return Choice(situation.network.http + quote(file.lstrip("/"), SAFE), origin=choice.origin)
    if is_url and request.firmware in (Firmware.PXE, Firmware.U_BOOT):
        return _refusal(choice, f"its firmware loads by TFTP and cannot use {file}")
    if request.ipxe_features and IPXE_HTTP not in request.ipxe_features and file.startswith(("http:", "https:")):
        return _refusal(choice, f"this iPXE knows no HTTP and cannot load {file}")
    return choice


def _by_http(request: Request) -> bool:
    known = BY_NUMBER.get(request.architecture or 0)
    return request.firmware is Firmware.HTTP_BOOT or (
        known is not None and known.http and request.firmware is not Firmware.IPXE
    )


def _refusal(choice: Choice, reason: str) -> Choice:
    return Choice("", reason, choice.origin)


def _unless_loop(situation: Situation, choice: Choice) -> Choice:
    """iPXE that is given iPXE loads itself for ever: the same loader again and again is noticed, said, and broken."""
    facts = situation.facts
    if situation.request.firmware is not Firmware.IPXE or facts.loads < LOADS or facts.loaded != choice.file:
        return choice
    reason = f"it runs iPXE and was given {choice.file} {facts.loads} times in a row; write [bootfile] ipxe = SCRIPT"
    return _refusal(choice, reason)


def _none(situation: Situation) -> Choice:
    if situation.quirk.fixed_name or situation.request.kind is Kind.BOOTP:
        return NOTHING
    wanted = name_of(situation.request.architecture)
    return Choice(
        "",
        f"[bootfile] has no entry for {wanted}; add e.g. {wanted} = FILE",
        situation.settings.origin("bootfile", ""),
    )
