"""Create, update, patch, delete, vread and history over HTTP: one row a rule of the standard."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fhir_server import FHIR_JSON, HUB, FhirServer
from osler.errors import StorageBusy
from osler.standards import fhir

PATCH_JSON = "application/json-patch+json"


@pytest.fixture(scope="module")
def server(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("fhir")
    running = FhirServer(new_sqlite(folder / "osler.db"), folder, max_resource_bytes=300_000)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def patient(server: FhirServer) -> str:
    return server.create({"resourceType": "Patient", "active": True})


def observation(patient: str, **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        "subject": {"reference": patient},
    } | changes


@pytest.fixture
def held(server: FhirServer, patient: str) -> str:
    """Create an observation and return its reference."""
    return server.create(observation(patient))


OPEN = '{"resourceType":"Observation","status":"final","code":{"text":"x"}'
REFUSED = [
    # rule, method, path ({o}: an observation that is there), headers, body, status, issue code
    ("3.1.0.8 not JSON", "POST", "/Observation", {}, "{", 400, "invalid"),
    ("3.1.0.8 empty", "POST", "/Observation", {}, "", 400, "invalid"),
    ("3.1.0.8 an array", "POST", "/Observation", {}, "[]", 400, "invalid"),
    ("3.1.0.8 another type than the URL's", "POST", "/Patient", {}, OPEN + "}", 400, "invalid"),
    ("3.1.0.8 no type", "POST", "/Observation", {}, '{"status":"final"}', 400, "invalid"),
    ("3.1.0.8 a required element is missing", "POST", "/Observation", {},
     '{"resourceType":"Observation"}', 400, "required"),
    ("3.1.0.8 an element that R4 does not know", "POST", "/Observation", {},
     OPEN + ',"colour":"red"}', 400, "structure"),
    ("3.1.0.8 a type that is not served", "POST", "/Elephant", {}, "{}", 404, "not-found"),
    ("2.6.2 an empty array", "POST", "/Observation", {}, OPEN + ',"note":[]}', 400, "structure"),
    ("2.6.2 null", "POST", "/Observation", {}, OPEN + ',"note":null}', 400, "structure"),
    ("RFC 8259 a name twice", "POST", "/Observation", {}, OPEN + ',"status":"final"}', 400, "invalid"),
    ("3.1.0.8 a reference that leads nowhere", "POST", "/Observation", {},
     OPEN + ',"subject":{"reference":"Patient/none"}}', 422, "not-found"),
    ("3.1.0.8 the same by our URL", "POST", "/Observation", {},
     OPEN + f',"subject":{{"reference":"{HUB}/fhir/R4/Patient/none"}}}}', 422, "not-found"),
    ("3.1.0.1.11 another media type", "POST", "/Observation", {"content-type": "text/plain"},
     OPEN + "}", 415, "not-supported"),
    ("3.1.0.1.11 XML", "POST", "/Observation", {"content-type": "application/fhir+xml"}, "<a/>", 415, "not-supported"),
    ("3.1.0.1.11 no media type", "POST", "/Observation", {"content-type": ""}, OPEN + "}", 415, "not-supported"),
    ("3.1.0.1.11 another character set", "POST", "/Observation", {"content-type": f"{FHIR_JSON}; charset=latin-1"},
     OPEN + "}", 415, "not-supported"),
    ("3.1.0.1.14 another version of FHIR", "POST", "/Observation", {"content-type": f"{FHIR_JSON}; fhirVersion=3.0"},
     OPEN + "}", 415, "not-supported"),
    ("RFC 9110 8.4 an encoded body", "POST", "/Observation", {"content-encoding": "gzip"},
     "xxxx", 415, "not-supported"),
    ("3.1.0.1.11 an answer in XML", "POST", "/Observation", {"accept": "application/fhir+xml"},
     OPEN + "}", 406, "not-supported"),
    ("RFC 9110 15.5.14 too large", "POST", "/Observation", {}, OPEN + " " * 300_000 + "}", 413, "too-long"),
    ("3.1.0.4 the id is not the URL's", "PUT", "/Observation/a1", {}, OPEN + ',"id":"a2"}', 400, "invalid"),
    ("3.1.0.4 the id is missing", "PUT", "/Observation/a1", {}, OPEN + "}", 400, "invalid"),
    ("3.1.0.4 an id that cannot be", "PUT", "/Observation/a_1", {}, OPEN + ',"id":"a_1"}', 400, "value"),
    ("3.1.0.5 If-Match of another version", "PUT", "{o}", {"if-match": 'W/"9"'}, None, 412, "conflict"),
    ("3.1.0.5 If-Match of what is not there", "PUT", "/Observation/none", {"if-match": 'W/"1"'},
     OPEN + ',"id":"none"}', 412, "conflict"),
    ("3.1.0.5 If-Match that is none", "PUT", "{o}", {"if-match": "1"}, None, 412, "conflict"),
    ("3.1.0.5 If-Match for a delete", "DELETE", "{o}", {"if-match": 'W/"2"'}, None, 412, "conflict"),
    ("3.1.0.6 a patch of another form", "PATCH", "{o}", {}, "[]", 415, "not-supported"),
    ("3.1.0.6 a patch that is none", "PATCH", "{o}", {"content-type": PATCH_JSON}, "{}", 400, "invalid"),
    ("3.1.0.6 a test that does not hold", "PATCH", "{o}", {"content-type": PATCH_JSON},
     '[{"op":"test","path":"/status","value":"amended"}]', 422, "processing"),
    ("3.1.0.6 the result is not valid", "PATCH", "{o}", {"content-type": PATCH_JSON},
     '[{"op":"remove","path":"/code"}]', 422, "required"),
    ("3.1.0.6 another id", "PATCH", "{o}", {"content-type": PATCH_JSON},
     '[{"op":"replace","path":"/id","value":"x"}]', 422, "processing"),
    ("3.1.0.6 another type", "PATCH", "{o}", {"content-type": PATCH_JSON},
     '[{"op":"replace","path":"/resourceType","value":"Patient"}]', 422, "processing"),
    ("3.1.0.6 a reference that leads nowhere", "PATCH", "{o}", {"content-type": PATCH_JSON},
     '[{"op":"replace","path":"/subject/reference","value":"Patient/none"}]', 422, "not-found"),
    ("3.1.0.6 what is not there", "PATCH", "/Observation/none", {"content-type": PATCH_JSON}, "[]", 404, "not-found"),
    ("3.1.0.6 If-Match", "PATCH", "{o}", {"content-type": PATCH_JSON, "if-match": 'W/"2"'}, "[]", 412, "conflict"),
    ("3.1.0.3 vread of a version that is not there", "GET", "{o}/_history/2", {}, None, 404, "not-found"),
    ("3.1.0.3 vread of a version that cannot be", "GET", "{o}/_history/x", {}, None, 404, "not-found"),
    ("3.1.0.13 history of what is not there", "GET", "/Observation/none/_history", {}, None, 404, "not-found"),
    ("3.1.0.13 history of a type that is not served", "GET", "/Elephant/_history", {}, None, 404, "not-found"),
    ("3.1.0.13 _count that is none", "GET", "/Observation/_history?_count=many", {}, None, 400, "invalid"),
    ("3.1.0.13 _since that is none", "GET", "/Observation/_history?_since=today", {}, None, 400, "invalid"),
    ("3.1.0.13 a cursor that is not ours", "GET", "/Observation/_history?_cursor=AAAA", {}, None, 400, "invalid"),
    ("3.1.0.13 a cursor with no version", "GET", "/Observation/_history?_cursor=WzEsICJhIiwgLTFd", {}, None,
     400, "invalid"),
    ("3.1.0.13 a cursor with no id", "GET", "/Observation/_history?_cursor=WzEsICJcdWQ4MDAiLCAxXQ", {}, None,
     400, "invalid"),
    ("405 on an instance", "POST", "/Observation/none", {}, "{}", 405, "not-supported"),
    ("405 on a version", "DELETE", "{o}/_history/1", {}, None, 405, "not-supported"),
    ("405 on a history", "POST", "/Observation/_history", {}, "{}", 405, "not-supported"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "method", "path", "headers", "body", "status", "code"), REFUSED, ids=[row[0] for row in REFUSED]
)
def test_refused(
    server: FhirServer,
    held: str,
    patient: str,
    rule: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: str | None,
    status: int,
    code: str,
) -> None:
    if body is None and method == "PUT":
        body = fhir.dumps(observation(patient, id=held.partition("/")[2]))

    answer = server.call(method, path.replace("{o}", f"/{held}"), body, headers)

    assert answer.status_code == status, (rule, answer.text)
    document = fhir.loads(answer.content)
    assert answer.headers["content-type"] == FHIR_JSON
    assert fhir.validate(document) == []
    assert document["issue"][0]["code"] == code
    if status == 405:
        assert "GET" in answer.headers["allow"]
    if status == 415 and method == "PATCH":
        assert answer.headers["accept-patch"] == PATCH_JSON
    assert server.call("GET", f"/{held}").headers["etag"] == 'W/"1"', "what is there is as it was"


def test_faults_say_where_they_are(server: FhirServer) -> None:
    def issue(body: str) -> dict[str, Any]:
        made: dict[str, Any] = server.call("POST", "/Observation", body).json()["issue"][0]
        return made

    assert "line 2, column 10" in issue('{\n"status":,}')["diagnostics"]
    assert issue(OPEN + ',"component":[{"code":{"text":"a"}},{}]}')["expression"] == ["Observation.component[1]"]
    wrong = (
        OPEN
        + ',"performer":[{"display":"a"},{"reference":"Practitioner/none"}],"subject":{"reference":"Patient/none"}}'
    )
    lost = server.call("POST", "/Observation", wrong).json()["issue"]
    assert {i["expression"][0] for i in lost} == {"Observation.subject.reference", "Observation.performer[1].reference"}
    assert "none" not in json.dumps(lost), "what was sent is not repeated"


def test_create(server: FhirServer, patient: str) -> None:
    sent = observation(
        patient, id="mine", meta={"versionId": "7", "lastUpdated": "2001-01-01T00:00:00Z", "tag": [{"code": "t"}]}
    )

    answer = server.call("POST", "/Observation", sent)

    made = answer.json()
    assert answer.status_code == 201
    assert made["id"] not in ("mine", "")
    assert answer.headers["location"] == f"{HUB}/fhir/R4/Observation/{made['id']}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["last-modified"].endswith("GMT")
    assert answer.headers["cache-control"] == "no-store"
    assert (made["meta"]["versionId"], made["meta"]["tag"]) == ("1", [{"code": "t"}])
    assert made["meta"]["lastUpdated"] > "2024"
    assert server.call("GET", f"/Observation/{made['id']}").text == answer.text


def test_the_text_is_kept_as_it_was_sent(server: FhirServer, patient: str) -> None:
    rest = (
        '"valueQuantity":{"unit":"g","value":0.930},"status":"final","code":{"text":"\u00e9\U0001f600"},'
        '"component":[{"code":{"text":"a"},"valueQuantity":{"value":1.00}},'
        '{"code":{"text":"b"},"valueQuantity":{"value":1E-22}}],'
        '"_effectiveDateTime":{"extension":[{"url":"urn:x","valueDecimal":12.10}]},'
        '"contained":[{"resourceType":"Patient","id":"p"}],"focus":[{"reference":"#p"}]'
    )

    made = server.call("POST", "/Observation", '{"resourceType":"Observation",' + rest + "}")

    assert made.status_code == 201, made.text
    assert rest in made.text
    assert rest in server.call("GET", f"/Observation/{made.json()['id']}").text


def test_a_reference_under_our_base_is_as_good_as_a_relative_one(server: FhirServer) -> None:
    subject = server.create({"resourceType": "Patient"})
    other = "https://other.example/fhir/Patient/1"

    made = server.create(observation(f"{HUB}/fhir/R4/{subject}", focus=[{"reference": other}]))

    kept = server.call("GET", f"/{made}").json()
    assert (kept["subject"]["reference"], kept["focus"][0]["reference"]) == (subject, other)
    assert server.call("GET", f"/Observation?subject={subject}").json()["total"] == 1
    assert server.call("DELETE", f"/{subject}").status_code == 409


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("prefer", "holds"),
    [("return=minimal", ""), ("return=representation", "Observation"), ("return=OperationOutcome", "OperationOutcome")],
)
def test_prefer(server: FhirServer, patient: str, held: str, method: str, prefer: str, holds: str) -> None:
    path = "/Observation" if method == "POST" else f"/{held}"
    body = {"POST": observation(patient), "PUT": observation(patient, id=held.partition("/")[2]), "PATCH": "[]"}.get(
        method
    )
    headers = {"prefer": prefer} | ({"content-type": PATCH_JSON} if method == "PATCH" else {})

    answer = server.call(method, path, body, headers)

    if method == "DELETE" and holds != "OperationOutcome":
        assert (answer.status_code, answer.text) == (204, "")
    else:
        assert answer.status_code == (201 if method == "POST" else 200)
        assert (answer.json()["resourceType"] if answer.text else "") == holds
    assert answer.headers["etag"] == ('W/"1"' if method == "POST" else 'W/"2"')


def test_update_is_the_next_version(server: FhirServer, patient: str, held: str) -> None:
    changed = observation(patient, id=held.partition("/")[2], status="amended")

    answer = server.call("PUT", f"/{held}", changed, {"if-match": 'W/"1"'})

    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert answer.json()["status"] == "amended"
    assert server.call("GET", f"/{held}/_history/1").json()["status"] == "final"
    assert server.call("PUT", f"/{held}", changed, {"if-match": 'W/"1"'}).status_code == 412


def test_update_creates_what_is_not_there(server: FhirServer, patient: str) -> None:
    logical_id = server.new_id("own.")

    answer = server.call("PUT", f"/Observation/{logical_id}", observation(patient, id=logical_id))

    assert answer.status_code == 201
    assert answer.headers["location"] == f"{HUB}/fhir/R4/Observation/{logical_id}/_history/1"
    assert server.call("GET", f"/Observation/{logical_id}").json()["id"] == logical_id


def test_patch(server: FhirServer, held: str) -> None:
    patch = (
        '[{"op":"add","path":"/valueQuantity","value":{"value":0.930}},'
        '{"op":"replace","path":"/status","value":"amended"}]'
    )

    answer = server.call("PATCH", f"/{held}", patch, {"content-type": PATCH_JSON, "if-match": 'W/"1"'})

    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert '"valueQuantity":{"value":0.930}' in answer.text
    assert server.call("GET", f"/{held}").text == answer.text
    assert server.call("GET", "/Observation?_id=" + held.partition("/")[2] + "&status=amended").json()["total"] == 1


def test_delete(server: FhirServer, patient: str, held: str) -> None:
    logical_id = held.partition("/")[2]

    deleted = server.call("DELETE", f"/{held}")

    assert (deleted.status_code, deleted.headers["etag"]) == (204, 'W/"2"')
    for path in (f"/{held}", f"/{held}/_history/2"):
        gone = server.call("GET", path)
        assert (gone.status_code, gone.json()["issue"][0]["code"]) == (410, "deleted")
    assert server.call("GET", f"/{held}/_history/1").status_code == 200
    assert server.call("GET", f"/Observation?_id={logical_id}").json()["total"] == 0
    assert logical_id not in server.call("GET", "/Observation?_count=500").text
    assert server.call("PATCH", f"/{held}", "[]", {"content-type": PATCH_JSON}).status_code == 410
    assert server.call("DELETE", f"/{held}").status_code == 204, "once more is no fault"
    assert server.call("DELETE", "/Observation/never").status_code == 204
    back = server.call("PUT", f"/{held}", observation(patient, id=logical_id))
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')


def test_what_is_referred_to_is_not_deleted(server: FhirServer) -> None:
    subject = server.create({"resourceType": "Patient"})
    refers = server.create(observation(subject))

    refused = server.call("DELETE", f"/{subject}")

    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (409, "conflict")
    assert server.call("GET", f"/{subject}").status_code == 200
    assert server.call("DELETE", f"/{refers}").status_code == 204
    assert server.call("DELETE", f"/{subject}").status_code == 204


def test_a_provenance_outlives_what_it_tells_of(server: FhirServer, held: str) -> None:
    told = server.create(
        {
            "resourceType": "Provenance",
            "target": [{"reference": held}],
            "recorded": "2024-01-01T00:00:00Z",
            "agent": [{"who": {"display": "x"}}],
        }
    )

    assert server.call("DELETE", f"/{held}").status_code == 204
    assert server.call("GET", f"/{told}").status_code == 200


READS = [
    # rule, headers, status
    ("RFC 9110 13.1.2 If-None-Match of this version", {"if-none-match": 'W/"1"'}, 304),
    ("RFC 9110 13.1.2 strong or weak", {"if-none-match": '"1"'}, 304),
    ("RFC 9110 13.1.2 one of some", {"if-none-match": 'W/"7", W/"1"'}, 304),
    ("RFC 9110 13.1.2 any", {"if-none-match": "*"}, 304),
    ("RFC 9110 13.1.2 another version", {"if-none-match": 'W/"11"'}, 200),
    ("RFC 9110 13.1.3 modified since", {"if-modified-since": "Tue, 14 Nov 2023 22:13:20 GMT"}, 200),
    ("RFC 9110 13.1.3 not modified since", {"if-modified-since": "Fri, 14 Nov 2098 22:13:20 GMT"}, 304),
    ("RFC 9110 13.1.3 a date that is none", {"if-modified-since": "yesterday"}, 200),
    ("RFC 9110 13.2.2 the tag goes before the date",
     {"if-none-match": 'W/"2"', "if-modified-since": "Fri, 14 Nov 2098 22:13:20 GMT"}, 200),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "headers", "status"), READS, ids=[row[0] for row in READS])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditional_read(
    server: FhirServer, held: str, method: str, rule: str, headers: dict[str, str], status: int
) -> None:
    answer = server.call(method, f"/{held}", headers=headers)

    assert answer.status_code == status, rule
    assert answer.headers["etag"] == 'W/"1"'
    assert (answer.text != "") == (status == 200 and method == "GET")


def test_history_of_an_instance(server: FhirServer, patient: str, held: str) -> None:
    server.call("PUT", f"/{held}", observation(patient, id=held.partition("/")[2]))
    server.call("DELETE", f"/{held}")

    bundle = fhir.loads(server.call("GET", f"/{held}/_history").content)

    assert fhir.validate(bundle) == []
    assert (bundle["type"], bundle["link"]) == (
        "history",
        [{"relation": "self", "url": f"{HUB}/fhir/R4/{held}/_history"}],
    )
    seen = [(e["request"], e["response"]["status"], e["response"]["etag"], "resource" in e) for e in bundle["entry"]]
    assert seen == [
        ({"method": "DELETE", "url": held}, "204 No Content", 'W/"3"', False),
        ({"method": "PUT", "url": held}, "200 OK", 'W/"2"', True),
        ({"method": "POST", "url": "Observation"}, "201 Created", 'W/"1"', True),
    ]
    assert {e["fullUrl"] for e in bundle["entry"]} == {f"{HUB}/fhir/R4/{held}"}


def test_history_of_a_type_in_pages(server: FhirServer) -> None:
    devices = [server.create({"resourceType": "Device", "status": "active"}) for _ in range(5)]
    seen: list[str] = []
    url = f"{HUB}/fhir/R4/Device/_history?_count=2&_since=2020&colour=red"
    while url:
        bundle = server.call("GET", url.removeprefix(f"{HUB}/fhir/R4")).json()
        assert len(bundle["entry"]) <= 2
        assert bundle["link"][0]["url"] == f"{HUB}/fhir/R4/Device/_history?_count=2&_since=2020"
        seen += [e["fullUrl"].removeprefix(f"{HUB}/fhir/R4/") for e in bundle["entry"]]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")

    assert seen == devices[::-1]
    assert "entry" not in server.call("GET", "/Device/_history?_since=2099").json()


def test_one_of_ten_that_change_the_same_version_succeeds(server: FhirServer, patient: str, held: str) -> None:
    body = observation(patient, id=held.partition("/")[2])

    def change(_: int) -> int:
        return server.call("PUT", f"/{held}", body, {"if-match": 'W/"1"'}).status_code

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(change, range(10))) == [200, *[412] * 9]


PRETTY = '{\n  "resourceType": "Observation",\n  "id": '


def test_pretty_changes_no_value(server: FhirServer, patient: str) -> None:
    made = server.create(
        observation(patient, valueQuantity={"value": fhir.FhirDecimal("1.00")}, note=[{"text": '{"a":[1,"\\'}])
    )

    plain, pretty = (server.call("GET", f"/{made}{query}") for query in ("", "?_pretty=true"))

    assert pretty.text.startswith(PRETTY)
    assert '"value": 1.00' in pretty.text
    assert fhir.dumps(fhir.loads(pretty.content)) == plain.text


PARTS = [
    # rule, query, elements that come
    ("_elements", "_elements=status", {"resourceType", "id", "meta", "status", "code"}),
    ("_summary=text", "_summary=text", {"resourceType", "id", "meta", "status", "code"}),
    ("_summary=data", "_summary=data", {"resourceType", "id", "meta", "status", "code", "subject", "note"}),
    ("_summary=false is all", "_summary=false", {"resourceType", "id", "meta", "status", "code", "subject", "note"}),
]


@pytest.mark.parametrize(("rule", "query", "elements"), PARTS, ids=[row[0] for row in PARTS])
def test_a_part_is_read(server: FhirServer, patient: str, rule: str, query: str, elements: set[str]) -> None:
    made = server.create(observation(patient, note=[{"text": "n"}]))

    part = server.call("GET", f"/{made}?{query}").json()

    assert part.keys() == elements, rule
    assert ("SUBSETTED" in json.dumps(part["meta"])) == (query != "_summary=false")


def test_a_binary_is_read_as_it_is_or_as_a_resource(server: FhirServer) -> None:
    named = "text/html; charset=utf-8"
    made = server.create({"resourceType": "Binary", "contentType": named, "data": "PGI+aGk8L2I+"})

    def read(accept: str) -> Any:
        return server.call("GET", f"/{made}", headers={"accept": accept})

    native = read("text/html")
    assert (native.text, native.headers["content-type"].partition(";")[0]) == ("<b>hi</b>", "text/html")
    assert native.headers["content-disposition"] == "attachment"
    assert native.headers["etag"] == 'W/"1"'
    for accept in (FHIR_JSON, "*/*", "text/html, application/fhir+json"):
        assert read(accept).json()["data"] == "PGI+aGk8L2I+"
    assert read("image/png").status_code == 406


ACCESS = [
    # rule, scope, method, path, status
    ("c creates", "system/Observation.c", "POST", "/Observation", 201),
    ("u does not create", "system/Observation.rus", "POST", "/Observation", 403),
    ("u updates", "system/Observation.u", "PUT", "/{o}", 200),
    ("c does not update", "system/Observation.crds", "PUT", "/{o}", 403),
    ("u patches", "system/Observation.u", "PATCH", "/{o}", 200),
    ("c does not patch", "system/Observation.crds", "PATCH", "/{o}", 403),
    ("d deletes", "system/Observation.d", "DELETE", "/{o}", 204),
    ("u does not delete", "system/Observation.crus", "DELETE", "/{o}", 403),
    ("v1 write does all", "system/Observation.write", "DELETE", "/{o}", 204),
    ("v1 read does none", "system/*.read", "POST", "/Observation", 403),
    ("another type", "system/Patient.cruds", "POST", "/Observation", 403),
    ("r reads the history", "system/Observation.r", "GET", "/{o}/_history", 200),
    ("r reads a version", "system/Observation.r", "GET", "/{o}/_history/1", 200),
    ("s does not read a version", "system/Observation.s", "GET", "/{o}/_history/1", 403),
    ("s does not read the history", "system/Observation.s", "GET", "/Observation/_history", 403),
    ("an audit event is not written by clients", "system/*.cruds", "POST", "/AuditEvent", 405),
    ("an audit event is not changed by clients", "system/*.cruds", "PUT", "/AuditEvent/1", 405),
    ("an audit event is not deleted by clients", "system/*.cruds", "DELETE", "/AuditEvent/1", 405),
    ("an audit event has no versions", "system/*.cruds", "GET", "/AuditEvent/1/_history/1", 404),
    ("an audit event has no history", "system/*.cruds", "GET", "/AuditEvent/_history", 404),
]


@pytest.mark.parametrize(("rule", "scope", "method", "path", "status"), ACCESS, ids=[row[0] for row in ACCESS])
def test_access(
    server: FhirServer, patient: str, held: str, rule: str, scope: str, method: str, path: str, status: int
) -> None:
    body: Any = {
        "POST": observation(patient),
        "PUT": observation(patient, id=held.partition("/")[2]),
        "PATCH": "[]",
    }.get(method)
    headers = {"content-type": PATCH_JSON} if method == "PATCH" else {}

    answer = server.call(method, path.replace("{o}", held), body, headers, scope)

    assert answer.status_code == status, rule
    if status == 403:
        newest, *_ = server.audit.search(limit=1)
        assert (newest.event, newest.outcome) == ("access-denied", 8)
        assert server.call("GET", f"/{held}").headers["etag"] == 'W/"1"'


def test_a_patch_shows_nothing_to_who_may_not_read(server: FhirServer, held: str) -> None:
    header = {"content-type": PATCH_JSON}

    blind = server.call("PATCH", f"/{held}", "[]", header, "system/Observation.u")
    seeing = server.call("PATCH", f"/{held}", "[]", header, "system/Observation.ru")

    assert (blind.status_code, blind.text) == (200, "")
    assert seeing.json()["resourceType"] == "Observation"


def test_without_a_token_nothing_is_written(server: FhirServer, patient: str, held: str) -> None:
    for method, path in (("POST", "/Observation"), ("PUT", f"/{held}"), ("DELETE", f"/{held}"), ("PATCH", f"/{held}")):
        answer = server.call(method, path, observation(patient), {"authorization": ""})
        assert answer.status_code == 401
    large = server.call("POST", "/Observation", OPEN + " " * 290_000 + "}", {"authorization": "Bearer x"})
    assert large.status_code == 401


def test_each_change_is_on_record_with_its_version(server: FhirServer, patient: str, held: str) -> None:
    logical_id = held.partition("/")[2]
    server.call("PUT", f"/{held}", observation(patient, id=logical_id))
    server.call("PATCH", f"/{held}", "[]", {"content-type": PATCH_JSON})
    server.call("DELETE", f"/{held}", headers={"if-match": 'W/"1"'})
    server.call("DELETE", f"/{held}")
    server.call("GET", f"/{held}")
    server.call("GET", f"/{held}/_history/1")
    server.call("GET", f"/{held}/_history")

    entries = server.audit.search(limit=8)[::-1]
    seen = [(e.event, e.action, e.outcome, e.patient is not None) for e in entries]
    assert seen == [
        ("resource-created", "C", 0, True),
        ("resource-updated", "U", 0, True),
        ("resource-patched", "U", 0, True),
        ("resource-deleted", "D", 4, False),
        ("resource-deleted", "D", 0, True),
        ("resource-read", "R", 4, False),
        ("version-read", "R", 0, True),
        ("history-read", "R", 0, True),
    ]
    for number, entry in enumerate((entries[0], entries[1], entries[2], entries[4]), 1):
        assert f"{held}/_history/{number}" in json.dumps(entry.resource)
    assert all(e.patient == patient.partition("/")[2] for e in entries if e.patient)


class Refusing:
    """An audit log that cannot be written."""

    def append(self, _connection: Any, *_records: Any) -> None:
        raise StorageBusy("no")

    def record(self, *_records: Any) -> None:
        raise StorageBusy("no")


def test_what_cannot_be_put_on_record_does_not_happen(new_sqlite: Callable[[Path], str], tmp_path: Path) -> None:
    server = FhirServer(new_sqlite(tmp_path / "osler.db"), tmp_path, audit=Refusing())
    try:
        body = {"resourceType": "Patient", "id": "a"}
        bundle = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"resource": body, "request": {"method": "PUT", "url": "Patient/a"}}],
        }

        answers = [
            server.call("PUT", "/Patient/a", body),
            server.call("DELETE", "/Patient/a"),
            server.call("POST", "", bundle),
            server.call("GET", "/Patient/_history"),
        ]

        assert {a.status_code for a in answers} == {503}
        assert all(a.headers["retry-after"] for a in answers)
        with server.database.read() as connection:
            assert server.services.resources.held(connection, "Patient", "a") is None
    finally:
        server.stop()
