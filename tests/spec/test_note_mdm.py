"""MDM^T02 and T10 out, field by field, as hl7apy reads it; and the receiver's answers."""

import socket
import threading
from typing import Any

import pytest
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from note_examples import ENCOUNTER, PATIENT, note, said, section
from osler.config import Destination
from osler.errors import DeliveryRefused
from osler.publish.mllp_sender import send
from osler.publish.note.document import document_reference_id
from osler.publish.note.identified import IdentifiedNote
from osler.publish.note.mdm import Addressed, mdm
from osler.standards.hl7v2 import parse

TO = Addressed("M-1", ("OSLER", "St. Mary & Sons"), ("EHR", "HOSP"), 1_767_350_000.0)
ID, NEXT = document_reference_id(note()), document_reference_id(note(), 2)
HOUSE = "1234567893^House^Anna^^^Dr.^^^^L^^^NPI"
AMENDED = {"revision": 2, "amends": 1}


def fields(content: bytes, name: str) -> list[list[str]]:
    lines = [line.split("|") for line in content.decode().split("\r") if line.startswith(name)]
    return [["MSH", "|", *line[1:]] if name == "MSH" else line for line in lines]


def made(**changes: Any) -> bytes:
    return mdm(note(**changes), TO)


@pytest.mark.parametrize(
    ("segment", "field", "value", "changes", "rule"),
    [
        ("MSH", 3, "OSLER", {}, "sending application"),
        ("MSH", 4, "St. Mary \\T\\ Sons", {}, "sending facility, escaped"),
        ("MSH", 5, "EHR", {}, "receiving application"),
        ("MSH", 6, "HOSP", {}, "receiving facility"),
        ("MSH", 9, "MDM^T02^MDM_T02", {}, "original document notification and content"),
        ("MSH", 9, "MDM^T02^MDM_T02", {"signed": False}, "the same while nobody has signed"),
        ("MSH", 9, "MDM^T10^MDM_T02", AMENDED, "document replacement notification and content"),
        ("MSH", 10, "M-1", {}, "control id"),
        ("MSH", 12, "2.5.1", {}, "version"),
        ("MSH", 15, "AL", {}, "an acknowledgement always"),
        ("MSH", 18, "UNICODE UTF-8", {}, "character set"),
        ("EVN", 1, "T02", {}, "event"),
        ("EVN", 1, "T10", AMENDED, "event of a replacement"),
        ("EVN", 6, "20260102095000+0000", {}, "when it was signed"),
        ("PID", 3, "P100^^^HOSP^MR", {}, "record number and who gave it out"),
        ("PID", 3, "OSL-1^^^OSLER^PI", {"patient": {"resourceType": "Patient", "id": "OSL-1"},
         "encounter": ENCOUNTER | {"subject": {"reference": "Patient/OSL-1"}}}, "ours where no other is known"),
        ("PID", 5, "Doe^Jane^Q", {}, "name"),
        ("PID", 5, "^^^^^^U", {"patient": PATIENT | {"name": []}}, "a name that is not known"),
        ("PID", 7, "19700102", {}, "born"),
        ("PID", 8, "F", {}, "sex"),
        ("PV1", 2, "O", {}, "an outpatient"),
        ("PV1", 2, "U", {"encounter": {k: v for k, v in ENCOUNTER.items() if k != "class"}}, "unknown class"),
        ("PV1", 7, HOUSE, {}, "attending"),
        ("PV1", 19, "V-77", {}, "visit number"),
        ("PV1", 44, "20260102093000+0000", {}, "when it began"),
        ("TXA", 1, "1", {}, "set id"),
        ("TXA", 2, "PR", {}, "a progress note (table 0270)"),
        ("TXA", 2, "HP", {"code": "34117-2"}, "history and physical"),
        ("TXA", 2, "CN", {"code": "11488-4"}, "consultation"),
        ("TXA", 2, "DS", {"code": "18842-5"}, "discharge summary"),
        ("TXA", 3, "TX", {}, "text (table 0191)"),
        ("TXA", 4, "20260102093000+0000", {}, "activity"),
        ("TXA", 5, HOUSE, {}, "primary activity provider"),
        ("TXA", 6, "20260102094500+0000", {}, "origination"),
        ("TXA", 8, "20260102095000+0000", {}, "edited"),
        ("TXA", 8, "", {"edits": 0}, "not edited"),
        ("TXA", 9, HOUSE, {}, "originator"),
        ("TXA", 10, HOUSE, {"signed": False}, "who is to authenticate it"),
        ("TXA", 12, f"{ID}^OSLER", {}, "unique document number"),
        ("TXA", 12, f"{NEXT}^OSLER", AMENDED, "a replacement has its own"),
        ("TXA", 13, f"{ID}^OSLER", AMENDED, "and the parent's"),
        ("TXA", 13, "", {}, "an original has no parent"),
        ("TXA", 17, "DI", {"signed": False}, "dictated (table 0271)"),
        ("TXA", 17, "LA", {}, "legally authenticated"),
        ("TXA", 19, "UN", {"signed": False}, "not available for patient care (table 0273)"),
        ("TXA", 19, "AV", {}, "available for patient care"),
        ("TXA", 21, "Amended", AMENDED, "why it changed"),
        ("TXA", 22, f"{HOUSE}^^20260102095000+0000", {}, "who authenticated it, and when"),
    ],
)  # fmt: skip
def test_field(segment: str, field: int, value: str, changes: dict[str, Any], rule: str) -> None:
    line = fields(made(**changes), segment)[0]

    assert (line[field] if field < len(line) else "") == value


def test_nobody_has_authenticated_what_nobody_has_signed() -> None:
    assert fields(made(signed=False), "TXA")[0][22] == ""


def test_each_line_is_a_text_under_the_code_of_its_section() -> None:
    lines = fields(made(), "OBX")

    assert {line[2] for line in lines} == {"TX"}
    assert [line[1] for line in lines] == [str(n) for n in range(1, len(lines) + 1)]
    assert lines[0][3] == "11506-3^Progress note^LN"
    assert lines[0][5].startswith("Drafted by artificial intelligence")
    found = {(line[3], line[4], line[5]) for line in lines}
    assert ("61150-9^Subjective^LN", "2", "Takes metformin 500 mg twice a day.") in found
    assert ("51847-2^Assessment and plan^LN", "4", "Possible pneumonia:") in found


@pytest.mark.parametrize(("changes", "letter"), [({"signed": False}, "P"), ({}, "F"), (AMENDED, "C")])
def test_obx_11_says_how_far_the_note_has_come(changes: dict[str, Any], letter: str) -> None:
    assert {obx[11] for obx in fields(made(**changes), "OBX")} == {letter}


HOSTILE = "a|b^c~d\\e&f\rMSH|^~\\&|x\n\x0b\x1c\rPID|2||\x00 \ud800 " + "y" * 500 + "&" * 200


@pytest.mark.parametrize(
    "one",
    [
        note(),
        note(signed=False),
        note(**AMENDED),
        note(sections=(section(said(HOSTILE), title="T|^&", problem=HOSTILE),), title=HOSTILE),
        note(practitioner={"resourceType": "Practitioner", "id": "dr|9", "name": [{"text": "A^B"}]}),
        note(practitioner={"resourceType": "Practitioner", "id": "dr9"}),
    ],
    ids=["signed", "unsigned", "amended", "hostile", "name in one piece", "no name"],
)
def test_hl7apy_takes_every_message(one: IdentifiedNote) -> None:
    content = mdm(one, TO)
    message = parse_message(content.decode(), validation_level=1)

    assert message.validate() is True
    assert message.msh.msh_10.value == "M-1"
    assert not {b"\n"[0], 0x0B, 0x1C, 0x00} & set(content)
    assert [s.name for s in parse(content).segments][:5] == ["MSH", "EVN", "PID", "PV1", "TXA"]
    assert {s.name for s in parse(content).segments[5:]} == {"OBX"}


def words(content: bytes) -> str:
    message = parse(content)
    return " ".join(message.text(s.field(5)) for s in message.segments if s.name == "OBX")


def test_what_is_read_again_is_what_was_said() -> None:
    text = "Ask: 50% | 5^2 ~ a\\b & c, then " + "long words " * 60 + "end."

    found = words(made(sections=(section(said(text)),)))

    assert text in found


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cn", "Zl", "Zp")), min_size=1))
def test_any_words_come_through(text: str) -> None:
    text = text.replace("[", "(").replace("-", " ")
    content = made(sections=(section(said(text)),))

    assert "".join(text.split()) in "".join(words(content).split())
    assert all(len(line[5]) < 200 for line in fields(content, "OBX"))


def test_a_record_number_is_never_changed() -> None:
    patient = PATIENT | {"identifier": [{"value": "P1\x0b00"}]}

    with pytest.raises(DeliveryRefused) as caught:
        made(patient=patient)

    assert "P1" not in str(caught.value)


@pytest.mark.parametrize(
    ("stated", "site", "number"),
    [("", "", "P1^^^^MR"), ("", "HOSP", "P1^^^HOSP^MR"), ("OTHER", "HOSP", "P1^^^OTHER^MR")],
)
def test_whose_number_it_is(stated: str, site: str, number: str) -> None:
    patient = PATIENT | {"identifier": [{"value": "P1", "assigner": {"display": stated}}]}
    addressed = Addressed("M-1", TO.sender, TO.receiver, TO.now, site)

    assert fields(mdm(note(patient=patient), addressed), "PID")[0][3] == number


def test_the_message_is_sent_and_acknowledged() -> None:
    got: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            content = b""
            while not content.endswith(b"\x1c\r"):
                content += connection.recv(65536)
            got.append(content)
            connection.sendall(b"\x0bMSH|^~\\&|E|H|O|R|2026||ACK^T02|1|P|2.5.1\rMSA|AA|M-1\r\x1c\r")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    destination = Destination("ehr", "hl7v2", address=f"127.0.0.1:{listener.getsockname()[1]}")

    delivery = send(made(), destination, control_id="M-1")

    thread.join(10.0)
    listener.close()
    assert delivery.reference == "M-1"
    assert got == [b"\x0b" + made() + b"\x1c\r"]
