"""The short form of ``make chaos``."""

from collections.abc import Callable
from pathlib import Path

from chaos.run import run

KINDS = ("hub killed", "database killed", "broker killed", "disk full", "clock", "link cut")


def test_nothing_is_lost_doubled_or_missing_whatever_is_struck(need: Callable[..., str], tmp_path: Path) -> None:
    need("initdb")
    need("postgres")
    need("/usr/lib/rabbitmq/bin/rabbitmq-server")

    outcome = run(tmp_path, seed=1, count=len(KINDS), servers=True, longest_s=1.0, only=KINDS)

    assert outcome.problems == []
    assert outcome.late == [], outcome.log
    assert outcome.studies > outcome.checks
    assert len(outcome.struck) == len(KINDS)
