"""Validation against the R4 definitions: a table of faults, each planted alone in a sound resource."""

import copy
import time
from decimal import Decimal
from typing import Any

import pytest

from osler.standards import fhir
from osler.standards.fhir_definitions import definitions

CODE = {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}
SOUND: dict[str, dict[str, Any]] = {
    "Observation": {
        "resourceType": "Observation",
        "id": "o1",
        "meta": {"versionId": "1", "lastUpdated": "2024-01-01T00:00:00.000Z", "security": [{"code": "AIAST"}]},
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
        "contained": [{"resourceType": "Device", "id": "d"}],
        "extension": [{"url": "urn:x", "valueDecimal": Decimal("0.10")}],
        "status": "preliminary",
        "_status": {"extension": [{"url": "urn:y", "valueString": "z"}]},
        "code": CODE,
        "subject": {"reference": "Patient/p", "type": "Patient"},
        "effectivePeriod": {"start": "2024", "end": "2024-06-01T10:00:00+02:00"},
        "valueQuantity": {"value": Decimal("1E-22"), "comparator": "<"},
        "device": {"reference": "#d"},
        "component": [{"code": {"text": "part"}, "valueInteger": 3, "referenceRange": [{"text": "x"}]}],
    },
    "Patient": {
        "resourceType": "Patient",
        "name": [{"given": ["A", None], "_given": [None, {"id": "g"}]}],
        "gender": "female",
        "birthDate": "1970-01",
        "photo": [{"contentType": "image/png", "data": "AAAA BBBB"}],
        "multipleBirthInteger": 2,
    },
    "Bundle": {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 1,
        "link": [{"relation": "self", "url": "http://x/Patient?a=b"}],
        "entry": [{"resource": {"resourceType": "Patient"}, "search": {"mode": "match", "score": Decimal("1.0")}}],
    },
}


@pytest.mark.parametrize("name", sorted(SOUND))
def test_a_sound_resource_has_no_issues(name: str) -> None:
    assert fhir.validate(SOUND[name]) == []
    assert fhir.validate(fhir.loads(fhir.dumps(SOUND[name]))) == []


def without(*path: Any) -> Any:
    return lambda r: _at(r, path[:-1]).pop(path[-1])


def put(value: Any, *path: Any) -> Any:
    def change(resource: dict) -> None:
        _at(resource, path[:-1])[path[-1]] = value

    return change


def _at(node: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        node = node[step]
    return node


FAULTS = [
    ("Observation", without("status"), None),  # its extensions are still there
    ("Observation", lambda r: (r.pop("status"), r.pop("_status")), "required Observation.status"),
    ("Observation", without("code"), "required Observation.code"),
    ("Observation", without("component", 0, "code"), "required Observation.component[0].code"),
    ("Observation", without("extension", 0, "url"), "required Observation.extension[0].url"),
    ("Observation", put("done", "status"), "code-invalid Observation.status"),
    ("Observation", put(["final"], "status"), "structure Observation.status"),
    ("Observation", put("", "status"), "value Observation.status"),
    ("Observation", put(None, "status"), "value Observation.status"),
    ("Observation", put(1, "colour"), "structure Observation"),
    ("Observation", put({"id": "x"}, "_code"), "structure Observation.code"),
    ("Observation", put({"colour": "x"}, "_status"), "structure Observation.status"),
    ("Observation", put([{"id": "x"}], "_status"), "structure Observation.status"),
    ("Observation", put("1", "valueString"), "structure Observation.value"),
    ("Observation", put(0.5, "valueQuantity", "value"), "value Observation.valueQuantity.value"),
    ("Observation", put("0.5", "valueQuantity", "value"), "value Observation.valueQuantity.value"),
    ("Observation", put("~", "valueQuantity", "comparator"), "code-invalid Observation.valueQuantity.comparator"),
    ("Observation", put({}, "valueQuantity"), "structure Observation.valueQuantity"),
    ("Observation", put("x", "valueQuantity"), "structure Observation.valueQuantity"),
    ("Observation", put(True, "component", 0, "valueInteger"), "value Observation.component[0].valueInteger"),
    ("Observation", put(2**31, "component", 0, "valueInteger"), "value Observation.component[0].valueInteger"),
    ("Observation", put(Decimal("1.5"), "component", 0, "valueInteger"), "value Observation.component[0].valueInteger"),
    ("Observation", put([], "component"), "structure Observation.component"),
    ("Observation", put({"code": CODE}, "component"), "structure Observation.component"),
    ("Observation", put("2024-13", "effectivePeriod", "start"), "value Observation.effectivePeriod.start"),
    ("Observation", put("2024-01-01T10:00", "effectivePeriod", "end"), "value Observation.effectivePeriod.end"),
    ("Observation", put("2024-01-01", "meta", "lastUpdated"), "value Observation.meta.lastUpdated"),
    ("Observation", put("a/b", "id"), "value Observation.id"),
    ("Observation", put("Practitioner/x", "subject", "reference"), "value Observation.subject"),
    ("Observation", put("Practitioner", "subject", "type"), "value Observation.subject"),
    ("Observation", put("https://x/fhir/Practitioner/1", "subject", "reference"), "value Observation.subject"),
    ("Observation", put("<p>x</p>", "text", "div"), "value Observation.text.div"),
    ("Observation", put("a\u0007b", "component", 0, "referenceRange", 0, "text"),
     "value Observation.component[0].referenceRange[0].text"),
    ("Observation", put([{"resourceType": "Elephant"}], "contained"), "structure Observation.contained[0]"),
    ("Observation", put([{"resourceType": "Endpoint"}], "contained"), "not-supported Observation.contained[0]"),
    ("Patient", put("woman", "gender"), "code-invalid Patient.gender"),
    ("Patient", put("1970-02-3", "birthDate"), "value Patient.birthDate"),
    ("Patient", put("2021-02-29", "birthDate"), "value Patient.birthDate"),
    ("Patient", put("2020-02-29", "birthDate"), None),
    ("Observation", put("2021-04-31T10:00:00Z", "effectivePeriod", "end"), "value Observation.effectivePeriod.end"),
    ("Patient", without("name", 0, "_given"), "structure Patient.name[0].given"),
    ("Patient", put([None], "name", 0, "_given"), "structure Patient.name[0].given"),
    ("Patient", put([None, {"id": "g"}, None], "name", 0, "_given"), "structure Patient.name[0].given"),
    ("Patient", put([{"id": "f"}, None], "name", 0, "_given"), "structure Patient.name[0].given"),
    ("Patient", put([{"id": "f"}, {"id": "g"}], "name", 0, "_given"), None),
    ("Patient", without("name", 0, "given"), "structure Patient.name[0].given"),
    ("Patient", put([{"family": "A", "colour": 1}], "name"), "structure Patient.name[0]"),
    ("Patient", put("AAA!", "photo", 0, "data"), "value Patient.photo[0].data"),
    ("Patient", put("Patient/x", "photo", 0, "hash"), "value Patient.photo[0].hash"),
    ("Patient", put(True, "multipleBirthBoolean"), "structure Patient.multipleBirth"),
    ("Bundle", put("pile", "type"), "code-invalid Bundle.type"),
    ("Bundle", put(-1, "total"), "value Bundle.total"),
    ("Bundle", put({"resourceType": "Patient", "gender": "x"}, "entry", 0, "resource"),
     "code-invalid Bundle.entry[0].resource.gender"),
    ("Observation", put({"text": "absent"}, "dataAbsentReason"), "invariant Observation"),
    ("Observation", put(CODE, "component", 0, "code"), "invariant Observation"),
    ("Observation", put([{"type": {"text": "normal"}}], "component", 0, "referenceRange"),
     "invariant Observation.component[0].referenceRange[0]"),
    ("Observation", put("2025", "effectivePeriod", "start"), "invariant Observation.effectivePeriod"),
    ("Observation", put("mg", "valueQuantity", "code"), "invariant Observation.valueQuantity"),
    ("Observation", put({"id": "e", "url": "urn:e"}, "extension", 0), "invariant Observation.extension[0]"),
    ("Observation", put([{"url": "urn:e"}], "component", 0, "extension"),
     "invariant Observation.component[0].extension[0]"),
    ("Observation", put("#e", "subject", "reference"), "value Observation.subject"),
    ("Observation", without("device"), "invariant Observation.contained[0]"),
    ("Observation", put({"versionId": "1"}, "contained", 0, "meta"), "invariant Observation"),
    ("Observation", put('<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>', "text", "div"),
     "invariant Observation.text.div"),
    ("Patient", put([{"relationship": [{"text": "mother"}]}], "contact"), "invariant Patient.contact[0]"),
    ("Patient", put([{"value": "1"}], "telecom"), "invariant Patient.telecom[0]"),
    ("Bundle", lambda r: (r.update(type="collection"), r["entry"][0].pop("search")), "invariant Bundle"),
    ("Bundle", put("http://x/Patient/1/_history/2", "entry", 0, "fullUrl"), "invariant Bundle.entry[0]"),
    ("Bundle", put(["x"], "entry", 0, "resource"), "structure Bundle.entry[0].resource"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fault", "expected"), FAULTS, ids=[str(f[2]) + str(n) for n, f in enumerate(FAULTS)])
def test_a_fault_is_found_where_it_is(name: str, fault: Any, expected: str | None) -> None:
    resource = copy.deepcopy(SOUND[name])
    fault(resource)

    found = [f"{issue.code} {issue.expression}" for issue in fhir.validate(resource)]

    assert found == ([expected] if expected else [])


@pytest.mark.parametrize("resource", [{}, {"resourceType": "Elephant"}, {"resourceType": ["Patient"]}, {"id": "x"}])
def test_what_is_no_resource_is_said_to_be_none(resource: Any) -> None:
    assert [issue.code for issue in fhir.validate(resource)] == ["structure"]


def test_issues_quote_no_data_and_are_bounded() -> None:
    names = [{"family": "Canary", "Canary": "Canary", "use": "Canary"} for _ in range(500)]

    issues = fhir.validate({"resourceType": "Patient", "name": names, "birthDate": "Canary"})

    assert 40 <= len(issues) <= 50
    assert "Canary" not in str(issues)


def test_hostile_text_is_read_in_linear_time() -> None:
    resource = {"resourceType": "Patient", "photo": [{"data": ("AAAA" + " " * 8) * 50_000 + "!"}]}
    began = time.process_time()

    issues = fhir.validate(resource)

    assert [i.expression for i in issues] == ["Patient.photo[0].data"]
    assert time.process_time() - began < 1.0


def test_the_definitions_hold_all_that_the_hub_writes() -> None:
    written = {"Patient", "ImagingStudy", "Observation", "DiagnosticReport", "Device", "Provenance", "Communication"}
    written |= {"Flag", "AuditEvent", "OperationOutcome", "Bundle", "CapabilityStatement"}

    assert definitions().resources >= written
    for elements in definitions().types.values():
        for element in elements.values():
            known = element.type in definitions().types or element.type in definitions().primitives
            assert known or element.type == "Resource"
