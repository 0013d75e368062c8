"""``osler ehr connect`` against our own FHIR server and authorization server as the EHR: the whole way, as an operator.

What comes out holds nobody's identity and is valid R4; the patient has the pseudonym that DICOM and HL7 v2 give him.
"""

import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.responses import Response

from fake_ehr import FakeEhr, fhir_answer, observation, patient
from osler.api.app import Services, create_app
from osler.api.people.roles import Role
from osler.api.people.service import People, Policy
from osler.api.smart.clients import ClientStore
from osler.api.smart.signing import SigningKeys
from osler.api.smart.tokens import TokenStore
from osler.audit import AuditLog
from osler.cli import main
from osler.cli.caller import Caller
from osler.config import load
from osler.domain.identifiers import Identity, PseudonymKind
from osler.hub.ehr_intake import NdjsonFolder
from osler.hub.opening import create_data_dir
from osler.hub.web import WebServer
from osler.metrics import Metrics
from osler.standards import fhir
from osler.storage import Database
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.testing.browser import Browser
from osler.vault import KeyRing

PASSWORD = "plum trombone harbour"
MRN = "http://hospital.example/mrn"
CANARIES = (
    *("Quillfeather", "Zebulon", "88417723", "88417724", "617-555", "Larkspur", "Oxenham", "oxenham", "1957-03-09"),
    *("hospital.example", "pq7"),
)
NOTE = (
    "Mr. Zebulon Quillfeather (MRN 88417723) was seen on 03/09/2021 for chest pain; oxenham agrees. Call 617-555-0142."
)


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def record_of(logical_id: str, number: str) -> list[dict[str, Any]]:
    """Return a patient's record; ids end in his."""
    of = {"subject": {"reference": f"Patient/{logical_id}"}}
    category = "http://terminology.hl7.org/CodeSystem/observation-category"

    def result(name: str, kind: str, code: str, value: str, unit: str) -> dict[str, Any]:
        quantity = {"value": fhir.FhirDecimal(value), "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
        return {
            "resourceType": "Observation", "id": f"{name}-{logical_id}", "status": "final",
            "category": [coded(category, kind)], "code": coded("http://loinc.org", code),
            "effectiveDateTime": "2021-03-09T10:00:00Z", "valueQuantity": quantity,
            "note": [{"text": f"told to {'Zebulon Quillfeather'}"}], **of,
        }  # fmt: skip

    return [
        {
            "resourceType": "Patient", "id": logical_id, "gender": "male", "birthDate": "1957-03-09",
            "identifier": [
                {"type": coded("http://terminology.hl7.org/CodeSystem/v2-0203", "MR"), "system": MRN, "value": number}
            ],
            "name": [{"family": "Quillfeather", "given": ["Zebulon"]}],
            "telecom": [{"system": "phone", "value": "617-555-0142"}],
            "address": [{"line": ["12 Larkspur Lane"], "city": "Boston", "state": "MA", "postalCode": "02139"}],
        },
        result("hb", "laboratory", "718-7", "0.930", "g/dL"),
        result("k", "laboratory", "2823-3", "4.10", "mmol/L"),
        result("hr", "vital-signs", "8867-4", "72", "/min"),
        result("smoke", "social-history", "72166-2", "1", "1"),
        {
            "resourceType": "Encounter", "id": f"e-{logical_id}", "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "participant": [{"individual": {"reference": "Practitioner/dr"}}], **of,
        },
        {
            "resourceType": "Condition", "id": f"c-{logical_id}",
            "clinicalStatus": coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
            "code": coded("http://snomed.info/sct", "29857009") | {"text": "Chest pain"}, **of,
        },
        {
            "resourceType": "AllergyIntolerance", "id": f"a-{logical_id}",
            "clinicalStatus": coded("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active"),
            "code": {"text": "Penicillin"}, "patient": of["subject"],
        },
        {
            "resourceType": "MedicationRequest", "id": f"m-{logical_id}", "status": "active", "intent": "order",
            "medicationCodeableConcept": {"text": "Aspirin 81 mg"}, **of,
        },
        {
            "resourceType": "DiagnosticReport", "id": f"r-{logical_id}", "status": "final",
            "code": coded("http://loinc.org", "24323-8"), "result": [{"reference": f"Observation/hb-{logical_id}"}],
            "conclusion": "Zebulon is well.", **of,
        },
        {
            "resourceType": "Binary", "id": f"b-{logical_id}", "contentType": "text/plain",
            "data": base64.b64encode(NOTE.encode()).decode(),
        },
        {
            "resourceType": "DocumentReference", "id": f"d-{logical_id}", "status": "current", **of,
            "content": [{"attachment": {"contentType": "text/plain", "url": f"Binary/b-{logical_id}"}}],
        },
    ]  # fmt: skip


class HubAsEhr:
    """A hub whose FHIR side is the EHR. Ann signs in there."""

    def __init__(self, url: str, folder: Path) -> None:
        self.database = Database(url)
        keys = KeyRing.open(self.database, master_key=bytes(32), tenant="default")
        sealer = keys.sealer("record")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{address}"
        self.base = f"{self.url}/fhir/R4"
        self.people = People.open(self.database, keys=keys, base_url=self.url, policy=Policy())
        self.people.users.add("ann", Role.CLINICIAN, PASSWORD, fhir_user="Practitioner/ann")
        self.services = Services(
            base_url=self.url,
            database=self.database,
            audit=AuditLog(self.database, signing_key=Ed25519PrivateKey.generate(), checkpoints=folder / "checkpoints"),
            resources=ResourceStore(self.database, sealer=sealer, index=keys.index),
            search=ResourceSearch(self.database, sealer=sealer, index=keys.index),
            clients=ClientStore(self.database),
            tokens=TokenStore(self.database),
            accept=lambda received: None,
            metrics=Metrics(),
            people=self.people,
            signing_keys=SigningKeys(self.database, sealer=sealer),
        )
        doctor = {"resourceType": "Practitioner", "id": "dr", "name": [{"family": "Oxenham", "given": ["Mildred"]}]}
        for resource in [doctor, *record_of("pq7a", "88417723"), *record_of("pq7b", "88417724")]:
            self.database.write(lambda c, resource=resource: self.services.resources.put(c, resource))
        self._server = WebServer(create_app(self.services), address)
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
        self.database.close()


@pytest.fixture(scope="module")
def hub(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubAsEhr]:
    folder = tmp_path_factory.mktemp("ehr")
    hub = HubAsEhr(new_sqlite(folder / "osler.db"), folder)
    yield hub
    hub.stop()


class Operator:
    """Somebody at the terminal of the hub that reads."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.environ = {"OSLER_DATA_DIR": str(folder / "data"), "USER": "olga"}
        create_data_dir(load(self.environ), self.environ)
        self.folder = folder
        self._capsys = capsys

    def settings(self, text: str) -> None:
        (self.folder / "data" / "osler.toml").write_text(text)

    def run(self, *args: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        status = main(args, self.environ)
        shown = self._capsys.readouterr()
        return status, shown.out, shown.err

    def json(self, *args: str) -> tuple[int, Any]:
        status, out, _ = self.run(*args, "--json")
        return status, json.loads(out)

    def registered(self, hub: HubAsEhr, scope: str = "system/*.rs", algorithm: str = "ES384", more: str = "") -> None:
        """Register our key with the EHR and write the settings."""
        _, jwks, _ = self.run("ehr", "keys", "--algorithm", algorithm)
        client_id = hub.services.clients.add("reader", scope, jwks=jwks)
        self.settings(f'[[ehr]]\nname = "main"\nfhir_base = "{hub.base}"\nclient_id = "{client_id}"\n{more}')

    def events(self) -> list[tuple[str, int, str | None]]:
        with Caller(self.environ).stores(None) as stores:
            found = [(e.event, e.outcome, e.patient) for e in reversed(stores.audit.search(limit=1000))]
        return [row for row in found if row[0].startswith("ehr-")]

    def pseudonym(self, number: str, issuer: str) -> str:
        with Caller(self.environ).stores(None) as stores:
            return stores.vault.pseudonyms([Identity(PseudonymKind.PATIENT, number, issuer)])[0]

    def output(self, name: str = "out") -> dict[str, list[dict[str, Any]]]:
        files = sorted((self.folder / name).iterdir())
        return {
            f.name.removesuffix(".ndjson"): [fhir.loads(line) for line in f.read_bytes().splitlines()] for f in files
        }

    @property
    def out(self) -> str:
        return str(self.folder / "out")


@pytest.fixture
def operator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Operator:
    return Operator(tmp_path, capsys)


READ = {
    "AllergyIntolerance": 1, "Condition": 1, "DiagnosticReport": 1, "DocumentReference": 1, "Encounter": 1,
    "MedicationRequest": 1, "Observation": 3, "Patient": 1,
}  # fmt: skip


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_a_record_by_backend_services(hub: HubAsEhr, operator: Operator, algorithm: str) -> None:
    operator.registered(hub, algorithm=algorithm, more=f'issuers = ["{MRN}=HOSP"]\n')

    status, told = operator.json("ehr", "connect", "main", "--patient", f"{MRN}|88417723", "--out", operator.out)

    assert status == 0, told
    assert told["counts"] == READ
    (one,) = told["patients"]
    assert (one["documents"], one["refused"]) == ({"read": 1, "not_read": {}}, [])
    assert one["patient"] == operator.pseudonym("88417723", "HOSP"), "as in DICOM and HL7 v2"
    found = operator.output()
    text = "".join(path.read_text() for path in Path(operator.out).iterdir())
    assert not [canary for canary in CANARIES if canary in text + json.dumps(told)]
    assert {name: len(rows) for name, rows in found.items()} == READ
    for resource in (r for rows in found.values() for r in rows):
        assert fhir.validate(resource) == [], resource["resourceType"]
    whose = f"Patient/{found['Patient'][0]['id']}"
    assert {r["subject"]["reference"] for name, rows in found.items() for r in rows if "subject" in r} == {whose}
    assert found["Patient"][0]["identifier"][0]["value"] == one["patient"]
    assert {str(r["valueQuantity"]["value"]) for r in found["Observation"]} == {"0.930", "4.10", "72"}
    assert found["DiagnosticReport"][0]["result"][0]["reference"] in {
        f"Observation/{r['id']}" for r in found["Observation"]
    }
    note = base64.b64decode(found["DocumentReference"][0]["content"][0]["attachment"]["data"]).decode()
    assert "chest pain" in note
    assert not [canary for canary in (*CANARIES, "03/09/2021") if canary in note]


def test_each_record_is_on_record_and_sealed_as_it_came(hub: HubAsEhr, operator: Operator) -> None:
    operator.registered(hub)

    status, told = operator.json(
        "ehr", "connect", "main", "--patient", "pq7a", "--patient", "pq7b", "--out", operator.out
    )

    assert status == 0
    pseudonyms = [one["patient"] for one in told["patients"]]
    assert len(set(pseudonyms)) == 2
    assert operator.events() == [
        ("ehr-key-made", 0, None),
        ("ehr-signed-in", 0, None),
        *((event, 0, patient) for patient in pseudonyms for event in ("ehr-record-read", "ehr-record-deidentified")),
    ]
    with Caller(operator.environ).stores(None) as stores:
        entries = stores.audit.search(limit=1000)
        sealed = stores.identified.get(told["patients"][0]["sealed"])
        raw = stores.identified.path(told["patients"][0]["sealed"]).read_bytes()
        assert stores.audit.verify().ok
    assert b"Quillfeather" in sealed
    assert b"Quillfeather" not in raw
    recorded = json.dumps([e.resource for e in entries])
    assert not [canary for canary in CANARIES if canary in recorded]
    assert {e.agent for e in entries if e.event.startswith("ehr-")} == {"olga"}


def test_patients_from_a_file_one_of_whom_is_not_there(hub: HubAsEhr, operator: Operator) -> None:
    operator.registered(hub)
    listed = operator.folder / "patients.txt"
    listed.write_text(f"pq7a\n\n{MRN}|00000000\npq7b\npq7b\n{MRN}|88417724\n")

    status, out, shown = operator.run("ehr", "connect", "main", "--patients", str(listed), "--out", operator.out)

    assert status == 3
    assert "2 of 4 records read" in out
    assert "record 4: the patient's record was asked for before" in out
    assert "record 2: the EHR has no patient of that identifier" in out
    assert "00000000" not in out + shown
    assert len(operator.output()["Patient"]) == 2
    assert ("ehr-record-read", 8, None) in operator.events()


def test_nobody_there_ends_with_1_and_leaves_nothing(hub: HubAsEhr, operator: Operator) -> None:
    operator.registered(hub)
    status, told = operator.json("ehr", "connect", "main", "--patient", "nobody", "--out", operator.out)
    assert (status, told["patients"]) == (1, [])
    assert told["failed"] == [{"number": 1, "error": "NotFound", "reason": "the EHR has nothing of that id"}]
    assert list(Path(operator.out).iterdir()) == []


def test_a_client_of_fewer_scopes_reads_less_and_says_so(hub: HubAsEhr, operator: Operator) -> None:
    operator.registered(hub, "system/Patient.rs system/Observation.rs")

    status, told = operator.json("ehr", "connect", "main", "--patient", "pq7a", "--out", operator.out)

    assert status == 3
    assert told["counts"] == {"Observation": 3, "Patient": 1}
    assert {"type": "Condition", "rule": "not-granted", "count": 1} in told["refused"]


def test_what_is_not_asked_for_is_not_missed(hub: HubAsEhr, operator: Operator) -> None:
    operator.registered(hub, more='scope = "system/Patient.rs system/Observation.rs"\n')
    status, told = operator.json("ehr", "connect", "main", "--patient", "pq7a", "--out", operator.out)
    assert (status, told["counts"]) == (0, {"Observation": 3, "Patient": 1})


def test_without_a_patient_it_says_what_may_be_read(hub: HubAsEhr, operator: Operator) -> None:
    operator.registered(hub, "system/Patient.rs system/Observation.rs")
    status, told = operator.json("ehr", "connect", "main")
    assert status == 0
    assert told["types"] == ["Observation", "Patient"]
    assert told["token_endpoint"] == f"{hub.url}/oauth/token"
    assert operator.events()[-1] == ("ehr-signed-in", 0, None)


def test_a_client_with_a_secret(hub: HubAsEhr, operator: Operator) -> None:
    client_id = hub.services.clients.add("reader", "system/*.rs", secret="open sesame: 100%")
    secret = operator.folder / "secret"
    secret.touch(0o600)
    secret.write_text("open sesame: 100%\n")
    operator.settings(
        f'[[ehr]]\nname = "main"\nfhir_base = "{hub.base}"\nclient_id = "{client_id}"\nsecret_file = "{secret}"\n'
    )
    status, told = operator.json("ehr", "connect", "main", "--patient", "pq7a", "--out", operator.out)
    assert (status, told["counts"]) == (0, READ)


def test_a_client_that_is_not_registered_is_on_record(hub: HubAsEhr, operator: Operator) -> None:
    operator.registered(hub)
    operator.settings(f'[[ehr]]\nname = "main"\nfhir_base = "{hub.base}"\nclient_id = "nobody"\n')

    status, out, shown = operator.run("ehr", "connect", "main", "--patient", "pq7a", "--out", operator.out)

    assert (status, out) == (1, "")
    assert "the EHR gives no token (invalid_client)" in shown
    assert operator.events()[-1] == ("ehr-signed-in", 8, None)


MISTAKES = [
    # what, arguments, words
    ("no such EHR", ("ehr", "connect", "other"), "there is no [[ehr]] of that name; there is main"),
    ("nowhere to write", ("ehr", "connect", "main", "--patient", "pq7a"), "--out"),
    ("a folder with something", ("ehr", "connect", "main", "--patient", "x", "--out", "{data}"), "not empty"),
    ("no key", ("ehr", "connect", "main"), "ehr-client.json cannot be read"),
]


@pytest.mark.parametrize(("what", "args", "words"), MISTAKES, ids=[row[0] for row in MISTAKES])
def test_a_mistake_ends_with_2(hub: HubAsEhr, operator: Operator, what: str, args: tuple[str, ...], words: str) -> None:
    operator.settings(f'[[ehr]]\nname = "main"\nfhir_base = "{hub.base}"\nclient_id = "x"\n')
    data = operator.environ["OSLER_DATA_DIR"]
    status, out, shown = operator.run(*(arg.format(data=data) for arg in args))
    assert (status, out) == (2, "")
    assert words in shown


# ------------------------------------------------------------------------------------------------- a person's launch


SCOPE = "launch/patient openid fhirUser patient/*.rs user/Practitioner.rs user/Binary.rs"


def launch(hub: HubAsEhr, operator: Operator, port: int, decision: str, scope: str = SCOPE) -> tuple[int, str, str]:
    """Run the command while Ann sits at the browser: she signs in, chooses a patient and decides."""
    redirect = f"http://127.0.0.1:{port}/callback"
    client_id = hub.services.clients.add("reader", scope, public=True, redirect_uris=(redirect,))
    operator.settings(
        f'[[ehr]]\nname = "main"\nfhir_base = "{hub.base}"\nclient_id = "{client_id}"\nredirect_port = {port}\n'
    )
    command = [sys.executable, "-m", "osler", "ehr", "connect", "main", "--user", "--out", operator.out, "--json"]
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(command, env=os.environ | operator.environ, stdout=pipe, stderr=pipe, text=True) as process,
        Browser(hub.url, f"127.0.0.1:{port}") as browser,
    ):
        assert process.stderr is not None
        address = next(line for line in process.stderr if line.startswith(hub.url)).strip()
        for stray in ("callback?state=other&code=x", "callback", "elsewhere"):
            assert browser.client.get(f"http://127.0.0.1:{port}/{stray}").status_code == 404
        browser.open(address.removeprefix(hub.url))
        browser.submit(username="ann", password=PASSWORD)
        browser.submit(patient="pq7b")
        browser.submit(decision=decision)
        assert "close this page" in browser.text
        out, shown = process.communicate(timeout=60)
    return process.returncode, out, shown


def test_a_record_in_a_persons_name(hub: HubAsEhr, operator: Operator, free_port: Callable[[], int]) -> None:
    status, out, _ = launch(hub, operator, free_port(), "allow")

    told = json.loads(out)
    assert status == 0, told
    assert told["counts"] == READ
    assert told["patients"][0]["patient"] == operator.pseudonym("88417724", MRN)
    text = "".join(path.read_text() for path in Path(operator.out).iterdir())
    assert not [canary for canary in CANARIES if canary in text]
    with Caller(operator.environ).stores(None) as stores:
        (entry,) = stores.audit.search(event="ehr-signed-in")
    assert "Practitioner/ann" in json.dumps(entry.resource)
    assert entry.agent == "olga"


def test_a_person_who_says_no(hub: HubAsEhr, operator: Operator, free_port: Callable[[], int]) -> None:
    status, out, shown = launch(hub, operator, free_port(), "deny")
    assert (status, out) == (1, "")
    assert "the EHR gives no access (access_denied)" in shown
    assert operator.events()[-1] == ("ehr-signed-in", 8, None)


# ------------------------------------------------------------------------------- what another EHR may do to the flow


@pytest.fixture
def other(operator: Operator) -> Iterator[FakeEhr]:
    """Another EHR, that is told what to do; our client there has a secret."""
    ehr = FakeEhr()
    ehr.resources = [patient()]
    operator.settings(
        f'[[ehr]]\nname = "other"\nfhir_base = "{ehr.base}"\nclient_id = "us"\nsecret = "sesame"\n'
        f'[[ehr]]\nname = "same"\nfhir_base = "{ehr.base.replace("127.0.0.1", "localhost")}"\nclient_id = "us"\n'
        'secret = "sesame"\nhosts = ["127.0.0.1"]\n'
    )
    yield ehr
    ehr.stop()


def test_one_resource_that_cannot_be_made_safe_is_left_out(operator: Operator, other: FakeEhr) -> None:
    unknown = {"modifierExtension": [{"url": "http://vendor.example/Quillfeather", "valueBoolean": True}]}
    other.resources += [observation(f"o{n}", **(unknown if n in (3, 5) else {})) for n in range(7)]

    status, told = operator.json("ehr", "connect", "other", "--patient", "p1", "--out", operator.out)

    assert status == 3
    assert told["counts"] == {"Observation": 5, "Patient": 1}
    assert told["refused"] == [{"type": "Observation", "rule": "modifier-extension", "count": 2}]
    assert len(operator.output()["Observation"]) == 5
    assert operator.events()[-1][:2] == ("ehr-record-deidentified", 4)


def test_a_patient_who_cannot_be_made_safe_takes_his_record_with_him(operator: Operator, other: FakeEhr) -> None:
    other.resources = [
        patient(modifierExtension=[{"url": "http://vendor.example/x", "valueBoolean": True}]),
        observation("o1"),
        patient("p2"),
    ]

    status, told = operator.json("ehr", "connect", "other", "--patient", "p1", "--patient", "p2", "--out", operator.out)

    assert (status, told["counts"]) == (3, {"Patient": 1})
    assert told["failed"][0]["error"] == "DeidentificationRefused"


def test_an_ehr_that_goes_away_ends_the_run_and_what_was_read_stays(operator: Operator, other: FakeEhr) -> None:
    other.resources += [patient("p2"), patient("p3")]
    other.instead["Patient/p2"] = lambda request, n: Response(status_code=503, headers={"retry-after": "9999"})

    status, told = operator.json(
        "ehr", "connect", "other", *("--patient", "p1", "--patient", "p2", "--patient", "p3"), "--out", operator.out
    )

    assert (status, told["asked"], len(told["patients"])) == (3, 3, 1)
    assert told["failed"][0]["error"] == "PeerUnavailable"
    assert other.calls["Patient/p3"] == 0
    assert len(operator.output()["Patient"]) == 1


def test_the_same_ids_of_two_ehrs_stay_two(operator: Operator, other: FakeEhr) -> None:
    other.resources = [patient(), observation("o1")]
    for name in ("other", "same"):
        status, _ = operator.json(
            "ehr", "connect", name, "--patient", "p1", "--out", str(operator.folder / name), "--method", "surrogates"
        )
        assert status == 0
    first, second = operator.output("other"), operator.output("same")
    assert first["Observation"][0]["id"] != second["Observation"][0]["id"]
    number = [found["Patient"][0]["identifier"][0]["value"] for found in (first, second)]
    assert number[0] == number[1], "one record number of one issuer is one patient"


def test_nothing_that_the_ehr_says_is_shown_or_logged(operator: Operator, other: FakeEhr) -> None:
    words = "Quillfeather 617-555-0142"
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": words}]}
    other.resources += [observation("o1")]
    other.instead["Condition"] = lambda request, n: fhir_answer(outcome, 400)
    other.instead["Encounter"] = lambda request, n: fhir_answer({"resourceType": words})
    other.instead["DocumentReference"] = lambda request, n: Response(words, 302, {"location": f"https://{words}/"})

    status, out, shown = operator.run("ehr", "connect", "other", "--patient", "p1", "--out", operator.out)

    assert status == 3
    assert "refused: 1 Condition (input-rejected)" in out
    assert "Quillfeather" not in out + shown


def test_files_have_their_names_when_all_is_there(tmp_path: Path) -> None:
    for name, whole, suffix in (("whole", True, ""), ("cut", False, ".part")):
        folder = NdjsonFolder(tmp_path / name)
        folder.write([patient()])
        folder.write([patient("p2"), observation("o1", of="p2")])
        folder.close(whole=whole)
        assert {path.name for path in (tmp_path / name).iterdir()} == {
            f"Patient.ndjson{suffix}", f"Observation.ndjson{suffix}"
        }  # fmt: skip
        assert len((tmp_path / name / f"Patient.ndjson{suffix}").read_text().splitlines()) == 2


def test_a_record_of_a_thousand_results_takes_seconds(operator: Operator, other: FakeEhr) -> None:
    other.page = 500
    other.resources += [observation(f"o{n}", note=[{"text": f"seen by Dr. Oxenham, {n}"}]) for n in range(1000)]

    status, told = operator.json("ehr", "connect", "other", "--patient", "p1", "--out", operator.out)

    assert (status, told["counts"]["Observation"]) == (0, 1000)
    assert "Oxenham" not in (operator.folder / "out" / "Observation.ndjson").read_text()
    assert told["seconds"] < 60
