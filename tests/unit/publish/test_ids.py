import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from osler.publish.ids import dicom_uid, logical_id
from osler.standards.dicom import is_uid

words = st.lists(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n"), max_size=20), min_size=1, max_size=4
)


@given(words)
def test_they_have_the_form_that_the_standards_ask_for(parts: list[str]) -> None:
    uid = dicom_uid(*parts)

    assert is_uid(uid)
    assert re.fullmatch(r"2\.25\.(0|[1-9]\d*)", uid)
    assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", logical_id(*parts))
    assert uuid.UUID(logical_id(*parts)).int == int(uid.removeprefix("2.25."))


@given(words, words)
def test_the_same_for_the_same_and_only_for_it(one: list[str], other: list[str]) -> None:
    assert (logical_id(*one) == logical_id(*other)) == (one == other)
