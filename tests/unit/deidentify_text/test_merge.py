from osler.deidentify.text import Category, Span
from osler.deidentify.text.merge import merge, repeated
from osler.deidentify.text.shadow import make_shadow


def span(start: int, end: int, category: str = "NAME", score: float = 0.9, rule: str = "r") -> Span:
    return Span(start, end, Category(category), score, rule)


def test_overlapping_spans_become_one_named_by_the_surest() -> None:
    merged = merge([span(5, 12, "DATE", 0.7, "weak"), span(0, 8, "MRN", 0.95, "sure")], "x" * 20)
    assert merged == [span(0, 12, "MRN", 0.95, "sure+")]


def test_a_span_that_covers_the_other_keeps_its_rule() -> None:
    assert merge([span(0, 9, score=0.9), span(2, 4, score=0.5)], "x" * 20) == [span(0, 9)]


def test_names_side_by_side_are_one_name_and_others_are_not() -> None:
    assert merge([span(0, 4), span(5, 10)], "Jane Smith") == [span(0, 10)]
    assert len(merge([span(0, 4), span(5, 10)], "Jane\nSmith")) == 2
    assert len(merge([span(0, 4, "DATE"), span(5, 10, "DATE")], "1234 56789")) == 2


def test_what_was_found_once_is_hidden_everywhere() -> None:
    text = "Okafor saw him. OKAFOR's note; okafor; Head. Ref 12345678, x12345678, 12345678."
    found = [span(0, 6), span(text.index("Head"), text.index("Head") + 4), span(49, 57, "MRN")]
    spots = {text[s.start : s.end] for s in repeated(found, make_shadow(text), {"head"}.__contains__)}
    again = [s.start for s in repeated(found, make_shadow(text), {"head"}.__contains__) if s.category is Category.MRN]
    assert spots == {"Okafor", "OKAFOR", "12345678"}
    assert again == [49, text.rindex("12345678")]


def test_a_weak_find_is_not_spread() -> None:
    assert list(repeated([span(0, 6, score=0.5)], make_shadow("Okafor Okafor"), {"x"}.__contains__)) == []
