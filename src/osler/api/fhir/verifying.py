"""When a person changes what artificial intelligence asserted: who answers for it, and who must hear of it.

The label stays, only a person can confirm, and the confirmation is a Provenance of its own.
"""

import uuid
from typing import Final

from sqlalchemy import Connection

from osler.api.guard import Caller
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.errors import AccessDenied, Unprocessable
from osler.publish.outbox import send_anew
from osler.publish.verification import Verifier, ai_asserted, verification
from osler.standards import fhir
from osler.storage.stored import Stored

_LABEL: Final = "AIAST"


def verified(
    services: Services, caller: Caller, connection: Connection, *, held: Stored, saved: Stored
) -> list[AuditRecord]:
    """Do what must come of a change to a resource, within its transaction; return what is to be written down.

    Parameters
    ----------
    held, saved : Stored
        The version that held, and the one that takes its place.

    Raises
    ------
    AccessDenied
        If a client without a person would confirm what artificial intelligence asserted.
    Unprocessable
        If the label that artificial intelligence asserted it would be lost, or it would be another patient's.
    """
    if _LABEL not in held.text:
        return []
    before, after = fhir.loads(held.text), fhir.loads(saved.text)
    if not ai_asserted(before):
        return []
    if not ai_asserted(after):
        raise Unprocessable("the label that artificial intelligence asserted it must stay")
    if saved.patient != held.patient:
        raise Unprocessable("whom artificial intelligence asserted it of must stay")
    records: list[AuditRecord] = []
    now, person = services.tokens.clock(), caller.grant.person
    verifier = Verifier(person.name, person.fhir_user) if person else Verifier("")
    provenance = verification(before, after, verifier=verifier, now=now)
    if provenance is not None:
        if person is None:
            raise AccessDenied("only a person can confirm what artificial intelligence asserted")
        services.resources.put(connection, provenance | {"id": str(uuid.uuid4())})
        entities = (f"{saved.reference}/_history/{saved.version}",)
        records = [AuditRecord("result-verified", agent=caller.agent, patient=saved.patient, entities=entities)]
    if saved.type == "DiagnosticReport" and before.get("status") != after.get("status"):
        send_anew(connection, saved.reference, saved.version, now=now)
    return records
