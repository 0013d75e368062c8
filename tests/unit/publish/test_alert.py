import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from osler.config import Config, Destination
from osler.domain.events import Recorded
from osler.errors import NotFound
from osler.publish import alert as alerting
from osler.publish.alert import Alert
from osler.publish.message import Message
from osler.standards.fhir import dumps
from osler.storage.tables import outbox
from osler.testing.ledger import Ledger
from osler.testing.results import case, recorded

PACS = Destination("pacs", "dicom", address="127.0.0.1:4242", ae_title="PACS")
PAGER = Destination("pager", "webhook", url="http://127.0.0.1:9/x", secret="s", when="critical")
MAIL = Destination("mail", "smtp", address="127.0.0.1:25", sender="a@b", recipients=("c@d",), when="critical")
EVERY = {"destinations": (PACS, PAGER, MAIL), "escalate_s": 60.0, "max_escalations": 2}


@pytest.fixture
def raised(record: Callable[..., Recorded], make_config: Callable[..., Config]) -> Recorded:
    return record(config=make_config(PACS, PAGER, alert__escalate_s=60.0), now=1000.0)


def escalate(ledger: Ledger, now: float) -> list[Alert]:
    return ledger.database.write(lambda c: alerting.escalate(c, now=now, **EVERY))


def the_alert(ledger: Ledger, recorded: Recorded) -> Alert:
    with ledger.database.read() as connection:
        found = alerting.alert_of(connection, recorded.id)
    assert found is not None
    return found


def test_it_goes_out_again_until_the_last_time(ledger: Ledger, raised: Recorded) -> None:
    assert escalate(ledger, 1059.9) == []
    (first,) = escalate(ledger, 1060.0)
    assert (first.level, first.escalate_at) == (1, 1120.0)
    assert escalate(ledger, 1060.0) == []
    (second,) = escalate(ledger, 1200.0)
    assert (second.level, second.escalate_at) == (2, None)
    assert escalate(ledger, 9999.0) == []

    with ledger.database.read() as connection:
        sent = connection.execute(
            select(outbox.c.destination, outbox.c.idempotency_key).where(outbox.c.kind == "alert")
        )
        keys = sorted(row.idempotency_key.removeprefix(raised.id) for row in sent)
    assert keys == ["/alert/mail/1", "/alert/mail/2",
        "/alert/pager", "/alert/pager/1", "/alert/pager/2",
    ]  # fmt: skip


def test_an_acknowledged_alert_does_not_go_out_again(ledger: Ledger, raised: Recorded) -> None:
    one = the_alert(ledger, raised)

    acknowledged = ledger.database.write(lambda c: alerting.acknowledge(c, one.id, by="dr-a", now=1010.0))

    assert (acknowledged.acknowledged_by, acknowledged.acknowledged_at) == ("dr-a", 1010.0)
    assert escalate(ledger, 5000.0) == []


def test_the_first_acknowledgement_stands(ledger: Ledger, raised: Recorded) -> None:
    one = the_alert(ledger, raised)
    first = ledger.database.write(lambda c: alerting.acknowledge(c, one.id, by="dr-a", now=1010.0))

    again = ledger.database.write(lambda c: alerting.acknowledge(c, one.id, by="dr-b", now=1020.0))

    assert again == first


def test_there_is_nothing_to_acknowledge(ledger: Ledger) -> None:
    with pytest.raises(NotFound):
        ledger.database.write(lambda c: alerting.acknowledge(c, "nothing", by="dr-a", now=1.0))


def test_the_list(ledger: Ledger, raised: Recorded) -> None:
    one = the_alert(ledger, raised)
    with ledger.database.read() as connection:
        assert alerting.alerts(connection) == alerting.alerts(connection, open_only=True) == [one]
        assert alerting.next_escalation(connection) == 1060.0

    ledger.database.write(lambda c: alerting.acknowledge(c, one.id, by="dr-a", now=1010.0))

    with ledger.database.read() as connection:
        assert [a.id for a in alerting.alerts(connection)] == [one.id]
        assert alerting.alerts(connection, open_only=True) == []
        assert alerting.next_escalation(connection) is None


class TestMessage:
    alert = Alert("alert-1", "result-1", 1, 1_767_346_200.0)
    message = Message(recorded(case(outside=["the age is not known"])), "OSL-ABC", "http://hub", alert, "key-1")

    def test_it_names_what_happened_by_reference(self) -> None:
        document = json.loads(dumps(self.message.document()))

        assert document["event"] == "critical-finding"
        assert document["id"] == "alert-1"
        assert document["level"] == 1
        assert document["raised_at"] == "2026-01-02T09:30:00.000Z"
        assert document["patient"] == "Patient/OSL-ABC"
        assert document["url"] == f"http://hub/fhir/R4/{document['report']}"
        assert document["model"]["sha256"] == "ab" * 32
        (finding,) = document["findings"]
        assert finding["label"] == "pneumonia"
        assert finding["code"] == {"system": "SCT", "code": "233604007", "display": "Pneumonia"}
        assert '"probability":0.9300,"threshold":0.5000' in dumps(self.message.document())
        assert finding["outside_intended_use"] == ["the age is not known"]

    def test_an_alert_tells_of_critical_findings_only(self) -> None:
        both = replace(self.message, recorded=recorded(case(1), case(2, probability=0.1)))

        assert len(both.document()["findings"]) == 1
        assert len(replace(both, alert=None).document()["findings"]) == 2

    def test_a_result_that_is_no_alert(self) -> None:
        plain = replace(self.message, alert=None, recorded=recorded(case(probability=0.1)))

        assert plain.document()["event"] == "result"
        assert plain.reference == "result-1"
        assert plain.subject() == "AI alert (preliminary): result"
        assert "ack" not in plain.text()

    def test_the_mail_in_words(self) -> None:
        assert self.message.subject() == "AI alert (preliminary): critical finding, reminder 1"
        text = self.message.text()
        assert "pneumonia: suspected (probability 0.9300, threshold 0.5000)." in text
        assert "Outside the intended use" in text
        assert "osler alerts ack alert-1" in text
        assert "Made by artificial intelligence" in text
