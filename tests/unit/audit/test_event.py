"""Audit records and their form as FHIR AuditEvents."""

import base64
import dataclasses
import json
from typing import Any, get_args

import pytest

from osler.audit import EVENTS, Agent, AuditRecord, to_fhir
from osler.audit.event import AgentKind
from osler.standards.fhir_validation import validate

EXPECTED = {
    "study-received",
    "study-complete",
    "study-deidentified",
    "study-quarantined",
    "pseudonym-created",
    "pseudonym-looked-up",
    "identity-revealed",
    "job-queued",
    "inference-recorded",
    "result-published",
    "alert-raised",
    "alert-escalated",
    "alert-acknowledged",
    "resource-read",
    "resource-searched",
    "access-denied",
    "token-issued",
    "client-added",
    "client-disabled",
    "user-added",
    "audit-exported",
    "audit-verified",
    "hub-started",
    "hub-stopped",
    "key-rotated",
    "job-retried",
    "job-discarded",
    "association-rejected",
    "delivery-failed",
}
AT = 1767225600.125  # 2026-01-01T00:00:00.125Z


def test_the_table_is_complete() -> None:
    assert set(EVENTS) >= EXPECTED
    assert all(name == kind.name for name, kind in EVENTS.items())
    assert all(kind.help.endswith(".") for kind in EVENTS.values())
    assert {kind.action for kind in EVENTS.values()} <= set("CRUDE")


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_has_what_audit_event_needs(event: str) -> None:
    resource = to_fhir(AuditRecord(event, agent=Agent("osler", "system")), seq=1, recorded_at=AT)
    assert resource["resourceType"] == "AuditEvent"
    assert {"type", "recorded", "agent", "source"} <= set(resource)
    assert set(resource["type"]) == {"system", "code", "display"}
    assert resource["subtype"][-1] == {"system": "urn:osler:audit-event", "code": event}
    assert resource["action"] == EVENTS[event].action
    assert resource["source"]["observer"]
    assert "entity" not in resource
    json.dumps(resource, allow_nan=False)


def test_a_read_by_a_client_reads_as_basic_audit() -> None:
    record = AuditRecord(
        "resource-read",
        outcome=8,
        agent=Agent("app-1", "client", "192.0.2.7"),
        patient="OSL-AAAAAAAAAAAA",
        entities=("Observation/abc", "study:2.25.7", "job:j1"),
        detail={"count": 1, "rule": "x"},
    )
    resource = to_fhir(record, seq=17, recorded_at=AT, site="General Hospital")
    assert resource["id"] == "17"
    assert resource["recorded"] == "2026-01-01T00:00:00.125Z"
    assert resource["outcome"] == "8"
    assert resource["type"]["code"] == "rest"
    assert resource["subtype"][0]["code"] == "read"
    client, server = resource["agent"]
    assert client["requestor"] is True
    assert client["type"]["coding"][0]["code"] == "110152", "what is read goes to the client"
    assert client["who"]["identifier"] == {"system": "urn:osler:client", "value": "app-1"}
    assert client["network"] == {"address": "192.0.2.7", "type": "2"}
    assert server["requestor"] is False
    assert server["type"]["coding"][0]["code"] == "110153"
    assert "profile" not in resource["meta"], "it failed"
    assert resource["source"]["observer"]["display"] == "General Hospital"
    patient, *things, detail = resource["entity"]
    assert patient["what"] == {"reference": "Patient/OSL-AAAAAAAAAAAA"}
    assert (patient["type"]["code"], patient["role"]["code"]) == ("1", "1")
    assert [thing["what"] for thing in things] == [
        {"reference": "Observation/abc"},
        {"identifier": {"type": {"text": "study"}, "system": "urn:dicom:uid", "value": "urn:oid:2.25.7"}},
        {"identifier": {"system": "urn:osler:job", "value": "j1"}},
    ]
    assert detail["detail"] == [{"type": "count", "valueString": "1"}, {"type": "rule", "valueString": "x"}]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("kind", get_args(AgentKind))
def test_every_event_keeps_to_the_definitions_of_r4(event: str, kind: AgentKind) -> None:
    record = AuditRecord(
        event,
        agent=Agent("name", kind, "192.0.2.7"),
        patient="OSL-AAAAAAAAAAAA",
        entities=("Observation/abc", "study:2.25.7", "job:j1"),
        detail={"count": 1},
    )
    assert validate(to_fhir(record, seq=1, recorded_at=AT)) == []
    told = dataclasses.replace(record, recipient=Agent("pacs", "peer", "pacs.example:104"), purpose="BTG")
    assert validate(to_fhir(told, seq=1, recorded_at=AT, address="http://hub.example")) == []


CLIENT, ANN = Agent("app-1", "client", "192.0.2.7"), Agent("ann", "person", "192.0.2.7", via="app-1")
ONE = ("Observation/abc/_history/1",)
QUERY = {"type": "Observation", "parameters": "patient,date", "matches": 2}
PROFILES = [
    # event, agent, entities, detail, profile, roles of client, server and person
    ("resource-read", CLIENT, ONE, {}, "Read", ("110152", "110153", "")),
    ("version-read", ANN, ONE, {}, "Read", ("110152", "110153", "IRCP")),
    ("resource-created", ANN, ONE, {}, "Create", ("110153", "110152", "AUT")),
    ("resource-updated", ANN, ONE, {}, "Update", ("110153", "110152", "AUT")),
    ("resource-patched", CLIENT, ONE, {}, "Update", ("110153", "110152", "")),
    ("resource-deleted", ANN, ONE, {}, "Delete", ("110150", "custodian", "AUT")),
    ("resource-searched", ANN, (*ONE, "Patient/p/_history/1"), QUERY, "Query", ("110153", "110152", "IRCP")),
    ("resource-searched", CLIENT, (), QUERY, "Query", ("110153", "110152", "")),
]


@pytest.mark.parametrize("patient", [None, "OSL-A"])
@pytest.mark.parametrize(("event", "agent", "entities", "detail", "profile", "roles"), PROFILES)
def test_an_entry_names_the_balp_profile_that_it_keeps_to(
    event: str, agent: Agent, entities: Any, detail: Any, profile: str, roles: tuple[str, ...], patient: str | None
) -> None:
    record = AuditRecord(event, agent=agent, entities=entities, detail=detail, patient=patient)
    resource = to_fhir(record, seq=1, recorded_at=AT, address="http://hub.example")
    assert resource["meta"]["profile"] == [
        f"https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.{'Patient' if patient else ''}{profile}"
    ]
    assert validate(resource) == []
    by_role = {a["type"]["coding"][0]["code"]: a for a in resource["agent"]}
    assert set(by_role) == set(roles) - {""}
    client, server = by_role[roles[0]], by_role[roles[1]]
    assert client["who"]["identifier"] == {"system": "urn:osler:client", "value": "app-1"}
    assert client["network"] == {"address": "192.0.2.7", "type": "2"}
    assert server["network"] == {"address": "http://hub.example", "type": "5"}
    if roles[2]:
        person = by_role[roles[2]]
        assert (person["name"], person["requestor"], "network" in person) == ("ann", True, False)
    kinds = [e["type"]["code"] for e in resource["entity"]]
    assert kinds.count("2") == 1, "one thing, or the query"
    assert kinds.count("1") == (patient is not None)
    if detail:
        query = next(e for e in resource["entity"] if e["role"]["code"] == "24")
        assert base64.b64decode(query["query"]) == b"Observation?patient&date"
        assert "what" not in query
        assert "detail" not in query


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({"outcome": 4}, "http://hub.example"),
        ({}, ""),
        ({"agent": Agent("ann", "person", "192.0.2.7")}, "http://hub.example"),
        ({"agent": Agent("app-1", "client")}, "http://hub.example"),
        ({"entities": ()}, "http://hub.example"),
        ({"entities": (*ONE, *ONE)}, "http://hub.example"),
        ({"event": "history-read"}, "http://hub.example"),
        ({"event": "resource-searched", "detail": {"type": "Patient", "for": "launch"}}, "http://hub.example"),
    ],
)
def test_an_entry_that_lacks_something_names_no_profile(changes: dict[str, Any], address: str) -> None:
    record = AuditRecord("resource-read", agent=CLIENT, entities=ONE, patient="OSL-A")
    resource = to_fhir(dataclasses.replace(record, **changes), seq=1, recorded_at=AT, address=address)
    assert "profile" not in resource["meta"]


def test_what_leaves_the_hub_reads_as_a_disclosure() -> None:
    record = AuditRecord(
        "result-disclosed",
        agent=Agent("osler", "system"),
        patient="OSL-A",
        entities=("study:2.25.1", "sr:2.25.2"),
        recipient=Agent("pacs", "peer", "192.0.2.9:104"),
    )
    resource = to_fhir(record, seq=1, recorded_at=AT, address="http://hub.example")
    assert resource["meta"]["profile"][0].endswith("IHE.BasicAudit.PrivacyDisclosure.Source")
    assert (resource["type"]["code"], resource["action"], resource["subtype"][0]["code"]) == ("110106", "R", "disclose")
    source, recipient = resource["agent"]
    assert source["type"]["coding"][0]["code"] == "110153"
    assert source["who"] == resource["source"]["observer"]
    assert source["network"]["address"] == "http://hub.example"
    assert recipient["type"]["coding"][0]["code"] == "110152"
    assert recipient["who"]["identifier"]["value"] == "pacs"
    assert recipient["network"] == {"address": "192.0.2.9:104", "type": "2"}
    assert validate(resource) == []

    unknown = dataclasses.replace(record, recipient=Agent("pacs", "peer"))
    assert "profile" not in to_fhir(unknown, seq=1, recorded_at=AT, address="http://hub.example")["meta"]


@pytest.mark.parametrize(
    ("agent", "who", "role"),
    [
        (Agent("dr-who", "person"), "Practitioner", "110153"),
        (Agent("PACS", "peer"), "Device", "110153"),
        (Agent("osler", "system"), "Device", "110150"),
    ],
)
def test_agents(agent: Agent, who: str, role: str) -> None:
    first, *others = to_fhir(AuditRecord("token-issued", agent=agent), seq=1, recorded_at=AT)["agent"]
    assert first["who"]["type"] == who
    assert first["type"]["coding"][0]["code"] == role
    assert "network" not in first
    assert len(others) == (agent.kind != "system")


def test_a_record_must_be_in_the_tables() -> None:
    with pytest.raises(ValueError, match="unknown audit event"):
        AuditRecord("study-lost", agent=Agent("osler", "system"))
    with pytest.raises(ValueError, match="outcome"):
        AuditRecord("token-issued", agent=Agent("osler", "system"), outcome=1)


@pytest.mark.parametrize("name", ["PACS\0", "\x1b[31mPACS", "a\nb", "\udc80", "\u202eabc"])
def test_names_from_the_network_cannot_do_harm(name: str) -> None:
    agent = Agent(name, "peer", name)
    assert agent.name.isprintable()
    assert agent.address.isprintable()
    record = AuditRecord("association-rejected", agent=agent, patient=name, entities=(name,), detail={"why": name})
    assert name not in json.dumps(to_fhir(record, seq=1, recorded_at=AT), ensure_ascii=False)
    assert Agent("x" * 5000, "peer").name == "x" * 256
