"""Messages of the inference process: they survive the pipe, and what has another form is refused."""

import copy
import datetime
import json
from dataclasses import replace
from pathlib import Path

import pytest

from osler.domain.findings import CaseResult, Finding, Inference, Refusal
from osler.domain.states import AgeBand, Priority
from osler.errors import (
    ConfigError,
    ContractViolation,
    DeidentificationRefused,
    IntegrityError,
    Malformed,
    PluginError,
    PluginTimeout,
    UnsupportedKind,
)
from osler.infer import messages
from osler.infer.messages import Hello, Reading, Reply
from osler.infer.sandbox import SandboxReport
from osler.plugins import Instance, Study
from osler.testing import FakeModel

CARD = FakeModel().card
OUTPUT = CARD.outputs[0]
INFERENCE = Inference(
    "2.25.1",
    CARD.model_version,
    (CaseResult("2.25.2", ("2.25.3",), (Finding(OUTPUT.label, OUTPUT.code, 0.25, 0.5, True),), heatmap="ab"),),
    (Refusal("2.25.4", "a leg"),),
    {"select": 0.5},
)


def through_json(document):
    return json.loads(json.dumps(document))


def test_a_greeting_survives():
    hello = Hello(CARD, SandboxReport(("seccomp",), ("Landlock: not there",)), 1.5)
    assert messages.hello_from_json(through_json(messages.hello_to_json(hello))) == hello


def test_a_card_with_the_dates_of_a_yaml_file_survives():
    card = replace(CARD, evaluation={"on": datetime.date(2026, 5, 1), "auroc": 0.97})
    greeting = through_json(messages.hello_to_json(Hello(card, SandboxReport((), ()), 1.0)))
    assert messages.hello_from_json(greeting).card.evaluation == {"on": "2026-05-01", "auroc": 0.97}


@pytest.mark.parametrize(
    "document", [{}, {"card": {}}, {"card": {"name": "x"}, "sandbox": {}, "seconds": 1}, {"card": 3}]
)
def test_what_is_no_greeting_is_refused(document):
    with pytest.raises(ContractViolation):
        messages.hello_from_json(document)


def test_a_reading_survives_with_its_files_beside_the_spool():
    study = Study("2.25.1", (Instance("2.25.3", "2.25.2", Path("/a/in/job/0.dcm")),), AgeBand.INFANT, Priority.HIGH)
    document = through_json(messages.reading_to_json(Reading("job", study), Path("/a")))
    assert "/a/" not in json.dumps(document)
    assert messages.reading_from_json(document, Path("/a")) == Reading("job", study)


def test_a_reply_survives():
    reply = Reply("job", INFERENCE, heatmaps={"ab": "ab.png"})
    assert messages.reply_from_json(through_json(messages.reply_to_json(reply))) == reply


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ContractViolation("words"), ContractViolation),
        (PluginError("words"), PluginError),
        (PluginTimeout("words"), PluginError),
        (UnsupportedKind("words"), UnsupportedKind),
        (Malformed("words"), Malformed),
        (IntegrityError("words"), IntegrityError),
        (ConfigError("words"), ConfigError),
    ],
)
def test_an_error_keeps_its_kind_and_words(error, kind):
    reply = messages.reply_from_json(through_json(messages.reply_to_json(Reply("job", error=error))))
    assert type(reply.error) is kind
    assert str(reply.error) == "words"


def test_an_error_that_is_built_in_another_way_becomes_one_that_is_not():
    error = messages.error_from_json(messages.error_to_json(DeidentificationRefused("rule", "words")))
    assert str(error) == "words"


@pytest.mark.parametrize("kind", ["OslerError", "SystemExit", "os.system", None, 3])
def test_an_error_of_an_unknown_kind_is_the_plugins(kind):
    assert type(messages.error_from_json({"kind": kind, "words": "x"})) is PluginError


def _without(path: str, value: object = None) -> dict[str, object]:
    document = copy.deepcopy(messages.reply_to_json(Reply("job", INFERENCE, heatmaps={"ab": "ab.png"})))
    *parents, last = path.split(".")
    holder = document
    for name in parents:
        holder = holder[int(name)] if isinstance(holder, list) else holder[name]
    holder[last] = value
    return document


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"job_id": 3},
        {"job_id": "job"},
        {"job_id": "job", "error": "words"},
        _without("heatmaps", []),
        _without("heatmaps", {"ab": 3}),
        _without("inference"),
        _without("inference.model", "fake"),
        _without("inference.results", {}),
        _without("inference.results.0.findings.0.probability", "0.5"),
        _without("inference.results.0.findings.0.probability", float("nan")),
        _without("inference.results.0.findings.0.probability", 1.5),
        _without("inference.results.0.findings.0.probability", True),
        _without("inference.results.0.findings.0.probability", 10**400),
        _without("inference.results.0.findings.0.critical", "yes"),
        _without("inference.results.0.sop_instance_uids", [1]),
        _without("inference.results.0.ood_score", float("inf")),
        _without("inference.seconds", {"select": None}),
    ],
)
def test_a_reply_of_another_form_is_refused(document):
    with pytest.raises(ContractViolation):
        messages.reply_from_json(document)


def test_what_a_model_says_in_its_own_words_is_bounded():
    talkative = replace(
        INFERENCE,
        results=(replace(INFERENCE.results[0], outside_intended_use=("x" * 9999,) * 9999),),
        refusals=(Refusal("2.25.4", "x" * 9999),),
        seconds={"select": 0.5, "predict": 0.25, "a label of its own": 1.0},
    )
    read = messages.reply_from_json(messages.reply_to_json(Reply("job", talkative))).inference
    assert len(read.results[0].outside_intended_use) == 20
    assert {len(words) for words in (*read.results[0].outside_intended_use, read.refusals[0].reason)} == {200}
    assert read.seconds == {"select": 0.5, "predict": 0.25}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("a leg", "a leg"),
        ("  two\nlines\t and\x00 more ", "two lines and more"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
        ("", ""),
    ],
)
def test_a_reason_is_one_short_line(given, told):
    assert messages.short(given) == told
