"""The table of forms and quirks."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pybootd.dhcp.pxe import HTTP_CLIENT, PXE_CLIENT, suboptions
from pybootd.dhcp.quirks import BARE, DIRECT, FORMS, PIS, USUAL, Speaker, forms, quirk_of, speaker_of
from tests.support.dhcp import BIOS, DISCOVER, IPXE, SYSTEM, U_BOOT, UEFI, UEFI_HTTP, request

PI_3 = {**BIOS, 97: b"\0" + b"\x44" * 16}
PI_4 = {**BIOS, 97: b"\0RPi4\x34\x12\x34\x56\x78\x9a\xbc\xde\xf0\x11\x22\x33"}


class FormTests(SynchronousTestCase):
    """How each kind of client is told what to load."""

    def test_speakers(self) -> None:
        """Who is told alike."""
        rows = {
            Speaker.BIOS: [BIOS, {60: PXE_CLIENT}],
            Speaker.UEFI: [UEFI, {**UEFI, 93: b"\0\x0b"}],
            Speaker.IPXE: [IPXE, {**IPXE, 93: b"\0\7"}],
            Speaker.HTTP: [UEFI_HTTP],
            Speaker.U_BOOT: [U_BOOT, {60: b"U-Boot.armv7"}],
        }
        for speaker, clients in rows.items():
            for options in clients:
                self.assertIs(speaker_of(request(DISCOVER, options)), speaker, options)

    def test_complete(self) -> None:
        """Every kind has a usual form, for servers and proxies; only a proxy makes several offers at once."""
        for proxy in (False, True):
            for speaker in Speaker:
                known = FORMS[proxy, speaker]
                self.assertTrue(known[0], (proxy, speaker))
                self.assertTrue(proxy or all(len(offers) == 1 for offers in known), (proxy, speaker))

    def test_safe(self) -> None:
        """60 without 43 sends EDK2 to port 4011, which an only server does not want; a proxy always has 60."""
        for (proxy, speaker), known in FORMS.items():
            for form in known[0]:
                asks = 60 in form.options and 43 not in form.options
                if speaker is Speaker.UEFI:
                    self.assertEqual((asks, 60 in form.options), (form is BARE, proxy))

    def test_in_turn(self) -> None:
        """A form that was ignored is followed by the next, the last one by the first."""
        one = request(DISCOVER, UEFI)
        turns = [forms(one, True, attempt, USUAL) for attempt in range(4)]
        self.assertEqual(turns, [(DIRECT, BARE), (BARE,), (DIRECT,), (DIRECT, BARE)])

    def test_http(self) -> None:
        """HTTP boot hears its own name."""
        self.assertEqual(forms(request(DISCOVER, UEFI_HTTP), True, 5, USUAL)[0].options, {60: HTTP_CLIENT})


class QuirkTests(SynchronousTestCase):
    """What certain firmware needs."""

    def test_rows(self) -> None:
        """The row that fits; ordinary firmware has none."""
        for options, name in ((PI_3, "Raspberry Pi 3"), (PI_4, "Raspberry Pi 4 or later"), (BIOS, ""), (SYSTEM, "")):
            self.assertEqual(quirk_of(request(DISCOVER, options)).name, name)

    def test_sources(self) -> None:
        """Every row says where its knowledge comes from."""
        for quirk in PIS:
            self.assertIn("#", quirk.source)

    def test_menu(self) -> None:
        """A Pi is shown its one menu item, at once, whatever was ignored: type 0, the text, no time to choose."""
        rows = ((PI_3, b"\0\0\x14Raspberry Pi Boot   "), (PI_4, b"\0\0\x11Raspberry Pi Boot"))
        for options, item in rows:
            one = request(DISCOVER, options)
            for attempt in (0, 1):
                (form,) = forms(one, False, attempt, quirk_of(one))
                self.assertEqual(dict(suboptions(form.options[43])), {6: b"\3", 9: item, 10: b"\0PXE"})
