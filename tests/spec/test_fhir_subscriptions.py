"""Rest-hook Subscriptions: checked when written, told in order, never beyond what the subscriber may see."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import func, select, update

from fhir_server import FhirServer
from osler.api.people.roles import Role
from osler.api.smart.scopes import parse_scopes
from osler.errors import ConfigError, DeliveryRefused, IntegrityError, PeerUnavailable
from osler.hub.subscriptions import Notifier
from osler.publish.hosts import AllowedHosts
from osler.standards import fhir
from osler.storage.tables import access_grant, notification, resource, subscription, user
from osler.storage.tables import client as clients
from subscriber import Receiver

HOSTS = AllowedHosts(["127.0.0.1", "localhost", "emr.example", "10.1.0.0/16"], setting="subscription.hosts")
MAX_ATTEMPTS = 3


class Site:
    """A server, a notifier with a clock that can be moved, and a receiver."""

    def __init__(self, server: FhirServer, receiver: Receiver) -> None:
        self.server = server
        self.receiver = receiver
        self.late_s = 0.0
        self.notifier = self.worker()

    def worker(self, **changes: Any) -> Notifier:
        """Return what a process tells subscribers with."""
        store = self.server.services.subscriptions
        assert store is not None
        settings: dict[str, Any] = {
            "hosts": HOSTS,
            "max_attempts": MAX_ATTEMPTS,
            "clock": lambda: time.time() + self.late_s,
        }
        return Notifier(self.server.services, store, **(settings | changes))

    def run(self) -> None:
        """Tell all that is to be told now."""
        while self.notifier.step():
            pass

    def subscription(self, criteria: str = "Observation?status=final", **channel: Any) -> dict[str, Any]:
        """Return a Subscription to the receiver."""
        shape = {"type": "rest-hook", "endpoint": f"{self.receiver.url}/hook", "payload": "application/fhir+json"}
        return {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "test",
            "criteria": criteria,
            "channel": {name: value for name, value in (shape | channel).items() if value is not None},
        }

    def subscribe(self, criteria: str = "Observation?status=final", **changes: Any) -> str:
        """Write a Subscription that becomes active; return its reference."""
        headers, scope = changes.pop("headers", None), changes.pop("scope", "system/*.cruds")
        sent = self.subscription(criteria, **changes)
        answer = self.server.call("POST", "/Subscription", sent, headers, scope)
        assert answer.status_code == 201, answer.text
        assert answer.json()["status"] == "active"
        return f"Subscription/{answer.json()['id']}"

    def observation(self, patient: str, status: str = "final", **changes: Any) -> str:
        """Create an observation."""
        body = {"resourceType": "Observation", "status": status, "code": {"coding": [{"code": "c"}]}}
        return self.server.create(body | {"subject": {"reference": patient}} | changes)

    def told(self) -> list[str]:
        """Return references of what came, in order."""
        return [path.removeprefix("/hook/") for _, path, _, _ in self.receiver.got]

    def state(self, reference: str) -> tuple[str, str]:
        """Return status and error of a Subscription."""
        now = self.server.call("GET", f"/{reference}").json()
        return now["status"], now.get("error", "")


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    folder = tmp_path_factory.mktemp("fhir")
    if getattr(request, "param", "sqlite") == "postgresql":
        url = request.getfixturevalue("new_postgresql")()
    else:
        url = request.getfixturevalue("new_sqlite")(folder / "osler.db")
    running = FhirServer(url, folder, subscription_hosts=HOSTS)
    yield running
    running.stop()


BOTH = pytest.mark.parametrize("server", ["sqlite", "postgresql"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def patient(server: FhirServer) -> str:
    return server.create({"resourceType": "Patient"})


@pytest.fixture
def site(server: FhirServer) -> Iterator[Site]:
    receiver = Receiver()
    made = Site(server, receiver)
    yield made
    receiver.stop()
    found = server.call("GET", "/Subscription?_count=200").json().get("entry", [])
    ended = [{"request": {"method": "DELETE", "url": f"Subscription/{e['resource']['id']}"}} for e in found]
    server.call("POST", "", {"resourceType": "Bundle", "type": "transaction"} | ({"entry": ended} if ended else {}))


@BOTH
def test_a_change_is_told(site: Site, patient: str) -> None:
    site.subscribe(header=["Authorization: Bearer s3cret", "X-Ward: 7"])
    made = site.observation(patient)
    site.observation(patient, "preliminary")

    site.run()

    [(method, path, headers, body)] = site.receiver.got
    assert (method, path) == ("PUT", f"/hook/{made}")
    assert headers["content-type"] == "application/fhir+json"
    assert (headers["authorization"], headers["x-ward"]) == ("Bearer s3cret", "7")
    assert body.decode() == site.server.call("GET", f"/{made}").text
    site.run()
    assert len(site.receiver.got) == 1, "once"


def test_without_a_payload_nothing_is_sent_but_a_call(site: Site, patient: str) -> None:
    site.subscribe(payload=None)
    site.observation(patient)

    site.run()

    [(method, path, _, body)] = site.receiver.got
    assert (method, path, body) == ("POST", "/hook", b"")


MATCHING = [
    # criteria, whether this observation matches: {p} is its patient
    ("Observation", True),
    ("Observation?", True),
    ("Observation?code=c", True),
    ("Observation?code=d", False),
    ("Observation?code=c,d", True),
    ("Observation?code=c&status=final", True),
    ("Observation?code=c&status=amended", False),
    ("Observation?status:not=amended", True),
    ("Observation?status:not=final", False),
    ("Observation?subject={p}", True),
    ("Observation?patient={p}", True),
    ("Observation?subject=Patient/other", False),
    ("Observation?date=2024-05-05", True),
    ("Observation?date=ge2024-05-01&date=lt2024-06", True),
    ("Observation?date=gt2024-06", False),
    ("Observation?value-quantity=gt5", True),
    ("Observation?value-quantity=lt5", False),
    ("Observation?value-quantity=6.2||g", True),
    ("Observation?code-value-quantity=c$gt6", True),
    ("Observation?code-value-quantity=c$gt7", False),
    ("Observation?encounter:missing=true", True),
    ("Observation?encounter:missing=false", False),
    ("Observation?value-string:contains=x", False),
    ("Observation?_tag=urgent", True),
    ("Observation?_lastUpdated=gt2020", True),
    ("DiagnosticReport?status=final", False),
]


@pytest.mark.parametrize(("criteria", "matching"), MATCHING, ids=[row[0] for row in MATCHING])
def test_criteria(site: Site, patient: str, criteria: str, matching: bool) -> None:
    site.subscribe(criteria.replace("{p}", patient))
    made = site.observation(
        patient,
        effectiveDateTime="2024-05-05",
        valueQuantity={"value": fhir.FhirDecimal("6.2"), "unit": "g"},
        meta={"tag": [{"code": "urgent"}]},
    )

    site.run()

    assert site.told() == ([made] if matching else [])
    wanted = criteria.replace("{p}", patient).partition("?")[2]
    if criteria.startswith("Observation"):
        searched = site.server.call("GET", f"/Observation?_id={made.partition('/')[2]}&{wanted}").json()
        assert bool(searched.get("entry")) == matching, "a search says the same"


REFUSED = [
    # rule, changes of the Subscription, changes of its channel, scope, status, place of the issue
    ("another channel", {}, {"type": "email"}, "system/*.cruds", 422, "Subscription.channel.type"),
    ("no endpoint", {}, {"endpoint": None}, "system/*.cruds", 422, "Subscription.channel.endpoint"),
    ("a host that is not listed", {}, {"endpoint": "https://evil.example/x"}, "system/*.cruds", 422,
     "Subscription.channel.endpoint"),
    ("an address that is not listed", {}, {"endpoint": "https://169.254.169.254/x"}, "system/*.cruds", 422,
     "Subscription.channel.endpoint"),
    ("an address in other words", {}, {"endpoint": "http://2130706433/x"}, "system/*.cruds", 422,
     "Subscription.channel.endpoint"),
    ("a name that only looks listed", {}, {"endpoint": "https://emr.example.evil.example/"}, "system/*.cruds", 422,
     "Subscription.channel.endpoint"),
    ("a name before the host", {}, {"endpoint": "https://emr.example@evil.example/"}, "system/*.cruds", 422,
     "Subscription.channel.endpoint"),
    ("a listed host behind a name", {}, {"endpoint": "https://evil@emr.example/"}, "system/*.cruds", 422,
     "Subscription.channel.endpoint"),
    ("a backslash", {}, {"endpoint": "https://emr.example\\@evil.example/"}, "system/*.cruds", 422,
     "Subscription.channel.endpoint"),
    ("in clear", {}, {"endpoint": "http://emr.example/"}, "system/*.cruds", 422, "Subscription.channel.endpoint"),
    ("another scheme", {}, {"endpoint": "file:///etc/passwd"}, "system/*.cruds", 422, "Subscription.channel.endpoint"),
    ("resources under a query", {}, {"endpoint": "https://emr.example/?a=b"}, "system/*.cruds", 422,
     "Subscription.channel.endpoint"),
    ("another payload", {}, {"payload": "application/fhir+xml"}, "system/*.cruds", 422,
     "Subscription.channel.payload"),
    ("a header that is none", {}, {"header": ["Authorization"]}, "system/*.cruds", 422,
     "Subscription.channel.header[0]"),
    ("a header in two lines", {}, {"header": ["X-A: 1", "X-B: 1\r\nX-C: 2"]}, "system/*.cruds", 422,
     "Subscription.channel.header[1]"),
    ("a header that is ours", {}, {"header": ["Host: evil.example"]}, "system/*.cruds", 422,
     "Subscription.channel.header[0]"),
    ("a header that was never given", {}, {"header": ["Authorization: ***"]}, "system/*.cruds", 422,
     "Subscription.channel.header[0]"),
    ("its time is over", {"end": "2020-01-01T00:00:00Z"}, {}, "system/*.cruds", 422, "Subscription.end"),
    ("a type that is not served", {"criteria": "Elephant?a=b"}, {}, "system/*.cruds", 422, "Subscription.criteria"),
    ("a type that nobody can wait for", {"criteria": "Subscription"}, {}, "system/*.cruds", 422,
     "Subscription.criteria"),
    ("a parameter that is not known", {"criteria": "Observation?colour=red"}, {}, "system/*.cruds", 422,
     "Subscription.criteria"),
    ("a chain", {"criteria": "Observation?subject:Patient.name=x"}, {}, "system/*.cruds", 422,
     "Subscription.criteria"),
    ("_has", {"criteria": "Patient?_has:Observation:subject:code=x"}, {}, "system/*.cruds", 422,
     "Subscription.criteria"),
    ("the form of results", {"criteria": "Observation?_sort=date"}, {}, "system/*.cruds", 422,
     "Subscription.criteria"),
    ("no right to what it waits for", {}, {}, "system/Subscription.c", 403, None),
    ("a right to read without one to search", {}, {}, "system/Subscription.c system/Observation.r", 403, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "changes", "channel", "scope", "status", "place"), REFUSED, ids=[row[0] for row in REFUSED]
)
def test_refused(
    site: Site,
    rule: str,
    changes: dict[str, Any],
    channel: dict[str, Any],
    scope: str,
    status: int,
    place: str | None,
) -> None:
    answer = site.server.call("POST", "/Subscription", site.subscription(**channel) | changes, scope=scope)

    assert answer.status_code == status, (rule, answer.text)
    issue = answer.json()["issue"][0]
    assert issue.get("expression", [None])[0] == place
    with site.server.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(subscription)).scalar_one() == 0


def test_header_values_are_shown_to_nobody_and_kept(site: Site, patient: str) -> None:
    made = site.subscribe(header=["Authorization: Bearer s3cret"])
    shown = site.server.call("GET", f"/{made}").json()
    assert shown["channel"]["header"] == ["Authorization: ***"]
    assert "s3cret" not in site.server.call("GET", f"/{made}/_history").text

    again = site.server.call("PUT", f"/{made}", shown)
    elsewhere = shown | {"channel": shown["channel"] | {"endpoint": "https://emr.example/steal"}}
    stolen = site.server.call("PUT", f"/{made}", elsewhere)
    site.observation(patient)
    site.run()

    assert again.status_code == 200
    assert stolen.status_code == 422, "the secret of one endpoint does not go to another"
    assert site.receiver.got[0][2]["authorization"] == "Bearer s3cret"


def test_header_values_are_not_another_clients(site: Site) -> None:
    made = site.subscribe(header=["Authorization: Bearer s3cret"])
    headers = other_client(site.server, "system/*.cruds")[1]

    shown = site.server.call("GET", f"/{made}", headers=headers).json()
    taken = site.server.call("PUT", f"/{made}", shown, headers)

    assert taken.status_code == 422


def other_client(server: FhirServer, scope: str) -> tuple[str, dict[str, str]]:
    """Register another client; return its id and the header of its token."""
    added = server.services.clients.add(server.new_id("client"), scope, secret="y" * 12)
    token = server.database.write(lambda c: server.services.tokens.issue(c, added, parse_scopes(scope)))
    return added, {"authorization": f"Bearer {token}"}


@BOTH
def test_each_is_told_what_it_may_see_alone(site: Site, patient: str) -> None:
    """Whoever wrote the Subscription last: what they may not read does not come, whatever the criteria say."""
    secret = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
    scope = "system/Subscription.cruds system/Observation.rs?status=final"
    made = site.subscribe("Observation", scope=scope)
    seen = site.observation(patient)
    site.observation(patient, "preliminary")

    site.run()

    assert site.told() == [seen]
    wide = site.server.call("GET", f"/{made}").json()
    site.server.call("PUT", f"/{made}", wide, scope="system/*.cruds")
    more = [site.observation(patient, "preliminary"), site.observation(patient, meta=secret)]
    site.run()
    assert site.told() == [seen, *more], "now it is another's, who reaches farther"


def test_what_went_out_of_reach_before_it_was_told_does_not_come(site: Site, patient: str) -> None:
    site.subscribe("Observation", scope="system/Subscription.cruds system/Observation.rs?status=final")
    made = site.observation(patient)
    changed = json.loads(site.server.call("GET", f"/{made}").text) | {"status": "entered-in-error"}
    site.server.call("PUT", f"/{made}", changed)

    site.run()

    assert site.told() == []


def test_what_is_deleted_does_not_come(site: Site, patient: str) -> None:
    site.subscribe()
    made = site.observation(patient)
    site.server.call("DELETE", f"/{made}")

    site.run()

    assert site.told() == []


ENDED = [
    ("the client is disabled", lambda server, added: server.services.clients.disable(added)),
    ("its scopes are taken back", lambda server, added: server.database.write(
        lambda c: c.execute(update(clients).where(clients.c.id == added).values(scope="system/Patient.rs")))),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "end"), ENDED, ids=[row[0] for row in ENDED])
def test_nothing_is_sent_once_it_may_not(
    site: Site, patient: str, rule: str, end: Callable[[FhirServer, str], Any]
) -> None:
    added, headers = other_client(site.server, "system/*.cruds")
    made = site.subscribe(headers=headers)
    site.observation(patient)

    end(site.server, added)
    site.run()

    assert site.receiver.got == [], rule
    assert site.state(made) == ("off", "the subscriber may not see these resources any more")
    assert added in json.dumps(site.server.audit.search(event="subscription-ended")[0].resource)
    site.observation(patient)
    site.run()
    assert site.receiver.got == []


ENDED_FOR_A_PERSON = [
    ("the person takes the access back", update(access_grant).values(revoked=True)),
    ("the grant is over", update(access_grant).values(expires_at=0.0)),
    ("the person is disabled", update(user).values(disabled=True)),
]


@pytest.mark.parametrize(("rule", "end"), ENDED_FOR_A_PERSON, ids=[row[0] for row in ENDED_FOR_A_PERSON])
def test_nothing_is_sent_in_the_name_of_who_may_not(site: Site, rule: str, end: Any) -> None:
    name = site.server.new_id("admin")
    headers = site.server.person(name, Role.ADMINISTRATOR, "user/*.cruds")
    denied = site.server.call("POST", "/Subscription", site.subscription("Observation"), headers)
    made = site.subscribe("Device", headers=headers)
    first = site.server.create({"resourceType": "Device"})
    site.run()

    table = end.table
    site.server.database.write(lambda c: c.execute(end.where(table.c[_NAMES[table.name]] == name)))
    site.server.create({"resourceType": "Device"})
    site.run()

    assert denied.status_code == 403, "the role does not read observations"
    assert site.told() == [first], rule
    assert site.state(made)[0] == "off"


_NAMES = {"access_grant": "id", "person": "name"}


def test_its_time_ends(site: Site, patient: str) -> None:
    end = fhir.instant(time.time() + 3600)
    sent = site.subscription() | {"end": end}
    made = f"Subscription/{site.server.call('POST', '/Subscription', sent).json()['id']}"

    site.late_s = 3700
    site.run()

    assert site.state(made) == ("off", "its time is over")


def test_order_and_retries(site: Site, patient: str) -> None:
    made = site.subscribe()
    first = site.observation(patient)
    site.receiver.status = 503
    site.run()
    second = site.observation(patient)
    changed = json.loads(site.server.call("GET", f"/{first}").text) | {"issued": "2024-01-01T00:00:00Z"}
    site.server.call("PUT", f"/{first}", changed)
    site.run()
    assert site.told() == [first], "it waits before the next attempt"

    site.receiver.status, site.late_s = 201, 6
    site.run()

    assert site.told() == [first, first, second, first]
    bodies = [json.loads(body)["meta"]["versionId"] for _, _, _, body in site.receiver.got]
    assert bodies == ["1", "1", "1", "2"], "each version, in the order of the changes"
    assert site.state(made) == ("active", "")


@BOTH
def test_it_ends_in_error_after_enough_attempts(site: Site, patient: str) -> None:
    made = site.subscribe()
    site.observation(patient)
    site.receiver.status = 500

    for number in range(MAX_ATTEMPTS):
        site.late_s = 1000.0 * number
        site.run()

    assert len(site.receiver.got) == MAX_ATTEMPTS
    assert site.state(made) == ("error", f"the endpoint answered HTTP 500; it was tried {MAX_ATTEMPTS} times")
    with site.server.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(notification)).scalar_one() == 0

    site.receiver.status = 200
    resumed = site.server.call("GET", f"/{made}").json() | {"status": "requested"}
    assert site.server.call("PUT", f"/{made}", resumed).json()["status"] == "active"
    assert site.state(made) == ("active", ""), "the error is gone with it"
    late = site.observation(patient)
    site.run()
    assert site.told()[-1] == late


def test_redirects_are_not_followed(site: Site, patient: str) -> None:
    other = Receiver()
    site.subscribe()
    site.receiver.status, site.receiver.location = 307, f"{other.url}/elsewhere"
    site.observation(patient)

    site.run()
    other.stop()

    assert len(site.receiver.got) == 1
    assert other.got == []


def test_one_that_does_not_answer_holds_up_no_other(site: Site, patient: str) -> None:
    other = Receiver()
    site.subscribe()
    site.subscribe(endpoint=f"{other.url}/hook")
    site.receiver.patience.clear()
    site.observation(patient)

    site.worker(whole_s=0.3).step()
    other.stop()

    assert len(other.got) == 1


def test_off_and_deleted_are_told_nothing(site: Site, patient: str) -> None:
    off, gone = site.subscribe(), site.subscribe()
    shown = site.server.call("GET", f"/{off}").json()
    assert site.server.call("PUT", f"/{off}", shown | {"status": "off"}).json()["status"] == "off"
    site.server.call("DELETE", f"/{gone}")
    site.observation(patient)

    site.run()

    assert site.receiver.got == []


def test_a_transaction_that_fails_tells_nothing(site: Site, patient: str) -> None:
    site.subscribe()
    good = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    entries = [
        {"resource": good, "request": {"method": "POST", "url": "Observation"}},
        {"request": {"method": "PATCH", "url": "Observation/none"},
         "resource": {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="}},
    ]  # fmt: skip

    failed = site.server.call("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    site.run()
    whole = site.server.call("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries[:1]})
    site.run()

    assert failed.status_code == 404
    assert whole.status_code == 200
    assert len(site.receiver.got) == 1


def test_what_the_hub_itself_writes_is_told(site: Site, patient: str) -> None:
    site.subscribe("DiagnosticReport?status=preliminary")
    report = {"resourceType": "DiagnosticReport", "id": site.server.new_id("r"), "status": "preliminary",
              "code": {"text": "x"}, "subject": {"reference": patient}}  # fmt: skip

    site.server.database.write(lambda connection: site.server.services.resources.put(connection, report))
    site.server.database.write(lambda connection: site.server.services.resources.put(connection, report))
    site.run()

    assert site.told() == [f"DiagnosticReport/{report['id']}"], "the same again is no change"


def test_it_is_on_record_as_a_disclosure(site: Site, patient: str) -> None:
    site.subscribe()
    made = site.observation(patient)

    site.run()

    entry = site.server.audit.search(event="subscriber-told", patient=patient.partition("/")[2])[0].resource
    assert f"{made}/_history/1" in json.dumps(entry)
    assert site.server.client_id in json.dumps(entry)
    assert "127.0.0.1" in json.dumps(entry)


def test_damage_is_told_and_skipped(site: Site, patient: str) -> None:
    site.subscribe()
    made, sound = site.observation(patient), site.observation(patient)
    here = (resource.c.type == "Observation", resource.c.id == made.partition("/")[2])
    with site.server.database.read() as connection:
        sealed = connection.execute(select(resource.c.sealed).where(*here)).scalar_one()
    damaged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    site.server.database.write(lambda c: c.execute(update(resource).where(*here).values(sealed=damaged)))

    with pytest.raises(IntegrityError):
        site.run()
    site.run()

    assert site.told() == [sound]
    site.server.database.write(lambda c: c.execute(update(resource).where(*here).values(sealed=sealed)))


def test_a_client_has_so_many_and_no_more(site: Site) -> None:
    sent = site.subscription()
    entries = [{"resource": sent, "request": {"method": "POST", "url": "Subscription"}} for _ in range(51)]

    made = site.server.call("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": entries}).json()

    statuses = [entry["response"]["status"][:3] for entry in made["entry"]]
    assert statuses == ["201"] * 50 + ["422"]


HOST_LISTS = [
    # listed, address, whether it may be called
    (["emr.example"], "https://emr.example/x", True),
    (["emr.example"], "https://EMR.example:8443/x", True),
    (["emr.example"], "https://10.0.0.1/", False),
    (["10.1.0.0/16"], "https://10.1.2.3/", True),
    (["10.1.0.0/16"], "https://10.2.2.3/", False),
    (["::1"], "http://[::1]:80/", True),
    (["127.0.0.1"], "http://localhost/", False),
    (["localhost"], "http://127.0.0.1/", False),
    ([], "https://emr.example/", False),
    (["emr.example"], "https://emr.example/#x", False),
    (["emr.example"], "https://emr.example:99999/", False),
    (["emr.example"], "https://emr.example/" + "x" * 2000, False),
    (["emr.example"], "https:///x", False),
    (["emr.example"], "https://emr.exämple/", False),
]


@pytest.mark.parametrize(("listed", "address", "allowed"), HOST_LISTS, ids=[row[1][:40] for row in HOST_LISTS])
def test_hosts(listed: list[str], address: str, allowed: bool) -> None:
    hosts = AllowedHosts(listed, setting="subscription.hosts")
    if allowed:
        assert hosts.check(address).geturl() == address
    else:
        with pytest.raises(DeliveryRefused):
            hosts.check(address)


def test_a_host_that_could_be_none_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"subscription\.hosts"):
        AllowedHosts(["https://emr.example"], setting="subscription.hosts")


def test_a_name_does_not_admit_the_private_address_behind_it() -> None:
    name = "localhost.localdomain"
    hosts = AllowedHosts([name, "localhost"], setting="subscription.hosts")

    with pytest.raises((DeliveryRefused, PeerUnavailable)):
        asyncio.run(hosts.address_of(hosts.check(f"https://{name}/")))
    assert asyncio.run(hosts.address_of(hosts.check("http://localhost/"))) in ("127.0.0.1", "::1")
