"""Every metric has its place in one table; labels are bounded; nothing that is gone stays on show."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from osler.errors import StorageBusy
from osler.metrics import METRICS, Figures, Metrics, timed


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    found = text_string_to_metric_families(metrics.render().decode())
    return {(s.name, *s.labels.values()): s.value for family in found for s in family.samples}


def test_each_metric_is_shown_under_the_names_that_the_table_gives() -> None:
    metrics = Metrics()
    for metric in METRICS:
        metrics._of(metric.name, *("x" for _ in metric.labels))
    shown = {name for name, *_ in samples(metrics)}
    assert {name for metric in METRICS for name in metric.shown} <= shown
    assert len({m.name for m in METRICS}) == len(METRICS)


def test_a_label_takes_a_bounded_number_of_values() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.delivery(f"destination-{number}", "delivered")
    deliveries = {key: value for key, value in samples(metrics).items() if key[0] == "osler_deliveries_total"}
    assert len(deliveries) == 101
    assert deliveries["osler_deliveries_total", "other", "delivered"] == 900


def test_a_step_has_its_rate_its_errors_and_its_duration() -> None:
    class Steps:
        def __init__(self) -> None:
            self.metrics = Metrics()

        @timed("deidentify")
        def go(self, *, well: bool) -> str:
            if not well:
                raise StorageBusy("no room")
            return "done"

    steps = Steps()
    assert steps.go(well=True) == "done"
    with pytest.raises(StorageBusy):
        steps.go(well=False)
    found = samples(steps.metrics)
    assert found["osler_step_seconds_count", "deidentify"] == 2
    assert found["osler_step_errors_total", "StorageBusy", "deidentify"] == 1


def test_what_is_gone_is_not_shown_any_more() -> None:
    metrics = Metrics()
    metrics.show(Figures({"osler_deliveries_waiting": {("pacs",): 3.0, ("pager",): 1.0}, "osler_alerts_open": {(): 2}}))
    metrics.show(Figures({"osler_deliveries_waiting": {("pacs",): 2.0}}))
    found = samples(metrics)
    assert found["osler_deliveries_waiting", "pacs"] == 2
    assert ("osler_deliveries_waiting", "pager") not in found
    assert found["osler_alerts_open",] == 2, "what was not read again stays"


def test_every_metric_is_in_the_reference() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert all(f"`{metric.name}`" in page for metric in METRICS)
