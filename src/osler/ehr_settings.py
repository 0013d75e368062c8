"""The ``[[ehr]]`` tables: the EHRs that a record may be read from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from osler.errors import ConfigError

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""Hosts that may be asked without TLS."""


@dataclass(frozen=True, slots=True)
class Ehr:
    """An ``[[ehr]]``: a FHIR server with SMART on FHIR, and who we are there.

    Parameters
    ----------
    name : str
        Unique; commands and the audit call it so.
    fhir_base : str
        Without a slash at the end.
    client_id : str
    scope : str
        Empty: what is read.
    key_file : str
        Private key of the client; empty: ``keys/ehr-client.json`` in the data folder, unless there is a secret.
    secret, secret_file : str
        Secret of the client in place of a key, or the file that holds it.
    hosts : tuple of str
        Names, addresses and networks that may be asked besides the FHIR base's host.
    issuers : tuple of str
        ``system=issuer``: how DICOM and HL7 v2 here call who gives out the record numbers of a FHIR system.
    ca_file : str
        Certificates (PEM) that the EHR's is signed with; empty: those that are trusted in general.
    redirect_port : int
        Port on loopback that a person's browser comes back to; 0: any that is free.
    """

    name: str
    fhir_base: str
    client_id: str
    scope: str = ""
    key_file: str = ""
    secret: str = field(default="", repr=False)
    secret_file: str = ""
    hosts: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    ca_file: str = ""
    redirect_port: int = 0

    @property
    def issuer_of(self) -> Mapping[str, str]:
        """Issuers by FHIR system."""
        return {system: issuer for system, _, issuer in (text.rpartition("=") for text in self.issuers)}


EHR_KEYS: Final[Mapping[str, tuple[type, str]]] = {
    "name": (str, "What commands and the audit call it."),
    "fhir_base": (str, "Base URL of its FHIR R4 server, by https (http on loopback only)."),
    "client_id": (str, "Our client id there."),
    "scope": (str, "Scopes to ask for; without it, those of what is read."),
    "key_file": (
        str,
        "Our private key, which `osler ehr keys` makes; without it `keys/ehr-client.json` in the data folder.",
    ),
    "secret": (str, "Our secret there, in place of a key."),
    "secret_file": (str, "File that holds the secret."),
    "hosts": (
        list,
        "Names, addresses and networks that may be asked besides the host of `fhir_base`. A private address that a "
        "name stands for must be among them.",
    ),
    "issuers": (
        list,
        "`system=issuer`: how DICOM and HL7 v2 here call who gives out the record numbers of that FHIR system, so that "
        "a patient has one pseudonym. Nothing after `=`: they come without an issuer.",
    ),
    "ca_file": (str, "Certificates (PEM) that the EHR's must be signed with; without it those trusted in general."),
    "redirect_port": (int, "Port on 127.0.0.1 that a person's browser comes back to; 0: any that is free."),
}
EHR_NEEDS: Final = ("name", "fhir_base", "client_id")


def read_ehrs(tables: Any, where: Callable[[int, str], str]) -> tuple[Ehr, ...]:
    """Read the tables.

    Parameters
    ----------
    tables : object
        As TOML has them.
    where : callable
        Takes the number of a table, from 0, and a key; returns ``FILE:LINE``.

    Raises
    ------
    ConfigError
        If a key is unknown, missing or of another type, a URL is no place to send a token to, or a name comes twice.
    """
    if not isinstance(tables, list):
        raise ConfigError(f"{where(0, '')}: write [[ehr]], one table for each")
    found: list[Ehr] = []
    for index, table in enumerate(tables):
        ehr = _read_ehr(table, lambda key, index=index: where(index, key))  # type: ignore[misc]
        if any(other.name == ehr.name for other in found):
            raise ConfigError(f"{where(index, '')}: two EHRs are called {ehr.name!r}")
        found.append(ehr)
    return tuple(found)


def _read_ehr(table: Mapping[str, Any], where: Callable[[str], str]) -> Ehr:
    for key, value in table.items():
        if key not in EHR_KEYS:
            raise ConfigError(f"{where(key)}: unknown key {key!r} in an ehr")
        kind = EHR_KEYS[key][0]
        words = {str: "a string", int: "a whole number", list: "a list of strings"}[kind]
        strings = all(isinstance(item, str) for item in value) if isinstance(value, list) else True
        if type(value) is not kind or not strings:
            raise ConfigError(f"{where(key)}: {key} must be {words}")
    for key in EHR_NEEDS:
        if not table.get(key):
            raise ConfigError(f"{where('')}: an ehr needs {key!r}")
    _check(table, where)
    lists = {key: tuple(table[key]) for key in ("hosts", "issuers") if key in table}
    return Ehr(**{**table, **lists, "fhir_base": table["fhir_base"].rstrip("/")})


def _check(table: Mapping[str, Any], where: Callable[[str], str]) -> None:
    if not may_be_asked(table["fhir_base"]):
        raise ConfigError(f"{where('fhir_base')}: fhir_base must be https://HOST..., or http:// on loopback")
    if sum(bool(table.get(key)) for key in ("secret", "secret_file", "key_file")) > 1:
        raise ConfigError(f"{where('')}: give one of key_file, secret and secret_file")
    if not all(system for system, _, _ in (text.rpartition("=") for text in _strings(table.get("issuers")))):
        raise ConfigError(f"{where('issuers')}: write issuers as system=issuer")
    if not 0 <= table.get("redirect_port", 0) <= 65535:
        raise ConfigError(f"{where('redirect_port')}: redirect_port is no port")


def _strings(value: Sequence[str] | None) -> Sequence[str]:
    return value or ()


def may_be_asked(url: str) -> bool:
    """Tell whether a token may be sent to an address: by https, or on loopback."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    plain = parts.username is None and not parts.fragment and url.isascii() and url.isprintable() and " " not in url
    return bool(host) and plain and (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK))
