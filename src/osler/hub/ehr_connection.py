"""An EHR of the settings, connected: where its endpoints are, and who we are there."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from osler.audit import Agent, AuditRecord
from osler.config import Config
from osler.ehr_settings import Ehr
from osler.errors import ConfigError, OslerError
from osler.ingest.ehr.access import Access, BackendAccess, Credentials, Endpoints, discover
from osler.ingest.ehr.client_key import read_key
from osler.ingest.ehr.hosts import Hosts
from osler.ingest.ehr.record import scopes, types_of
from osler.ingest.ehr.user_launch import Launch, UserAccess
from osler.ingest.ehr.wire import Patience, Wire
from osler.storage.private_files import read_private
from osler.stores import Stores

_IDENTITY: Final = "launch/patient openid fhirUser"
_STAFF: Final = re.compile(r"Practitioner(?:Role)?/[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Connection:
    """An EHR, with an access that holds.

    Parameters
    ----------
    wire : Wire
    endpoints : Endpoints
    access : Access
    scope : str
        Scopes that were asked for.
    patient : str
        Logical id of the patient whom a person chose; empty with backend services.
    agent : Agent
        Who acts.
    """

    wire: Wire
    endpoints: Endpoints
    access: Access
    scope: str
    patient: str
    agent: Agent


def ehr_of(config: Config, name: str) -> Ehr:
    """Return an EHR of the settings.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    for ehr in config.ehrs:
        if ehr.name == name:
            return ehr
    known = ", ".join(ehr.name for ehr in config.ehrs) or "none"
    raise ConfigError(f"there is no [[ehr]] of that name; there is {known}")


def key_file_of(config: Config, ehr: Ehr | None = None) -> Path:
    """Return where the private key of a client is kept."""
    if ehr is not None and ehr.key_file:
        return Path(ehr.key_file)
    return config.data_dir / "keys" / "ehr-client.json"


@contextlib.contextmanager
def connected(
    config: Config,
    ehr: Ehr,
    stores: Stores,
    agent: Agent,
    *,
    show: Callable[[str], None] | None = None,
    patience: Patience | None = None,
) -> Iterator[Connection]:
    """Connect to an EHR; that it was tried is on record, whatever comes of it.

    Parameters
    ----------
    config, ehr, stores
    agent : Agent
        Who asks for it.
    show : callable, optional
        Given the address where a person signs in; without it, backend services are used.
    patience : Patience, optional

    Raises
    ------
    ConfigError
        If the settings do not suffice.
    OslerError
        If the EHR does not let us in.
    """
    wire = Wire(Hosts(ehr.fhir_base, ehr.hosts), ca_file=ehr.ca_file, patience=patience)
    scope = ehr.scope or (scopes("system") if show is None else f"{_IDENTITY} {scopes('patient')}")
    credentials = _credentials(config, ehr, person=show is not None)
    who = Agent(agent.name, agent.kind, agent.address, via=ehr.client_id if show else "")
    try:
        try:
            endpoints = discover(wire, ehr)
            access: BackendAccess | UserAccess
            if show is None:
                access = BackendAccess(wire, endpoints, credentials, scope=scope)
            else:
                launch = Launch(wire, endpoints, credentials, ehr.fhir_base, scope)
                access = launch.sign_in(show, port=ehr.redirect_port)
            granted = access.token().scope
        except ConfigError:
            raise
        except OslerError as error:
            stores.audit.record(_signed_in(ehr, who, outcome=8, error=type(error).__name__))
            raise
        types = ",".join(sorted(types_of(granted)))
        stores.audit.record(_signed_in(ehr, who, outcome=0, types=types, **_user(ehr, access)))
        patient = access.patient if isinstance(access, UserAccess) else ""
        yield Connection(wire, endpoints, access, scope, patient, who)
    finally:
        wire.close()


def _credentials(config: Config, ehr: Ehr, *, person: bool) -> Credentials:
    if ehr.secret:
        return Credentials(ehr.client_id, secret=ehr.secret)
    if ehr.secret_file:
        secret = read_private(Path(ehr.secret_file)).decode("utf-8", "replace").strip()
        return Credentials(ehr.client_id, secret=secret)
    if person and not ehr.key_file:
        return Credentials(ehr.client_id)  # a program on a workstation keeps no secret (RFC 8252 8.5)
    return Credentials(ehr.client_id, key=read_key(key_file_of(config, ehr)))


def _user(ehr: Ehr, access: Access) -> dict[str, str]:
    """Return who signed in at the EHR, if it is one of its staff: a patient's own id is not for the audit."""
    user = access.user.removeprefix(f"{ehr.fhir_base}/") if isinstance(access, UserAccess) else ""
    return {"ehr_user": user} if _STAFF.fullmatch(user) else {}


def _signed_in(ehr: Ehr, agent: Agent, *, outcome: int, **detail: str) -> AuditRecord:
    return AuditRecord("ehr-signed-in", agent=agent, outcome=outcome, entities=(f"ehr:{ehr.name}",), detail=detail)
