"""HTTPS: the site behind a certificate, which can be renewed while the server runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from pybootd.content.fetch import require_tls
from pybootd.errors import EnvironmentProblem
from pybootd.http.site import Site

if TYPE_CHECKING:
    from OpenSSL.SSL import Connection
    from twisted.protocols.tls import TLSMemoryBIOFactory


@implementer(IOpenSSLServerConnectionCreator)
class Certificate:
    """A certificate and its key; connections take the one that was last read."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """
        @param certificate: PEM, with the chain that leads to its authority.
        @param key: PEM, without a password.
        @raise EnvironmentProblem: as L{read}.
        """
        require_tls("[httpd] tls_certificate")
        self._certificate = certificate
        self._key = key
        self._context: Any = None
        self.read()

    def read(self) -> None:
        """
        Read both files again.

        @raise EnvironmentProblem: they cannot be read or do not belong together; what was
            there before stays in use.
        """
        from OpenSSL import SSL

        for option, path in (("tls_certificate", self._certificate), ("tls_key", self._key)):
            try:
                path.read_bytes()
            except OSError as error:
                raise EnvironmentProblem(f"[httpd] {option} = {path}: {error.strerror}") from error
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        try:
            context.use_certificate_chain_file(str(self._certificate))
        except SSL.Error as error:
            raise EnvironmentProblem(
                f"[httpd] tls_certificate = {self._certificate}: no certificate in PEM form"
            ) from error
        try:
            context.use_privatekey_file(str(self._key))
            context.check_privatekey()
        except SSL.Error as error:
            raise EnvironmentProblem(
                f"[httpd] tls_key = {self._key}: no key in PEM form that belongs to tls_certificate"
            ) from error
        self._context = context

    def become(self, other: Certificate) -> None:
        """New connections take the other's."""
        self._certificate, self._key, self._context = other._certificate, other._key, other._context

    def serverConnectionForTLS(self, tlsProtocol: Any) -> Connection:
        from OpenSSL.SSL import Connection

        return Connection(self._context, None)


def secured(site: Site, certificate: Certificate, reactor: Any) -> TLSMemoryBIOFactory:
    """The site, spoken to through TLS."""
    from twisted.protocols.tls import TLSMemoryBIOFactory  # only where its libraries are known to be there

    class Secured(TLSMemoryBIOFactory):
        noisy = False

        def buildProtocol(self, addr: Any) -> Any:
            return super().buildProtocol(addr) if site.make_room(addr.host) else None

    return Secured(certificate, False, site, reactor)
