"""An inference survives JSON to the last digit."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.domain import inference_json
from osler.domain.codes import Code
from osler.domain.findings import CaseResult, Finding, Inference, ModelVersion, Refusal
from osler.errors import Malformed

text = st.text(max_size=20)
probability = st.floats(0.0, 1.0)
finding = st.builds(Finding, text, st.builds(Code, text, text, text), probability, probability, st.booleans())
result = st.builds(
    CaseResult,
    text,
    st.lists(text, max_size=3).map(tuple),
    st.lists(finding, max_size=3).map(tuple),
    st.lists(text, max_size=3).map(tuple),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | text,
)
inference = st.builds(
    Inference,
    text,
    st.builds(ModelVersion, text, text, text, text),
    st.lists(result, max_size=3).map(tuple),
    st.lists(st.builds(Refusal, text, text), max_size=3).map(tuple),
    st.dictionaries(text, st.floats(0.0, 1e6), max_size=3),
)


@given(inference)
def test_round_trip(given_inference):
    assert inference_json.loads(inference_json.dumps(given_inference)) == given_inference


json_value = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=10,
)


@given(inference, st.data())
def test_a_document_with_a_strange_member_is_malformed_or_an_inference(given_inference, data):
    document = inference_json.to_json(given_inference)
    document[data.draw(st.sampled_from(sorted(document)))] = data.draw(json_value)
    try:
        read = inference_json.from_json(document)
    except Malformed:
        return
    assert isinstance(read, Inference)


@pytest.mark.parametrize("words", ["", "[", "null", "[]", '"x"', "[" * 100_000])
def test_what_is_no_inference_is_malformed(words):
    with pytest.raises(Malformed):
        inference_json.loads(words)


def test_it_is_json_that_everybody_reads():
    given_inference = Inference("2.25.1", ModelVersion("m", "1", "a", "1"))
    assert json.loads(inference_json.dumps(given_inference))["model"] == {
        "name": "m",
        "version": "1",
        "sha256": "a",
        "preprocessing": "1",
    }
