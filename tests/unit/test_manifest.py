"""What an edge says of a study: written, read, and refused when it is something else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.domain.events import DeidentifiedInstance
from osler.domain.manifest import Manifest, dumps, loads
from osler.domain.states import AgeBand, Priority
from osler.errors import Malformed

UIDS = st.integers(0, 2**128 - 1).map(lambda number: f"2.25.{number}")
HASHES = st.text("0123456789abcdef").map("{:0>64.64}".format)
INSTANCES = st.builds(DeidentifiedInstance, UIDS, UIDS, st.just("1.2.840.10008.5.1.4.1.1.1"), HASHES)
MANIFESTS = st.builds(
    Manifest,
    st.integers(1, 2**31 - 1),
    st.sampled_from(AgeBand),
    st.sampled_from(Priority),
    st.lists(INSTANCES, min_size=1, max_size=5, unique_by=lambda one: one.sop_instance_uid).map(tuple),
)
GOOD: dict[str, Any] = {
    "revision": 1,
    "age_band": "18y+",
    "priority": "HIGH",
    "instances": [["2.25.1", "2.25.2", "1.2", "a" * 64]],
}
WRONG: list[dict[str, Any]] = [
    {"revision": 0},
    {"revision": True},
    {"revision": "1"},
    {"revision": 2**31},
    {"age_band": "old"},
    {"priority": None},
    {"instances": []},
    {"instances": {}},
    {"instances": [["2.25.1", "2.25.2", "1.2"]]},
    {"instances": [["1.2.840.1", "2.25.2", "1.2", "a" * 64]]},
    {"instances": [["2.25.01", "2.25.2", "1.2", "a" * 64]]},
    {"instances": [["2.25.1", "2.25.2", "x", "a" * 64]]},
    {"instances": [["2.25.1", "2.25.2", "1.2", "../../etc"]]},
    {"instances": [["2.25.1", "2.25.2", "1.2", "a" * 64]] * 2},
]


@given(MANIFESTS)
def test_what_is_written_is_read_again(manifest: Manifest) -> None:
    assert loads(dumps(manifest)) == manifest


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_something_else_is_refused(change: dict[str, Any]) -> None:
    assert loads(json.dumps(GOOD)).revision == 1
    with pytest.raises(Malformed):
        loads(json.dumps(GOOD | change))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000], ids=["nothing", "a list", "cut off", "deep"])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        loads(text)
