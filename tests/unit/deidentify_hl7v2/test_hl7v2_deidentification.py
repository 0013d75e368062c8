"""What a de-identified message says and does not say."""

import re
import time
from typing import Any

import pytest

from osler.deidentify.engine_text import engine_by
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.deidentify.free_text import Known
from osler.deidentify.hl7v2 import Hl7v2Deidentifier
from osler.standards.hl7v2 import Message, parse

HEAD = "MSH|^~\\&|LAB|HOSP|X|Y|20260102030405||ORU^R01^ORU_R01|M1|P|2.5.1\r"


class Names:
    """A text engine that knows the names of the message and nothing else."""

    def __init__(self, known: Known, secret: str = "") -> None:
        self.known = known
        self.texts: list[str] = []

    def deidentify(self, text: str) -> str:
        self.texts.append(text)
        for name in self.known.get("name", ()):
            for word in (name.get("family", ""), *name.get("given", ())):
                text = text.replace(word, "[NAME]") if word else text
        return text

    def display(self, text: str) -> str:
        return self.deidentify(text)


def run(body: str, **options: Any) -> Message:
    deidentifier = Hl7v2Deidentifier(EphemeralPseudonyms(), this_year=2026, **options)
    return parse(deidentifier.message((HEAD + body).encode()))


def only(body: str, **options: Any) -> list[str]:
    segment = run(body, **options).segments[1]
    return ["", *segment.fields]


def test_the_patient_keeps_sex_year_and_state_under_a_pseudonym() -> None:
    pid = only(
        "PID|1||778812^^^HOSP&1.2&ISO^MR~123-45-6789^^^SSA^SS||Doe^Jane||19570312|F|||12 Elm^^Tulsa^OK^74012^USA||"
        "9185551234\r"
    )
    number, social = pid[3].split("~")
    assert number.startswith("TMP")
    assert number.endswith("^^^^MR")
    assert social == "^^^^SS"
    assert pid[5] == "^^^^^^S"  # table 0200: a coded pseudo-name
    assert (pid[7], pid[8], pid[11], pid[13]) == ("1957", "F", "^^^OK^740^USA", "")


@pytest.mark.parametrize(("born", "told"), [("19360312", ""), ("1937", "1937"), ("", ""), ("3/12/1957", "")])
def test_a_year_of_birth_that_tells_an_age_over_89_goes(born: str, told: str) -> None:
    assert only(f"PID|1||||||{born}\r")[7] == told


def test_one_patient_has_one_pseudonym_in_every_message_and_in_dicom() -> None:
    pseudonyms = EphemeralPseudonyms()
    deidentifier = Hl7v2Deidentifier(pseudonyms)
    made = [deidentifier.message((HEAD + f"PID|1||{n}^^^HOSP^MR\r").encode()) for n in ("7", "7", "8")]
    numbers = [parse(content).segments[1].field(3).split("^")[0] for content in made]
    assert numbers[0] == numbers[1] == pseudonyms.patient("7", "HOSP")
    assert numbers[2] != numbers[0]


@pytest.mark.parametrize(
    ("observation", "told"),
    [
        ("NM|2093-3^^LN||182.50|mg/dL", "182.50"),
        ("NM|2093-3^^LN||19570312|", ""),
        ("NM|30525-0^^LN||95|a", "90"),
        ("NM|30525-0^^LN||1100|mo", "90"),
        ("NM|59408-5^^LN||95|%", "95"),
        ("SN|30525-0^^LN||^95|yr", ">=^90"),
        ("SN|5778-6^^LN||>^12.5|mg/dL", ">^12.5"),
        ("CWE|8480-6^^LN||260385009^Negative^SCT", "260385009^^SCT"),
        ("CWE|8480-6^^LN||DOE^Jane Doe^99LOCAL", "^^"),
        ("DT|8665-2^^LN||20260102", "2026"),
        ("TM|8665-2^^LN||101112", "101112"),
        ("XPN|45392-8^^LN||Doe^Jane", ""),
        ("ED|PDF^^LN||^application^pdf^Base64^SmFuZQ==", "^application^pdf^^"),
        ("ED|PDF^^LN||^TEXT^PLAIN^Base64^SmFuZQé", "^TEXT^PLAIN^^"),
        ("RP|PDF^^LN||http://host/Doe", ""),
        ("ST|8665-2^^LN||Jane", ""),
    ],
)
def test_observations_by_their_type(observation: str, told: str) -> None:
    assert only(f"OBX|1|{observation}\r")[5] == told


def test_a_study_uid_is_renamed_as_in_dicom() -> None:
    pseudonyms = EphemeralPseudonyms()
    content = (HEAD + "OBX|1|ST|113014^Study^DCM||1.2.840.99.1.2.3.4\r").encode()
    read = parse(Hl7v2Deidentifier(pseudonyms).message(content))
    assert read.segments[1].field(5) == pseudonyms.uid("1.2.840.99.1.2.3.4")


def test_a_name_over_two_lines_of_a_report_is_seen_as_one_text() -> None:
    engines: list[Names] = []

    def text_for(known: Known, secret: str) -> Names:
        engines.append(Names(known))
        return engines[-1]

    read = run(
        "PID|1||7||Doe^Jane\rOBX|1|TX|18748-4^^LN||Seen: Jane||||||F\r"
        "OBX|2|TX|18748-4^^LN||Doe\\.br\\with a 3 \\T\\ 4 mm cyst||||||F\rNTE|1|L|Jane~called\r",
        text_for=text_for,
    )
    assert "Seen: Jane\nDoe\nwith a 3 & 4 mm cyst" in engines[0].texts
    assert [s.field(5) for s in read.segments if s.name == "OBX"] == [
        "Seen: [NAME]",
        "[NAME]\\.br\\with a 3 \\T\\ 4 mm cyst",
    ]
    assert read.segments[-1].field(3) == "[NAME]~called"


def test_lines_that_the_engine_joins_keep_their_segments() -> None:
    class Joins:
        def deidentify(self, text: str) -> str:
            return text.replace("Jane\nDoe", "[NAME]")

        def display(self, text: str) -> str:
            return self.deidentify(text)

    read = run(
        "OBX|1|TX|1-8^^LN||Seen: Jane\rOBX|2|TX|1-8^^LN||Doe today\rOBX|3|TX|1-8^^LN||well\r",
        text_for=lambda known, secret: Joins(),
    )
    assert [s.field(5) for s in read.segments[1:]] == ["Seen: [NAME] today", "well", ""]


def test_a_clean_text_document_stays_in_its_envelope() -> None:
    engine = Names
    obx = only("OBX|1|ED|18748-4^^LN||^TEXT^PLAIN^Base64^TWFzcyBpbiBsdW5n\r", text_for=engine)
    assert obx[5] == "^TEXT^PLAIN^Base64^TWFzcyBpbiBsdW5n"


def test_unknown_segments_go_with_their_notes() -> None:
    read = run("PID|1\rNTE|1|L\rZPI|Doe\rNTE|2|L\rOBX|1|NM|2093-3^^LN||4\rNTE|3|L\rXYZ|Doe\r")
    assert [(s.name, s.field(1)) for s in read.segments[1:]] == [
        ("PID", "1"),
        ("NTE", "1"),
        ("OBX", "1"),
        ("NTE", "3"),
    ]


def test_the_engine_learns_the_people_of_the_message() -> None:
    seen: list[Known] = []

    def text_for(known: Known, secret: str) -> Names:
        seen.append(known)
        return Names(known)

    run(
        "PID|1||7^^^H^MR||Doe^Jane^Q||19570312||||12 Elm St^^Tulsa^OK^74012||^PRN^PH^jd@x.org^^918^5551234\r"
        "NK1|1|Roe^Max\rPV1|1|I|||||99^Welby^Marcus\r",
        text_for=text_for,
    )
    (known,) = seen
    assert known["birthDate"] == "1957-03-12"
    assert [name["family"] for name in known["name"]] == ["Doe", "Roe", "Welby"]
    assert {"value": "9185551234"} in known["telecom"]
    assert known["address"] == [{"line": ["12 Elm St"], "city": "Tulsa", "state": "OK", "postalCode": "74012"}]
    assert {"value": "7"} in known["identifier"]


def observed(values: str, kind: str = "CWE") -> str:
    return f"PID|1||7^^^H^MR~523-11-9087^^^SSA^SS||Doe^Jane\rOBX|1|{kind}|2093-3^^LN||{values}\r"


@pytest.mark.parametrize("form", ["C{}^Glucose level here^L", "1234-5^Glucose^LN^^^^^^text {} of it"])
def test_a_megabyte_of_codes_is_read_as_one_text(form: str) -> None:
    values = "~".join(form.format(number) for number in range(1_100_000 // (len(form) + 4)))
    began = time.process_time()
    run(observed(values), text_for=engine_by("safe-harbor"))
    assert time.process_time() - began < 5  # 1.2 and 2.2 s when measured; each text by itself takes more than seven


def test_many_texts_are_read_as_each_by_itself_is() -> None:
    texts = ["no finding", "Jane Doe was here", "seen by Dr. Robert", "Smith fracture", "May 4,", "2021", "SSN 523-11"]
    few = run(observed("~".join(f"^{text}" for text in texts)), text_for=engine_by("safe-harbor"))
    values = "~".join(f"^{text}" for text in [*texts, *(f"text {number} of it, long enough" for number in range(2000))])
    many = run(observed(values), text_for=engine_by("safe-harbor"))
    kept = [message.segments[2].field(5).split("~")[: len(texts)] for message in (few, many)]
    assert [re.sub("[0-9]]", "n]", one) for one in kept[0]] == [re.sub("[0-9]]", "n]", one) for one in kept[1]]
    assert many.segments[2].field(5).count("~") == len(texts) + 1999
    assert "Doe" not in str(many)


class Greedy(Names):
    """Takes the marks between texts for its own."""

    def deidentify(self, text: str) -> str:
        return super().deidentify(text).replace(";\n", "")


def test_a_text_is_never_shown_beside_the_code_of_another() -> None:
    values = "~".join(f"^text {number} of Doe; and so on, and on and on" for number in range(1000))
    told = run(observed(values), text_for=Greedy).segments[2].field(5).split("~")
    assert told == [f"^text {number} of [NAME]; and so on, and on and on" for number in range(1000)]


@pytest.mark.parametrize(
    "text",
    [
        "LDL523-11-9087",
        "523-11-9087é well",
        "x523119087",
        "20240304523-11-9087é",
        "lives at 4417 Larkspur Hollowx",
        "a.LARKSPUR HOLLOWb",
        "xmoquill@zephyrmail.exampley",
    ],
)
@pytest.mark.parametrize("method", ["safe-harbor", "limited-data-set", "surrogates"])
def test_what_is_known_goes_also_when_it_is_glued_to_letters(text: str, method: str) -> None:
    pid = "PID|1||7^^^H^MR~523-11-9087^^^SSA^SS||Doe^Jane||||||4417 Larkspur Hollow Rd||^^^moquill@zephyrmail.example\r"
    made = run(f"{pid}OBX|1|TX|X||{text}\rNTE|1||{text}\r", text_for=engine_by(method), method=method)
    told = str(made.segments[2:]).lower()
    assert not re.search(r"523-?11-?9087|larkspur|moquill", told), told


def test_a_long_known_number_is_hidden_and_no_measure_is() -> None:
    made = run(observed("182 mg/dL of 1000000, and 531190870", "TX"), text_for=engine_by("safe-harbor"))
    assert made.segments[2].field(5).startswith("182 mg/dL of 1000000, and")
