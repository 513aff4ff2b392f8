"""
Who may see the status site, and what browsers may do with it.

A page of another site must not read it: by a name of its own that it makes point here (DNS rebinding, so the Host field
is checked), by a script or a form (Sec-Fetch-Site, Origin), nor put it into a frame.  Where others than this host's own
users can reach it, a token is needed: as a Bearer token (RFC 6750), or once in the login form, which sets a cookie.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection
from hashlib import sha256
from ipaddress import ip_address

from twisted.web.server import Request

COOKIE = b"pybootd"

HEADERS = {
    b"Server": b"pybootd",
    b"Content-Security-Policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    b"X-Content-Type-Options": b"nosniff",
    b"X-Frame-Options": b"DENY",
    b"Referrer-Policy": b"same-origin",  # with "no-referrer" browsers leave the Origin of our own form empty
    b"Cross-Origin-Resource-Policy": b"same-origin",
    b"Cross-Origin-Opener-Policy": b"same-origin",
    b"Cache-Control": b"no-store",
}
"""With every answer."""

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\[\]:@/\s]+)(:\d{1,5})?", re.IGNORECASE)


class Guard:
    """Judges requests."""

    def __init__(self, token: str = "", names: Collection[str] = ()) -> None:
        """
        @param token: nothing: whoever reaches the site may see it.
        @param names: this host's own, beside C{localhost} and addresses.
        """
        self._token = token.encode()
        self._names = {"localhost", *(name.lower() for name in names)}
        self._session = hmac.new(self._token, b"session of the status site", sha256).hexdigest().encode()

    def host_problem(self, request: Request) -> str:
        """Why the request is for another site, or nothing: then a browser went to this host by a name of its own."""
        values = request.requestHeaders.getRawHeaders(b"Host") or []
        found = _HOST.fullmatch(values[0].decode("latin-1")) if len(values) == 1 else None
        if found is None:
            return "the request names no host"
        name = found["name"].lower().rstrip(".")
        if name in self._names or _is_address(name.strip("[]")):
            return ""
        return "this is no site of that name; use the address, localhost, or this host's own name"

    def foreign(self, request: Request) -> str:
        """Why this comes from another site's page, or nothing."""
        site = request.getHeader(b"Sec-Fetch-Site") or b"none"
        if site not in (b"none", b"same-origin") and request.getHeader(b"Sec-Fetch-Mode") != b"navigate":
            return "this belongs to another site's page"
        return ""

    def forged(self, request: Request) -> str:
        """Why this form is not one of this site's, or nothing."""
        origin = request.getHeader(b"Origin") or b""
        host = (request.getHeader(b"Host") or b"").lower()
        if not origin:
            return "a form needs an Origin field"
        if origin.lower().partition(b"://")[2] != host:
            return "this form is another site's"
        return ""

    def admits(self, request: Request) -> bool:
        """Whether the visitor has shown the token, or needs none."""
        if not self._token:
            return True
        kind, _, word = (request.getHeader(b"Authorization") or b"").partition(b" ")
        if kind.lower() == b"bearer" and hmac.compare_digest(word.strip(), self._token):
            return True
        return hmac.compare_digest(request.getCookie(COOKIE) or b"", self._session)

    def tried(self, request: Request) -> bool:
        """Whether the visitor has shown a word that is to be judged, the right one or not."""
        return self.closed and (request.getHeader(b"Authorization") or request.getCookie(COOKIE)) is not None

    @property
    def closed(self) -> bool:
        """Whether a token is needed."""
        return bool(self._token)

    def login(self, request: Request, word: bytes) -> bool:
        """The word of the login form: if it is the token, the visitor's browser is known from now on."""
        if not self._token or not hmac.compare_digest(word, self._token):
            return False
        request.addCookie(COOKIE, self._session, path=b"/", httpOnly=True, sameSite=b"strict")
        return True

    def logout(self, request: Request) -> None:
        """The browser forgets."""
        request.addCookie(COOKIE, b"", path=b"/", max_age=b"0", httpOnly=True, sameSite=b"strict")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
