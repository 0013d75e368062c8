"""Marked texts, in both forms."""

import json
from pathlib import Path

import pytest

from osler.deidentify.text.gold import Gold, Marked, parse_marked, read_gold, read_predictions
from osler.errors import ConfigError

_TEXT = "=== one\n{NAME:Zq Vex} came\n{DATE:3/\n14} {IGNORE:Monday}\n\n===\n{a: 1} {OTHER:x}\n"
_GOLD = [
    Gold("one", "Zq Vex came\n3/\n14 Monday", (Marked(0, 6, "NAME"), Marked(12, 17, "DATE"), Marked(18, 24, "IGNORE"))),
    Gold("note-02", "{a: 1} {OTHER:x}", ()),
]


def test_marks_become_offsets_and_other_braces_stay() -> None:
    assert list(parse_marked(_TEXT, "note")) == _GOLD


def test_a_folder_holds_either_form(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text(_TEXT)
    (tmp_path / "lines.jsonl").write_text("\n".join(json.dumps(gold.to_json()) for gold in _GOLD))
    (tmp_path / "README.md").write_text("no text")
    assert list(read_gold(tmp_path)) == _GOLD * 2


def test_predictions_are_read_as_deid_text_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "found.jsonl"
    path.write_text('{"id": 7, "spans": [{"start": 0, "end": 2, "category": "NAME", "score": 1}]}\n\n')
    assert read_predictions(path) == {"7": (Marked(0, 2, "NAME"),)}


@pytest.mark.parametrize("span", [{"start": 2, "end": 1, "cat": "X"}, {"start": "0", "end": 1, "cat": "X"}, {}, 3])
@pytest.mark.parametrize("read", [lambda path: list(read_gold(path)), read_predictions])
def test_a_bad_span_is_named_and_not_quoted(tmp_path: Path, read: object, span: object) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps({"id": 1, "text": "Zqvex", "spans": [span]}))
    with pytest.raises(ConfigError, match="line 1 ") as refusal:
        read(path)  # type: ignore[operator]
    assert "Zqvex" not in str(refusal.value)
