"""Agreement from the ledger's results, and what a promotion needs."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from osler.config import Config, load
from osler.domain.codes import Code
from osler.domain.findings import CaseResult, Finding, Inference, ModelVersion
from osler.domain.inference_json import dumps
from osler.errors import Conflict, NotFound
from osler.registry import promotion
from osler.registry.agreement import agreements
from osler.storage import Database
from osler.storage.tables import drift_alarm, inference, job

CODE = Code("112033", "DCM", "Abnormal opacity")
FIGURES = {"label": "opacity", "auroc": {"value": 0.95, "interval_95": [0.9, 0.98]}}


def read(database: Database, version: str, study: int, *probabilities: float, revision: int = 1) -> None:
    """Write down a version's results on the images of a study."""
    model = ModelVersion("toy", version, "0" * 64, "1")
    results = tuple(
        CaseResult("1.2", (f"1.2.{number}",), (Finding("opacity", CODE, probability, 0.5),))
        for number, probability in enumerate(probabilities)
    )
    found = Inference(f"2.25.{study}", model, results)
    identifier = f"{study}/{revision}/{version}"
    same = {"study_uid": found.study_instance_uid, "revision": revision, "model": str(model), "created_at": 1.0}
    work = {"id": identifier, "idempotency_key": identifier, "priority": "LOW", "state": "completed", "body": "{}"}
    work |= {"attempts": 1, "available_at": 1.0, "dead": False}
    result = {"id": identifier, "job_id": identifier, "body": dumps(found), "critical": False, "role": "shadow"}
    database.write(lambda c: c.execute(insert(job), [work | same]))
    database.write(lambda c: c.execute(insert(inference), [result | same]))


def evaluated(database: Database, version: str, sha256: str, *, auroc: float = 0.95, dataset: str = "d" * 64) -> None:
    labels = [FIGURES | {"auroc": {"value": auroc, "interval_95": None}}]
    document = {
        "model": {"name": "toy", "version": version, "sha256": "0" * 64},
        "dataset": {"sha256": dataset},
        "labels": labels,
    }
    database.write(lambda c: promotion.keep_evaluation(c, sha256, document, by="ada", at=1.0))


def settings(tmp_path: Path, **given: Any) -> Config:
    values = {"promotion.min_compared": 4, "promotion.min_agreement": 0.75}
    return load({}, data_dir=tmp_path, given=values | {f"promotion.{k}": v for k, v in given.items()})


def weighed(
    database: Database, config: Config, *, champion: str = "1.0.0", evaluation: str = "new"
) -> tuple[Mapping[str, Any], list[str]]:
    with database.read() as connection:
        return promotion.weigh(connection, config, name="toy", champion=champion, to="2.0.0", evaluation=evaluation)


@pytest.fixture
def compared(database: Database) -> Database:
    """Both have read four images alike and measured alike on one set."""
    for study, probability in enumerate((0.1, 0.2, 0.8, 0.9)):
        read(database, "1.0.0", study, probability)
        read(database, "2.0.0", study, probability + 0.05)
    evaluated(database, "1.0.0", "old")
    evaluated(database, "2.0.0", "new")
    return database


def test_agreement_is_of_the_images_that_both_have_read(database: Database) -> None:
    read(database, "1.0.0", 1, 0.9, 0.1)
    read(database, "2.0.0", 1, 0.7, 0.6)
    read(database, "1.0.0", 2, 0.2)
    read(database, "2.0.0", 2, 0.1, 0.9)
    read(database, "1.0.0", 3, 0.2)  # alone
    read(database, "1.0.0", 4, 0.2)
    read(database, "2.0.0", 4, 0.9, revision=2)  # another revision of the study
    with database.read() as connection:
        (found,) = agreements(connection, "toy@1.0.0", "toy@2.0.0")
        assert agreements(connection, "toy@1.0.0", "toy@3.0.0") == []
    assert (found.compared, found.first_positive, found.second_positive) == (3, 1, 2)
    assert found.agreement.value == pytest.approx(2 / 3)
    assert found.difference.value == pytest.approx((-0.2 + 0.5 - 0.1) / 3)


def test_evidence_that_suffices(compared: Database, tmp_path: Path) -> None:
    evidence, missing = weighed(compared, settings(tmp_path))
    assert missing == []
    assert evidence["agreement"][0]["compared"] == 4
    assert evidence["dataset"] == "d" * 64


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"min_compared": 5}, "compared on 4 live findings, 5 are wanted"),
        ({"locked_sets": ["e" * 64]}, "none of promotion.locked_sets"),
        ({"evaluation": "forged"}, "was changed since"),
        ({"evaluation": "old"}, "the evaluation is of toy@1.0.0"),
        ({"champion": "0.9.0"}, "was not measured on the same set"),
    ],
)
def test_what_is_missing_is_said(compared: Database, tmp_path: Path, given: dict[str, Any], words: str) -> None:
    about = {key: value for key, value in given.items() if key in ("evaluation", "champion")}
    values = {key: value for key, value in given.items() if key not in about}
    _, missing = weighed(compared, settings(tmp_path, **values), **about)
    assert words in "; ".join(missing)


def test_a_version_that_is_worse_or_disagrees_is_not_promoted(compared: Database, tmp_path: Path) -> None:
    evaluated(compared, "2.0.0", "worse", auroc=0.9)
    for study in range(10, 14):
        read(compared, "1.0.0", study, 0.1)
        read(compared, "2.0.0", study, 0.9)
    _, missing = weighed(compared, settings(tmp_path), evaluation="worse")
    assert [words.partition(":")[0] for words in missing] == ["opacity", "opacity"]
    assert "AUROC 0.9 on the locked set" in missing[0]
    assert "agree in 0.500" in missing[1]


@pytest.mark.parametrize(("model", "closed_at", "told"), [("2.0.0", None, 1), ("1.0.0", None, 1), ("1.0.0", 2.0, 0)])
def test_an_open_alarm_of_drift_stands_in_the_way(
    compared: Database, tmp_path: Path, model: str, closed_at: float | None, told: int
) -> None:
    row = {"id": "a", "model": f"toy@{model}", "stream": "all", "variable": "score", "kind": "output", "psi": 0.5}
    row |= {"chance": 0.001, "opened_at": 1.0, "seen_seq": 1, "closed_at": closed_at}
    compared.write(lambda c: c.execute(insert(drift_alarm), [row]))
    evidence, missing = weighed(compared, settings(tmp_path))
    assert evidence["open_drift_alarms"] == len(missing) == told


def test_the_first_version_of_all_has_no_champion_to_agree_with(compared: Database, tmp_path: Path) -> None:
    evidence, missing = weighed(compared, settings(tmp_path), champion="")
    assert missing == []
    assert "agreement" not in evidence


def test_two_persons_change_a_champion(database: Database) -> None:
    change = promotion.new_change("promotion", "toy", ("1.0.0", "2.0.0"), evidence={"evaluation": "x"}, by="ada")
    database.write(lambda c: promotion.ask(c, change, at=1.0))
    with database.read() as connection:
        assert promotion.asked(connection, "toy", "2.0.0") == change
        assert promotion.confirmed(connection, "toy") is None
        with pytest.raises(NotFound):
            promotion.asked(connection, "toy", "3.0.0")
    with pytest.raises(Conflict, match="another person"):
        database.write(lambda c: promotion.confirm(c, change, evidence={}, by="ada", at=2.0))
    database.write(lambda c: promotion.confirm(c, change, evidence={"n": 1}, by="rosalind", at=2.0))
    with pytest.raises(Conflict, match="meanwhile"):
        database.write(lambda c: promotion.confirm(c, change, evidence={}, by="florence", at=3.0))
    with database.read() as connection:
        done = promotion.confirmed(connection, "toy")
    assert done == replace(change, evidence={"n": 1}, confirmed_by="rosalind")


def test_a_newer_question_takes_the_place_of_an_older_one(database: Database) -> None:
    for to in ("2.0.0", "2.1.0"):
        change = promotion.new_change("promotion", "toy", ("1.0.0", to), evidence={}, by="ada")
        database.write(lambda c, change=change: promotion.ask(c, change, at=1.0))
    with database.read() as connection:
        assert promotion.asked(connection, "toy", "2.1.0").to_version == "2.1.0"
        with pytest.raises(NotFound):
            promotion.asked(connection, "toy", "2.0.0")
