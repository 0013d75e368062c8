from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from osler.config import Config, Destination, load
from osler.domain.events import Recorded
from osler.record import save
from osler.testing.ledger import Ledger, inference_on
from osler.testing.results import radiograph


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def make_config() -> Callable[..., Config]:
    def _make(*destinations: Destination, **settings: object) -> Config:
        given = {name.replace("__", "."): value for name, value in settings.items()}
        return replace(load({"HOME": "/nonexistent"}, given=given), destinations=destinations)  # type: ignore[arg-type]

    return _make


@pytest.fixture
def record(ledger: Ledger, make_config: Callable[..., Config]) -> Callable[..., Recorded]:
    """Return a function that files a study, makes an inference on it and records it."""

    def _record(*contents: bytes, config: Config | None = None, now: float = 1000.0, **found: object) -> Recorded:
        study = ledger.file(*contents or (radiograph(),))
        job, inference = ledger.job(study), inference_on(study, **found)  # type: ignore[arg-type]
        recorded = ledger.database.write(lambda c: save(c, job, inference, config=config or make_config(), now=now))
        assert recorded is not None
        return recorded

    return _record
