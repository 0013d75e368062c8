"""Cards of order-select and order-sign: a comparable study that exists already, and contrast with weak kidneys."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from osler.api.cds_hooks.cards import Action, Card, Suggestion
from osler.api.cds_hooks.chart import Chart, resources_of
from osler.clinical.contrast import contrast_caution
from osler.clinical.imaging_order import ImagingOrder, comparable, read_order
from osler.clinical.kidney import UMOL_PER_MG_DL, ckd_epi_2021
from osler.errors import InputRejected, Malformed
from osler.publish.verification import ai_asserted
from osler.standards.fhir import Resource
from osler.standards.fhir_dates import parse_span

RECENT_DAYS: Final = 30
"""How long a study counts as recent."""
KIDNEY_DAYS: Final = 90
"""How long a creatinine tells the kidney function of somebody who is not acutely ill."""
LOINC: Final = "http://loinc.org"
CREATININE: Final = {"2160-0": 1.0, "14682-9": UMOL_PER_MG_DL}
"""LOINC codes of creatinine in serum or plasma, with what their unit has in one mg/dL."""
EGFR: Final = ("98979-8", "62238-1", "33914-3")
"""LOINC codes of a reported eGFR: CKD-EPI 2021, CKD-EPI 2009, MDRD."""

_UNITS: Final = {"mg/dL": 1.0, "umol/L": UMOL_PER_MG_DL, "µmol/L": UMOL_PER_MG_DL}
_LIVE: Final = ("final", "amended", "corrected", "preliminary", "registered")
_COMPARABLE_REASONS: Final = (
    ("clinical-change", "The clinical condition has changed since"),
    ("other-question", "The new study answers another question"),
    ("insufficient-quality", "The earlier study is not good enough"),
)
_CONTRAST_REASONS: Final = (
    ("benefit-outweighs-risk", "The benefit outweighs the risk"),
    ("on-dialysis", "The patient is on dialysis"),
    ("newer-value", "A newer value is known"),
)
_MEASURE: Final = "Order a creatinine first"


@dataclass(frozen=True, slots=True)
class Kidneys:
    """What is known of the kidney function: ``egfr`` in mL/min/1.73 m2, on ``day``, and how it is known."""

    egfr: float
    day: datetime.date
    words: str


def order_cards(chart: Chart, orders: tuple[Resource, ...]) -> Iterator[Card]:
    """Yield the cards of draft orders."""
    kidneys: Kidneys | None = None
    asked = False
    for order in orders:
        imaging = read_order(words_of(order)) if order["resourceType"] == "ServiceRequest" else None
        if imaging is None:
            continue
        yield from _comparable(chart, order, imaging)
        if imaging.medium is None:
            continue
        if not asked:
            kidneys, asked = kidneys_of(chart), True
        yield from _contrast(chart, order, imaging, kidneys)


def words_of(order: Resource) -> str:
    """Return the words of an order: its text, what its codes are called, and the details."""
    concepts = [order.get("code"), *_list(order, "orderDetail"), *_list(order, "bodySite")]
    found: list[Any] = []
    for concept in concepts:
        if isinstance(concept, dict):
            found += [concept.get("text"), *(c.get("display") for c in _list(concept, "coding") if isinstance(c, dict))]
    return " ; ".join(str(words) for words in found if isinstance(words, str))


def kidneys_of(chart: Chart) -> Kidneys | None:
    """Return the newest kidney function of the last 90 days, or None when none is known or can be computed."""
    codes = ",".join(f"{LOINC}|{code}" for code in (*CREATININE, *EGFR))
    there = [*resources_of(chart.prefetched("kidney"), "Observation"), *chart.own("Observation", ("code", codes))]
    found = [k for k in (_kidneys(o, chart.patient or {}) for o in there) if k is not None]
    recent = [k for k in found if datetime.timedelta() <= chart.today - k.day <= datetime.timedelta(days=KIDNEY_DAYS)]
    return max(recent, key=lambda k: k.day, default=None)


def _comparable(chart: Chart, order: Resource, imaging: ImagingOrder) -> Iterator[Card]:
    since = (chart.today - datetime.timedelta(days=RECENT_DAYS)).isoformat()
    studies = chart.own("ImagingStudy", ("started", f"ge{since}"), ("_sort", "-started"))
    reports = chart.own("DiagnosticReport") if studies else []
    for study in studies:
        modalities = frozenset(str(m.get("code")) for m in _list(study, "modality"))
        if not comparable(imaging, modalities=modalities, words=_study_words(study)):
            continue
        read = [r for r in reports if ai_asserted(r) and _is_of(r, study)]
        if not read:
            continue
        day, said = str(study.get("started", ""))[:10], str(read[0].get("conclusion", ""))
        name = str(study.get("description") or imaging.modality)
        yield Card(
            summary=f"A comparable study exists: {name}, {day}, read by AI",
            indicator="info",
            detail=f"Study of {day}: {name}. {said}",
            topic="comparable-study",
            about=f"ImagingStudy/{study['id']}",
            model=str(read[0].get("code", {}).get("text", "")).removeprefix("AI result: "),
            suggestions=_removal(order),
            override_reasons=_COMPARABLE_REASONS,
        )
        return  # the newest is enough


def _contrast(chart: Chart, order: Resource, imaging: ImagingOrder, kidneys: Kidneys | None) -> Iterator[Card]:
    medium = imaging.medium
    if medium is None:
        return
    if kidneys is None:
        yield Card(
            summary=f"No kidney function of the last {KIDNEY_DAYS} days is on record for {medium} contrast",
            indicator="info",
            detail="Neither an eGFR nor a creatinine that it could be computed from was found.",
            topic="contrast-kidney-unknown",
            suggestions=(_measure(order),),
            override_reasons=_CONTRAST_REASONS,
        )
        return
    caution = contrast_caution(kidneys.egfr, medium)
    if caution is None:
        return
    yield Card(
        summary=f"eGFR {kidneys.egfr:.0f} mL/min/1.73 m2 on {kidneys.day}: {medium} contrast needs thought",
        indicator="critical" if caution.severe else "warning",
        detail=f"{caution.words}\n\n{kidneys.words}",
        topic="contrast-kidney",
        source=caution.source,
        source_url=caution.url,
        suggestions=_removal(order),
        override_reasons=_CONTRAST_REASONS,
    )


def _kidneys(observation: Resource, patient: Resource) -> Kidneys | None:
    day = _day(observation)
    quantity = observation.get("valueQuantity")
    if not isinstance(quantity, dict):
        return None
    value = quantity.get("value")
    if day is None or isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if observation.get("status") not in _LIVE or quantity.get("comparator"):
        return None
    codings = [c for c in _list(observation.get("code"), "coding") if isinstance(c, dict)]
    codes = [c["code"] for c in codings if c.get("system") == LOINC and isinstance(c.get("code"), str)]
    if any(code in EGFR for code in codes):
        return Kidneys(float(value), day, f"eGFR {value} as reported on {day}.")
    factor = next((CREATININE[code] for code in codes if code in CREATININE), None)
    factor = _UNITS.get(str(quantity.get("code") or quantity.get("unit")), factor)
    age = _age(patient, day)
    if factor is None or age is None or patient.get("gender") not in ("female", "male"):
        return None
    creatinine = float(value) / factor
    try:
        egfr = ckd_epi_2021(creatinine, age=age, female=patient["gender"] == "female")
    except InputRejected:
        return None
    return Kidneys(egfr, day, f"Computed by CKD-EPI 2021 from a creatinine of {creatinine:.2f} mg/dL on {day}.")


def _age(patient: Resource, day: datetime.date) -> float | None:
    born = patient.get("birthDate")
    try:
        low, high = parse_span(born) if isinstance(born, str) else (0.0, 0.0)
    except Malformed:
        return None
    if not high:
        return None
    at = datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp()
    return (at - (low + high) / 2) / (365.2425 * 86_400)


def _day(observation: Resource) -> datetime.date | None:
    text = observation.get("effectiveDateTime") or observation.get("effectiveInstant") or observation.get("issued")
    period = observation.get("effectivePeriod")
    if not text and isinstance(period, dict):
        text = period.get("end") or period.get("start")
    try:
        return datetime.date.fromisoformat(str(text)[:10])
    except ValueError:
        return None


def _study_words(study: Resource) -> str:
    found = [study.get("description")]
    for series in _list(study, "series"):
        found += [series.get("description"), (series.get("bodySite") or {}).get("display")]
    return " ; ".join(str(words) for words in found if words)


def _is_of(report: Resource, study: Resource) -> bool:
    reference = f"ImagingStudy/{study['id']}"
    return any(one.get("reference") == reference for one in _list(report, "imagingStudy"))


def _removal(order: Resource) -> tuple[Suggestion, ...]:
    if not order.get("id"):
        return ()
    reference = f"{order['resourceType']}/{order['id']}"
    action = Action("delete", "Remove the order", resource_id=reference)
    return (Suggestion("Remove the order", (action,)),)


def _measure(order: Resource) -> Suggestion:
    resource: Resource = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "proposal",
        "code": {
            "coding": [{"system": LOINC, "code": "2160-0", "display": "Creatinine [Mass/volume] in Serum or Plasma"}],
            "text": "Creatinine",
        },
        "subject": order.get("subject", {}),
    }
    return Suggestion(_MEASURE, (Action("create", _MEASURE, resource=resource),), recommended=True)


def _list(value: Any, name: str) -> list[Any]:
    items = value.get(name) if isinstance(value, dict) else None
    return items if isinstance(items, list) else []
