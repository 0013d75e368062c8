"""A certificate authority of our own, for tests."""

import datetime
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Issues certificates for ``localhost``, and IPv4 addresses, into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / "authority.pem"
        self.file.write_bytes(self._certificate("authority", self._key.public_key(), authority=True))

    def issue(self, name: str, addresses: Sequence[str] = ()) -> tuple[Path, Path]:
        """Return the files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, private = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        certificate.write_bytes(self._certificate(name, key.public_key(), addresses))
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        private.write_bytes(key.private_bytes(*form))
        private.chmod(0o600)
        return certificate, private

    def settings(self, name: str, *doors: str, addresses: Sequence[str] = ()) -> str:
        """Return the configuration of somebody who has a certificate, and demands one at these doors."""
        certificate, key = self.issue(name, addresses)
        listed = ", ".join(f'"{door}"' for door in doors)
        files = f'certificate = "{certificate}"\nkey = "{key}"\nauthorities = "{self.file}"\n'
        return f"[tls]\n{files}doors = [{listed}]\ndemand = [{listed}]\n"

    def _certificate(
        self, name: str, public: ec.EllipticCurvePublicKey, addresses: Sequence[str] = (), *, authority: bool = False
    ) -> bytes:
        def called(common: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(called("authority"), called(name), public, x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=2))
        builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
        names = [x509.DNSName("localhost"), *(x509.IPAddress(IPv4Address(address)) for address in addresses)]
        made = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(
            self._key, hashes.SHA256()
        )
        return made.public_bytes(serialization.Encoding.PEM)
