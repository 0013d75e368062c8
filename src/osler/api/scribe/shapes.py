"""What encounters look like from outside, and what may be said of a new one."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from osler.api.guard import Caller
from osler.domain.encounter import Consent, ConsentMethod, Documented, Subject
from osler.draft.port import DETAILS, NAMES_OF_PATIENT, Style
from osler.errors import Malformed
from osler.scribe.capture import Wanted
from osler.scribe.desk import ScribeDesk
from osler.scribe.retention import delete_at
from osler.standards.fhir import instant
from osler.storage.encounters import AudioPart
from osler.storage.note_deliveries import NoteDelivery

Json = dict[str, Any]

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
PATH: Final = "/scribe/encounters"


def encounter_json(held: Documented, keep_unfinished_s: float, deliveries: Sequence[NoteDelivery] = ()) -> Json:
    """Return an encounter as JSON values."""
    subject, ends = held.subject, delete_at(held, keep_unfinished_s)
    return {
        "id": held.id,
        "status": held.state.value,
        "reason": held.reason,
        "patient": f"Patient/{subject.patient}",
        "practitioner": f"Practitioner/{subject.practitioner}" if subject.practitioner else None,
        "encounter": f"Encounter/{subject.encounter}" if subject.encounter else None,
        "template": held.template,
        "detail": held.detail,
        "by_problem": held.by_problem,
        "patient_called": held.patient_called,
        "consent": None
        if held.consent is None
        else {
            "method": held.consent.method.value,
            "time": held.consent.obtained_at,
            "recorded_by": held.consent.recorded_by,
        },
        "paused": held.paused,
        "transcribed_s": held.progress_s,
        "revision": held.revision,
        "created_at": instant(held.created_at),
        "updated_at": instant(held.updated_at),
        "audio": {
            "bytes": held.audio_bytes,
            "delete_at": instant(ends) if ends else None,
            "deleted_at": instant(held.audio_deleted_at) if held.audio_deleted_at else None,
        },
        "deliveries": [
            {
                "id": d.id,
                "version": d.version,
                "destination": d.destination or "chart",
                "status": d.state.value,
                "attempts": d.attempts,
                "reason": d.reason,
                "items": dict(d.items),
            }
            for d in deliveries
        ],
    }


def parts_json(parts: Sequence[AudioPart]) -> Json:
    """Return which parts of the audio are here: for each take its numbers, and the first that is missing."""
    takes: dict[int, list[int]] = {}
    for part in parts:
        takes.setdefault(part.take, []).append(part.number)
    return {
        "bytes": sum(part.size for part in parts),
        "takes": [
            {"take": take, "parts": len(numbers), "next": _first_missing(frozenset(numbers))}
            for take, numbers in sorted(takes.items())
        ],
    }


def _first_missing(numbers: frozenset[int]) -> int:
    return next(n for n in range(len(numbers) + 1) if n not in numbers)


def wanted(body: Mapping[str, Any], caller: Caller, desk: ScribeDesk, now: float) -> Wanted:
    """Read what a new encounter is to be.

    Raises
    ------
    Malformed
        If the patient is missing, or a member is not of its kind; the message names the member.
    """
    person = caller.grant.person
    mine = person.fhir_user if person and (person.fhir_user or "").startswith("Practitioner/") else None
    subject = Subject(
        reference(body, "patient", "Patient"),
        reference(body, "practitioner", "Practitioner", default=mine or ""),
        reference(body, "encounter", "Encounter", default=""),
    )
    template = body.get("template") or desk.template
    if not isinstance(template, str) or template not in desk.templates:
        raise Malformed(f"template: the templates are {', '.join(sorted(desk.templates))}")
    given = body.get("consent")
    agreed = consent(given, caller, now) if given is not None else None
    return Wanted(subject, template, style(body, Style()), agreed)


def style(body: Mapping[str, Any], usual: Style) -> Style:
    """Read how a note is to be written; what is not said is as usual.

    Raises
    ------
    Malformed
    """
    detail, called = body.get("detail") or usual.detail, body.get("patient_called") or usual.patient_called
    by_problem = body.get("by_problem", usual.by_problem)
    if detail not in DETAILS:
        raise Malformed(f"detail: one of {', '.join(DETAILS)}")
    if by_problem is not None and not isinstance(by_problem, bool):
        raise Malformed("by_problem: true, false, or null for what the kind of note says")
    if called not in NAMES_OF_PATIENT:
        raise Malformed(f"patient_called: one of {', '.join(NAMES_OF_PATIENT)}")
    return Style(detail, by_problem, called)


def consent(given: object, caller: Caller, now: float) -> Consent:
    """Read a consent.

    Raises
    ------
    Malformed
        If it does not say how it was given, or lies in the future.
    """
    if not isinstance(given, Mapping):
        raise Malformed("consent: an object with method and time")
    try:
        method = ConsentMethod(str(given.get("method")))
    except ValueError:
        raise Malformed(f"consent.method: one of {', '.join(ConsentMethod)}") from None
    return Consent(method, _time(given.get("time"), now), caller.agent.name)


def _time(given: object, now: float) -> str:
    if given is None:
        return instant(now)
    try:
        at = datetime.fromisoformat(given) if isinstance(given, str) and len(given) <= 40 else None
        seconds = None if at is None or at.tzinfo is None else at.astimezone(UTC).timestamp()
    except (ValueError, OverflowError):  # no instant, or none that a calendar has
        seconds = None
    if seconds is None:
        raise Malformed("consent.time: an instant with its offset, as 2026-01-31T09:30:00Z")
    if seconds > now + 300:
        raise Malformed("consent.time: lies in the future")
    return instant(seconds)


def reference(body: Mapping[str, Any], name: str, kind: str, *, default: str | None = None) -> str:
    """Read the logical id of a reference, given as ``Kind/id``, as an id, or as a FHIR Reference.

    Raises
    ------
    Malformed
    """
    given = body.get(name)
    if isinstance(given, Mapping):
        given = given.get("reference")
    if given is None and default is not None:
        given = default
    if given == "" and default is not None:
        return ""
    text = given.removeprefix(f"{kind}/") if isinstance(given, str) else ""
    if not _ID.fullmatch(text):
        raise Malformed(f"{name}: a reference such as {kind}/123")
    return text
