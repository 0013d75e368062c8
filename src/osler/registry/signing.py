"""Ed25519 keys that vouch for model artefacts: make one, sign with it, and say whose signature counts here."""

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from osler.errors import ConfigError, IntegrityError, Malformed
from osler.storage.private_files import read_private, write_private

_PREFIX: Final = "ed25519:"
_CONTEXT: Final = b"osler model manifest\0"
LARGEST_SIGNATURE: Final = 4096


def create_key(path: Path) -> str:
    """Write a new private key (PEM, PKCS #8, mode 0600), and return its public half as the settings name it.

    Raises
    ------
    ConfigError
        If there is a file of that name.
    """
    key = Ed25519PrivateKey.generate()
    write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return public_text(key.public_key())


def read_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key that only its owner may read.

    Raises
    ------
    ConfigError
        If it is missing, others may read it, or it is no Ed25519 key.
    """
    content = read_private(path)
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} is no Ed25519 private key in PEM; osler models keygen makes one")
    return key


def public_text(key: Ed25519PublicKey) -> str:
    """Write a public key as ``ed25519:<base64>``."""
    return _PREFIX + base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def sign(content: bytes, key: Ed25519PrivateKey) -> bytes:
    """Sign a manifest; return the text of ``manifest.sig``."""
    signature = base64.b64encode(key.sign(_CONTEXT + content)).decode()
    return json.dumps({"key": public_text(key.public_key()), "signature": signature}).encode()


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signature counts.

    Parameters
    ----------
    keys : tuple of str
        Public keys, ``ed25519:<base64>``.
    allow_unsigned : bool
        Whether an artefact without any signature is taken. One with a wrong signature never is.

    Raises
    ------
    ConfigError
        If a key is not written so.
    """

    keys: tuple[str, ...] = ()
    allow_unsigned: bool = False

    def __post_init__(self) -> None:
        for text in self.keys:
            if _public_key(text) is None:
                raise ConfigError("registry.trusted_keys: a key is not written as ed25519:<base64>")

    def signer(self, content: bytes, signature: bytes | None) -> str:
        """Return the public key that signed a manifest; empty when nobody did and that is allowed.

        Raises
        ------
        IntegrityError
            If it is not signed, or not by a trusted key, or the signature does not hold.
        """
        if signature is None:
            if not self.allow_unsigned:
                raise IntegrityError("the model is not signed, and registry.allow_unsigned is not set")
            return ""
        text, raw = _parsed(signature)
        if text not in self.keys:
            raise IntegrityError(f"the model is signed by {text}, which is not among registry.trusted_keys")
        key = _public_key(text)
        try:
            if key is not None:
                key.verify(raw, _CONTEXT + content)
                return text
        except InvalidSignature:
            pass
        raise IntegrityError("the signature of the model's manifest does not hold")


def _parsed(signature: bytes) -> tuple[str, bytes]:
    try:
        document = json.loads(signature)
        text, raw = document["key"], base64.b64decode(document["signature"], validate=True)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Malformed("manifest.sig cannot be read") from None
    if not isinstance(text, str) or _public_key(text) is None:
        raise Malformed("manifest.sig names no key")
    return text, raw


def _public_key(text: str) -> Ed25519PublicKey | None:
    try:
        raw = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        return Ed25519PublicKey.from_public_bytes(raw) if text.startswith(_PREFIX) else None
    except (ValueError, binascii.Error):
        return None
