"""ROUGE as it is defined: shared runs of words, each counted as often as in both."""

import pytest

from osler.domain.note import Draft, DraftAuthor, Section, Statement, Topic
from osler.draft.evaluate.rouge import note_text, rouge_l, rouge_n, words


def test_words_are_lower_case_letters_and_digits_without_stemming() -> None:
    assert words("Takes 1,000 mg; X-ray's normal.") == ["takes", "1", "000", "mg", "x", "ray", "s", "normal"]


@pytest.mark.parametrize(
    ("text", "reference", "n", "precision", "recall"),
    [
        ("the cat sat", "the cat ran away", 1, 2 / 3, 2 / 4),
        ("the the the", "the cat", 1, 1 / 3, 1 / 2),
        ("the cat sat", "the cat ran", 2, 1 / 2, 1 / 2),
        ("", "the cat", 1, 0, 0),
        ("cat", "", 1, 0, 0),
    ],
)
def test_overlap(text: str, reference: str, n: int, precision: float, recall: float) -> None:
    found = rouge_n(text, reference, n)
    assert (found.precision, found.recall) == pytest.approx((precision, recall))


def test_the_longest_common_subsequence_keeps_the_order() -> None:
    found = rouge_l("police killed the gunman", "the gunman police killed")
    assert found.f1 == pytest.approx(0.5)
    assert rouge_l("a b c", "a x b y c").recall == pytest.approx(3 / 5)


def test_equal_texts_score_one_and_nothing_scores_nothing() -> None:
    assert rouge_n("a b", "a b").f1 == rouge_l("a b", "A, B!").f1 == 1
    assert rouge_n("", "").f1 == 0


def test_a_draft_is_scored_with_the_headings_that_its_reader_sees() -> None:
    def section(problem: str, text: str) -> Section:
        return Section("ap", "Plan", "18776-5", (Statement("s1", text, (), Topic.PLAN),), problem)

    draft = Draft(
        "soap", (section("Gout", "Rest."), section("Asthma", "Inhaler.")), DraftAuthor("extractive", "x", "1")
    )
    assert note_text(draft).split("\n") == ["PLAN", "", "Gout", "Rest.", "Asthma", "Inhaler.", ""]
