"""Reads what people said of a model's findings: the status of its Observations, and the cards that showed them.

References
----------
HL7 FHIR R4 ObservationStatus; CDS Hooks 2.0, Feedback
"""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, select

from osler.api.cds_hooks.patient_view import WRONG_FINDING
from osler.domain.findings import Finding
from osler.domain.inference_json import loads
from osler.domain.states import Role
from osler.errors import OslerError
from osler.monitor.outcomes import ROLLING, Answer, Labelled
from osler.publish.fhir import observation_id, report_id
from osler.publish.verification import PRELIMINARY
from osler.standards import fhir
from osler.standards.fhir import Resource
from osler.storage.tables import cds_card, cds_feedback
from osler.storage.tables import inference as inferences
from osler.stores import Stores

REJECTED: Final = frozenset({"entered-in-error", "cancelled"})
_PRESENT: Final = "52101004"  # SNOMED CT, as a published Observation says it
_ABSENT: Final = "2667000"


def feedback_on(stores: Stores, model: str = "") -> list[Labelled]:
    """Return the answers to the last findings of a model (``name`` or ``name@version``), or of every model."""
    with stores.database.read() as connection:
        names = connection.execute(select(inferences.c.model).distinct().order_by(inferences.c.model)).scalars().all()
        wanted = [name for name in names if model in ("", name, name.rpartition("@")[0])]
        return [one for name in wanted for one in _of_model(stores, connection, name)]


def _of_model(stores: Stores, connection: Connection, model: str) -> Iterator[Labelled]:
    published = (inferences.c.model == model, inferences.c.role != Role.SHADOW.value)
    last = select(inferences.c.body).where(*published).order_by(inferences.c.created_at.desc()).limit(ROLLING)
    overridden = _overridden(connection, model)
    told: set[str] = set()
    for body in connection.execute(last).scalars().all():
        inference = loads(body)
        for result, finding in ((r, f) for r in inference.results for f in r.findings):
            name = observation_id(inference, result, finding)
            if name in told:  # an earlier revision of the study: the answer is to the later one
                continue
            told.add(name)
            answer = _verified(stores, connection, name, finding)
            if answer is None and finding.positive and finding.critical:  # a card shows no other
                answer = overridden.get(report_id(inference))
            if answer is not None:
                yield Labelled(model, finding.label, finding.probability, finding.positive, answer)


def _verified(stores: Stores, connection: Connection, name: str, finding: Finding) -> Answer | None:
    try:
        held = stores.resources.current(connection, "Observation", name)
    except OslerError:  # damaged: osler doctor says so
        return None
    if held is None:
        return None
    observation = fhir.loads(held.text)
    if observation.get("status") in PRELIMINARY:
        return None
    if observation.get("status") in REJECTED:
        return "disagree"
    present = _present(observation)
    return "agree" if present is None or present == finding.positive else "disagree"


def _present(observation: Resource) -> bool | None:
    """Tell whether the finding is there, as the Observation says now; None when it does not say so in our codes."""
    codes = {c.get("code") for c in observation.get("valueCodeableConcept", {}).get("coding", [])}
    return True if _PRESENT in codes else False if _ABSENT in codes else None


def _overridden(connection: Connection, model: str) -> dict[str, Answer]:
    joined = cds_card.join(cds_feedback, cds_feedback.c.card_id == cds_card.c.id)
    rows = connection.execute(
        select(cds_card.c.about, cds_feedback.c.outcome, cds_feedback.c.reason)
        .select_from(joined)
        .where(cds_card.c.model == model)
    )
    found: dict[str, Answer] = {}
    for about, outcome, reason in rows:
        if outcome == "accepted":
            found.setdefault(about.rpartition("/")[2], "agree")
        elif reason == WRONG_FINDING:
            found[about.rpartition("/")[2]] = "disagree"
    return found
