"""Reading from an EHR that misbehaves, over real sockets: bounded, on listed hosts only, and never half a truth."""

import base64
import gzip
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jwk
from starlette.requests import Request as Asked
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from fake_ehr import FakeEhr, binary, document, fhir_answer, observation, patient
from osler.ehr_settings import Ehr
from osler.errors import (
    AccessDenied,
    ConfigError,
    Conflict,
    InputRejected,
    Malformed,
    NotFound,
    PeerUnavailable,
    TooLarge,
    Unauthenticated,
)
from osler.ingest.ehr.access import BackendAccess, Credentials, discover
from osler.ingest.ehr.client_key import make_key, public_jwks, read_key
from osler.ingest.ehr.fhir_client import Bounds, FhirClient, Received
from osler.ingest.ehr.hosts import Hosts
from osler.ingest.ehr.record import PatientRecord, RecordReader, scopes, types_of
from osler.ingest.ehr.wire import Patience, Request, Wire


@pytest.fixture(scope="module")
def server() -> Iterator[FakeEhr]:
    server = FakeEhr()
    yield server
    server.stop()


@pytest.fixture
def ehr(server: FakeEhr) -> FakeEhr:
    server.reset()
    server.resources = [patient()]
    return server


class Reading:
    """A client of the EHR that does not really wait."""

    def __init__(self, ehr: FakeEhr, **changes: Any) -> None:
        self.now = 1_700_000_000.0
        self.waits: list[float] = []
        bounds, patience = changes.pop("bounds", None), Patience(**({"silence_s": 5.0} | changes))
        self.wire = Wire(Hosts(ehr.base), patience=patience, sleep=self.waits.append, clock=lambda: self.now)
        self.endpoints = discover(self.wire, Ehr("main", ehr.base, "hub"))
        credentials = Credentials("hub", secret="open sesame")
        self.access = BackendAccess(
            self.wire, self.endpoints, credentials, scope=scopes("system"), clock=lambda: self.now
        )
        self.client = FhirClient(self.wire, self.access, ehr.base, bounds=bounds, clock=lambda: self.now)

    def record(self, wanted: str = "p1") -> PatientRecord:
        return RecordReader(self.client, scopes("system")).read(wanted, Received())


@pytest.fixture
def reading(ehr: FakeEhr) -> Iterator[Reading]:
    made = Reading(ehr)
    yield made
    made.wire.close()


def refused(record: PatientRecord) -> dict[str, str]:
    return {one.type: one.rule for one in record.refused}


# --------------------------------------------------------------------------------------------------- the good way


def test_a_record_comes_page_by_page(ehr: FakeEhr, reading: Reading) -> None:
    ehr.resources += [observation(f"o{n}") for n in range(5)] + [observation("v1", _category="vital-signs")]

    record = reading.record()

    assert [r["id"] for r in record.resources] == ["o0", "o1", "o2", "o3", "o4", "v1"]
    assert ehr.calls["Observation"] == 4
    assert record.refused == ()
    assert ehr.calls["token"] == 1


def test_a_patient_is_found_by_identifier(ehr: FakeEhr, reading: Reading) -> None:
    ehr.resources.append(patient("p2"))
    assert reading.record("http://hospital.example/mrn|MRN-p2").patient["id"] == "p2"


def test_what_came_is_kept_as_it_came(ehr: FakeEhr, reading: Reading) -> None:
    into = Received()
    raw = b'{ "resourceType":"Patient", "id":"p1" ,"multipleBirthInteger": 2}'
    ehr.instead["Patient/p1"] = lambda request, n: Response(raw, media_type="application/fhir+json")

    RecordReader(reading.client, "system/Patient.rs").read("p1", into)

    first = json.loads(into.sealed_form().splitlines()[0])
    assert first["content"].encode() == raw
    assert first["url"] == f"{ehr.base}/Patient/p1"


# -------------------------------------------------------------------------------------------------------- patience


BUSY = [
    # what the EHR says first, how long is waited at least and at most
    ("429 with seconds", 429, "7", 7.0, 7.0),
    ("503 without", 503, "", 0.75, 1.0),
    ("500", 500, "", 0.75, 1.0),
    ("429 with words", 429, "soon", 0.75, 1.0),
    ("503 with a date", 503, format_datetime(datetime.fromtimestamp(1_700_000_009, UTC), usegmt=True), 9.0, 9.0),
    ("429 with a date gone by", 429, "Mon, 01 Jan 2001 00:00:00 GMT", 0.75, 1.0),
]


@pytest.mark.parametrize(("what", "status", "after", "least", "most"), BUSY, ids=[row[0] for row in BUSY])
def test_a_busy_ehr_is_asked_again(
    ehr: FakeEhr, reading: Reading, what: str, status: int, after: str, least: float, most: float
) -> None:
    headers = {"retry-after": after} if after else {}
    ehr.instead["Patient/p1"] = lambda request, n: Response(status_code=status, headers=headers) if n == 1 else None

    assert reading.record().patient["id"] == "p1"
    assert len(reading.waits) == 1
    assert least <= reading.waits[0] <= most


def test_a_token_endpoint_that_is_busy_gets_another_assertion(ehr: FakeEhr, reading: Reading, tmp_path: Path) -> None:
    key = make_key(tmp_path / "key.json", "ES384")
    ehr.public = jwk.ECKey.import_key(public_jwks(key)["keys"][0])
    seen: list[str] = []

    def busy(request: Asked, n: int) -> Response | None:
        seen.append(str(n))
        return Response(status_code=503) if n == 1 else None

    ehr.instead["token"] = busy
    access = BackendAccess(
        reading.wire, reading.endpoints, Credentials("hub", key), scope="system/*.rs", clock=lambda: reading.now
    )
    access.token()
    reading.now += 3600
    access.token()

    assert seen == ["1", "2", "3"]
    assert len({claims["jti"] for claims in ehr.assertions}) == 2
    claims = ehr.assertions[0]
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("hub", "hub", f"{ehr.url}/token")
    assert 0 < claims["exp"] - 1_700_000_000 <= 300


def test_an_ehr_that_stays_busy_is_given_up(ehr: FakeEhr, reading: Reading) -> None:
    ehr.instead["Patient/p1"] = lambda request, n: Response(status_code=503)

    with pytest.raises(PeerUnavailable, match="HTTP 503"):
        reading.record()
    assert ehr.calls["Patient/p1"] == 5
    assert reading.waits == sorted(reading.waits)


def test_a_search_over_which_the_ehr_fails_is_left_out(ehr: FakeEhr, reading: Reading) -> None:
    ehr.resources.append(observation("o1"))
    ehr.instead["Condition"] = lambda request, n: Response(status_code=500)

    record = reading.record()

    assert refused(record) == {"Condition": "input-rejected"}
    assert [r["id"] for r in record.resources] == ["o1"]


def test_an_address_that_is_too_long_is_none(ehr: FakeEhr, reading: Reading) -> None:
    ehr.instead["Observation"] = lambda request, n: page(following=f"{ehr.base}/Observation?{'a' * 70_000}")
    assert refused(reading.record()) == {"Observation": "malformed"}


def test_an_ehr_that_asks_for_an_hour_is_given_up_at_once(ehr: FakeEhr, reading: Reading) -> None:
    ehr.instead["Patient/p1"] = lambda request, n: Response(status_code=429, headers={"retry-after": "3600"})

    with pytest.raises(PeerUnavailable, match="3600 s, which is too long"):
        reading.record()
    assert reading.waits == []


def test_an_ehr_that_is_busy_in_the_middle_gives_no_half_record(ehr: FakeEhr, reading: Reading) -> None:
    ehr.resources += [observation(f"o{n}") for n in range(5)]
    ehr.instead["Observation"] = lambda request, n: Response(status_code=502) if n > 1 else None

    with pytest.raises(PeerUnavailable):
        reading.record()


def test_an_ehr_that_drips_is_given_up(ehr: FakeEhr) -> None:
    async def drip() -> Any:
        for _ in range(1000):
            yield b" " * 10
            await gate()

    async def gate() -> None:
        import asyncio

        await asyncio.sleep(0.02)

    ehr.instead["Patient/p1"] = lambda request, n: StreamingResponse(drip(), media_type="application/fhir+json")
    reading = Reading(ehr, answer_s=0.2, attempts=2)

    with pytest.raises(PeerUnavailable, match="ReadTimeout"):
        reading.record()
    reading.wire.close()


def test_an_ehr_that_says_nothing_is_given_up(ehr: FakeEhr) -> None:
    held = threading.Event()

    def silent(request: Asked, n: int) -> Response:
        async def wait() -> Any:
            import asyncio

            await asyncio.to_thread(held.wait, 10)
            yield b""

        return StreamingResponse(wait())

    ehr.instead["Patient/p1"] = silent
    reading = Reading(ehr, silence_s=0.2, attempts=1)
    try:
        with pytest.raises(PeerUnavailable, match="ReadTimeout"):
            reading.record()
    finally:
        held.set()
        reading.wire.close()


# ----------------------------------------------------------------------------------------------------------- tokens


def test_a_token_is_renewed_shortly_before_it_ends(ehr: FakeEhr, reading: Reading) -> None:
    reading.record()
    reading.now += 3600 - 31
    reading.record()
    assert ehr.calls["token"] == 1
    reading.now += 2
    reading.record()
    assert ehr.calls["token"] == 2


def test_a_token_that_is_refused_is_got_anew_once(ehr: FakeEhr, reading: Reading) -> None:
    reading.record()
    ehr.accepted = []
    reading.record()
    assert ehr.calls["token"] == 2

    ehr.instead["Patient/p1"] = lambda request, n: Response(status_code=401)
    before = ehr.calls["Patient/p1"]
    with pytest.raises(Unauthenticated):
        reading.record()
    assert ehr.calls["Patient/p1"] - before == 2


NO_TOKENS = [
    # what the token endpoint answers, error, words
    ("refused", JSONResponse({"error": "invalid_client"}, 401), Unauthenticated, "invalid_client"),
    ("refused in words", JSONResponse({"error": "Jane Roe may not"}, 400), Unauthenticated, r"\(HTTP 400\)"),
    ("HTML", Response("<html>", media_type="text/html"), Malformed, "media type"),
    ("no object", JSONResponse(["x"]), Malformed, "."),
    ("no token", JSONResponse({"token_type": "bearer"}), Malformed, "no access token"),
    ("a token with a line", JSONResponse({"access_token": "a\nb: c", "token_type": "bearer"}), Malformed, "no access"),
    ("MAC", JSONResponse({"access_token": "a", "token_type": "mac"}), Malformed, "Bearer"),
]


@pytest.mark.parametrize(("what", "answer", "error", "words"), NO_TOKENS, ids=[row[0] for row in NO_TOKENS])
def test_what_is_no_token(
    ehr: FakeEhr, reading: Reading, what: str, answer: Response, error: type[Exception], words: str
) -> None:
    ehr.instead["token"] = lambda request, n: answer
    with pytest.raises(error, match=words) as raised:
        reading.record()
    assert "Jane" not in str(raised.value)


def test_scopes_that_were_not_given_are_told_and_not_tried(ehr: FakeEhr, reading: Reading) -> None:
    ehr.scope = "system/Patient.read system/Observation.rs"
    ehr.resources.append(observation("o1"))

    record = reading.record()

    assert [r["id"] for r in record.resources] == ["o1"]
    assert refused(record)["Condition"] == "not-granted"
    assert ehr.calls["Condition"] == 0


@pytest.mark.parametrize(
    ("scope", "types"),
    [
        ("system/*.rs", {"Patient", "Observation"}),
        ("patient/Observation.rs?category=laboratory", {"Observation"}),
        ("user/Observation.read", {"Observation"}),
        ("system/Observation.r", set()),
        ("system/Patient.r", {"Patient"}),
        ("openid fhirUser launch/patient system/Observation.cud", set()),
        ("nonsense/*.rs", set()),
    ],
)
def test_what_scopes_let_one_read(scope: str, types: set[str]) -> None:
    assert types_of(scope) & {"Patient", "Observation"} == types


# ------------------------------------------------------------------------------------------------------------ pages


def page(*resources: dict[str, Any], following: str = "", **more: Any) -> Response:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    bundle["entry"] = [{"resource": r} for r in resources]
    if following:
        bundle["link"] = [{"relation": "next", "url": following}]
    return fhir_answer(bundle | more)


BAD_PAGES = [
    # what, how it answers (given the base), rule
    ("a circle", lambda base: page(following=f"{base}/Observation?page=2"), "malformed"),
    ("another host", lambda base: page(following="https://elsewhere.example/fhir/Observation"), "malformed"),
    ("another port", lambda base: page(following="http://127.0.0.1:1/fhir/Observation"), "malformed"),
    ("a name and password", lambda base: page(following=base.replace("//", "//u:p@")), "malformed"),
    ("a file", lambda base: page(following="file:///etc/passwd"), "malformed"),
    ("a redirect", lambda base: RedirectResponse("http://169.254.169.254/"), "malformed"),
    ("HTML", lambda base: Response("<p>Jane", media_type="text/html"), "unsupported-media-type"),
    ("no JSON", lambda base: Response("{", media_type="application/fhir+json"), "malformed"),
    ("a name twice", lambda base: Response('{"a":1,"a":2}', media_type="application/fhir+json"), "malformed"),
    ("another bundle", lambda base: page(type="history"), "malformed"),
    ("another resource", lambda base: fhir_answer(observation("o1")), "malformed"),
    ("another type", lambda base: page(patient()), "malformed"),
    ("no id", lambda base: page(observation("x", id=None)), "malformed"),
    ("403", lambda base: Response(status_code=403), "access-denied"),
    ("404", lambda base: Response(status_code=404), "not-found"),
    ("400", lambda base: Response(status_code=400), "input-rejected"),
    ("another patient's", lambda base: page(observation("o1", of="p2")), "another-patient"),
    ("nobody's", lambda base: page(observation("o1", subject=None)), "another-patient"),
    ("another server's", lambda base: page(observation("o1", of="https://x.example/Patient/p1")), "another-patient"),
    ("another encoding", lambda base: Response("", headers={"content-encoding": "br"}), "malformed"),
    ("no gzip", lambda base: Response("{}", headers={"content-encoding": "gzip"}), "malformed"),
    ("half of gzip", lambda base: Response(gzip.compress(b"{}" * 99)[:-12], headers={"content-encoding": "gzip"}),
     "malformed"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "answers", "rule"), BAD_PAGES, ids=[row[0] for row in BAD_PAGES])
def test_a_page_that_is_not_taken(ehr: FakeEhr, reading: Reading, what: str, answers: Any, rule: str) -> None:
    ehr.instead["Observation"] = lambda request, n: answers(ehr.base)
    ehr.resources.append({"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"}})

    record = reading.record()

    assert refused(record) == {"Observation": rule}
    assert [r["id"] for r in record.resources] == ["c1"], "the rest goes on"


def test_an_absolute_reference_to_the_patient_and_a_version_of_him_are_his(ehr: FakeEhr, reading: Reading) -> None:
    ehr.resources += [
        observation("o1", subject={"reference": f"{ehr.base}/Patient/p1"}),
        observation("o2", subject={"reference": "Patient/p1/_history/3"}),
    ]
    assert len(reading.record().resources) == 2


def test_outcomes_and_included_resources_are_no_matches(ehr: FakeEhr, reading: Reading) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [
            {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}},
            {"resource": {"resourceType": "Practitioner", "id": "d"}, "search": {"mode": "include"}},
            {"resource": observation("o1")},
        ],
    }
    ehr.instead["Observation"] = lambda request, n: fhir_answer(bundle)
    record = reading.record()
    assert ([r["id"] for r in record.resources], record.refused) == (["o1"], ())


BOUNDS = [
    ("pages", {"bounds": Bounds(pages=2)}, "more than 2 pages"),
    ("resources", {"bounds": Bounds(resources=3)}, "more than 3 resources"),
    ("bytes of a record", {"bounds": Bounds(received_bytes=900)}, "longer than 900 bytes"),
    ("bytes of an answer", {"answer_bytes": 400}, "longer than 400 bytes"),
]


@pytest.mark.parametrize(("what", "changes", "words"), BOUNDS, ids=[row[0] for row in BOUNDS])
def test_too_much_is_no_record(ehr: FakeEhr, what: str, changes: dict[str, Any], words: str) -> None:
    ehr.resources += [observation(f"o{n}") for n in range(9)]
    reading = Reading(ehr, **changes)
    with pytest.raises(TooLarge, match=words):
        reading.record()
    reading.wire.close()


def test_a_bomb_of_gzip_is_not_unpacked(ehr: FakeEhr, reading: Reading) -> None:
    bomb = gzip.compress(b" " * 64_000_000, 1)
    headers = {"content-encoding": "gzip", "content-type": "application/fhir+json"}
    ehr.instead["Patient/p1"] = lambda request, n: Response(bomb, headers=headers)
    with pytest.raises(TooLarge):
        reading.record()


def test_gzip_is_taken(ehr: FakeEhr, reading: Reading) -> None:
    content = gzip.compress(json.dumps(patient(gender="female")).encode())
    headers = {"content-encoding": "gzip", "content-type": "application/fhir+json"}
    ehr.instead["Patient/p1"] = lambda request, n: Response(content, headers=headers)
    assert reading.record().patient["gender"] == "female"


# --------------------------------------------------------------------------------------------------------- patients


BAD_PATIENTS = [
    # what, what the EHR holds, whom we ask for, error
    ("none", [], "p1", NotFound),
    ("an id that is none", [patient()], "../Patient/p1", NotFound),
    ("none of the identifier", [], "urn:x|1", NotFound),
    ("two of the identifier", [patient(), patient("p2", identifier=patient()["identifier"])],
     "http://hospital.example/mrn|MRN-p1", Conflict),
    ("merged", [patient(link=[{"other": {"reference": "Patient/p2"}, "type": "replaced-by"}])], "p1", Conflict),
]  # fmt: skip


@pytest.mark.parametrize(("what", "held", "wanted", "error"), BAD_PATIENTS, ids=[row[0] for row in BAD_PATIENTS])
def test_no_patient(
    ehr: FakeEhr, reading: Reading, what: str, held: list[Any], wanted: str, error: type[Exception]
) -> None:
    ehr.resources = held
    with pytest.raises(error) as raised:
        reading.record(wanted)
    assert "MRN" not in str(raised.value)


def test_another_patient_than_the_one_asked_for_is_refused(ehr: FakeEhr, reading: Reading) -> None:
    ehr.instead["Patient/p1"] = lambda request, n: fhir_answer(patient("p2"))
    with pytest.raises(Malformed, match="another resource"):
        reading.record()
    ehr.instead["Patient"] = lambda request, n: page(patient("p2"))
    with pytest.raises(Malformed, match="does not have the identifier"):
        reading.record("http://hospital.example/mrn|MRN-p1")


# -------------------------------------------------------------------------------------------------------- documents


def data_of(record: PatientRecord) -> bytes:
    attachment = record.resources[0]["content"][0]["attachment"]
    assert "url" not in attachment
    return base64.b64decode(attachment["data"])


DOCUMENTS = [
    # what, media type that is announced, the Binary's content and media type, what comes of it
    ("text", "text/plain", b"Zeh schmerzt", "text/plain", "Zeh schmerzt"),
    ("text in Latin-1", "text/plain", "Füße".encode("latin-1"), "text/plain; charset=ISO-8859-1", "Füße"),
    ("HTML", "text/html", b"<p>Hi</p>", "text/html", "<p>Hi</p>"),
    ("CDA", "application/xml", b"<ClinicalDocument/>", "application/xml", "<ClinicalDocument/>"),
]


@pytest.mark.parametrize(("what", "announced", "content", "kind", "text"), DOCUMENTS, ids=[row[0] for row in DOCUMENTS])
def test_a_document_is_brought_in(
    ehr: FakeEhr, reading: Reading, what: str, announced: str, content: bytes, kind: str, text: str
) -> None:
    ehr.resources += [document("d1", "Binary/b1", announced), binary("b1", content, kind)]
    record = reading.record()
    assert data_of(record).decode() == text
    assert (record.documents, record.not_read, record.refused) == (1, {}, ())


def test_a_document_may_come_as_it_is(ehr: FakeEhr, reading: Reading) -> None:
    ehr.resources.append(document("d1", f"{ehr.base}/Binary/b1", "text/plain"))
    ehr.instead["Binary/b1"] = lambda request, n: Response("as it is", media_type="text/plain")
    assert data_of(reading.record()) == b"as it is"


BAD_DOCUMENTS = [
    ("not there", "Binary/none", "text/plain", None, "not-found"),
    ("at another server", "https://x.example/Binary/b1", "text/plain", None, "access-denied"),
    ("by FTP", "ftp://127.0.0.1/b1", "text/plain", None, "access-denied"),
    ("of another type", "Binary/b1", "text/plain", binary("b1", b"%PDF", "application/pdf"), "malformed"),
    ("no base64", "Binary/b1", "text/plain", binary("b1", b"", "text/plain") | {"data": "%%"}, "malformed"),
    ("no Binary", "Binary/b1", "text/plain", patient("b1"), "malformed"),
    ("no UTF-8", "Binary/b1", "text/plain", binary("b1", b"\xff\xfe", "text/plain"), "malformed"),
    ("characters unknown", "Binary/b1", "text/plain", binary("b1", b"a", "text/plain; charset=zip"), "malformed"),
]


@pytest.mark.parametrize(
    ("what", "url", "announced", "there", "rule"), BAD_DOCUMENTS, ids=[row[0] for row in BAD_DOCUMENTS]
)
def test_a_document_that_stays_out(
    ehr: FakeEhr, reading: Reading, what: str, url: str, announced: str, there: Any, rule: str
) -> None:
    ehr.resources.append(document("d1", url, announced))
    if there is not None:
        ehr.instead["Binary/b1"] = lambda request, n: fhir_answer(there)
    record = reading.record()
    assert refused(record) == {"Binary": rule}
    assert "data" not in record.resources[0]["content"][0]["attachment"]


def test_a_document_that_nobody_can_clean_is_not_asked_for(ehr: FakeEhr, reading: Reading) -> None:
    ehr.resources.append(document("d1", "Binary/b1", "application/pdf"))
    record = reading.record()
    assert (record.not_read, record.refused, ehr.calls["Binary/b1"]) == ({"media-type": 1}, (), 0)


# ------------------------------------------------------------------------------------------------------------ hosts


HOSTS = [
    # base, hosts listed, what is asked, whether it may be
    ("https://ehr.example/fhir", (), "https://ehr.example/token", True),
    ("https://ehr.example/fhir", (), "http://ehr.example/token", False),
    ("https://ehr.example/fhir", (), "https://login.example/token", False),
    ("https://ehr.example/fhir", ("login.example",), "https://login.example/token", True),
    ("https://ehr.example/fhir", ("login.example",), "https://user@login.example/token", False),
    ("https://ehr.example/fhir", ("10.0.0.0/8",), "https://10.1.2.3/token", True),
    ("https://ehr.example/fhir", ("10.0.0.0/8",), "https://11.1.2.3/token", False),
    ("https://ehr.example/fhir", (), "https://ehr.example.evil.example/", False),
    ("https://ehr.example/fhir", (), "https://169.254.169.254/", False),
    ("http://127.0.0.1:80/fhir", (), "http://127.0.0.1:81/", True),
    ("http://localhost/fhir", (), "http://127.0.0.1/", False),
    ("https://ehr.example/fhir", (), "javascript:alert(1)", False),
    ("https://ehr.example/fhir", (), "https://[::1", False),
]


@pytest.mark.parametrize(("base", "listed", "url", "may"), HOSTS)
def test_which_addresses_may_be_asked(base: str, listed: tuple[str, ...], url: str, may: bool) -> None:
    hosts = Hosts(base, listed)
    if may:
        assert hosts.check(url).hostname
    else:
        with pytest.raises(AccessDenied):
            hosts.check(url)


@pytest.mark.parametrize("address", ["10.1.2.3", "127.0.0.1", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1"])
def test_a_name_that_stands_for_a_private_address_needs_it_listed(address: str) -> None:
    url = "https://ehr.example/fhir"
    with pytest.raises(AccessDenied, match="private address"):
        Hosts(url, resolve=lambda host, port: ["93.184.215.14", address]).addresses(url)
    assert Hosts(url, (address,), resolve=lambda host, port: [address]).addresses(url) == [address]


def test_what_can_be_no_host_stops_the_start() -> None:
    with pytest.raises(ConfigError):
        Hosts("https://ehr.example/", ("https://other.example",))


BAD_CONFIGURATIONS = [
    ("none", lambda url: Response(status_code=404), "HTTP 404"),
    ("no token endpoint", lambda url: JSONResponse({"capabilities": []}), "no token endpoint"),
    ("a token endpoint elsewhere", lambda url: JSONResponse({"token_endpoint": "https://x.example/t"}), "not have"),
    ("a token endpoint in clear", lambda url: JSONResponse({"token_endpoint": "http://x.example/t"}), "not https"),
    ("HTML", lambda url: Response("<p>", media_type="text/html"), "media type"),
]


@pytest.mark.parametrize(("what", "answers", "words"), BAD_CONFIGURATIONS, ids=[row[0] for row in BAD_CONFIGURATIONS])
def test_a_configuration_that_is_not_taken(ehr: FakeEhr, what: str, answers: Any, words: str) -> None:
    ehr.instead["configuration"] = lambda request, n: answers(ehr.url)
    wire = Wire(Hosts(ehr.base))
    with pytest.raises((AccessDenied, InputRejected), match=words):
        discover(wire, Ehr("main", ehr.base, "hub"))
    wire.close()


# -------------------------------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a certificate for localhost that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    encoding, clear = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, clear) + made.public_bytes(encoding)
    )
    return path


@pytest.fixture
def tls_port(certificate: Path) -> Iterator[int]:
    """Serve one line over TLS."""
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: Any) -> None:
            pass

    class Server(HTTPServer):
        def handle_error(self, *args: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_certificate_must_hold_for_the_name(tls_port: int, certificate: Path) -> None:
    base = f"https://localhost:{tls_port}/"

    def ask(base: str, ca_file: str = "") -> int:
        wire = Wire(Hosts(base), ca_file=ca_file, sleep=lambda s: None)
        try:
            return wire.ask(lambda: Request("GET", base)).status
        finally:
            wire.close()

    assert ask(base, str(certificate)) == 200
    with pytest.raises(AccessDenied, match="certificate"):
        ask(base)
    with pytest.raises(AccessDenied, match="certificate"):
        ask(f"https://127.0.0.1:{tls_port}/", str(certificate))


def test_a_file_without_certificates_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(ConfigError, match="ca_file"):
            Wire(Hosts("https://localhost/"), ca_file=str(tmp_path / name))


# ------------------------------------------------------------------------------------------------------------- keys


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_a_key_pair_is_made_once_and_its_public_part_is_public(tmp_path: Path, algorithm: str) -> None:
    path = tmp_path / "key.json"
    made = make_key(path, algorithm)
    (shown,) = public_jwks(read_key(path))["keys"]

    assert path.stat().st_mode & 0o077 == 0
    assert shown["kid"] == made.kid
    assert (shown["alg"], shown["use"]) == (algorithm, "sig")
    assert not {"d", "p", "q", "dp", "dq", "qi"} & shown.keys()
    with pytest.raises(ConfigError, match="never overwritten"):
        make_key(path, algorithm)


@pytest.mark.parametrize("content", ["", "[]", '{"kty":"oct","k":"AA"}', '{"kty":"EC"}', "{}"])
def test_what_is_no_key(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.json"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(ConfigError):
        read_key(path)


def test_a_client_without_key_and_secret_has_no_backend_services(reading: Reading) -> None:
    with pytest.raises(ConfigError, match="--user"):
        BackendAccess(reading.wire, reading.endpoints, Credentials("hub"), scope="")
