"""A little of the fuzzer in every run: mutated inputs with planted identifiers crash nothing and leak nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.fuzz_deidentify import KINDS, one_round


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10**9))
@settings(max_examples=15, deadline=None)
def test_a_round_is_safe_or_refused(kind: str, seed: int) -> None:
    outcome, detail = one_round(kind, seed)
    assert outcome in ("safe", "refused"), detail
