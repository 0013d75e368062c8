"""The files of the encounters' pages: what the policy forbids does not stand in them, and nothing lacks its words."""

import re
from importlib import resources
from pathlib import Path

import osler.draft.gate
from osler.domain.encounter import ConsentMethod, EncounterState
from osler.domain.states import DeliveryState
from osler.domain.transcript import SpeakerRole

FOLDER = Path(str(resources.files("osler.api.scribe")))
SCRIPTS = sorted(FOLDER.glob("static/*.js"))
TEMPLATES = sorted(FOLDER.glob("templates/*.j2"))


def read(name: str) -> str:
    return (FOLDER / "static" / name).read_text(encoding="utf-8")


def test_scripts_make_no_markup_of_text() -> None:
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser")
    assert len(SCRIPTS) > 10
    for path in SCRIPTS:
        assert not forbidden.search(path.read_text(encoding="utf-8")), path.name


def test_pages_have_no_script_and_no_style_within() -> None:
    within = re.compile(r"\son[a-z]+=|\sstyle=|<style|<script(?![^>]*\ssrc=)|javascript:|\| *safe")
    assert len(TEMPLATES) == 7
    for path in TEMPLATES:
        assert not within.search(path.read_text(encoding="utf-8")), path.name


def test_a_script_imports_files_that_are_there() -> None:
    names = {path.name for path in SCRIPTS}
    for path in SCRIPTS:
        imported = re.findall(r'from "\./([a-z]+\.js)"', path.read_text(encoding="utf-8"))
        assert set(imported) <= names, path.name
    for path in TEMPLATES:
        used = re.findall(r"\{\{ static \}\}/([a-z]+\.js)", path.read_text(encoding="utf-8"))
        assert set(used) <= names, path.name


def test_every_rule_of_the_gate_is_said_in_words() -> None:
    gate = Path(str(resources.files(osler.draft.gate)))
    rules = {
        rule
        for path in gate.glob("*.py")
        for rule in re.findall(r'Failure\(\s*"([a-z-]+)"', path.read_text(encoding="utf-8"))
    }
    assert {"drug", "dose", "negation", "no-evidence"} <= rules
    words = read("words.js")
    assert [rule for rule in sorted(rules) if not re.search(rf'^  "?{rule}"?: "', words, re.MULTILINE)] == []


def test_every_state_and_role_is_said_in_words() -> None:
    words, record = read("words.js"), read("record.js")
    for role in SpeakerRole:
        assert f"{role.value}:" in words
    for state in DeliveryState:
        assert f"{state.value}:" in words
    for method in ConsentMethod:
        assert f"{method.value}:" in record
    review = read("review.js")
    for encounter_state in EncounterState:
        assert encounter_state.value in review, encounter_state
