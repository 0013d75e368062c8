"""Where a note and its items come from: what drafted them, in which words of the encounter, and who signed.

References
----------
HL7 FHIR R4 4.0.1 Provenance, Signature; ASTM E1762-95 (types of signature); HL7 AI Transparency on FHIR 1.0.0-ballot
"""

from collections.abc import Sequence
from typing import Final

from osler.publish.fhir import AI_ASSERTED
from osler.publish.ids import logical_id
from osler.publish.model_card import AI_TRANSPARENCY
from osler.publish.note.characters import printable
from osler.publish.note.entries import concept, reference
from osler.publish.note.identified import IdentifiedNote, IdentifiedStatement, SaidAt, Signature
from osler.standards.fhir import Resource, instant

_ASTM: Final = "urn:iso-astm:E1762-95:2013"
_AUTHORS: Final = ("1.2.840.10065.1.12.1.1", "Author's Signature")
_VERIFICATION: Final = ("1.2.840.10065.1.12.1.5", "Verification Signature")


def provenance(
    note: IdentifiedNote,
    targets: Sequence[Resource],
    statements: Sequence[IdentifiedStatement],
    *,
    device: Resource,
    transcript: Resource,
) -> Resource:
    """Build the Provenance of the note, or of an item.

    The label of artificial intelligence stays on it after the signature: who drafted it first does not change.

    Parameters
    ----------
    note : IdentifiedNote
    targets : sequence of dict
        Versions of these that this note made.
    statements : sequence of IdentifiedStatement
        That they come from.
    device : dict
        The Device that drafted the note.
    transcript : dict
        DocumentReference of the transcript.
    """
    first = targets[0]
    whole = first["resourceType"] == "Composition"
    made: Resource = {
        "resourceType": "Provenance",
        "id": logical_id("Provenance", first["resourceType"], first["id"]),
        "meta": {"profile": [f"{AI_TRANSPARENCY}/StructureDefinition/AI-Provenance"], "security": [AI_ASSERTED]},
        "target": [{"reference": f"{one['resourceType']}/{one['id']}"} for one in targets],
        "occurredDateTime": instant(note.began_at),
        "recorded": instant(note.written_at),
        "activity": concept("v3-DataOperation", "CREATE", "create"),
        "agent": _agents(note, statements, device),
        "entity": [_entity(one, said, transcript) for one in statements for said in one.evidence]
        or [{"role": "source", "what": reference(transcript)}],
    }
    if note.signature:
        made["signature"] = [_signature(note.signature, _AUTHORS if whole else _VERIFICATION)]
    return made


def _agents(note: IdentifiedNote, statements: Sequence[IdentifiedStatement], device: Resource) -> list[Resource]:
    """Return who made it: the Device, unless a person wrote all of it; the person, and for what."""
    made = []
    if any(statement.evidence for statement in statements):
        made.append(_agent("author", "Author", reference(device)))
    if note.signature:
        signer = reference(note.signature.practitioner)
        if any(statement.edited for statement in statements):
            made.append(_agent("author", "Author", signer))
        made.append(_agent("verifier", "Verifier", signer))
    return made or [_agent("author", "Author", reference(device))]


def _agent(code: str, display: str, who: Resource) -> Resource:
    return {"type": concept("provenance-participant-type", code, display), "who": who}


def _entity(statement: IdentifiedStatement, said: SaidAt, transcript: Resource) -> Resource:
    seconds = (
        f", {said.start_s:.1f} to {said.end_s:.1f} s" if said.start_s is not None and said.end_s is not None else ""
    )
    place = f'Statement {statement.id}: utterance {said.utterance}{seconds}: "{said.quote}"'
    return {"role": "source", "what": reference(transcript) | {"display": printable(place)}}


def _signature(signature: Signature, kind: tuple[str, str]) -> Resource:
    return {
        "type": [{"system": _ASTM, "code": kind[0], "display": kind[1]}],
        "when": instant(signature.at),
        "who": reference(signature.practitioner),
    }
