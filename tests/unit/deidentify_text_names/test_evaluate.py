"""The measures, on texts small enough to count by hand."""

import json
from pathlib import Path

import pytest

from osler.deidentify.text.evaluate import Gold, Marked, evaluate, read_gold
from osler.deidentify.text.spans import Category, Span
from osler.errors import ConfigError

_TEXT = "Ann Lee came on Monday with Bo"
_GOLD = Gold("a", _TEXT, (Marked(0, 7, "NAME"), Marked(16, 22, "DATE"), Marked(28, 30, "IGNORE")))


def _span(start: int, end: int, category: Category = Category.NAME) -> Span:
    return Span(start, end, category, 1.0, "test")


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], {"token_recall": 0.0, "token_precision": None, "leak": 1.0, "document_leak": 1.0, "over_redaction": 0.0}),
        (
            [_span(0, 7), _span(16, 22, Category.DATE)],
            {"token_recall": 1.0, "token_precision": 1.0, "leak": 0.0, "document_leak": 0.0, "over_redaction": 0.0},
        ),
        (
            [_span(0, 3), _span(8, 12), _span(28, 30)],
            {"token_recall": 0.33333, "token_precision": 0.5, "leak": 0.75, "over_redaction": 0.33333},
        ),
        ([_span(0, 6)], {"token_recall": 0.33333, "leak": 0.58333}),
    ],
    ids=["nothing", "all", "one name, one innocent, one ignored", "half a word is not hidden"],
)
def test_rates(spans: list[Span], expected: dict[str, float | None]) -> None:
    rates = evaluate([_GOLD], lambda text: spans).to_json()
    assert {name: rates[name] for name in expected} == expected


def test_by_category() -> None:
    rates = evaluate([_GOLD], lambda text: [_span(0, 7), _span(16, 22, Category.LOCATION)]).to_json()
    assert rates["by_category"] == {
        "DATE": {"spans": 1, "token_recall": 1.0, "category_correct": 0.0},
        "NAME": {"spans": 1, "token_recall": 1.0, "category_correct": 1.0},
    }


def test_a_coarse_category_agrees_with_what_it_stands_for() -> None:
    gold = Gold("b", "call 5551234", (Marked(5, 12, "CONTACT"),))
    tally = evaluate([gold], lambda text: [_span(5, 12, Category.PHONE)]).by_category["CONTACT"]
    assert tally.typed == 1


def test_faults_show_the_context_without_the_identifiers() -> None:
    faults = evaluate([_GOLD], lambda text: [_span(8, 12)]).faults
    assert [(f.kind, f.category) for f in faults] == [
        ("leak", "NAME"), ("leak", "NAME"), ("over-redaction", "NAME"), ("leak", "DATE")
    ]  # fmt: skip
    for fault in faults:
        assert not {"Ann", "Lee", "Monday"} & set(fault.context.split())
    assert faults[2].context == "[NAME] <NAME> on [DATE] with"


def test_nothing_to_count_gives_no_rate() -> None:
    assert evaluate([], lambda text: []).to_json()["leak"] is None


def test_gold_is_read(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps({"id": 1, "text": "Ann", "spans": [{"start": 0, "end": 3, "category": "NAME"}]}) + "\n")
    assert list(read_gold(path)) == [Gold("1", "Ann", (Marked(0, 3, "NAME"),))]


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"id": 1, "text": "Ann Lee"}', '{"id": 1, "text": "Ann Lee", "spans": [{}]}']
)
def test_a_bad_line_is_named_and_not_quoted(tmp_path: Path, line: str) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text(line)
    with pytest.raises(ConfigError, match="line 1 ") as refusal:
        list(read_gold(path))
    assert "Ann" not in str(refusal.value)
