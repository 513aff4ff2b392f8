"""The site behind a certificate."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from pybootd.content.local import LocalFiles
from pybootd.content.resolver import Resolver
from pybootd.errors import EnvironmentProblem
from pybootd.http.tls import Certificate, secured
from tests.support.http import Server
from tests.support.tree import Tree

LARGE = bytes(range(256)) * 1024


def make(directory: Path, name: str) -> tuple[Path, Path]:
    """A certificate and its key."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "9",
    ]
    subprocess.run(
        [*command, "-subj", f"/CN={name}", "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    return certificate, key


class TlsTests(SynchronousTestCase):
    """HTTPS by certificates that can be renewed."""

    def setUp(self) -> None:
        self.tree = Tree(self.mktemp())
        self.tree.write("large", LARGE)
        self.files = make(self.tree.top, "one")
        self.server = Server(Resolver("./root", self.tree.top, LocalFiles()))

    def get(self, certificate: Certificate) -> tuple[bytes, bytes]:
        """The certificate that a client sees, and the answer to its request."""
        factory = secured(self.server.site, certificate, self.server.reactor)
        protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 1))
        transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.7", 1))
        transport.setTcpNoDelay = lambda enabled: None  # type: ignore[attr-defined]
        protocol.makeConnection(transport)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing)
        data, asked = b"", False
        for _ in range(100):
            try:
                if not asked:
                    client.do_handshake()
                    client.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
                    asked = True
                data += client.read(1 << 20)
            except ssl.SSLWantReadError:
                pass
            if outgoing.pending:
                protocol.dataReceived(outgoing.read())
            self.server.reactor.advance(0)
            if transport.producer is not None:
                transport.producer.resumeProducing()
            incoming.write(transport.value())
            transport.clear()
        seen = client.getpeercert(True)
        assert seen is not None
        protocol.connectionLost(None)
        return seen, data

    def test_served(self) -> None:
        """A file arrives whole, and by the certificate that was configured."""
        seen, data = self.get(Certificate(*self.files))
        self.assertEqual(seen, ssl.PEM_cert_to_DER_cert(self.files[0].read_text()))
        self.assertTrue(data.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(data.endswith(LARGE))

    def test_renewed(self) -> None:
        """New files are used when they are read; files that do not do leave the old ones in use."""
        certificate = Certificate(*self.files)
        new_certificate, new_key = make(self.tree.top, "two")
        new_certificate.replace(self.files[0])
        with self.assertRaises(EnvironmentProblem):
            certificate.read()
        self.assertTrue(self.get(certificate)[1].endswith(LARGE))
        new_key.replace(self.files[1])
        certificate.read()
        self.assertEqual(self.get(certificate)[0], ssl.PEM_cert_to_DER_cert(self.files[0].read_text()))

    def test_replaced(self) -> None:
        """Other files take the place of the first ones for new connections."""
        certificate, other = Certificate(*self.files), make(self.tree.top, "two")
        certificate.become(Certificate(*other))
        self.assertEqual(self.get(certificate)[0], ssl.PEM_cert_to_DER_cert(other[0].read_text()))
        self.files[0].unlink()
        certificate.read()
        self.assertTrue(self.get(certificate)[1].endswith(LARGE))

    def test_unusable(self) -> None:
        """What cannot be used is told in a line that names the option."""
        certificate, key = self.files
        nothing, text = self.tree.top / "nothing", self.tree.write("../text", b"no PEM")
        for pair, option in (
            ((nothing, key), "tls_certificate"),
            ((text, key), "tls_certificate"),
            ((certificate, nothing), "tls_key"),
            ((certificate, text), "tls_key"),
            ((certificate, make(self.tree.top, "two")[1]), "tls_key"),
        ):
            with self.assertRaises(EnvironmentProblem) as caught:
                Certificate(*pair)
            self.assertIn(f"[httpd] {option} = ", str(caught.exception))

    def test_ceiling(self) -> None:
        """The ceiling of connections holds here too."""
        self.server.site.make_room = lambda host: False  # type: ignore[method-assign]
        factory = secured(self.server.site, Certificate(*self.files), self.server.reactor)
        self.assertIsNone(factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 1)))
