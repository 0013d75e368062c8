"""SMART scopes: what they allow, and what of them is granted."""

import pytest

from osler.api.scopes import allows, check_scopes, intersect, parse_scopes
from osler.errors import InputRejected


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
        ("system/Patient.read", ""),
        ("patient/Observation.read", ""),
        ("user/*.cruds", ""),
        ("system/Observation.rs?category=x", ""),
        ("system/Observation.sr", ""),
        ("system/Observation.", ""),
        ("system/observation.read", ""),
        ("SYSTEM/Observation.read", ""),
        ("system/Observation.readx", ""),
        ("system/*.*.*", ""),
        ("launch", ""),
        ("", ""),
    ],
)
def test_a_scope_allows_these_rights_to_observation(scope: str, rights: str) -> None:
    assert "".join(r for r in "cruds" if allows(parse_scopes(scope), "Observation", r)) == rights


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
        ("system/Device.r system/Device.r", "system/*.rs", "system/Device.r"),
    ],
)
def test_no_more_is_granted_than_is_asked_for_and_registered(asked: str, registered: str, granted: str) -> None:
    result = intersect(parse_scopes(asked), parse_scopes(registered))

    assert " ".join(scope.text for scope in result) == granted
    assert all(s.text == parse_scopes(s.text)[0].text and s.rights == parse_scopes(s.text)[0].rights for s in result)


@pytest.mark.parametrize(
    "text", ["", " ", "system/*", "patient/*.rs", "launch", "system/Observation.rs?code=1", "system/*.rs x"]
)
def test_a_scope_that_this_server_cannot_keep_to_is_not_registered(text: str) -> None:
    with pytest.raises(InputRejected):
        check_scopes(text)


def test_scopes_are_registered_once_each() -> None:
    assert check_scopes(" system/*.rs  system/*.rs system/ImagingStudy.c") == "system/*.rs system/ImagingStudy.c"
