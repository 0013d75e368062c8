"""FHIR JSON: decimals keep their text; what is not JSON is refused without a word of it."""

import copy
import pickle
from decimal import Decimal

import pytest

from osler.errors import Malformed
from osler.standards import fhir

NUMBERS = [
    "0.930",
    "1.00",
    "1E-22",
    "1e+5",
    "-0",
    "-0.0",
    "0",
    "12345678901234567890",
    "0.1000000000000000055511151231",
]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_written_as_it_was_read(number: str) -> None:
    text = f'{{"value":{number}}}'

    assert fhir.dumps(fhir.loads(text)) == text


def test_a_decimal_computes_as_a_decimal_and_keeps_its_text_when_copied() -> None:
    value = fhir.loads('{"value":0.930}')["value"]

    assert value == Decimal("0.93")
    assert value + 1 == Decimal("1.93")
    assert str(copy.deepcopy(value)) == "0.930"
    assert str(pickle.loads(pickle.dumps(value))) == "0.930"


def test_text_and_bytes_and_every_kind_of_value_come_back() -> None:
    text = '{"a":["\u00e9\\n\\u0007\\"",null,true,false,{}],"b":[]}'

    assert fhir.loads(fhir.dumps(fhir.loads(text.encode()))) == fhir.loads(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"secret":1', "not JSON: fault at line 1, column 12"),
        ("[1]", "not an object"),
        ('"secret"', "not an object"),
        ('{"secret":1,"secret":2}', "same name twice"),
        ('{"a":{"secret":1,"secret":1}}', "same name twice"),
        ('{"a":NaN}', "NaN"),
        ('{"a":-Infinity}', "NaN or Infinity"),
        ('{"a":01}', "not JSON"),
        ('{"a":"\\ud800"}', "surrogate"),
        ('{"a":' + "9" * 100 + "}", "too long"),
        ('{"a":1E' + "9" * 30 + "}", "exponent"),
        ('{"a":' * 65 + "1" + "}" * 65, "deeper than 64"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "deeper than 64"),
        ("[" * 100_000, "deeper than 64"),
    ],
)
def test_what_is_not_fhir_json_is_refused_without_quoting_it(text: str, words: str) -> None:
    with pytest.raises(Malformed, match=words) as caught:
        fhir.loads(text)

    assert "secret" not in str(caught.value)


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(Malformed, match="not UTF-8: fault at byte 6"):
        fhir.loads(b'{"a":"\xff"}')


@pytest.mark.parametrize("value", [0.5, float("nan"), Decimal("NaN"), Decimal("Infinity"), b"x", {1}])
def test_what_has_no_exact_form_is_not_written(value: object) -> None:
    with pytest.raises(Malformed, match="no form"):
        fhir.dumps({"value": value})


def test_an_operation_outcome_is_valid_with_and_without_issues() -> None:
    issue = fhir.Issue("required", "Observation.code", "is required")

    assert fhir.validate(fhir.operation_outcome([])) == []
    assert fhir.validate(fhir.operation_outcome([issue])) == []
    assert fhir.operation_outcome([issue])["issue"][0]["expression"] == ["Observation.code"]


def test_an_instant_has_milliseconds_and_utc() -> None:
    assert fhir.instant(1.0006) == "1970-01-01T00:00:01.001Z"
