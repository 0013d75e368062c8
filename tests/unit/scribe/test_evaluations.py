"""Reports of evaluations: kept, put on record, and gathered for the page by data set with their history."""

from pathlib import Path
from typing import Any

import pytest

from osler.api.scribe.measured import HEIGHT, WIDTH, measured
from osler.errors import Malformed
from osler.scribe import evaluations
from osler.storage import Database
from osler.storage.scribe_evaluations import Evaluation
from scribe_lab import ANN, Lab


def drafts(*, sha: str = "a" * 64, software: str = "1", pairs: int = 4, refused: float = 1.0, **figures: float) -> Any:
    every: dict[str, float | None] = {"rouge1": 0.5, "evidence": 1.0, "faithful": 0.9, "omissions": 1.5, "topic": None}
    control = {"others_refused": refused, "pairs": 4, "own_taken": 1.0, "own": 2}
    return {
        "software": software,
        "kind": "drafts",
        "corpus": {"name": "valid.csv", "sha256": sha},
        "template": "soap",
        "cases": 2,
        "writer": "osler-extractive 1",
        "figures": every | figures,
        "disturbed": {"as_recognised": every},
        "another_patient": {"drafts": control, "references": control | {"pairs": pairs}},
        "seconds": {"mean": 0.05, "slowest": 0.1, "per_minute": 0.006},
    }


def heard(clean: float) -> Any:
    return {
        "software": "1",
        "kind": "hearing",
        "corpus": {"name": "speech", "sha256": "b" * 64},
        "recordings": 1,
        "words": 5,
        "minutes": 0.1,
        "model": "tiny 1",
        "word_error_rate": {"clean": clean, "5 dB": 1.4},
        "seconds_per_minute": 12.0,
    }


def test_a_report_is_kept_and_on_record(database: Database, tmp_path: Path) -> None:
    lab = Lab(database, tmp_path)
    for software in ("1", "2"):
        evaluations.keep(lab.stores, ANN, drafts(software=software), clock=lab.clock)
    newest, oldest = evaluations.kept(lab.stores)
    assert (newest.report, newest.made_by, newest.made_at) == (drafts(software="2"), "ann", lab.now)
    assert oldest.report["software"] == "1"
    assert lab.events().count("drafts-evaluated") == 2
    for name in ("", "x" * 101):
        with pytest.raises(Malformed):
            evaluations.keep(lab.stores, ANN, drafts() | {"corpus": {"name": name, "sha256": "c"}})


def test_reports_on_one_data_set_are_one_history() -> None:
    kept = [
        Evaluation(drafts(software="3", rouge1=0.6), "ann", 3.0),
        Evaluation(drafts(sha="c" * 64), "ann", 2.5),
        Evaluation(drafts(software="2", rouge1=0.4), "ann", 2.0),
        Evaluation(drafts(software="1", rouge1=0.5), "max", 1.0),
    ]
    one, other = measured(kept)
    assert [past.software for past in one.history] == ["3", "2", "1"]
    rouge = one.rows[0]
    assert (rouge.name, rouge.remark, rouge.value) == ("ROUGE-1", "reported, not a pass mark", "60.0 %")
    assert rouge.picture is not None
    xs, ys = zip(*rouge.picture.points, strict=True)
    assert list(xs) == sorted(xs)
    assert ys.index(max(ys)) == 1  # 0.4 is the lowest
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in rouge.picture.points)
    assert other.rows[0].picture is None
    assert "Section is the right one" not in [row.name for row in one.rows]


def test_what_must_be_all_stands_out_when_it_is_less_and_never_reads_as_all() -> None:
    (one,) = measured([Evaluation(drafts(refused=0.9999, evidence=0.99), "ann", 1.0)])
    rows = {row.name: row for row in one.rows}
    assert rows["Another patient's draft refused"].short
    assert rows["Another patient's draft refused"].value == "99.9 %"
    assert rows["Statements with evidence"].short
    assert not any(row.short for row in one.rows if row.name.startswith("ROUGE"))
    (sections,) = measured([Evaluation(drafts(refused=0.8, pairs=0), "ann", 1.0)])
    assert not any(row.short for row in sections.rows)  # one section of a note may be anybody's


def test_hearing_is_shown_by_noise() -> None:
    (one,) = measured([Evaluation(heard(0.1), "ann", 2.0), Evaluation(heard(0.2), "ann", 1.0)])
    assert [(bar.noise, bar.share, bar.value) for bar in one.bars] == [
        ("clean", 0.1, "10.0 %"),
        ("5 dB", 1.0, "140.0 %"),
    ]
    assert one.bars[0].picture is not None
    assert one.history[1].figures == ("20.0 %", "140.0 %")
