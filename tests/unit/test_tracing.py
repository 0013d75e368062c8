"""Traces: one for each revision of a study, said in a table of words, sent over OTLP/HTTP."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osler.config import load
from osler.errors import ConfigError, IntegrityError, StorageBusy
from osler.tracing import ATTRIBUTES, Tracer, open_tracer, trace_of
from otlp_collector import Collector


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.stop()


def opened(folder: Path, endpoint: str) -> Tracer:
    return open_tracer(load({}, data_dir=folder, given={"otel.endpoint": endpoint}), "process-1")


def test_the_first_span_is_the_one_that_the_others_are_under(tmp_path: Path, collector: Collector) -> None:
    tracer, trace = opened(tmp_path, collector.url), trace_of("abc", 1)
    tracer.span(trace, "ingest", times=(1000.0, 1001.5), first=True, outcome="new")
    tracer.span(trace, "infer", times=(1002.0, 1004.0), model="fake@1.0.0", results=2)
    tracer.span(trace, "publish", times=(1005.0, 1006.0), error=StorageBusy("no word of this"), destination="pacs")
    tracer.close()
    (first, process), (infer, _), (publish, _) = sorted(collector.spans(), key=lambda s: s[0].start_time_unix_nano)
    version, trace_id, span_id, _ = trace.split("-")
    assert version == "00"
    assert {s.trace_id.hex() for s in (first, infer, publish)} == {trace_id}
    assert (first.span_id.hex(), first.parent_span_id.hex()) == (span_id, "")
    assert infer.parent_span_id.hex() == publish.parent_span_id.hex() == span_id
    assert len({s.span_id for s in (first, infer, publish)}) == 3
    assert (infer.start_time_unix_nano, infer.end_time_unix_nano) == (1002 * 10**9, 1004 * 10**9)
    assert process["service.name"] == "osler"
    assert process["service.instance.id"] == "process-1"
    assert {a.key: a.value.string_value for a in publish.attributes} == {
        "osler.destination": "pacs",
        "error.type": "StorageBusy",
    }
    assert b"no word of this" not in b"".join(collector.bodies)


def test_a_trace_is_of_one_revision_and_does_not_give_the_study_away() -> None:
    assert trace_of("abc", 1) == trace_of("abc", 1)
    assert len({trace_of("abc", 1), trace_of("abc", 2), trace_of("abd", 1)}) == 3
    assert "abc" not in trace_of("abc", 1)


def test_what_is_no_attribute_is_refused_even_when_nothing_is_sent() -> None:
    with pytest.raises(IntegrityError):
        Tracer().span(trace_of("abc", 1), "ingest", times=(0.0, 1.0), patient="OSL-1")
    assert not {"patient", "study", "study_uid", "source", "reason"} & ATTRIBUTES


@given(st.text(min_size=1, max_size=200))
def test_a_value_of_unusual_characters_or_length_is_not_sent_as_it_is(value: str) -> None:
    sent: list[dict[str, Any]] = []

    class Sink:
        def write(self, *args: object, told: dict[str, Any], **rest: object) -> None:
            sent.append(told)

    Tracer(Sink()).span(trace_of("abc", 1), "ingest", times=(0.0, 1.0), model=value)  # type: ignore[arg-type]
    (told,) = sent
    assert told["osler.model"] in (value, "other")
    assert told["osler.model"].isascii()
    assert len(told["osler.model"]) <= 100


def test_a_step_without_a_trace_is_not_written_down(tmp_path: Path, collector: Collector) -> None:
    tracer = opened(tmp_path, collector.url)
    for trace in ("", "00-xyz-1-01", "00-" + "a" * 32 + "-" + "b" * 16 + "-00"):
        tracer.span(trace, "infer", times=(0.0, 1.0))
    tracer.close()
    assert collector.spans() == []


def test_a_collector_that_is_not_there_holds_nothing_up(tmp_path: Path, free_port: Any) -> None:
    tracer, began = opened(tmp_path, f"http://127.0.0.1:{free_port()}"), time.monotonic()
    for _ in range(100):
        tracer.span(trace_of("abc", 1), "infer", times=(0.0, 1.0))
    assert time.monotonic() - began < 2.0
    tracer.close()
    assert time.monotonic() - began < 15.0


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "http://"])
def test_what_is_no_url_stops_the_start(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(ConfigError, match=r"otel\.endpoint"):
        opened(tmp_path, endpoint)


def test_without_the_setting_nothing_is_sent_or_needed(tmp_path: Path) -> None:
    assert not opened(tmp_path, "").on


def test_without_the_packages_the_setting_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"osler\[otel\]"):
        opened(tmp_path, "http://127.0.0.1:4318")
