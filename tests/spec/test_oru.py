"""ORU^R01 out, field by field, as hl7apy reads it; and the receiver's answers."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hl7apy.parser import parse_message

from osler.config import Destination
from osler.domain.identifiers import Identity, PseudonymKind
from osler.errors import DeliveryRefused, PeerUnavailable
from osler.publish import header as dicom
from osler.publish.mllp_sender import send
from osler.publish.oru import Envelope, Survivor, numbers_of, oru
from osler.testing.results import case, identified, radiograph, recorded

UIDS = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1", "SOPInstanceUID": "1.2.3.1.1"}
ENVELOPE = Envelope("M-1", ("OSLER", "St. Mary & Sons"), ("EMR", "HOSP"), "preliminary", 1_767_346_200.0)
ORDERS = (("P1", "F1"),)


def made(envelope: Envelope = ENVELOPE, *, result: Any = None, orders: Any = ORDERS, **attributes: Any) -> bytes:
    with dicom.quietly():
        source = identified(radiograph(**UIDS | attributes))
    return oru(result or recorded(), source, envelope, orders=orders)


def fields(content: bytes, name: str) -> list[list[str]]:
    lines = [line.split("|") for line in content.decode().split("\r") if line.startswith(name)]
    return [["MSH", "|", *line[1:]] if name == "MSH" else line for line in lines]


@pytest.mark.parametrize(
    ("segment", "field", "value", "rule"),
    [
        ("MSH", 3, "OSLER", "sending application"),
        ("MSH", 4, "St. Mary \\T\\ Sons", "sending facility, escaped"),
        ("MSH", 5, "EMR", "receiving application"),
        ("MSH", 9, "ORU^R01^ORU_R01", "message type"),
        ("MSH", 10, "M-1", "control id"),
        ("MSH", 11, "P", "production"),
        ("MSH", 12, "2.5.1", "version"),
        ("MSH", 18, "UNICODE UTF-8", "character set"),
        ("PID", 3, "P100^^^^MR", "record number"),
        ("ORC", 1, "RE", "observations to follow"),
        ("ORC", 2, "P1", "placer's number"),
        ("OBR", 3, "F1", "filler's number"),
        ("OBR", 4, "18748-4^Diagnostic imaging study^LN", "what was done"),
        ("OBR", 24, "RAD", "diagnostic service section"),
        ("OBR", 25, "P", "preliminary"),
    ],
)
def test_field(segment: str, field: int, value: str, rule: str) -> None:
    assert fields(made(), segment)[0][field] == value


def test_a_finding_is_a_coded_value_and_two_figures() -> None:
    presence, probability, threshold, *words = fields(made(), "OBX")

    assert presence[2:6] == ["CWE", "233604007^Pneumonia^SCT", "1", "52101004^Present^SCT"]
    assert presence[8] == "POS"
    assert probability[2:7] == ["NM", "122157^Probability^DCM", "1", "0.9300", "1^no units^UCUM"]
    assert threshold[2:6] == ["NM", "122411^Threshold Value^DCM", "1", "0.5000"]
    assert {line[2] for line in words} == {"TX"}
    assert [line[4] for line in words] == [str(n) for n in range(1, len(words) + 1)]
    assert "Made by artificial intelligence" in words[0][5]


@pytest.mark.parametrize(
    ("status", "letter", "whole"),
    [
        ("preliminary", "P", "P"),
        ("final", "F", "F"),
        ("amended", "C", "C"),
        ("corrected", "C", "C"),
        ("entered-in-error", "W", "X"),
        ("cancelled", "X", "X"),
    ],
)
def test_obx_11_says_how_far_the_result_has_come(status: str, letter: str, whole: str) -> None:
    content = made(replace(ENVELOPE, status=status))

    assert {obx[11] for obx in fields(content, "OBX")} == {letter}
    assert fields(content, "OBR")[0][25] == whole


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"PatientName": "O'Brien^Jane^Q^^III", "PatientID": "A|1^2&3~4\\5"},
        {"PatientName": "", "PatientBirthDate": "", "PatientSex": "", "AccessionNumber": ""},
        {"PatientName": "Yamada^Tarou=山田^太郎", "IssuerOfPatientID": "HOSP"},
    ],
)
def test_hl7apy_takes_every_message(attributes: dict[str, str]) -> None:
    content = made(result=recorded(case(outside=["the age is | not ^ known"])), **attributes)
    message = parse_message(content.decode(), validation_level=1)

    assert message.validate() is True
    assert message.msh.msh_10.value == "M-1"
    assert b"\n" not in content


KNOWN = {
    "resourceType": "Patient",
    "id": "s",
    "name": [
        {"use": "maiden", "family": "Roe"},
        {"use": "official", "family": "O|Doe", "given": ["Jane", "Q", "R"], "suffix": ["Jr"], "prefix": ["Ms"]},
    ],
    "birthDate": "1970-01-02",
    "gender": "female",
}
NAMELESS = {"resourceType": "Patient", "id": "s"}


@pytest.mark.parametrize(
    ("issuer", "known", "field", "value", "rule"),
    [
        ("HOSP", KNOWN, 3, "P200^^^HOSP^MR~P100^^^HOSP^MR", "the number that holds, then that of the header"),
        ("", KNOWN, 3, "P200^^^^MR~P100^^^^MR", "neither with an authority that nobody has named"),
        ("", KNOWN, 5, "O\\F\\Doe^Jane^Q R^Jr^Ms", "the name that is the official one"),
        ("", KNOWN, 7, "19700102", "born"),
        ("", KNOWN, 8, "F", "sex"),
        ("", NAMELESS, 5, "^^^^^^U", "a name that is not known"),
        ("", NAMELESS | {"name": [{"text": "Jane Doe"}]}, 5, "Jane Doe", "a name in one piece"),
        ("", NAMELESS | {"birthDate": "1970-01"}, 7, "197001", "born in a month"),
        ("", NAMELESS, 8, "U", "a sex that is not known"),
    ],
)
def test_after_a_merge_it_is_about_the_survivor(issuer: str, known: Any, field: int, value: str, rule: str) -> None:
    with dicom.quietly():
        source = identified(radiograph(**UIDS))
    survivor = Survivor(Identity(PseudonymKind.PATIENT, "P200"), known)
    content = oru(recorded(), source, replace(ENVELOPE, issuer=issuer), orders=ORDERS, survivor=survivor)

    assert fields(content, "PID")[0][field] == value
    message = parse_message(content.decode(), validation_level=1)
    assert message.validate() is True


@pytest.mark.parametrize(
    ("stated", "site", "number"),
    [("", "", "P100^^^^MR"), ("", "HOSP", "P100^^^HOSP^MR"), ("OTHER", "HOSP", "P100^^^OTHER^MR")],
)
def test_whose_number_it_is(stated: str, site: str, number: str) -> None:
    content = made(replace(ENVELOPE, issuer=site), IssuerOfPatientID=stated)

    assert fields(content, "PID")[0][3] == number


def test_numbers_of_an_order() -> None:
    def numbered(code: str, value: str) -> dict[str, Any]:
        return {"type": {"coding": [{"code": code}]}, "value": value}

    assert numbers_of({"identifier": [numbered("FILL", "f"), numbered("PLAC", "p"), {"value": "x"}]}) == ("p", "f")
    assert numbers_of({}) == ("", "")


@pytest.fixture
def receiver() -> Iterator[Callable[[bytes | None], Destination]]:
    """Start receivers that read one message and give one answer."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(answer: bytes | None) -> Destination:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                got = b""
                while not got.endswith(b"\x1c\r"):
                    got += connection.recv(65536)
                if answer is not None:
                    connection.sendall(answer)

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return Destination("emr", "hl7v2", address=f"127.0.0.1:{listener.getsockname()[1]}")

    yield start
    for thread in threads:
        thread.join(10.0)
    for listener in listeners:
        listener.close()


def ack(code: str, control_id: str = "M-1") -> bytes:
    return f"\x0bMSH|^~\\&|E|H|O|R|2026||ACK|1|P|2.5.1\rMSA|{code}|{control_id}\r\x1c\r".encode()


def test_aa_is_a_delivery(receiver: Callable[[bytes | None], Destination]) -> None:
    assert send(made(), receiver(ack("AA")), control_id="M-1").reference == "M-1"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (ack("AE"), DeliveryRefused),
        (ack("CE"), DeliveryRefused),
        (ack("AR"), PeerUnavailable),
        (ack("AA", "M-2"), PeerUnavailable),
        (b"\x0bhello\x1c\r", PeerUnavailable),
        (None, PeerUnavailable),
    ],
)
def test_what_is_no_delivery(
    receiver: Callable[[bytes | None], Destination], answer: bytes | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        send(made(), receiver(answer), control_id="M-1")


def test_nobody_there(free_port: Callable[[], int]) -> None:
    with pytest.raises(PeerUnavailable):
        send(made(), Destination("emr", "hl7v2", address=f"127.0.0.1:{free_port()}"), control_id="M-1")
