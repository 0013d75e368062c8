import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from osler.cli.deid_text import deidentify_lines, text
from osler.errors import Malformed


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(text)
    return made


def test_a_text_from_standard_input(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, [], input="MRN 445566")
    assert (result.exit_code, result.stdout) == (0, "MRN [MRN-1]\n")


def test_a_file_with_its_context_as_json(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("zq 77 came")
    (tmp_path / "patient.json").write_text('{"mrn": "ZQ-77"}')
    args = [str(tmp_path / "note.txt"), "--context", str(tmp_path / "patient.json"), "--json"]
    document = json.loads(CliRunner().invoke(app, args).stdout)
    assert (document["text"], document["method"]) == ("[MRN-1] came", "safe-harbor")
    assert document["spans"][0]["replacement"] == "[MRN-1]"


def test_many_lines_keep_their_order(tmp_path: Path) -> None:
    lines = [{"id": n, "text": f"MRN {445500 + n}"} for n in range(120)]
    lines[7]["context"] = {"name": "zqvex"}
    lines[7]["text"] = "zqvex came"
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join(map(json.dumps, lines)))
    assert deidentify_lines(source, target, method="safe-harbor") == (120, 0)
    answers = [json.loads(line) for line in target.read_text().splitlines()]
    assert [answer["id"] for answer in answers] == list(range(120))
    assert {answer["text"] for answer in answers} == {"MRN [MRN-1]", "[NAME-1] came"}
    assert answers[7]["text"] == "[NAME-1] came"


@pytest.mark.parametrize("line", ["{", "[]", '{"id": 1}', '{"text": "zq", "context": 3}'])
def test_a_line_that_is_none_stops_it_by_number_and_leaves_nothing(tmp_path: Path, line: str) -> None:
    (tmp_path / "in.jsonl").write_text(f'{{"text": "a"}}\n{line}\n')
    with pytest.raises(Malformed, match="line 2"):
        deidentify_lines(tmp_path / "in.jsonl", tmp_path / "out.jsonl", method="safe-harbor")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]
