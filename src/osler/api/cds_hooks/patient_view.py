"""Cards of patient-view: critical findings that nobody has reviewed, and follow-up that is overdue."""

from collections.abc import Iterator
from typing import Any, Final

from osler.api.cds_hooks.cards import Card, Link
from osler.api.cds_hooks.chart import Chart
from osler.errors import Malformed
from osler.publish.verification import awaits_verification
from osler.standards.fhir import Resource
from osler.standards.fhir_dates import parse_span

_FINDING_TYPES: Final = ("Observation/", "DiagnosticReport/", "ImagingStudy/", "Condition/", "RiskAssessment/")
_OPEN_TASKS: Final = "requested,received,accepted,ready,in-progress,on-hold"
_REASONS: Final = (
    ("reviewed-elsewhere", "The finding was reviewed elsewhere"),
    ("not-my-patient", "Somebody else takes care of it"),
    ("not-relevant", "Not relevant in this visit"),
)
WRONG_FINDING: Final = "wrong-finding"
"""The override reason by which a person disagrees with a model."""
_FINDING_REASONS: Final = (*_REASONS, (WRONG_FINDING, "The finding is wrong"))


def patient_view(chart: Chart, links: tuple[Link, ...]) -> Iterator[Card]:
    """Yield the cards of a patient whose chart is opened."""
    yield from _unreviewed(chart, links)
    yield from _overdue(chart)


def _unreviewed(chart: Chart, links: tuple[Link, ...]) -> Iterator[Card]:
    alerts = chart.own("Communication", ("status", "in-progress,completed"))
    told = [ref.get("reference", "") for alert in alerts for ref in alert.get("about", [])]
    observations = {f"Observation/{o['id']}": o for o in chart.by_reference(told, "Observation")}
    for report in chart.by_reference(told, "DiagnosticReport"):
        if not awaits_verification(report):
            continue
        results = [observations.get(r.get("reference", "")) for r in report.get("result", [])]
        critical = [o for o in results if o is not None]
        names = ", ".join(str(o["code"].get("text", "finding")) for o in critical) or "finding"
        model = next((str(o["device"].get("display", "")) for o in critical if "device" in o), "")
        yield Card(
            summary=f"Critical AI finding not yet reviewed: {names}",
            indicator="critical",
            detail=_detail(report),
            topic="unreviewed-ai-finding",
            about=f"DiagnosticReport/{report['id']}",
            model=model,
            override_reasons=_FINDING_REASONS,
            links=links,
        )


def _detail(report: Resource) -> str:
    when = str(report.get("effectiveDateTime", report.get("issued", "")))[:10]
    said = str(report.get("conclusion", "")).strip()
    return f"Image of {when}. {said}" if when else said


def _overdue(chart: Chart) -> Iterator[Card]:
    tasks = ((t, _end(t.get("restriction", {}).get("period"))) for t in chart.own("Task", ("status", _OPEN_TASKS)))
    orders = (
        (r, _end(r.get("occurrencePeriod")) or _end({"end": r.get("occurrenceDateTime")}))
        for r in chart.own("ServiceRequest", ("status", "active"))
    )
    for request, due in (*tasks, *orders):
        if due is None or due >= chart.now or not _follows_a_finding(request):
            continue
        days = int((chart.now - due) // 86_400)
        yield Card(
            summary=f"Overdue follow-up: {_words(request)} ({days} {'day' if days == 1 else 'days'})",
            indicator="warning",
            detail="It was due and is still open. It was asked for because of an earlier finding.",
            topic="overdue-follow-up",
            about=f"{request['resourceType']}/{request['id']}",
            override_reasons=_REASONS,
        )


def _end(period: Any) -> float | None:
    text = period.get("end") if isinstance(period, dict) else None
    try:
        return parse_span(text)[1] if isinstance(text, str) else None
    except Malformed:
        return None


def _follows_a_finding(request: Resource) -> bool:
    pointed: list[Any] = [request.get("focus"), request.get("reasonReference")]
    for name in ("basedOn", "supportingInfo", "reasonReference"):
        items = request.get(name, [])
        pointed += items if isinstance(items, list) else [items]
    references = [p.get("reference", "") for p in pointed if isinstance(p, dict)]
    return any(str(r).startswith(_FINDING_TYPES) for r in references)


def _words(request: Resource) -> str:
    code = request.get("code") or {}
    displays = [c.get("display") for c in code.get("coding", []) if isinstance(c, dict)]
    found = [code.get("text"), *displays, request.get("description")]
    return next((str(words) for words in found if words), "request")
