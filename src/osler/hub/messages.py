"""HL7 v2 messages, taken: the patient, the visit and the order are in the ledger before the sender hears AA."""

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import Connection, select

from osler.api.denials import Denials
from osler.audit import Agent, AuditRecord
from osler.domain.identifiers import Identity, PseudonymKind
from osler.errors import Conflict, InvalidResource, OslerError, Transient, UnsupportedKind
from osler.hub.merges import Merges
from osler.ingest.hl7v2.envelope import Envelope, acknowledge, open_message, reject
from osler.ingest.hl7v2.order import Order, orders_of
from osler.ingest.hl7v2.patient import PatientRecord, merged_identity, patient_of
from osler.ingest.hl7v2.visit import Visit, visit_of
from osler.metrics import Metrics
from osler.standards import fhir
from osler.standards.fhir import Resource
from osler.standards.hl7v2 import FROM_HL7V2
from osler.storage.orders import keep_order, merge, survivor_of
from osler.storage.tables import hl7_message
from osler.stores import Stores

_PATIENT_EVENTS: Final = frozenset(f"A{number:02}" for number in (*range(1, 9), *range(11, 17), 27, 28, 31, 38))
_MERGE_EVENTS: Final = frozenset({"A18", "A34", "A40"})
_ORDERS: Final = frozenset({("ORM", "O01"), ("OMI", "O23"), ("OMG", "O19")})
_HISTORY_S: Final = 30 * 86_400.0
_MERGE_S: Final = 5.0  # how long an acknowledgement waits for a merge to be whole

log = structlog.get_logger(__name__)

Change = Callable[[Connection], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class MessageDesk:
    """Takes messages and answers them.

    Parameters
    ----------
    stores : Stores
    metrics : Metrics
    denials : Denials
        Puts refusals on record, so that a flood of them makes few entries.
    site_issuer : str
        Assigning authority of the record numbers that DICOM headers here carry without an issuer.
    clock : callable
        Seconds since the epoch, UTC.
    """

    stores: Stores
    metrics: Metrics
    denials: Denials
    site_issuer: str = ""
    clock: Callable[[], float] = time.time

    def answer(self, content: bytes, address: str) -> bytes:
        """Take a message and return its acknowledgement.

        AA is returned after the commit. A message that was taken before is answered AA and changes nothing. The AA of
        a merge says that it is certain: it is whole by then, unless the record is so long, or the database so busy,
        that the rest is left to :class:`osler.hub.merges.Merges`.
        """
        try:
            envelope = open_message(content)
        except OslerError as error:
            self._refused(error, address)
            return reject(content, now=self._now(), error=error)
        try:
            self._take(envelope, content, address)
        except OslerError as error:
            self._refused(error, address)
            return acknowledge(envelope, now=self._now(), error=error)
        except Exception as fault:  # the outermost edge: a message or traceback could quote the data
            where = traceback.extract_tb(fault.__traceback__)[-1]
            log.error("message failed", error=type(fault).__name__, at=f"{where.filename}:{where.lineno}")
            return acknowledge(envelope, now=self._now(), error=OslerError("something is wrong on this side"))
        return acknowledge(envelope, now=self._now())

    def turned_away(self, reason: str, address: str) -> None:
        """Note that a connection was ended."""
        self.metrics.refused("mllp", reason)
        log.warning("HL7 v2 peer turned away", reason=reason, address=address)
        self._note_refusal(reason, address)

    def _take(self, envelope: Envelope, content: bytes, address: str) -> None:
        change = self._change(envelope)
        index = self.stores.keyring.index
        key = index("hl7-message", *envelope.sender, envelope.control_id)
        digest = index("hl7-content", content.hex())
        agent = Agent(" ".join(part for part in envelope.sender if part) or "unknown", "peer", address)
        kind = f"{envelope.type}^{envelope.trigger}"

        def write(connection: Connection) -> None:
            known = connection.execute(
                select(hl7_message.c.digest).where(hl7_message.c.key == key)
            ).scalar_one_or_none()
            if known == digest:
                return
            if known is not None:
                raise Conflict("MSH-10: another message with this control id was taken before")
            patients = change(connection)
            now = self.clock()
            connection.execute(hl7_message.insert(), {"key": key, "digest": digest, "received_at": now})
            connection.execute(hl7_message.delete().where(hl7_message.c.received_at < now - _HISTORY_S))
            event = "patients-merged" if envelope.trigger in _MERGE_EVENTS else "message-received"
            detail = {"message": kind}
            records = (AuditRecord(event, agent=agent, patient=one, detail=detail) for one in patients)
            self.stores.audit.append(connection, *records)

        self.stores.database.write(write)
        log.info("HL7 v2 message taken", message=kind)
        if envelope.trigger in _MERGE_EVENTS:
            Merges(self.stores).hurry(most_s=_MERGE_S)

    def _change(self, envelope: Envelope) -> Change:
        """Return what a message does in one transaction, which tells whom it is about; the vault is asked before."""
        if envelope.type == "ADT" and envelope.trigger in _PATIENT_EVENTS:
            return self._patient(envelope)
        if envelope.type == "ADT" and envelope.trigger in _MERGE_EVENTS:
            return self._merge(envelope)
        if (envelope.type, envelope.trigger) in _ORDERS:
            return self._orders(envelope)
        raise UnsupportedKind("MSH-9: this message is not taken here")

    def _patient(self, envelope: Envelope) -> Change:
        record, visit = patient_of(envelope, site_issuer=self.site_issuer), visit_of(envelope)
        (pseudonym,) = self.stores.vault.pseudonyms([record.identity])

        def change(connection: Connection) -> tuple[str, ...]:
            patient = survivor_of(connection, pseudonym)
            self._keep_patient(connection, patient, record)
            if visit is not None:
                self._keep_visit(connection, patient, visit)
            return (patient,)

        return change

    def _merge(self, envelope: Envelope) -> Change:
        record = patient_of(envelope, site_issuer=self.site_issuer)
        gone = merged_identity(envelope, site_issuer=self.site_issuer)
        survivor, prior = self.stores.vault.pseudonyms([record.identity, gone])

        def change(connection: Connection) -> tuple[str, ...]:
            whole = survivor_of(connection, survivor)
            if whole == prior:  # the merge is turned round
                whole = survivor
            self._keep_patient(connection, whole, record)
            if prior != whole:
                self._merge_away(connection, prior, whole)
            return (whole, prior) if prior != whole else (whole,)

        return change

    def _merge_away(self, connection: Connection, prior: str, survivor: str) -> None:
        merge(connection, prior, survivor, now=self.clock())
        held = self._held(connection, "Patient", prior) or {"resourceType": "Patient", "id": prior}
        link = {"other": {"reference": f"Patient/{survivor}"}, "type": "replaced-by"}
        self._put(connection, held | {"active": False, "link": [link]})
        whole = self._held(connection, "Patient", survivor) or {}
        replaces = {"other": {"reference": f"Patient/{prior}"}, "type": "replaces"}
        links = [one for one in whole.get("link", []) if one["type"] != "replaced-by" and one != replaces]
        self._put(connection, whole | {"link": [*links, replaces]})

    def _orders(self, envelope: Envelope) -> Change:
        record, orders = patient_of(envelope, site_issuer=self.site_issuer), orders_of(envelope)
        (pseudonym,) = self.stores.vault.pseudonyms([record.identity])

        def change(connection: Connection) -> tuple[str, ...]:
            patient = survivor_of(connection, pseudonym)
            if self._held(connection, "Patient", patient) is None:
                self._keep_patient(connection, patient, record)
            for order in orders:
                self._keep_order(connection, patient, record.identity, order)
            return (patient,)

        return change

    def _keep_patient(self, connection: Connection, patient: str, record: PatientRecord) -> None:
        held = self._held(connection, "Patient", patient) or {}
        known = [one for one in held.get("identifier", []) if one not in record.resource.get("identifier", [])]
        made = held | record.resource | {"id": patient}
        made["identifier"] = [*record.resource.get("identifier", []), *known]
        self._put(connection, made)

    def _keep_visit(self, connection: Connection, patient: str, visit: Visit) -> None:
        logical_id = self._logical_id("encounter", visit.issuer, visit.number)
        held = self._held(connection, "Encounter", logical_id) or {}
        if _is_anothers(connection, held, patient):
            raise Conflict("PV1-19: the visit is another patient's")
        status = visit.status or held.get("status", "in-progress")
        made = held | visit.resource | {"id": logical_id, "status": status}
        if "period" in held:
            made["period"] = held["period"] | visit.resource.get("period", {})
        self._put(connection, made | {"subject": {"reference": f"Patient/{patient}"}})

    def _keep_order(self, connection: Connection, patient: str, identity: Identity, order: Order) -> None:
        logical_id = self._logical_id("order", order.issuer, order.number)
        held = self._held(connection, "ServiceRequest", logical_id) or {}
        if _is_anothers(connection, held, patient):
            raise Conflict("ORC-2: the order is another patient's")
        made = held | order.resource | {"id": logical_id, "subject": {"reference": f"Patient/{patient}"}}
        if "code" not in made:
            made["code"] = {"text": "not stated"}
        self._put(connection, made)
        look = self.stores.vault.lookup
        keep_order(
            connection,
            logical_id,
            accession=look(Identity(PseudonymKind.ACCESSION, order.accession)) if order.accession else None,
            patient=look(Identity(PseudonymKind.PATIENT, identity.value)),
            priority=order.priority,
            status=made["status"],
        )

    def _held(self, connection: Connection, kind: str, logical_id: str) -> Resource | None:
        stored = self.stores.resources.current(connection, kind, logical_id)
        return None if stored is None else fhir.loads(stored.text)

    def _put(self, connection: Connection, resource: Resource) -> None:
        kept = {name: value for name, value in resource.get("meta", {}).items() if name not in _STAMPS}
        made = resource | {"meta": kept | {"source": FROM_HL7V2}}
        issues = fhir.validate(made)
        if issues:
            raise InvalidResource(f"{issues[0].expression} {issues[0].diagnostics}", tuple(issues))
        self.stores.resources.put(connection, made)

    def _logical_id(self, kind: str, issuer: str, number: str) -> str:
        return self.stores.keyring.index(f"hl7-{kind}", issuer, number).hex()[:32]

    def _refused(self, error: OslerError, address: str) -> None:
        self.metrics.refused("mllp", type(error).__name__)
        log.warning("HL7 v2 message refused", reason=str(error))
        if not isinstance(error, Transient):
            self._note_refusal(type(error).__name__, address)

    def _note_refusal(self, reason: str, address: str) -> None:
        detail: Mapping[str, str] = {"reason": reason}
        record = AuditRecord("message-refused", agent=Agent("unknown", "peer", address), outcome=8, detail=detail)
        try:
            self.denials.write_now(record)
        except OslerError as error:  # the sender is refused all the same
            log.error("a refusal could not be written down", reason=str(error))

    def _now(self) -> str:
        return datetime.fromtimestamp(self.clock()).astimezone().strftime("%Y%m%d%H%M%S%z")


def _is_anothers(connection: Connection, held: Resource, patient: str) -> bool:
    kind, _, subject = held.get("subject", {}).get("reference", f"Patient/{patient}").partition("/")
    return kind != "Patient" or survivor_of(connection, subject) != patient  # a merge may not have come to it yet


_STAMPS: Final = frozenset({"versionId", "lastUpdated"})
