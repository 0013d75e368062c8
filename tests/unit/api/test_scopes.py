"""SMART scopes: what they say, and what of them is granted."""

import pytest

from osler.api.smart.scopes import check_scopes, in_words, intersect, parse_scopes
from osler.errors import InputRejected

LOINC = "http://loinc.org"


@pytest.mark.parametrize(
    ("scope", "rights"),
    [
        ("system/Observation.read", "rs"),
        ("system/Observation.write", "cud"),
        ("system/Observation.*", "cruds"),
        ("system/Observation.rs", "rs"),
        ("system/Observation.r", "r"),
        ("system/Observation.c", "c"),
        ("system/*.cruds", "cruds"),
        ("system/*.read", "rs"),
        ("patient/Observation.read", "rs"),
        ("user/*.cruds", "cruds"),
        ("patient/Observation.rs?code=x", "rs"),
        ("system/Patient.read", ""),
        ("system/Observation.read?code=x", ""),
        ("system/Observation.sr", ""),
        ("system/Observation.", ""),
        ("system/observation.read", ""),
        ("SYSTEM/Observation.read", ""),
        ("system/Observation.readx", ""),
        ("system/*.*.*", ""),
        ("system/Observation.rs?", ""),
        ("system/Observation.rs?nonsense=x", ""),
        ("system/Observation.rs?date=2024", ""),
        ("system/Observation.rs?patient=x", ""),
        ("system/Observation.rs?code:not=x", ""),
        ("system/Observation.rs?code=a,b", ""),
        ("system/Observation.rs?code=a|b|c", ""),
        ("system/Observation.rs?code=|", ""),
        ("system/Observation.rs?code=a\\|b", ""),
        ("system/Observation.rs?code", ""),
        ("system/Observation.rs?" + "&".join(f"code={n}" for n in range(6)), ""),
        ("system/Elephant.rs?code=x", ""),
        ("system/Observation.rs?_id=x", ""),
        ("system/Observation.rs?combo-code=x", ""),
        ("launch", ""),
        ("openid", ""),
        ("", ""),
    ],
)
def test_a_scope_speaks_of_these_rights_to_observation(scope: str, rights: str) -> None:
    found = [s.rights for s in parse_scopes(scope) if s.covers("Observation")]

    assert "".join(r for r in "cruds" if found and r in found[0]) == rights


@pytest.mark.parametrize(
    ("filters", "terms"),
    [
        ("code=718-7", (("code", ("code", "718-7")),)),
        (f"code={LOINC}|718-7", (("code", ("both", LOINC, "718-7")),)),
        (f"code={LOINC}|", (("code", ("system", LOINC)),)),
        ("code=|LAB", (("code", ("both", "", "lab")),)),
        ("code=http%3A%2F%2Floinc.org%7CA", (("code", ("both", LOINC, "a")),)),
        ("code=a&status=final", (("code", ("code", "a")), ("status", ("code", "final")))),
        ("category=http://x|Laboratory", (("category", ("both", "http://x", "laboratory")),)),
        ("_security=R", (("_security", ("code", "r")),)),
    ],
)
def test_a_filter_is_a_term_of_the_index(filters: str, terms: object) -> None:
    (scope,) = parse_scopes(f"patient/Observation.rs?{filters}")

    assert scope.terms("Observation") == terms


def test_a_filter_that_a_type_does_not_know_gives_nothing_of_it() -> None:
    (scope,) = parse_scopes("patient/*.rs?code=x")

    assert scope.terms("Observation") is not None
    assert scope.terms("ImagingStudy") is None


@pytest.mark.parametrize(
    ("asked", "registered", "granted"),
    [
        ("system/*.rs", "system/*.rs", "system/*.rs"),
        ("system/*.read", "system/*.rs", "system/*.read"),
        ("system/*.rs", "system/*.read", "system/*.rs"),
        ("system/Observation.rs", "system/*.read", "system/Observation.rs"),
        ("system/*.rs", "system/Observation.rs system/ImagingStudy.c", "system/Observation.rs"),
        ("system/*.cruds", "system/*.r system/Observation.rs", "system/*.r system/Observation.rs"),
        ("system/Observation.cruds", "system/Observation.rs", "system/Observation.rs"),
        ("system/Observation.*", "system/Observation.r system/*.s", "system/Observation.rs"),
        ("system/Patient.rs", "system/Observation.rs", ""),
        ("system/Observation.c", "system/Observation.rs", ""),
        ("openid launch patient/*.rs", "system/*.rs", ""),
        ("openid launch patient/*.rs x", "launch user/*.rs patient/*.r", "launch patient/*.r"),
        ("launch", "launch/patient", ""),
        ("system/Device.r system/Device.r", "system/*.rs", "system/Device.r"),
        ("patient/*.rs", "user/*.rs system/*.rs", ""),
        ("user/*.rs", "patient/*.rs system/*.rs", ""),
        ("patient/Observation.rs?code=a", "patient/*.rs", "patient/Observation.rs?code=a"),
        ("patient/Observation.rs", "patient/Observation.rs?code=a", "patient/Observation.rs?code=a"),
        ("patient/Observation.cruds", "patient/Observation.rs?code=a", "patient/Observation.rs?code=a"),
        ("patient/Device.rs?status=a", "patient/Device.rs?status=a&type=b", "patient/Device.rs?status=a&type=b"),
        ("patient/Observation.rs?code=a", "patient/Observation.rs?code=b", "patient/Observation.rs?code=a&code=b"),
        ("patient/*.rs", "patient/Observation.rs?code=a", "patient/Observation.rs?code=a"),
        ("patient/Flag.rs", "patient/Flag.r patient/*.rs?_tag=a", "patient/Flag.r patient/Flag.rs?_tag=a"),
        ("patient/Observation.rs", "patient/Observation.rs?code=a patient/*.rs", "patient/Observation.rs"),
    ],
)
def test_no_more_is_granted_than_is_asked_for_and_registered(asked: str, registered: str, granted: str) -> None:
    result = intersect(parse_scopes(asked), parse_scopes(registered))

    assert in_words(result) == granted
    assert parse_scopes(in_words(result)) == result, "what is granted reads as what it is"


@pytest.mark.parametrize(
    "text", ["", " ", "system/*", "launch/x", "system/Observation.rs?x=1", "system/*.rs x", "patient/*.rs openid email"]
)
def test_a_scope_that_this_server_cannot_keep_to_is_not_registered(text: str) -> None:
    with pytest.raises(InputRejected):
        check_scopes(text)


def test_scopes_are_registered_once_each() -> None:
    assert check_scopes(" system/*.rs  system/*.rs openid system/ImagingStudy.c") == (
        "system/*.rs openid system/ImagingStudy.c"
    )
