"""Planted identifiers never come out of an HL7 v2 message, whichever field and escape they are planted in."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.deidentify.hl7v2 import Hl7v2Deidentifier
from osler.standards.hl7v2 import parse

HEAD = "MSH|^~\\&|Kanarie|Vogel|Kanarie|Vogel|19570312||ORU^R01^ORU_R01|Kanarie1|P|2.5.1||||||UNICODE UTF-8\r"
CANARIES = ("kanarie", "vogel", "19570312", "471147114711")
VALUES = (
    "Kanarie",
    "KANARIE^VOGEL^KANARIE",
    "Kanarie&Vogel^Vogel&Kanarie~Kanarie",
    "19570312",
    "19570312101112.123-0500",
    "471147114711",
    "471147114711^^^Kanarie&1.2&ISO^MR^Vogel",
    "Kana\\H\\rie\\N\\ Vo\\X67\\el",
    "\\X4B616E61726965\\",
    "S2FuYXJpZQ==",
    '""',
    "",
)
SEGMENTS = (
    "PID",
    "PD1",
    "NK1",
    "GT1",
    "IN1",
    "IN2",
    "PV1",
    "PV2",
    "ORC",
    "OBR",
    "OBX",
    "NTE",
    "AL1",
    "DG1",
    "PR1",
    "SPM",
)
TYPES = (
    "NM",
    "SN",
    "ST",
    "TX",
    "FT",
    "CE",
    "CWE",
    "DT",
    "TS",
    "ED",
    "RP",
    "XPN",
    "XCN",
    "XAD",
    "XTN",
    "CX",
    "EI",
    "ZZ",
    "",
)


def cleaned(message: str) -> str:
    return Hl7v2Deidentifier(EphemeralPseudonyms(), this_year=2026).message(message.encode()).decode()


def residue(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text.lower()]


@pytest.mark.parametrize("segment", SEGMENTS)
def test_no_field_lets_a_canary_through(segment: str) -> None:
    message = HEAD + "".join("|".join([segment, *[value] * 60]) + "\r" for value in VALUES)
    assert residue(cleaned(message)) == []


@pytest.mark.parametrize("kind", TYPES)
def test_no_observation_lets_a_canary_through(kind: str) -> None:
    body = (f"OBX|1|{kind}|2093-3^Kanarie^LN||{value}|Kanarie^Vogel^UCUM|Kanarie||||F\r" for value in VALUES)
    text = cleaned(HEAD + "".join(body))
    assert residue(text) == []
    assert [segment.field(11) for segment in parse(text.encode()).segments[1:]] == ["F"] * len(VALUES)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from(SEGMENTS), st.text(string.ascii_uppercase, min_size=3, max_size=3)),
            st.lists(st.sampled_from(VALUES), max_size=30),
        ),
        max_size=8,
    )
)
@settings(max_examples=80, deadline=None)
def test_no_message_lets_a_canary_through(segments: list[tuple[str, list[str]]]) -> None:
    body = "".join("|".join([name, *fields]) + "\r" for name, fields in segments if name != "MSH")
    text = cleaned(HEAD + body)
    assert residue(text) == []
    kept = [segment.name for segment in parse(text.encode()).segments]
    sent = [segment.name for segment in parse((HEAD + body).encode()).segments]
    assert [name for name in sent if name in kept and name != "NTE"] == [name for name in kept if name != "NTE"]
