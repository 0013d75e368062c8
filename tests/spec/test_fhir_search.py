"""Search as R4 3.1.1 has it: one row a rule, on both databases."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest

from osler.domain.reach import EVERYTHING, NO_PATIENT, Part, Reach
from osler.errors import Malformed
from osler.standards import fhir
from osler.standards.fhir_matching import matchable, matches
from osler.standards.fhir_query import parse_query
from osler.storage import Database
from osler.storage.resource_pages import page_statement
from osler.storage.resource_search import Page, ResourceSearch
from osler.storage.resources import ResourceStore
from osler.vault import KeyRing

BASE = "http://here/fhir/R4"
LOINC, UCUM, SCT = "http://loinc.org", "http://unitsofmeasure.org", "http://snomed.info/sct"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def decimal(text: str) -> fhir.FhirDecimal:
    return fhir.FhirDecimal(text)


def concept(code: str, system: str = LOINC) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def quantity(value: str, code: str = "mg", **more: str) -> dict[str, Any]:
    return {"value": decimal(value), "unit": code, "system": UCUM, "code": code} | more


def observation(logical_id: str, subject: str = "Patient/p1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": "final",
        "code": concept("718-7"),
        "subject": {"reference": subject},
    } | more


def pressure(systolic: str, diastolic: str) -> list[dict[str, Any]]:
    return [
        {"code": concept("8480-6"), "valueQuantity": quantity(systolic, "mm[Hg]")},
        {"code": concept("8462-4"), "valueQuantity": quantity(diastolic, "mm[Hg]")},
    ]


RESOURCES: list[dict[str, Any]] = [
    {
        "resourceType": "Patient",
        "id": "p1",
        "active": True,
        "identifier": [
            {
                "system": "urn:mrn",
                "value": "A|1",
                "type": concept("MR", "http://terminology.hl7.org/CodeSystem/v2-0203"),
            },
            {"value": "bare"},
        ],
        "name": [{"family": "Müller-Lüdenscheidt", "given": ["Éva", "Maria"], "prefix": ["Dr."]}],
        "gender": "female",
        "birthDate": "1970-02-03",
        "telecom": [
            {"system": "phone", "value": "+1 555 0100", "use": "home"},
            {"system": "email", "value": "E@X.org"},
        ],
        "address": [{"line": ["1 Long Street"], "city": "Springfield", "postalCode": "01101", "use": "home"}],
        "generalPractitioner": [{"reference": "Practitioner/d1"}],
        "meta": {"tag": [{"system": "urn:t", "code": "demo"}], "source": "urn:s"},
    },
    {
        "resourceType": "Patient",
        "id": "p2",
        "name": [{"family": "O'Brien", "given": ["Max"], "text": "Max of the very long family name O'Brien"}],
        "gender": "male",
        "birthDate": "1970",
        "deceasedDateTime": "2024-05-05",
        "meta": {"profile": ["http://p.org/one|1.0"], "security": [{"system": CONFIDENTIALITY, "code": "R"}]},
    },
    {"resourceType": "Patient", "id": "p3", "deceasedBoolean": False},
    {"resourceType": "Practitioner", "id": "d1", "name": [{"family": "Adler", "given": ["Ida"]}]},
    {"resourceType": "Organization", "id": "org", "name": "Mercy Hospital", "alias": ["St. Mary"]},
    observation(
        "day", effectiveDateTime="2024-03-05", valueQuantity=quantity("5.40"), category=[concept("lab", "urn:c")]
    ),
    observation("month", effectiveDateTime="2024-03", valueQuantity=quantity("5.45"), status="amended"),
    observation("instant", effectiveInstant="2024-03-05T23:30:00-05:00", valueQuantity=quantity("100", "g")),
    observation("period", effectivePeriod={"start": "2024-02-01", "end": "2024-03-31"}, code=concept("Hb", SCT)),
    observation("open", effectivePeriod={"start": "2024-03-04"}, valueCodeableConcept=concept("pos", SCT)),
    observation("none", "Patient/p2", valueString="Straße nach Köln", method={"text": "by hand"}),
    observation(
        "timing",
        "Group/g1",
        effectiveTiming={"event": ["2024-04-01", "2024-04-05"]},
        performer=[{"identifier": {"system": "urn:npi", "value": "77"}}],
    ),
    observation("bp1", "Patient/p3", code=concept("85354-9"), component=pressure("120", "80")),
    observation("bp2", "Patient/p3", code=concept("85354-9"), component=pressure("80", "120")),
    observation("less", "Patient/p3", code=concept("x"), valueQuantity=quantity("5", comparator="<")),
    {
        "resourceType": "Group",
        "id": "g1",
        "type": "person",
        "actual": True,
        "member": [{"entity": {"reference": "Patient/p1"}}],
    },
    {
        "resourceType": "RiskAssessment",
        "id": "r1",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "prediction": [{"probabilityDecimal": decimal("0.930")}],
    },
    {
        "resourceType": "RiskAssessment",
        "id": "r2",
        "status": "final",
        "subject": {"reference": "http://elsewhere/fhir/Patient/p1"},
        "prediction": [{"probabilityDecimal": decimal("1E-22")}, {"probabilityDecimal": decimal("100")}],
    },
    {
        "resourceType": "DocumentReference",
        "id": "doc",
        "status": "current",
        "content": [{"attachment": {"contentType": "text/plain", "url": "http://x/y"}}],
        "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/old"}}],
        "subject": {"reference": "Patient/p1"},
        "date": "2024-01-01T00:00:00Z",
    },
    {
        "resourceType": "Provenance",
        "id": "prov",
        "target": [{"reference": "Observation/day"}, {"reference": "Observation/month/_history/1"}],
        "recorded": "2024-01-01T00:00:00Z",
        "agent": [{"who": {"reference": "Practitioner/d1"}}],
    },
]

Search = Callable[..., Page]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def search(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Search]:
    if request.param == "sqlite":
        url = request.getfixturevalue("new_sqlite")(tmp_path_factory.mktemp("search") / "osler.db")
    else:
        url = request.getfixturevalue("new_postgresql")()
    database = Database(url)
    keys = KeyRing.open(database, master_key=bytes(32), tenant="default")
    times = iter(range(1_700_000_000, 1_700_001_000))
    store = ResourceStore(database, sealer=keys.sealer("record"), index=keys.index, clock=lambda: float(next(times)))
    database.write(lambda connection: [store.put(connection, resource) for resource in RESOURCES])
    searcher = ResourceSearch(database, sealer=keys.sealer("record"), index=keys.index)

    def run(type_name: str, query: str, reach: Callable[[str, str], Reach] = lambda *_: EVERYTHING, **how: Any) -> Page:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
        return searcher.search(parse_query(type_name, pairs, now=1_720_000_000.0, base=BASE, **how), reach)

    yield run
    database.close()


ALL = "day month instant period open none timing bp1 bp2 less"

ROWS: list[tuple[str, str, str, str]] = [
    # ---- token
    ("a code, whatever its system", "Observation", "code=718-7", "day month instant open none timing"),
    ("system|code", "Observation", f"code={LOINC}|718-7", "day month instant open none timing"),
    ("a code of another system", "Observation", f"code={SCT}|718-7", ""),
    ("|code is without a system", "Patient", "identifier=|bare", "p1"),
    ("|code is not with one", "Patient", "identifier=|A\\|1", ""),
    ("system| is any of the system", "Observation", f"code={SCT}|", "period"),
    ("an escaped bar is part of the value", "Patient", "identifier=urn:mrn|A\\|1", "p1"),
    ("coded concepts compare without case", "Observation", "code=hB", "period"),
    ("identifiers compare with case", "Patient", "identifier=BARE", ""),
    ("commas are OR", "Observation", "code=Hb,x", "period less"),
    ("repetition is AND", "Observation", "code=718-7&status=amended", "month"),
    (
        "a bound code implies its system",
        "Observation",
        "status=http://hl7.org/fhir/observation-status|amended",
        "month",
    ),
    ("a bound code has no other system", "Observation", "status=urn:x|amended", ""),
    ("any code of the implied system", "Patient", "gender=http://hl7.org/fhir/administrative-gender|", "p1 p2"),
    ("a boolean", "Patient", "active=true", "p1"),
    ("deceased by a date", "Patient", "deceased=true", "p2"),
    ("not deceased, said or not", "Patient", "deceased=false", "p1 p3"),
    ("contact points", "Patient", "telecom=%2B1%20555%200100", "p1"),
    ("contact points by use", "Patient", "phone=home|%2B1%20555%200100", "p1"),
    ("email compares without case", "Patient", "email=e@x.ORG", "p1"),
    ("phone reads phones alone", "Patient", "phone=e@x.org", ""),
    (":not", "Observation", "status:not=final", "month"),
    (":not finds what has none", "Observation", "category:not=lab", ALL.replace("day ", "")),
    (":of-type", "Patient", "identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|A\\|1", "p1"),
    ("_id", "Observation", "_id=day,month,nobody", "day month"),
    ("_id with another", "Observation", "_id=day,month&status=amended", "month"),
    ("_tag", "Patient", "_tag=urn:t|demo", "p1"),
    ("_security", "Patient", "_security=R", "p2"),
    ("combo-code", "Observation", "combo-code=8480-6,Hb", "bp1 bp2 period"),
    # ---- reference
    ("Type/id", "Observation", "subject=Patient/p2", "none"),
    ("id", "Observation", "patient=p2", "none"),
    ("absolute URL of ours", "Observation", f"subject={BASE}/Patient/p2", "none"),
    ("a version does not matter", "Provenance", "target=Observation/month", "prov"),
    ("absolute URL of another", "RiskAssessment", "subject=http://elsewhere/fhir/Patient/p1", "r2"),
    ("a relative one is not another's", "RiskAssessment", "subject=Patient/p1", "r1"),
    (":Type", "Observation", "subject:Group=g1", "timing"),
    (":Type is not another type", "Observation", "subject:Group=p1", ""),
    (":identifier", "Observation", "performer:identifier=urn:npi|77", "timing"),
    ("patient is only a Patient", "Observation", "patient=Group/g1", ""),
    # ---- date
    ("eq: a day holds an instant of it, in its zone", "Observation", "date=2024-03-06", "instant"),
    ("eq: a month holds its days", "Observation", "date=2024-03", "day month instant"),
    ("eq: a year holds a period", "Observation", "date=eq2024", "day month instant period timing"),
    ("ne", "Observation", "date=ne2024-03", "period open timing"),
    ("gt: overlaps what is after", "Observation", "date=gt2024-03-05", "month instant period open timing"),
    ("lt", "Observation", "date=lt2024-03-05", "month period open"),
    ("ge", "Observation", "date=ge2024-04-01", "open timing"),
    ("le", "Observation", "date=le2024-03-05", "day month period open"),
    ("sa: begins after", "Observation", "date=sa2024-03-05", "instant timing"),
    ("eb: ends before", "Observation", "date=eb2024-04-01", "day month instant period"),
    ("a time zone counts", "Observation", "date=2024-03-06T04:30:00Z", "instant"),
    ("a plus that was not escaped", "Observation", "date=2024-03-06T05:30:00+01:00", "instant"),
    ("both ends", "Observation", "date=ge2024-03-05&date=lt2024-03-06", "day month period open"),
    ("birthdate", "Patient", "birthdate=1970", "p1 p2"),
    ("birthdate to the day", "Patient", "birthdate=1970-02-03", "p1"),
    ("a date of a choice", "Patient", "death-date=2024-05", "p2"),
    ("_lastUpdated", "Patient", "_lastUpdated=le2023-11-14T22:13:21Z", "p1 p2"),
    # ---- string
    ("starts with, without case", "Patient", "family=müll", "p1"),
    ("without accents", "Patient", "name=eva", "p1"),
    ("any part of the name", "Patient", "name=dr.", "p1"),
    ("not in the middle", "Patient", "family=ller", ""),
    ("more than the index holds of a start", "Patient", "name=max of the very long family name o", "p2"),
    ("more than that, and another end", "Patient", "name=max of the very long family name x", ""),
    (":exact", "Patient", "given:exact=Éva", "p1"),
    (":exact minds accents", "Patient", "given:exact=Eva", ""),
    (":contains, one letter", "Patient", "family:contains=ü", "p1"),
    (":contains", "Patient", "family:contains=lüden", "p1"),
    (":contains, in two strings", "Patient", "name:contains=ller-max", ""),
    (":contains, scattered", "Organization", "name:contains=mercycy", ""),
    ("one of several", "Organization", "name=st.,x", "org"),
    ("address of any part", "Patient", "address=spring", "p1"),
    ("address-postalcode", "Patient", "address-postalcode=011", "p1"),
    ("sharp s folds", "Observation", "value-string=STRASSE", "none"),
    # ---- number and quantity
    ("implicit precision", "RiskAssessment", "probability=0.93", "r1"),
    ("finer precision", "RiskAssessment", "probability=0.930", "r1"),
    ("100 is 99.5 to 100.5", "RiskAssessment", "probability=100", "r2"),
    ("1e2 is 95 to 105", "RiskAssessment", "probability=1e2", "r2"),
    ("the smallest", "RiskAssessment", "probability=1E-22", "r2"),
    ("gt is exact", "RiskAssessment", "probability=gt0.93", "r2"),
    ("ge", "RiskAssessment", "probability=ge0.93", "r1 r2"),
    ("ap", "RiskAssessment", "probability=ap1", "r1"),
    ("a quantity of any unit", "Observation", "value-quantity=100", "instant"),
    ("number|system|code", "Observation", f"value-quantity=5.4|{UCUM}|mg", "day"),
    ("number||code", "Observation", "value-quantity=5.4||mg", "day"),
    ("another unit", "Observation", "value-quantity=5.4||g", ""),
    ("5.45 is not 5.4", "Observation", "value-quantity=5.45", "month"),
    ("lt reaches under a comparator", "Observation", "value-quantity=lt5||mg", "less"),
    ("ne", "Observation", "value-quantity=ne5.4||mg", "month less"),
    ("combo-value-quantity", "Observation", "combo-value-quantity=100,80", "bp1 bp2 instant"),
    # ---- uri
    ("_source", "Patient", "_source=urn:s", "p1"),
    ("_profile without its version", "Patient", "_profile=http://p.org/one", "p2"),
    ("_profile with it", "Patient", "_profile=http://p.org/one|1.0", "p2"),
    ("a uri minds case", "DocumentReference", "location=http://X/y", ""),
    # ---- composite
    ("of the resource", "Observation", f"code-value-quantity={LOINC}|718-7$gt5.42||mg", "month"),
    ("of a concept", "Observation", "code-value-concept=718-7$pos", "open"),
    ("of a string", "Observation", "code-value-string=718-7$stra", "none"),
    ("of one component", "Observation", "component-code-value-quantity=8480-6$gt100", "bp1"),
    (
        "of one component, with units",
        "Observation",
        f"component-code-value-quantity={LOINC}|8462-4$ge80|{UCUM}|mm[Hg]",
        "bp1 bp2",
    ),
    ("of either", "Observation", "combo-code-value-quantity=8480-6$gt100,718-7$5.4", "bp1 day"),
    ("of a reference and a code", "DocumentReference", "relationship=DocumentReference/old$replaces", "doc"),
    ("of a reference and another code", "DocumentReference", "relationship=DocumentReference/old$appends", ""),
    # ---- missing
    (":missing=true", "Observation", "date:missing=true", "none bp1 bp2 less"),
    (":missing=false", "Observation", "category:missing=false", "day"),
    (":missing of a reference to one type", "Observation", "patient:missing=true", "timing"),
    (":missing of a composite", "Observation", "component-code-value-quantity:missing=false", "bp1 bp2"),
    # ---- chains
    ("a chain", "Observation", "subject:Patient.identifier=urn:mrn|A\\|1", "day month instant period open"),
    ("a chain without the type", "Observation", "patient.name=o'brien", "none"),
    ("a chain with a modifier", "Observation", "patient.name:exact=Max", "none"),
    ("a chain through two types", "Observation", "subject.identifier=bare", "day month instant period open"),
    ("a chain beside another", "Observation", "patient.gender=female&code=Hb", "period"),
    ("a chain on _id", "Observation", "patient._id=p2", "none"),
    ("_has", "Patient", "_has:Observation:patient:code=Hb", "p1"),
    ("_has and another", "Patient", "_has:Observation:patient:code=718-7&gender=male", "p2"),
    ("_has of nothing", "Patient", "_has:Observation:patient:code=nothing", ""),
    ("_has through target", "Observation", "_has:Provenance:target:agent=d1", "day month"),
]


@pytest.mark.parametrize(("rule", "type_name", "query", "wanted"), ROWS, ids=[row[0] for row in ROWS])
def test_finds(search: Search, rule: str, type_name: str, query: str, wanted: str) -> None:
    page = search(type_name, f"{query}&_total=accurate", strict=True)

    assert sorted(m.id for m in page.matches) == sorted(wanted.split()), rule
    assert page.total == len(wanted.split())
    one_by_one, cursor = [], ""
    while True:
        page = search(type_name, f"{query}&_count=1{cursor}")
        one_by_one += [m.id for m in page.matches]
        if not page.cursor:
            break
        cursor = f"&_cursor={page.cursor}"
    assert sorted(one_by_one) == sorted(wanted.split()), "the same page by page"


@pytest.mark.parametrize(("rule", "type_name", "query", "wanted"), ROWS, ids=[row[0] for row in ROWS])
def test_the_same_is_told_from_a_resource_alone(rule: str, type_name: str, query: str, wanted: str) -> None:
    pairs = parse_qsl(query, strict_parsing=True)
    conditions = parse_query(type_name, pairs, now=1_720_000_000.0, base=BASE).conditions
    stamped = [
        resource | {"meta": resource.get("meta", {}) | {"lastUpdated": fhir.instant(1_700_000_000.0 + number)}}
        for number, resource in enumerate(RESOURCES)
        if resource["resourceType"] == type_name
    ]

    if any("." in name or name.startswith("_has") for name, _ in pairs):
        assert not matchable(conditions)
    else:
        assert sorted(r["id"] for r in stamped if matches(r, conditions)) == sorted(wanted.split()), rule


REFUSED: list[tuple[str, str, str, str]] = [
    ("a modifier of another kind", "Observation", "status:exact=final", "modifier"),
    (":text", "Observation", "code:text=x", "modifier"),
    ("a modifier of dates", "Observation", "date:not=2024", "modifier"),
    ("a type that the reference cannot have", "Observation", "subject:Practitioner=x", "modifier"),
    (":missing is true or false", "Observation", "code:missing=yes", "true or false"),
    ("two bars", "Observation", "code=a|b|c", "one |"),
    ("nothing but a bar", "Observation", "code=|", "a system or a code"),
    ("no date", "Observation", "date=soon", "date"),
    ("no number", "RiskAssessment", "probability=much", "decimal"),
    ("a number of another alphabet", "RiskAssessment", "probability=%D9%A1", "decimal"),
    ("an endless exponent", "RiskAssessment", "probability=1e99999", "decimal"),
    ("a quantity of two parts", "Observation", "value-quantity=5|mg", "form"),
    ("half a composite", "Observation", "code-value-quantity=a", "joined by"),
    ("a reference without type", "Provenance", "target=x", "name its type"),
    ("two links", "Observation", "subject.organization.name=x", "one link"),
    ("a chain that starts with a code", "Observation", "code.name=x", "starts with a reference"),
    ("a chain to another type", "Observation", "subject:Practitioner.name=x", "cannot point"),
    ("a chain to what is not known", "Observation", "patient.colour=x", "not known"),
    ("_has of an unknown type", "Patient", "_has:Nothing:patient:code=x", "_has"),
    ("_has of an unknown parameter", "Patient", "_has:Observation:patient:colour=x", "not known"),
    ("_has that points elsewhere", "Practitioner", "_has:Observation:patient:code=x", "cannot point"),
    ("_count of another kind", "Observation", "_count=-1", "whole number"),
    ("a cursor of another search", "Observation", "_cursor=AAAA", "cursor"),
]


@pytest.mark.parametrize(("rule", "type_name", "query", "words"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refuses_what_it_cannot_do_even_when_lenient(
    search: Search, rule: str, type_name: str, query: str, words: str
) -> None:
    with pytest.raises(Malformed, match=words):
        search(type_name, query)


# ------------------------------------------------------------------------------------------------ order and pages


@pytest.mark.parametrize(
    ("sort", "wanted"),
    [
        ("date", "period month open day instant timing"),
        ("-date", "timing instant day open month period"),
        ("_id", "day instant month open period timing"),
        ("-_id", "timing period open month instant day"),
        ("_lastUpdated", "day month instant period open timing"),
        ("-_lastUpdated", "timing open period instant month day"),
        ("-date,_id", "timing instant day open month period"),
    ],
)
def test_sorts_and_pages_in_order(search: Search, sort: str, wanted: str) -> None:
    seen: list[str] = []
    cursor = ""
    while True:
        page = search("Observation", f"date:missing=false&_sort={sort}&_count=2{cursor}", strict=True)
        seen += [m.id for m in page.matches]
        if not page.cursor:
            break
        cursor = f"&_cursor={page.cursor}"
    assert " ".join(seen) == wanted


def test_counting(search: Search) -> None:
    assert search("Observation", "").total == 10
    assert search("Observation", "_total=none").total is None
    only = search("Observation", "_summary=count")
    assert (only.total, only.matches) == (10, ())
    assert search("Patient", "family:contains=lüden").total == 1, "on one page all are counted"
    assert search("Patient", "family:contains=lüden&_count=0").total is None, "not cheap, so not said"
    assert search("Patient", "family:contains=lüden&_total=accurate").total == 1


# ------------------------------------------------------------------------------------------------------- includes


@pytest.mark.parametrize(
    ("type_name", "query", "wanted"),
    [
        ("Observation", "_id=day&_include=Observation:subject", "Patient/p1"),
        ("Observation", "_id=day,timing&_include=Observation:subject:Group", "Group/g1"),
        ("Observation", "_id=day,timing&_include=*", "Group/g1 Patient/p1"),
        ("Observation", "_id=day,timing&_include=Observation:*", "Group/g1 Patient/p1"),
        ("Observation", "_id=day&_revinclude=Provenance:target", "Provenance/prov"),
        (
            "Observation",
            "_id=month&_include=Observation:patient&_revinclude=Provenance:target",
            "Patient/p1 Provenance/prov",
        ),
        (
            "Patient",
            "_id=p1&_revinclude=Group:member&_include=Patient:general-practitioner",
            "Group/g1 Practitioner/d1",
        ),
        ("Patient", "_id=p1&_revinclude=RiskAssessment:subject", "RiskAssessment/r1"),
        ("DocumentReference", "_include=DocumentReference:relatesto", ""),
        ("RiskAssessment", "_id=r2&_include=RiskAssessment:subject", ""),
        ("Observation", "_id=nobody&_revinclude=Provenance:target", ""),
    ],
)
def test_brings_along(search: Search, type_name: str, query: str, wanted: str) -> None:
    page = search(type_name, query)

    assert " ".join(sorted(s.reference for s in page.included)) == wanted


@pytest.mark.parametrize(
    "query",
    [
        "_include=Patient:link",
        "_include=Observation:code",
        "_include=Provenance:*",
        "_include:iterate=Observation:subject",
        "_revinclude=Nothing:subject",
        "_revinclude=Encounter:subject",
        "_revinclude=Provenance:*",
        "_sort=code-value-quantity",
        "_sort=date,colour",
        "_summary=maybe",
        "_elements=a.b",
        "_total=many",
        "colour=red",
        "_text=x",
    ],
)
def test_what_is_not_known_is_left_out_and_said_or_refused(query: str) -> None:
    lenient = parse_query("Observation", parse_qsl(f"status=final&{query}"), now=0.0)

    assert (lenient.understood, lenient.ignored) == ((("status", "final"),), (2,))
    with pytest.raises(Malformed, match="search parameter 2 is not known for Observation"):
        parse_query("Observation", parse_qsl(f"status=final&{query}"), now=0.0, strict=True)


# ---------------------------------------------------------------------------------------------------------- reach


def reach(**parts: Reach) -> Callable[[str, str], Reach]:
    return lambda type_name, _right: parts.get(type_name, parts.get("other", ()))


P1 = (Part(patient="p1", restricted=True),)
OPEN = (Part(),)
BOTH = (Part("p2"), Part("p1"))
BEFORE_P1 = reach(Observation=EVERYTHING, Patient=P1)
BEFORE_OPEN = reach(Observation=EVERYTHING, Patient=OPEN)
BEHIND_P1 = reach(Patient=EVERYTHING, Observation=P1)
LAB = (Part(tokens=(("category", ("code", "lab")),), restricted=True),)


@pytest.mark.parametrize(
    ("rule", "type_name", "query", "access", "wanted"),
    [
        ("nothing", "Observation", "", reach(), ""),
        ("one patient", "Observation", "", reach(other=P1), "day month instant period open"),
        ("one patient, by code", "Observation", "code=718-7", reach(other=P1), "day month instant open"),
        ("one patient, asked for another", "Observation", "patient=p2", reach(other=P1), ""),
        ("the patient himself", "Patient", "", reach(other=P1), "p1"),
        ("granular", "Observation", "", reach(other=LAB), "day"),
        ("granular or one patient", "Observation", "", reach(other=(*LAB, Part(patient="p2"))), "day none"),
        ("two patients", "Observation", "code=718-7", reach(other=BOTH), "day month instant open none"),
        ("restricted ones are apart", "Patient", "", reach(other=OPEN), "p1 p3"),
        ("restricted ones of one part", "Patient", "", reach(other=(Part("p1"), Part("p2", restricted=True))), "p1 p2"),
        ("not by negation", "Observation", "status:not=nothing", reach(other=P1), "day month instant period open"),
        ("Provenance follows its targets", "Provenance", "", reach(other=P1), "prov"),
        ("a chain ends at the reach", "Observation", "patient.gender=male", BEFORE_P1, ""),
        ("a chain within the reach", "Observation", "patient.gender=female&code=Hb", BEFORE_P1, "period"),
        ("a chain through nothing", "Observation", "patient.gender=female", reach(Observation=EVERYTHING), ""),
        ("a chain past the restricted", "Observation", "patient.name=max", BEFORE_OPEN, ""),
        ("_has ends at the reach", "Patient", "_has:Observation:patient:status=final", BEHIND_P1, "p1"),
        ("_has through nothing", "Patient", "_has:Observation:patient:status=final", reach(Patient=EVERYTHING), ""),
    ],
)
def test_reaches_no_further(search: Search, rule: str, type_name: str, query: str, access: Any, wanted: str) -> None:
    page = search(type_name, query, access)

    assert sorted(m.id for m in page.matches) == sorted(wanted.split()), rule
    assert page.total == len(wanted.split())


def test_nothing_comes_along_that_is_out_of_reach(search: Search) -> None:
    query = "_id=day,none&_include=Observation:patient&_revinclude=Provenance:target"

    def along(access: Any) -> str:
        return " ".join(sorted(s.reference for s in search("Observation", query, access).included))

    assert along(reach(other=EVERYTHING)) == "Patient/p1 Patient/p2 Provenance/prov"
    assert along(reach(Observation=EVERYTHING)) == ""
    assert along(BEFORE_P1) == "Patient/p1"
    assert along(reach(Observation=EVERYTHING, Patient=OPEN, Provenance=(Part("p2"),))) == "Patient/p1"


def test_a_cursor_holds_for_its_search_and_its_reach_alone(search: Search) -> None:
    cursor = search("Observation", "code=718-7&_count=1", reach(other=P1)).cursor

    assert search("Observation", f"code=718-7&_count=1&_cursor={cursor}", reach(other=P1)).matches
    for query, access in (
        ("code=718-7&_count=1", reach(other=EVERYTHING)),
        ("code=718-7&_count=1", reach(other=(Part("p2", restricted=True),))),
        ("code=718-7&_count=2", reach(other=P1)),
        ("_count=1", reach(other=P1)),
    ):
        with pytest.raises(Malformed, match="cursor"):
            search("Observation", f"{query}&_cursor={cursor}", access)


def test_parts_may_be_of_no_patient(search: Search) -> None:
    def ids(type_name: str, *parts: Part) -> str:
        return " ".join(sorted(match.id for match in search(type_name, "_total=none", reach(other=parts)).matches))

    assert ids("Observation", Part(NO_PATIENT)) == "timing"
    assert ids("Observation", Part(NO_PATIENT), Part("p2")) == "none timing"


@pytest.mark.parametrize(
    ("type_name", "query", "wanted"),
    [
        ("Observation", f"code={','.join(f'c{n}' for n in range(199))},hb", "period"),
        ("Observation", f"subject:Patient={','.join(f'c{n}' for n in range(199))},p2", "none"),
        ("Observation", f"date={','.join(f'{1900 + n}' for n in range(99))},2024-03-05", "day"),
        ("Observation", f"patient.name={','.join(f'c{n}' for n in range(199))},max", "none"),
        ("Observation", f"code-value-concept={','.join(f'c{n}$x' for n in range(99))},718-7$pos", "open"),
        ("Patient", f"_has:Observation:patient:code={','.join(f'c{n}' for n in range(199))},hb", "p1"),
        ("Patient", f"name:contains={','.join(f'cccc{n}' for n in range(60))},lüdens", "p1"),
    ],
)
def test_many_alternatives(search: Search, type_name: str, query: str, wanted: str) -> None:
    page = search(type_name, f"{query}&_total=accurate")

    assert ([m.id for m in page.matches], page.total) == ([wanted], 1)


def test_statements_are_written_once_for_a_shape_and_large_ones_are_not_kept(search: Search) -> None:
    def kept() -> int:
        return page_statement.cache_info().currsize

    search("Observation", "patient=p1&code=a&date=ge2024")
    before = kept()
    for query in ("patient=p2&code=b&date=ge2020", f"code={','.join(f'c{n}' for n in range(100))}"):
        search("Observation", query)
    assert kept() == before


def test_too_many_alternatives_in_all_are_refused() -> None:
    pairs = [("code", ",".join(f"c{number}" for number in range(200)))]

    parse_query("Observation", pairs * 5, now=0.0)
    with pytest.raises(Malformed, match="too many alternatives in all"):
        parse_query("Observation", pairs * 6, now=0.0)
    with pytest.raises(Malformed, match="too many alternatives in all"):
        parse_query("Provenance", [("target.identifier", pairs[0][1])], now=0.0)


def test_an_id_that_cannot_be_is_nobodys(search: Search) -> None:
    assert search("Observation", "_id=a%00b").total == 0
    assert search("Observation", "_id=day,%00&subject=a%00b").total == 0
