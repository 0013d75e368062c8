import csv
import json
from dataclasses import replace

import pytest

from encounters import KNEE, KNEE_NOTE, STOMACH, STOMACH_NOTE, heard, verbatim_draft
from osler.domain.note import SectionTemplate, Template, Topic
from osler.domain.transcript import SpeakerRole
from osler.draft.evaluate import Case, evaluate, read_aci_bench, read_mts_dialog, read_primock57
from osler.draft.evaluate.corpora import read_dialogue
from osler.draft.evaluate.disturb import as_recognised, swap_speakers
from osler.draft.evaluate.measures import Share, measure
from osler.draft.gate import check
from osler.errors import Malformed

TEMPLATE = Template("plain", "Note", "11506-3", (SectionTemplate("note", "Note", "11506-3", tuple(Topic)),))
CASES = (Case("knee", heard(KNEE), KNEE_NOTE), Case("stomach", heard(STOMACH), STOMACH_NOTE))


class Copying:
    """Writes down what was said."""

    def __init__(self, change=lambda text: text):
        self.change = change

    def write(self, transcript, template, style):
        draft = verbatim_draft(transcript)
        section = draft.sections[0]
        statements = tuple(replace(one, text=self.change(one.text)) for one in section.statements)
        return replace(draft, sections=(replace(section, statements=statements),))


def test_a_copy_of_what_was_said_is_faithful_and_no_other_patients():
    report = evaluate(CASES, Copying(), template=TEMPLATE)
    assert report.cases == 2
    assert report.figures["evidence"] == 1.0
    assert report.figures["faithful"] == 1.0
    assert report.figures["numerals"] == 1.0
    assert report.figures["drugs"] == 1.0
    assert report.figures["drugs_found"] == 1.0
    assert report.figures["numerals_found"] > 0.8
    assert report.figures["concepts_found"] > 0.8
    assert 0 < report.figures["rouge1"] < 1
    assert report.figures["topic"] is None
    assert report.drafts.others_refused == Share(2, 2)
    assert report.drafts.own_taken == Share(2, 2)
    assert report.references.others_refused == Share(2, 2)
    assert report.references.own_taken == Share(2, 2)
    assert set(report.disturbed) == {"speakers_swapped", "as_recognised"}
    assert report.slowest_s >= report.mean_s > 0


def test_wrong_numbers_and_drugs_are_counted():
    worse = Copying(lambda text: text.replace("600", "800").replace("metformin", "warfarin"))
    figures = evaluate(CASES, worse, template=TEMPLATE, disturb=False).figures
    assert figures["evidence"] == 1.0
    assert figures["faithful"] < 1
    assert figures["numerals"] < 1
    assert figures["drugs"] < 1
    assert figures["drugs_found"] < 1


def test_the_report_is_json_and_says_no_word_of_the_encounters():
    text = json.dumps(evaluate(CASES, Copying(), template=TEMPLATE).as_json())
    assert json.loads(text)["another_patient"]["drafts"] == {
        "others_refused": 1.0,
        "pairs": 2,
        "own_taken": 1.0,
        "own": 2,
    }
    assert not any(word in text for word in ("knee", "lisinopril", "tennis"))


def test_no_cases_is_no_figures():
    report = evaluate((), Copying(), template=TEMPLATE)
    assert report.cases == 0
    assert set(report.figures.values()) == {None}
    assert json.dumps(report.as_json())


def test_pairs_are_bounded():
    cases = tuple(replace(CASES[number % 2], id=str(number)) for number in range(8))
    assert evaluate(cases, Copying(), template=TEMPLATE, disturb=False, most_pairs=10).drafts.others_refused.of <= 10


def test_a_section_is_judged_by_its_topic():
    case = Case("part", heard("P: I had my tonsils out"), "Tonsillectomy.", Topic.PAST_SURGICAL)
    draft = Copying().write(case.transcript, TEMPLATE, None)
    assert measure(case, check(draft, case.transcript)).topic == Share(0, 1)
    assert measure(replace(case, topic=Topic.HISTORY), check(draft, case.transcript)).topic == Share(1, 1)


def test_a_classifier_may_say_what_a_section_is_about():
    case = Case("part", heard("D: any operations ?\nP: I had my tonsils out"), "Tonsillectomy.", Topic.PAST_SURGICAL)
    asked = []

    def classify(dialogue):
        asked.append(dialogue)
        return Topic.PAST_SURGICAL

    report = evaluate([case], Copying(), template=TEMPLATE, classify=classify, disturb=False)
    assert report.figures["topic"] == 1.0
    assert asked == ["D: any operations ?\nP: I had my tonsils out"]


def test_speakers_are_swapped_and_come_back():
    swapped = swap_speakers(heard(KNEE))
    assert swapped.utterances[0].role is SpeakerRole.PATIENT
    assert swap_speakers(swapped) == heard(KNEE)


def test_a_recogniser_writes_small_letters_without_marks():
    said = heard("D: Hello , [NAME-1] ! Don't worry ; it's 98.6 , okay ?")
    assert as_recognised(said, errors=0).utterances[0].text == "hello [NAME-1] don't worry it's 98.6 okay"
    assert as_recognised(heard(KNEE), seed=3) == as_recognised(heard(KNEE), seed=3)
    assert as_recognised(heard(KNEE), seed=3) != as_recognised(heard(KNEE), seed=4)


DIALOGUES = [
    ("[doctor] how are you ?\n[patient] fine .", [("clinician", "how are you ?"), ("patient", "fine .")]),
    ("Doctor: Hello.\n Patient: Hi,\nthere.", [("clinician", "Hello."), ("patient", "Hi, there.")]),
    ("Guest_family: He fell.\nGuest_clinician: I see.", [("other", "He fell."), ("other", "I see.")]),
    ("[Doctor] \n[Patient] Yes: no pain.", [("patient", "Yes: no pain.")]),
    ("it hurts\n[doctor] where ?", [("patient", "it hurts"), ("clinician", "where ?")]),
    ("", []),
]


@pytest.mark.parametrize(("text", "spoken"), DIALOGUES)
def test_dialogues(text, spoken):
    read = read_dialogue(text)
    assert [(said.role.value, said.text) for said in read.utterances] == spoken
    assert [said.number for said in read.utterances] == list(range(1, len(spoken) + 1))


def _csv(path, columns, *rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([columns, *rows])
    return path


def test_aci_bench(tmp_path):
    path = _csv(
        tmp_path / "a.csv", ["dataset", "encounter_id", "dialogue", "note"], ["x", "D1", "[doctor] hi", "Note."]
    )
    assert read_aci_bench(path) == (Case("D1", read_dialogue("[doctor] hi"), "Note."),)


def test_primock57(tmp_path):
    path = _csv(tmp_path / "a.csv", ["id", "dialogue", "note"], ["day1", "[Doctor] Hi.\n[Patient] Hi.", "Note."])
    assert read_primock57(path)[0].reference == "Note."


def test_mts_dialog(tmp_path):
    columns = ["ID", "section_header", "section_text", "dialogue"]
    path = _csv(tmp_path / "a.csv", columns, ["0", "FAM/SOCHX", "None.", "Doctor: Smoke?\nPatient: No."])
    assert read_mts_dialog(path)[0].topic is Topic.FAMILY_SOCIAL
    with pytest.raises(Malformed, match="section header"):
        read_mts_dialog(_csv(tmp_path / "b.csv", columns, ["0", "WEATHER", "None.", "Doctor: Smoke?"]))


def test_what_is_no_corpus_is_refused(tmp_path):
    with pytest.raises(Malformed, match="columns"):
        read_aci_bench(_csv(tmp_path / "a.csv", ["id"], ["1"]))
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Malformed, match="cannot be read"):
        read_aci_bench(tmp_path / "b.csv")
    with pytest.raises(Malformed, match="cannot be read"):
        read_aci_bench(tmp_path / "none.csv")
