"""``osler deid evaluate``: the rates, the table, and errors without identifiers."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from osler.cli.deid_evaluate import TEXTS_A_TASK, evaluate
from osler.errors import ConfigError

_NOTE = "=== a\nSSN {SSN:219-09-9999} and code {OTHER_ID:qqq} were given\n=== b\nMRN {MRN:445566}\n"


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(evaluate)
    return made


def test_osler_is_measured(app: typer.Typer, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text(_NOTE)
    document = json.loads(CliRunner().invoke(app, [str(path), "--json"]).stdout)
    assert (document["documents"], document["refused"], document["method"]) == (2, 0, "safe-harbor")
    assert document["by_category"]["SSN"] == {"spans": 1, "token_recall": 1.0, "category_correct": 1.0}


def test_predictions_are_measured_and_errors_quote_no_identifier(app: typer.Typer, tmp_path: Path) -> None:
    gold, found = tmp_path / "note.txt", tmp_path / "found.jsonl"
    gold.write_text(_NOTE)
    spans = [{"start": 4, "end": 15, "category": "SSN"}, {"start": 29, "end": 33, "category": "NAME"}]
    found.write_text(json.dumps({"id": "a", "spans": spans}))
    args = [str(gold), "--predictions", str(found)]
    document = json.loads(CliRunner().invoke(app, [*args, "--json"]).stdout)
    assert document["token_recall"] == 0.6
    assert document["document_leak"] == 1.0
    assert document["errors"] == [
        {"id": "a", "kind": "leak", "category": "OTHER_ID", "start": 25, "end": 28,
         "context": "[SSN] and code [OTHER_ID] [NAME] given"},
        {"id": "a", "kind": "over-redaction", "category": "NAME", "start": 29, "end": 33,
         "context": "and code [OTHER_ID] <NAME> given"},
        {"id": "b", "kind": "leak", "category": "MRN", "start": 4, "end": 10, "context": "MRN [MRN]"},
    ]  # fmt: skip
    shown = CliRunner().invoke(app, args).stdout
    assert "60.00 %" in shown
    assert not [value for value in ("219", "qqq", "445566", "were") if value in shown]


def test_many_texts_are_measured_on_all_cores_in_order(app: typer.Typer, tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("".join(f"=== {number:03}\ncode {{OTHER_ID:q}}\n" for number in range(3 * TEXTS_A_TASK)))
    document = json.loads(CliRunner().invoke(app, [str(path), "--json"]).stdout)
    ids = [error["id"] for error in document["errors"] if error["kind"] == "leak"]
    assert document["documents"] == 3 * TEXTS_A_TASK
    assert ids == sorted(ids)


def test_an_unknown_method_is_refused(app: typer.Typer, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text(_NOTE)
    assert isinstance(CliRunner().invoke(app, [str(path), "--method", "magic"]).exception, ConfigError)
