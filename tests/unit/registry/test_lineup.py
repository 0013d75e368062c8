"""Who reads a study, and in what role."""

import pytest

from osler.domain.states import Role
from osler.registry.lineup import Lineup

STUDIES = [f"2.25.{number}" for number in range(4000)]


def test_a_champion_reads_alone():
    assert list(Lineup(("a@1", "b@1")).readers("2.25.1")) == [("a@1", Role.CHAMPION), ("b@1", Role.CHAMPION)]


def test_what_reads_beside_it_is_a_shadow():
    found = dict(Lineup(("a@1", "b@1"), {"a@1": ("a@2", "a@3")}).readers("2.25.1"))
    assert found == {"a@1": Role.CHAMPION, "a@2": Role.SHADOW, "a@3": Role.SHADOW, "b@1": Role.CHAMPION}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_share_of_studies_comes_from_the_challenger_and_each_study_from_one(share):
    lineup = Lineup(("a@1",), {"a@1": ("a@2", "a@3")}, share)
    canaries = 0
    for study in STUDIES:
        roles = dict(lineup.readers(study))
        assert roles == dict(lineup.readers(study)), "every revision of a study is read alike"
        published = [model for model, role in roles.items() if role is not Role.SHADOW]
        assert published in (["a@1"], ["a@2"])
        canaries += published == ["a@2"]
    assert canaries / len(STUDIES) == pytest.approx(share, abs=0.025)


def test_no_challenger_no_canary():
    assert dict(Lineup(("a@1",), {}, 1.0).readers("2.25.1")) == {"a@1": Role.CHAMPION}
