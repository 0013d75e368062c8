"""Segments and character sets beside the everyday ones, and what a judge with bad intent would send."""

import pytest

from osler.deidentify.engine_text import engine_text
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.deidentify.hl7v2 import Hl7v2Deidentifier
from osler.deidentify.rules_table import ACTIONS, hl7v2_rows
from osler.errors import Malformed, TooLarge
from osler.standards.hl7v2 import MAX_BYTES, Message, build, parse, split_messages

HEAD = "MSH|^~\\&|LAB|HOSP|X|Y|20260102||ORU^R01|M1|P|2.5.1\r"
PID = "PID|1||8812734^^^H^MR||Quillfeather^Marguerite\r"


def run(body: str) -> Message:
    deidentifier = Hl7v2Deidentifier(EphemeralPseudonyms(), text_for=engine_text, this_year=2026)
    return parse(deidentifier.message((HEAD + body).encode()))


@pytest.mark.parametrize(
    ("segment", "told"),
    [
        (
            "RXA|0|1|20240304|20240304|140^Influenza^CVX|0.5|mL^mL^UCUM||00^New^NIP001|1^Doe|^^^H||||LOT77||SKB^GSK^MVX",
            "RXA|0|1|2024|2024|140^Influenza^CVX|0.5|mL^mL^UCUM||00^New^NIP001||||||||SKB^GSK^MVX",
        ),
        ("RXR|IM^Intramuscular^HL70162|LA^Left arm^HL70163", "RXR|IM^Intramuscular^HL70162|LA^Left arm^HL70163"),
        ("RXE|^^^2024|860975^metformin^RXNORM|500||mg|||Ward 4", "RXE||860975^metformin^RXNORM|500||mg|||"),
        ("TXA|1|DS^Discharge Summary|TX|20240304|1^Doe", "TXA|1|DS^Discharge Summary|TX|2024|"),
        ("IN2|8812734|523119087|Quillfeather Corp", "IN2|||"),
        ("ROL|R1|AD|PP^Primary^HL70443|1^Doe^Jane|20240304", None),
        ("CON|1|001^Consent|x|9|Quillfeather consents", "CON|1|001^Consent|||"),
        ("PD1|||H CLINIC|1^Doe", "PD1||||"),
        ("ERR||PID^1^5|101^Required^HL70357|E||||Quillfeather", "ERR||PID^1^5|101^Required^HL70357|E||||"),
        ("TQ1|1||BID^Twice a day|0800|||20240304", "TQ1|1||BID^Twice a day|0800|||2024"),
        ("TQ1|1||8812734", "TQ1|1||"),
        ("RXA|0|1||||8812734", "RXA|0|1||||"),
        ("RXA|||||||\\Quillfeather\\", "RXA|||||||"),
        ("AL1|1|DA^Drug^HL70127|7980^Penicillin^RXNORM|SV^Severe^HL70128", None),
    ],
)
def test_segments_keep_what_is_clinical(segment: str, told: str | None) -> None:
    made = run(PID + segment + "\r").segments[2]
    shown = "|".join((made.name, *made.fields))
    assert "Quillfeather" not in shown
    assert "Doe" not in shown
    assert told is None or shown == told


def test_displays_of_shared_codes_are_no_names() -> None:
    pid = run("PID|1||7||Doe^Jane||||||||||eng^English^HL70296|M^Married^HL70002\r").segments[1]
    assert (pid.field(15), pid.field(16)) == ("eng^English^HL70296", "M^Married^HL70002")
    pid = run("PID|1||7||English^Jane||||||||||eng^English^HL70296\r").segments[1]
    assert "English" not in pid.field(15)


def test_the_numbers_of_the_patient_are_no_values_and_no_codes() -> None:
    values = ["NM|1-8^^LN||8812734", "SN|1-8^^LN||>^8812734", "NA|1-8^^LN||8812734^5", "CE|1-8^^LN||8812734^x^SCT"]
    body = PID + "".join(f"OBX|{i}|{value}\r" for i, value in enumerate(values, 1)) + "OBX|5|NM|8812734^x^SCT||4\r"
    made = build(run(body)).decode()
    assert "8812734" not in made
    assert [segment.field(5) for segment in parse(made.encode()).segments[2:]] == ["", ">^", "^5", "^x^", "4"]


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        ("TEXT^RTF", r"{\rtf1{\info{\author Quillfeather}}\b Quill\b0 feather\par 4 mm \'b5}", "4 mm"),
        ("TEXT^HTML", "<p title='Marguerite'>Quill<b>feather</b> 4 mm</p>", "4 mm"),
        ("TEXT^", "Ms. Quillfeather, 4 mm", "4 mm"),
    ],
)
def test_documents_are_written_anew(kind: str, data: str, told: str) -> None:
    raw = data.replace("\\", "\\E\\").replace("|", "\\F\\")
    made = run(PID + f"OBX|1|ED|34133-9^^LN||Quillfeather^{kind}^A^{raw}\r").segments[2]
    text = parse((HEAD + "NTE|1||" + made.field(5) + "\r").encode()).text(made.field(5))
    assert told in text
    assert "feather" not in text
    assert "Marguerite" not in text


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-8"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_wide_character_sets_and_byte_order_marks(codec: str, mark: str) -> None:
    declared = {"utf-16": "UNICODE UTF-16", "utf-32": "UNICODE UTF-32"}.get(codec[:6], "UNICODE UTF-8")
    head = HEAD.rstrip("\r") + f"||||||{declared}\r"
    content = (mark + head + "NTE|1||sodium 140 µmol\r").encode(codec)
    read = parse(content)
    assert read.segments[1].field(3) == "sodium 140 µmol"
    assert build(read) == content
    safe = Hl7v2Deidentifier(EphemeralPseudonyms(), text_for=engine_text).message(content)
    assert parse(safe).segments[1].field(3) == "sodium 140 µmol"
    assert split_messages(content + (head + "NTE|2\r").encode(codec))[1].decode(codec).startswith("MSH")


def test_a_message_in_another_width_than_it_declares_is_refused() -> None:
    with pytest.raises(Malformed):
        parse((HEAD.rstrip("\r") + "||||||UNICODE UTF-16\r").encode())


def test_a_message_that_is_too_large_is_refused() -> None:
    with pytest.raises(TooLarge):
        parse(HEAD.encode() + b"x" * MAX_BYTES)


def test_every_rule_is_said_in_words() -> None:
    rows = dict(hl7v2_rows())
    assert rows["PID-3"] == ACTIONS["patient"]
    assert rows["MSH-8"] == ACTIONS["method"]
    assert len(rows) > 400
