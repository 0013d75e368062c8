"""De-identified transcript, draft, and what the gate found of it, as JSON: for the ledger, the API and the command."""

from collections.abc import Mapping, Sequence
from typing import Any

from osler.domain.note import (
    Checked,
    CodeSuggestion,
    Draft,
    DraftAuthor,
    Evidence,
    Omission,
    Section,
    Severity,
    Statement,
    Support,
    Topic,
    Verdict,
)
from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance, SpeakerRole

Json = dict[str, Any]


def transcript_to_json(transcript: DeidentifiedTranscript) -> Json:
    """Return a de-identified transcript as JSON values."""
    return {
        "language": transcript.language,
        "placeholders": dict(transcript.placeholders),
        "utterances": [
            {
                "utterance": u.number,
                "speaker": u.speaker,
                "role": u.role.value,
                "text": u.text,
                "start": u.start_s,
                "end": u.end_s,
            }
            for u in transcript.utterances
        ],
    }


def transcript_from_json(document: Json) -> DeidentifiedTranscript:
    """Return the transcript that :func:`transcript_to_json` wrote."""
    return DeidentifiedTranscript(
        tuple(
            DeidentifiedUtterance(u["utterance"], u["speaker"], SpeakerRole(u["role"]), u["text"], u["start"], u["end"])
            for u in document["utterances"]
        ),
        document["language"],
        document["placeholders"],
    )


def evidence_to_json(evidence: Sequence[Evidence]) -> list[Json]:
    """Return evidence as JSON values."""
    return [{"utterance": e.utterance, "quote": e.quote} for e in evidence]


def evidence_from_json(items: Sequence[Json]) -> tuple[Evidence, ...]:
    """Return the evidence that :func:`evidence_to_json` wrote."""
    return tuple(Evidence(e["utterance"], e["quote"]) for e in items)


def checked_to_json(checked: Checked) -> Json:
    """Return a draft with its verdicts as JSON values."""
    draft = checked.draft
    return {
        "template": draft.template,
        "author": {
            "kind": draft.author.kind,
            "name": draft.author.name,
            "version": draft.author.version,
            "sha256": draft.author.sha256,
        },
        "warnings": list(draft.warnings),
        "refusal": checked.refusal,
        "sections": [
            {
                "key": section.key,
                "title": section.title,
                "code": section.code,
                "problem": section.problem,
                "statements": [_statement_to_json(s, checked.verdicts[s.id]) for s in section.statements],
            }
            for section in draft.sections
        ],
        "omissions": [omission_to_json(one) for one in checked.omissions],
    }


def omission_to_json(omission: Omission) -> Json:
    """Return what was left out as JSON values."""
    return {"kind": omission.kind, "text": omission.text, "evidence": evidence_to_json((omission.evidence,))}


def checked_from_json(document: Json) -> Checked:
    """Return the draft that :func:`checked_to_json` wrote."""
    verdicts: dict[str, Verdict] = {}
    sections = tuple(_section(item, verdicts) for item in document["sections"])
    author = document["author"]
    return Checked(
        Draft(
            document["template"],
            sections,
            DraftAuthor(author["kind"], author["name"], author["version"], author["sha256"]),
            tuple(document["warnings"]),
        ),
        verdicts,
        tuple(Omission(o["kind"], o["text"], evidence_from_json(o["evidence"])[0]) for o in document["omissions"]),
        document["refusal"],
    )


def codes_to_json(codes: Sequence[CodeSuggestion]) -> list[Json]:
    """Return suggested codes as JSON values."""
    return [
        {
            "system": c.system,
            "code": c.code,
            "display": c.display,
            "statement": c.statement,
            "evidence": evidence_to_json(c.evidence),
        }
        for c in codes
    ]


def codes_from_json(items: Sequence[Json]) -> tuple[CodeSuggestion, ...]:
    """Return the codes that :func:`codes_to_json` wrote."""
    return tuple(
        CodeSuggestion(c["system"], c["code"], c["display"], c["statement"], evidence_from_json(c["evidence"]))
        for c in items
    )


def _statement_to_json(statement: Statement, verdict: Verdict) -> Json:
    return {
        "id": statement.id,
        "text": statement.text,
        "topic": statement.topic.value,
        "verbatim": statement.verbatim,
        "evidence": evidence_to_json(statement.evidence),
        "support": verdict.support.value,
        "severity": verdict.severity.value,
        "reasons": list(verdict.reasons),
        "passed": verdict.passed,
    }


def _section(item: Json, verdicts: dict[str, Verdict]) -> Section:
    for s in item["statements"]:
        verdicts[s["id"]] = Verdict(Support(s["support"]), Severity(s["severity"]), tuple(s["reasons"]))
    statements = tuple(_statement(s) for s in item["statements"])
    return Section(item["key"], item["title"], item["code"], statements, item["problem"])


def _statement(item: Mapping[str, Any]) -> Statement:
    evidence = evidence_from_json(item["evidence"])
    return Statement(item["id"], item["text"], evidence, Topic(item["topic"]), item["verbatim"])
