"""TLS on our doors and towards peers, by one profile.

TLS 1.2 with forward secrecy and authenticated encryption, or TLS 1.3; nothing older, no compression, no renegotiation.
That is the BCP 195 profile of DICOM PS3.15 B.9 and B.10 (RFC 9325), and serves HL7 v2 and HTTP as well.
"""

import contextlib
import socket
import ssl
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from osler.config import Config
from osler.errors import ConfigError

DOORS: Final = ("dimse", "http", "mllp")
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_HANDSHAKE_S: Final = 10.0


class ServerTls:
    """The certificate that a door shows, read anew when its files change.

    Parameters
    ----------
    config : Config
    door : {"dimse", "http", "mllp"}

    Raises
    ------
    ConfigError
        If a file is missing or cannot be read.
    """

    def __init__(self, config: Config, door: str) -> None:
        self._files = [Path(config.text(name)) for name in ("tls.certificate", "tls.key")]
        self.context = _context(ssl.PROTOCOL_TLS_SERVER, config)
        self.context.verify_mode = ssl.CERT_REQUIRED if door in config.items("tls.demand") else ssl.CERT_NONE
        self._seen = _load_certificate(self.context, self._files)

    def refresh(self) -> bool:
        """Read a renewed certificate, for the handshakes to come; False when nothing changed.

        Raises
        ------
        ConfigError
            If the new files cannot be read; the old certificate stays in use.
        """
        if _changed(self._files) == self._seen:
            return False
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _load_certificate(trial, self._files)  # half a renewal must not spoil the context in use
        self._seen = _load_certificate(self.context, self._files)
        return True

    def shake(self, connection: socket.socket) -> ssl.SSLSocket | None:
        """Do the server's side of a handshake, within ten seconds; None when the peer fails it."""
        connection.settimeout(_HANDSHAKE_S)
        try:
            return self.context.wrap_socket(connection, server_side=True)
        except OSError:  # ssl.SSLError is one
            connection.close()
            return None


def door(config: Config, name: str) -> ServerTls | None:
    """Return the TLS of a door, or None where it speaks in clear."""
    return ServerTls(config, name) if name in config.items("tls.doors") else None


def client_context(config: Config) -> ssl.SSLContext:
    """Return what we speak TLS to a peer with: it must show a certificate for its host, and may ask for ours.

    Raises
    ------
    ConfigError
        If a file is missing or cannot be read.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, config)
    if not config.text("tls.authorities"):
        context.load_default_certs()
    if config.text("tls.certificate"):
        _load_certificate(context, [Path(config.text(name)) for name in ("tls.certificate", "tls.key")])
    return context


def pending(connection: socket.socket) -> bool:
    """Tell whether decrypted bytes wait in the socket, which poll cannot see."""
    return isinstance(connection, ssl.SSLSocket) and connection.pending() > 0


def expiry(path: Path) -> datetime:
    """Return when the first certificate to expire in a PEM file does, UTC.

    Raises
    ------
    ConfigError
        If the file has no certificate.
    """
    try:
        return min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError):
        raise ConfigError(f"{path} holds no certificate that can be read (PEM)") from None


def _context(protocol: int, config: Config) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    authorities = config.text("tls.authorities")
    if authorities:
        try:
            context.load_verify_locations(authorities)
        except OSError as error:
            raise ConfigError(f"tls.authorities: {authorities} cannot be read: {reason_of(error)}") from None
    return context


def _load_certificate(context: ssl.SSLContext, files: list[Path]) -> tuple[int, ...]:
    seen = _changed(files)
    try:
        context.load_cert_chain(
            files[0], files[1], password=lambda: ""
        )  # an encrypted key fails at once, and does not ask
    except OSError as error:
        names = " and ".join(map(str, files))
        raise ConfigError(f"tls.certificate, tls.key: {names} cannot be used: {reason_of(error)}") from None
    return seen


def _changed(files: list[Path]) -> tuple[int, ...]:
    with contextlib.suppress(OSError):
        return tuple(file.stat().st_mtime_ns for file in files)
    return ()


def reason_of(error: OSError) -> str:
    """Say in words why TLS or a file failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else (error.strerror or type(error).__name__)
