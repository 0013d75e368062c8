"""What a token gives over FHIR: one row a question that must not be answered, or must."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from osler.api.smart.context import LaunchContext
from osler.standards import fhir
from smart_flow import LOINC, RESOURCES, SmartSite, observation

RESTRICTED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
MORE = (
    *RESOURCES,
    observation("secret", "P1", meta=RESTRICTED),
    {"resourceType": "Organization", "id": "org", "active": True, "name": "St Mary"},
)
BY_CODE = f"code={LOINC}|718-7"


@pytest.fixture(scope="module")
def site(new_sqlite: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmartSite]:
    folder = tmp_path_factory.mktemp("access")
    site = SmartSite(new_sqlite(folder / "osler.db"), folder, resources=MORE)
    yield site
    site.stop()


@pytest.fixture(scope="module")
def token(site: SmartSite) -> Callable[[str], str]:
    """Return a token of Ann's, for a launch with patient P1."""
    issued: dict[str, str] = {}

    def make(scope: str) -> str:
        if scope not in issued:
            app = site.app(f"launch {scope}")
            launch = site.launch(app, LaunchContext(patient="P1"))
            issued[scope] = site.tokens(app, launch=launch)["access_token"]
        return issued[scope]

    return make


READS = [
    # rule, scope, what is read, status
    ("the patient's", "patient/*.rs", "Observation/o1", 200),
    ("the patient", "patient/*.rs", "Patient/P1", 200),
    ("another's", "patient/*.rs", "Observation/o2", 404),
    ("another patient", "patient/*.rs", "Patient/P2", 404),
    ("another's version", "patient/*.rs", "Observation/o2/_history/1", 404),
    ("another's history", "patient/*.rs", "Observation/o2/_history", 404),
    ("the patient's version", "patient/*.rs", "Observation/o1/_history/1", 200),
    ("what is restricted", "patient/*.rs", "Observation/secret", 404),
    ("what is restricted, to any", "user/*.rs", "Observation/secret", 404),
    ("any patient's", "user/*.rs", "Observation/o2", 200),
    ("a model", "patient/*.rs", "Device/d0", 200),
    ("another's device", "patient/*.rs", "Device/d2", 404),
    ("the directory", "patient/*.rs", "Organization/org", 200),
    ("a type of no scope", "patient/Observation.rs", "Patient/P1", 403),
    ("search is not read", "patient/Observation.s", "Observation/o1", 403),
    ("what the filter lets through", f"patient/Observation.rs?{BY_CODE}", "Observation/o1", 200),
    ("what the filter keeps out", f"patient/Observation.rs?{BY_CODE}", "Observation/o3", 404),
    ("the filter does not cross patients", f"patient/Observation.rs?{BY_CODE}", "Observation/o2", 404),
    ("version 1 of scopes", "patient/Observation.read", "Observation/o1", 200),
    ("version 1, to write", "patient/Observation.write", "Observation/o1", 403),
]


@pytest.mark.parametrize(("rule", "scope", "path", "status"), READS, ids=[row[0] for row in READS])
def test_read(site: SmartSite, token: Callable[[str], str], rule: str, scope: str, path: str, status: int) -> None:
    answer = site.read(token(scope), path)

    assert answer.status_code == status, answer.text
    assert (site.entry().outcome == 0) == (status == 200)


SEARCHES = [
    # rule, scope, what is searched, ids that are found
    ("the patient's", "patient/*.rs", "Observation", {"o1", "o3"}),
    ("any patient's", "user/*.rs", "Observation", {"o1", "o2", "o3"}),
    ("another patient's", "patient/*.rs", "Observation?patient=P2", set()),
    ("by id", "patient/*.rs", "Observation?_id=o1,o2,secret", {"o1"}),
    ("by filter", f"patient/Observation.rs?{BY_CODE}", "Observation", {"o1"}),
    ("around the filter", f"patient/Observation.rs?{BY_CODE}", f"Observation?code={LOINC}|2160-0", set()),
    ("patients", "patient/*.rs", "Patient", {"P1"}),
    ("devices", "patient/*.rs", "Device", {"d0"}),
    ("two scopes", f"patient/Observation.rs?{BY_CODE} user/Observation.rs?code={LOINC}|2160-0", "Observation", {"o1", "o3"}),  # noqa: E501
    ("included subjects", "patient/Observation.rs patient/Patient.rs", "Observation?_include=Observation:subject", {"o1", "o3", "P1"}),  # noqa: E501
    ("subjects of no scope", "patient/Observation.rs", "Observation?_include=Observation:subject", {"o1", "o3"}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "scope", "query", "found"), SEARCHES, ids=[row[0] for row in SEARCHES])
def test_search(
    site: SmartSite, token: Callable[[str], str], rule: str, scope: str, query: str, found: set[str]
) -> None:
    bundle = site.read(token(scope), query).json()

    matches = [e for e in bundle.get("entry", ()) if e["search"]["mode"] == "match"]
    assert {e["resource"]["id"] for e in bundle.get("entry", ())} == found, rule
    assert bundle.get("total", len(matches)) == len(matches)


WRITES = [
    # rule, scope, patient, code, status
    ("of the patient", "patient/Observation.crs", "P1", "718-7", 201),
    ("of another", "patient/Observation.crs", "P2", "718-7", 403),
    ("of any", "user/Observation.crs", "P2", "718-7", 201),
    ("without the right", "patient/Observation.rs", "P1", "718-7", 403),
    ("within the filter", f"patient/Observation.crs?{BY_CODE}", "P1", "718-7", 201),
    ("outside of the filter", f"patient/Observation.crs?{BY_CODE}", "P1", "2160-0", 403),
    ("version 1", "patient/Observation.write", "P1", "718-7", 201),
]


@pytest.mark.parametrize(("rule", "scope", "of", "code", "status"), WRITES, ids=[row[0] for row in WRITES])
def test_create(
    new_sqlite: Callable[[Path], str],
    tmp_path: Path,
    site: SmartSite,
    token: Callable[[str], str],
    rule: str,
    scope: str,
    of: str,
    code: str,
    status: int,
) -> None:
    resource: dict[str, Any] = observation("x", of, code, meta={"tag": [{"code": "made"}]})
    del resource["id"]
    headers = {"authorization": f"Bearer {token(scope)}", "content-type": "application/fhir+json"}

    answer = site.http.post("/fhir/R4/Observation", content=fhir.dumps(resource), headers=headers)

    assert answer.status_code == status, answer.text
    if status == 201:
        made = answer.headers["location"].partition("/Observation/")[2].partition("/")[0]
        with site.database.read() as connection:
            held = site.services.resources.current(connection, "Observation", made)
        assert held is not None
        site.database.write(lambda c: site.services.resources.delete(c, held))


def test_a_person_is_on_record_with_the_app(site: SmartSite, token: Callable[[str], str]) -> None:
    site.read(token("patient/*.rs"), "Observation/o1")

    entry = site.entry()

    assert (entry.event, entry.agent, entry.patient) == ("resource-read", "ann", "P1")
    agents = [a["who"].get("identifier", {}) for a in entry.resource["agent"]]
    assert {"system": "urn:osler:person", "value": "ann"} in agents
    assert any(a.get("system") == "urn:osler:client" for a in agents)
