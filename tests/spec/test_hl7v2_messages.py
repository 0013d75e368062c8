"""HL7 v2 in: what a message does to patient, visit and order, and what the sender hears; over a real MLLP socket."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, update

from osler.api.denials import Denials
from osler.domain.identifiers import Identity, PseudonymKind
from osler.domain.reach import EVERYTHING
from osler.errors import StorageBusy
from osler.hub.merges import AT_ONCE, Merges
from osler.hub.messages import MessageDesk
from osler.ingest.mllp import MllpListener
from osler.metrics import Metrics
from osler.standards import fhir
from osler.standards.fhir_query import parse_query
from osler.standards.hl7v2 import parse
from osler.storage.orders import orders_for
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.storage.tables import resource
from osler.stores import Stores
from osler.testing.ledger import Ledger

NUMBER = iter(range(1, 100_000))


class Site:
    """A hub's desk for messages, and an interface engine that is connected to it."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.breaks_after: int | None = None
        self.denials = Denials(stores.audit, burst=5, window_s=3600)
        self.desk = MessageDesk(stores, Metrics(), denials=self.denials, site_issuer="HOSP")
        self.listener = MllpListener(
            self.desk.answer, address=("127.0.0.1", 0), allowed=("127.0.0.1",), refused=self.desk.turned_away
        )
        self.listener.start()
        self.engine = socket.create_connection(("127.0.0.1", self.listener.port), timeout=20.0)

    def count_saved(self, kind: str) -> None:
        """Break off what is being written, once as much was saved as was told, not counting Patients."""
        if self.breaks_after is not None and kind != "Patient":
            self.breaks_after -= 1
            if self.breaks_after < 0:
                raise StorageBusy("broken off")

    def send(self, *segments: str, kind: str = "ADT^A01", control: str = "", version: str = "2.5.1") -> list[str]:
        """Send a message; return MSA-1, MSA-2 and MSA-3."""
        control = control or f"M{next(NUMBER)}"
        msh = f"MSH|^~\\&|ENGINE|HOSP|OSLER|RAD|20260102093000+0000||{kind}|{control}|P|{version}|||||UNICODE UTF-8"
        return self.exchange("\r".join((msh, *segments, "")).encode())

    def exchange(self, message: bytes) -> list[str]:
        self.engine.sendall(b"\x0b" + message + b"\x1c\r")
        got = b""
        while not got.endswith(b"\x1c\r"):
            chunk = self.engine.recv(65536)
            assert chunk, "the connection was closed"
            got += chunk
        answer = parse(got[1:-2])
        msa = next(s for s in answer.segments if s.name == "MSA")
        return [answer.text(msa.field(n)) for n in (1, 2, 3)]

    def find(self, kind: str, **parameters: str) -> list[dict[str, Any]]:
        pairs = [(name.replace("__", ":"), value) for name, value in parameters.items()]
        page = self.stores.search.search(parse_query(kind, pairs, now=0.0, strict=True), lambda *_: EVERYTHING)
        return [fhir.loads(match.text) for match in page.matches]

    def patient(self, number: str) -> dict[str, Any]:
        (found,) = self.find("Patient", identifier=number)
        return found

    def events(self) -> list[str]:
        return [entry.event for entry in self.stores.audit.search(limit=50)]

    def close(self) -> None:
        self.engine.close()
        self.listener.stop()


@pytest.fixture
def site(new_sqlite: Callable[[Path], str], tmp_path: Path) -> Iterator[Site]:
    ledger = Ledger(tmp_path, url=new_sqlite(tmp_path / "osler.db"))
    sealer, index = ledger.keyring.sealer("record"), ledger.keyring.index
    made = Site(
        Stores(
            database=ledger.database,
            keyring=ledger.keyring,
            identified=ledger.identified,
            deidentified=ledger.deidentified,
            vault=ledger.vault,
            audit=ledger.audit,
            queue=ledger.queue,
            resources=ResourceStore(
                ledger.database,
                sealer=sealer,
                index=index,
                on_saved=lambda _, kept, __: made.count_saved(kept.type),
            ),
            search=ResourceSearch(ledger.database, sealer=sealer, index=index),
        )
    )
    yield made
    made.close()
    ledger.close()


def longer(site: Site, number: int) -> tuple[str, str]:
    """Make two patients, 1 with a record of this length and a Provenance, and 2; return their ids."""
    site.send(pid("1"))
    site.send(pid("2"))
    gone = site.patient("1")["id"]
    status = {"status": "final", "code": {"text": "c"}, "subject": {"reference": f"Patient/{gone}"}}
    for at in range(number):
        made = {"resourceType": "Observation", "id": f"o{at}"} | status
        site.stores.database.write(lambda c, made=made: site.stores.resources.put(c, made))
    told = {"resourceType": "Provenance", "id": "p", "recorded": "2026-01-02T09:00:00Z"}
    of = {"target": [{"reference": "Observation/o0"}], "agent": [{"who": {"display": "cxr"}}]}
    site.stores.database.write(lambda c: site.stores.resources.put(c, told | of))
    return gone, site.patient("2")["id"]


def about(site: Site, patient: str) -> int:
    """Return how much is about a patient, beside the Patient."""
    mine = (resource.c.patient == patient, resource.c.type != "Patient")
    with site.stores.database.read() as connection:
        return connection.execute(select(func.count()).select_from(resource).where(*mine)).scalar_one()


def pid(number: str = "123", name: str = "DOE^JANE^Q^^MS", more: str = "19700102|F") -> str:
    return f"PID|1||{number}^^^HOSP^MR~999^^^&2.16.840.1.1&ISO^SS||{name}||{more}"


FULL = (
    "PID|1||123^^^HOSP^MR||DOE^JANE^QUINN^JR^MS^^L~ROE^JANE^^^^^M||197001021200|F|||"
    "1 MAIN ST^APT 2^SPRINGFIELD^IL^62701^USA^H||(217)555-0101^PRN^PH~^NET^Internet^jane@example.org|"
    "(217)555-0102^WPN^PH||M|||||||||||||20260101|Y"
)
NEXT_OF_KIN = "NK1|1|DOE^JOHN|SPO^Spouse^HL70063|2 MAIN ST^^SPRINGFIELD^IL^62701|(217)555-0103"
VISIT = (
    "PV1|1|I|4W^401^A^HOSP||||11^WELBY^MARCUS^^^DR^MD|22^GREY^MEREDITH||MED|||||||||V77^^^HOSP^VN"
    "|||||||||||||||||||||||||20260102080000+0000"
)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("identifier.0.value", "123", "PID-3"),
        ("identifier.0.type.coding.0.code", "MR", "PID-3.5"),
        ("identifier.0.assigner.display", "HOSP", "PID-3.4"),
        ("name.0.use", "official", "PID-5.7"),
        ("name.0.family", "DOE", "PID-5.1"),
        ("name.0.given", ["JANE", "QUINN"], "PID-5.2, 5.3"),
        ("name.0.suffix", ["JR"], "PID-5.4"),
        ("name.0.prefix", ["MS"], "PID-5.5"),
        ("name.1.use", "maiden", "PID-5.7"),
        ("birthDate", "1970-01-02", "PID-7"),
        ("gender", "female", "PID-8"),
        ("address.0.line", ["1 MAIN ST", "APT 2"], "PID-11.1, 11.2"),
        ("address.0.city", "SPRINGFIELD", "PID-11.3"),
        ("address.0.postalCode", "62701", "PID-11.5"),
        ("address.0.use", "home", "PID-11.7"),
        ("telecom.0", {"system": "phone", "value": "(217)555-0101", "use": "home"}, "PID-13"),
        ("telecom.1", {"system": "email", "value": "jane@example.org", "use": "home"}, "PID-13.4"),
        ("telecom.2", {"system": "phone", "value": "(217)555-0102", "use": "work"}, "PID-14"),
        ("maritalStatus.coding.0.code", "M", "PID-16"),
        ("deceasedDateTime", "2026-01-01", "PID-29"),
        ("contact.0.name.family", "DOE", "NK1-2"),
        ("contact.0.relationship.0.text", "Spouse", "NK1-3"),
        ("contact.0.telecom.0.value", "(217)555-0103", "NK1-5"),
        ("meta.source", "urn:osler:hl7v2", "where it is from"),
    ],
)  # fmt: skip
def test_patient(site: Site, path: str, value: Any, field: str) -> None:
    assert site.send(FULL, NEXT_OF_KIN)[0] == "AA"

    node: Any = site.patient("123")
    for step in path.split("."):
        node = node[int(step) if step.isdecimal() else step]
    assert node == value


@pytest.mark.parametrize(
    ("event", "status"),
    [("A01", "in-progress"), ("A04", "in-progress"), ("A05", "planned"), ("A03", "finished"), ("A11", "cancelled"),
     ("A13", "in-progress"), ("A02", "in-progress")],
)  # fmt: skip
def test_an_event_leaves_the_visit_in_its_state(site: Site, event: str, status: str) -> None:
    site.send(pid(), VISIT, kind="ADT^A01")
    assert site.send(pid(), VISIT, kind=f"ADT^{event}")[0] == "AA"

    (visit,) = site.find("Encounter", identifier="V77")
    assert visit["status"] == status
    assert visit["class"]["code"] == "IMP"
    assert visit["subject"]["reference"] == f"Patient/{site.patient('123')['id']}"
    assert visit["location"][0]["location"]["display"] == "HOSP 4W 401 A"
    assert [p["individual"]["display"] for p in visit["participant"]] == ["DR MARCUS WELBY", "MEREDITH GREY"]
    assert visit["period"] == {"start": "2026-01-02T08:00:00+00:00"}


def test_an_update_changes_what_it_names_and_leaves_the_rest(site: Site) -> None:
    site.send(FULL)
    assert site.send("PID|1||123^^^HOSP^MR||SMITH^JANE", kind="ADT^A08")[0] == "AA"

    patient = site.patient("123")
    assert [n["family"] for n in patient["name"]] == ["SMITH"]
    assert patient["birthDate"] == "1970-01-02"
    assert patient["meta"]["versionId"] == "2"


def test_the_same_record_number_of_another_authority_is_another_patient(site: Site) -> None:
    site.send(pid())
    site.send("PID|1||123^^^OTHER^MR||ROE^RICHARD")

    assert len(site.find("Patient", identifier="123")) == 2


def test_the_sites_own_numbers_are_those_of_image_headers_without_issuer(site: Site) -> None:
    site.send(pid())

    (pseudonym,) = site.stores.vault.pseudonyms([Identity(PseudonymKind.PATIENT, "123")])
    assert site.patient("123")["id"] == pseudonym


class TestMerge:
    """A40: two records are one patient; what was the other's is now the survivor's."""

    def test_what_was_the_others_is_the_survivors(self, site: Site) -> None:
        site.send(pid("1"), VISIT)
        site.send(pid("2"))
        gone, survivor = site.patient("1")["id"], site.patient("2")["id"]

        assert site.send(pid("2"), "MRG|1^^^HOSP^MR", kind="ADT^A40^ADT_A39")[0] == "AA"

        old, new = site.patient("1"), site.patient("2")
        assert old["active"] is False
        assert old["link"] == [{"other": {"reference": f"Patient/{survivor}"}, "type": "replaced-by"}]
        assert new["link"] == [{"other": {"reference": f"Patient/{gone}"}, "type": "replaces"}]
        (visit,) = site.find("Encounter", patient=survivor)
        assert visit["subject"]["reference"] == f"Patient/{survivor}"
        assert site.find("Encounter", patient=gone) == []
        merged = site.stores.audit.search(event="patients-merged", limit=5)
        assert {entry.patient for entry in merged} == {gone, survivor}

    def test_later_messages_about_the_old_number_reach_the_survivor(self, site: Site) -> None:
        site.send(pid("1"))
        site.send(pid("2"), "MRG|1^^^HOSP^MR", kind="ADT^A40")
        site.send(pid("3"), "MRG|2^^^HOSP^MR", kind="ADT^A40")

        site.send(pid("1"), VISIT, kind="ADT^A01")

        (visit,) = site.find("Encounter", identifier="V77")
        (survivor,) = site.find("Patient", identifier="3")
        assert visit["subject"]["reference"] == f"Patient/{survivor['id']}"

    def test_results_keep_their_source_and_take_their_provenance_along(self, site: Site) -> None:
        site.send(pid("1"))
        site.send(pid("2"))
        gone, survivor = site.patient("1")["id"], site.patient("2")["id"]
        result = {"resourceType": "Task", "id": "t", "intent": "order", "status": "ready"}
        about = {"for": {"reference": f"Patient/{gone}"}, "meta": {"source": "urn:model"}}
        told = {"resourceType": "Provenance", "id": "p", "recorded": "2026-01-02T09:00:00Z"}
        of = {"target": [{"reference": "Task/t"}], "agent": [{"who": {"display": "cxr"}}]}
        for made in (result | about, told | of):
            site.stores.database.write(lambda c, made=made: site.stores.resources.put(c, made))

        site.send(pid("2"), "MRG|1^^^HOSP^MR", kind="ADT^A40")

        kept = [site.stores.resources.read(*key) for key in (("Task", "t"), ("Provenance", "p"))]
        assert [stored.patient for stored in kept] == [survivor, survivor]
        assert fhir.loads(kept[0].text)["meta"]["source"] == "urn:model"

    def test_a_merge_into_a_record_that_is_merged_reaches_its_survivor(self, site: Site) -> None:
        for number in ("1", "2", "3"):
            site.send(pid(number))
        site.send(pid("2"), "MRG|1^^^HOSP^MR", kind="ADT^A40")
        site.send(pid("1"), "MRG|3^^^HOSP^MR", kind="ADT^A40")

        site.send(pid("3"), VISIT)

        (visit,) = site.find("Encounter", identifier="V77")
        (survivor,) = site.find("Patient", identifier="2")
        assert visit["subject"]["reference"] == f"Patient/{survivor['id']}"

    def test_it_is_done_in_pieces_so_that_other_writers_have_their_turn(self, site: Site) -> None:
        gone, survivor = longer(site, 4 * AT_ONCE + 1)
        commits: list[object] = []
        event.listen(site.stores.database.engine, "commit", commits.append)

        assert site.send(pid("2"), "MRG|1^^^HOSP^MR", kind="ADT^A40")[0] == "AA"

        assert len(commits) >= 5
        assert (about(site, gone), about(site, survivor)) == (0, 4 * AT_ONCE + 2)

    @pytest.mark.parametrize("kept", [0, 1, AT_ONCE, AT_ONCE + 3])
    def test_a_merge_that_was_broken_off_is_acknowledged_and_brought_to_its_end(self, site: Site, kept: int) -> None:
        gone, survivor = longer(site, 2 * AT_ONCE)
        site.breaks_after = kept

        assert site.send(pid("2"), "MRG|1^^^HOSP^MR", kind="ADT^A40", control="M40") == ["AA", "M40", ""]

        assert site.patient("1")["link"][0]["other"]["reference"] == f"Patient/{survivor}"
        # A whole piece or nothing of it; the Provenance goes where the first Observation does.
        assert about(site, gone) == (AT_ONCE if kept >= AT_ONCE else 2 * AT_ONCE + 1)
        site.breaks_after = None
        assert Merges(site.stores).step()
        assert not Merges(site.stores).step()
        assert (about(site, gone), about(site, survivor)) == (0, 2 * AT_ONCE + 1)
        assert site.send(pid("2"), "MRG|1^^^HOSP^MR", kind="ADT^A40", control="M40") == ["AA", "M40", ""]
        assert site.events().count("patients-merged") == 2

    def test_while_it_is_not_whole_messages_about_either_are_about_the_survivor(self, site: Site) -> None:
        site.send(pid("1"), VISIT)
        site.send(pid("1"), *ORDER, kind="ORM^O01")
        site.send(pid("2"))
        gone, survivor = site.patient("1")["id"], site.patient("2")["id"]
        site.breaks_after = 0
        site.send(pid("2"), "MRG|1^^^HOSP^MR", kind="ADT^A40")
        site.breaks_after = None
        assert about(site, gone) == 2

        assert site.send(pid("1"), VISIT, kind="ADT^A08")[0] == "AA"
        assert site.send(pid("2"), *ORDER, kind="ORM^O01")[0] == "AA"

        assert (about(site, gone), about(site, survivor)) == (0, 2)

    def test_merges_into_one_another_end_at_the_last_wherever_they_were_broken_off(self, site: Site) -> None:
        first, second = longer(site, AT_ONCE + 1)
        site.breaks_after = AT_ONCE
        site.send(pid("2"), "MRG|1^^^HOSP^MR", kind="ADT^A40")
        site.breaks_after = 0
        site.send(pid("3"), "MRG|2^^^HOSP^MR", kind="ADT^A40")
        site.breaks_after = None
        assert (about(site, first), about(site, second)) == (1, AT_ONCE + 1)

        while Merges(site.stores).step():
            pass

        third = site.patient("3")["id"]
        assert [about(site, each) for each in (first, second, third)] == [0, 0, AT_ONCE + 2]

    def test_a_damaged_resource_keeps_no_other_from_being_moved(self, site: Site) -> None:
        gone, survivor = longer(site, 3)
        spoil = update(resource).where(resource.c.id == "o1").values(sealed=b"damaged")
        site.stores.database.write(lambda connection: connection.execute(spoil))

        assert site.send(pid("2"), "MRG|1^^^HOSP^MR", kind="ADT^A40")[0] == "AA"

        assert (about(site, gone), about(site, survivor)) == (1, 3)
        assert not Merges(site.stores).step()

    def test_a_merge_may_be_turned_round(self, site: Site) -> None:
        site.send(pid("1"), VISIT)
        site.send(pid("2"))
        one, two = site.patient("1")["id"], site.patient("2")["id"]
        site.send(pid("2"), "MRG|1^^^HOSP^MR", kind="ADT^A40")
        site.send(pid("1"), "MRG|2^^^HOSP^MR", kind="ADT^A40")

        old, new = site.patient("2"), fhir.loads(site.stores.resources.read("Patient", one).text)
        assert [(old["active"], old["link"]), (new["active"], new["link"])] == [
            (False, [{"other": {"reference": f"Patient/{one}"}, "type": "replaced-by"}]),
            (True, [{"other": {"reference": f"Patient/{two}"}, "type": "replaces"}]),
        ]
        assert site.find("Encounter", patient=one)

    def test_without_mrg_it_is_refused(self, site: Site) -> None:
        assert site.send(pid(), kind="ADT^A40")[0] == "AE"


ORDER = (
    "ORC|NW|P1^PLACER|F1^FILLER||||^^^20260103^^S||20260102|||44^ORDER^ING",
    "OBR|1|P1^PLACER|F1^FILLER|36643-5^XR Chest 2 Views^LN|||||||||cough for 3 weeks|||||ACC9",
)


class TestOrders:
    """ORM and OMI: the order, its priority and its accession."""

    def test_an_order_becomes_a_service_request(self, site: Site) -> None:
        assert site.send(pid(), *ORDER, kind="ORM^O01")[0] == "AA"

        (request,) = site.find("ServiceRequest", identifier="P1")
        assert (request["status"], request["intent"], request["priority"]) == ("active", "order", "stat")
        assert request["code"]["coding"] == [
            {"system": "http://loinc.org", "code": "36643-5", "display": "XR Chest 2 Views"}
        ]
        assert [i["type"]["coding"][0]["code"] for i in request["identifier"]] == ["PLAC", "FILL", "ACSN"]
        assert request["occurrenceDateTime"] == "2026-01-03"
        assert request["authoredOn"] == "2026-01-02"
        assert request["reasonCode"] == [{"text": "cough for 3 weeks"}]
        assert request["requester"]["display"] == "ING ORDER"
        assert request["subject"]["reference"] == f"Patient/{site.patient('123')['id']}"

    def test_omi_brings_the_accession_in_ipc(self, site: Site) -> None:
        tq1, ipc = "TQ1|1||||||||A", "IPC|ACC10|RP1|1.2.3|SPS1|DX"
        assert site.send(pid(), "ORC|NW|P2", tq1, "OBR|1|P2||X^CT Chest^L", ipc, kind="OMI^O23^OMI_O23")[0] == "AA"

        (request,) = site.find("ServiceRequest", identifier="ACC10")
        assert request["priority"] == "asap"
        assert request["code"]["text"] == "CT Chest"

    @pytest.mark.parametrize(
        ("control", "status"), [("CA", "revoked"), ("DC", "revoked"), ("HD", "on-hold"), ("XO", "active")]
    )
    def test_order_control(self, site: Site, control: str, status: str) -> None:
        site.send(pid(), *ORDER, kind="ORM^O01")
        assert site.send(pid(), f"ORC|{control}|P1^PLACER", kind="ORM^O01")[0] == "AA"

        (request,) = site.find("ServiceRequest", identifier="P1")
        assert request["status"] == status
        assert request["code"]["text"] == "XR Chest 2 Views"

    def test_the_flow_finds_the_order_by_accession_and_record_number_together(self, site: Site) -> None:
        site.send(pid(), *ORDER, kind="ORM^O01")
        look = site.stores.vault.lookup

        def found(accession: str, number: str) -> int:
            with site.stores.database.read() as connection:
                return len(
                    orders_for(
                        connection,
                        accession=look(Identity(PseudonymKind.ACCESSION, accession)),
                        patient=look(Identity(PseudonymKind.PATIENT, number)),
                    )
                )

        assert [found("ACC9", "123"), found("ACC9", "124"), found("ACC8", "123")] == [1, 0, 0]
        site.send(pid(), "ORC|CA|P1^PLACER", kind="ORM^O01")
        assert found("ACC9", "123") == 0

    def test_an_order_does_not_change_who_the_patient_is(self, site: Site) -> None:
        site.send(FULL)
        site.send("PID|1||123^^^HOSP^MR||WRONG^NAME", *ORDER, kind="ORM^O01")

        assert site.patient("123")["name"][0]["family"] == "DOE"

    def test_another_patients_order_number_is_refused(self, site: Site) -> None:
        site.send(pid("1"), *ORDER, kind="ORM^O01")

        code, _, words = site.send(pid("2"), *ORDER, kind="ORM^O01")
        assert (code, words) == ("AE", "ORC-2: the order is another patient's")


class TestAcknowledgement:
    """2.9.2, original mode: AA when it is done, AE and AR with the reason."""

    def test_the_answer_names_the_message(self, site: Site) -> None:
        assert site.send(pid(), control="X-1")[:2] == ["AA", "X-1"]

    @pytest.mark.parametrize(
        ("kind", "segments", "code", "words"),
        [
            ("ADT^A01", (), "AE", "PID: the segment is needed"),
            ("ADT^A01", ("PID|1||||DOE",), "AE", "PID-3: a record number is needed"),
            ("ADT^A01", ("PID|1||5^^^SSA^SS",), "AE", "PID-3: a record number is needed"),
            ("ADT^A60", (pid(),), "AR", "MSH-9: this message is not taken here"),
            ("SIU^S12", (pid(),), "AR", "MSH-9: this message is not taken here"),
            ("ORM^O01", (pid(),), "AE", "ORC: the segment is needed"),
            ("ORM^O01", (pid(), "ORC|NW"), "AE", "ORC-2: a placer or filler order number is needed"),
            ("ORM^O01", (pid(), "ORC|ZZ|1"), "AR", "ORC-1: this order control is not taken here"),
        ],
    )
    def test_why_not(self, site: Site, kind: str, segments: tuple[str, ...], code: str, words: str) -> None:
        assert site.send(*segments, kind=kind, control="C-9") == [code, "C-9", words]
        assert site.events()[0] == "message-refused"

    def test_a_version_that_is_not_taken(self, site: Site) -> None:
        assert site.send(pid(), version="3.0")[0] == "AR"

    def test_the_same_message_again_does_nothing_more(self, site: Site) -> None:
        site.send(pid(), control="SAME")
        assert site.send(pid(), control="SAME")[0] == "AA"

        assert site.patient("123")["meta"]["versionId"] == "1"
        assert site.events().count("message-received") == 1

    def test_the_same_control_id_for_another_message_is_refused(self, site: Site) -> None:
        site.send(pid(), control="SAME")

        assert site.send(pid("124"), control="SAME")[0] == "AE"
        assert site.find("Patient", identifier="124") == []

    def test_what_is_no_message_is_rejected_and_the_connection_goes_on(self, site: Site) -> None:
        assert site.exchange(b"hello") == ["AR", "", "a message must start with an MSH segment"]
        assert site.send(pid())[0] == "AA"

    @pytest.mark.parametrize("born", ["1970XX", "19700231", "yesterday"])
    def test_a_day_that_is_none_is_not_left_out_in_silence(self, site: Site, born: str) -> None:
        assert site.send(f"PID|1||123^^^HOSP^MR||DOE||{born}")[0] == "AE"
        assert site.find("Patient", identifier="123") == []

    def test_other_delimiters_and_escapes(self, site: Site) -> None:
        message = "MSH#$%?@#E#H#OSLER#R#20260102##ADT$A01#D-1#P#2.5\rPID#1##77$$$HOSP$MR##O?T?NEIL$PAT%X$Y\r"
        assert site.exchange(message.encode())[0] == "AA"
        assert site.patient("77")["name"][0]["family"] == "O@NEIL"

    def test_names_in_other_scripts(self, site: Site) -> None:
        site.send("PID|1||78^^^HOSP^MR||Мария^Иванова~山田^太郎")

        assert [n["text"] for n in site.patient("78")["name"]] == ["Иванова Мария", "太郎 山田"]


def test_a_visit_that_somebody_made_nobodys_is_the_patients_again(site: Site) -> None:
    site.send(pid(), VISIT)
    (visit,) = site.find("Encounter", identifier="V77")
    bare = {name: value for name, value in visit.items() if name != "subject"}
    site.stores.database.write(lambda c: site.stores.resources.put(c, bare))

    assert site.send(pid(), VISIT)[0] == "AA"
    assert site.find("Encounter", patient=site.patient("123")["id"])


@pytest.mark.parametrize("name", [b"EN\0GINE", b"E" * 228])
def test_a_sender_whose_name_is_none_is_refused(site: Site, name: bytes) -> None:
    message = b"MSH|^~\\&|" + name + b"|HOSP|OSLER|RAD|20260102||ADT^A01|X1|P|2.5.1\r" + pid().encode() + b"\r"
    assert site.exchange(message)[0] == "AE"


def test_each_message_is_on_record_with_its_patient(site: Site) -> None:
    site.send(pid())
    (entry,) = site.stores.audit.search(event="message-received", limit=1)

    assert entry.patient == site.patient("123")["id"]
    assert "DOE" not in str(entry.resource)


def test_what_is_sent_is_sealed(site: Site, tmp_path: Path) -> None:
    site.send(pid(name="CANARYNAME^JANE"))

    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"CANARYNAME" not in path.read_bytes()


def test_a_flood_of_refused_connections_and_messages_makes_few_entries_and_none_is_lost(site: Site) -> None:
    for _ in range(60):
        assert site.send(pid(), kind="SIU^S12")[0] == "AR"
    for _ in range(40):
        with socket.create_connection(("127.0.0.1", site.listener.port), timeout=20.0) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n\x1c")
            assert stranger.recv(1) == b""
    site.denials.flush()

    entries = site.stores.audit.search(event="message-refused", limit=500)
    assert len(entries) == 5 + 2
    details = [{d["type"]: d["valueString"] for e in x.resource["entity"] for d in e["detail"]} for x in entries]
    assert sum(int(detail.get("count", 1)) for detail in details) == 100
