"""The extractive draft against what people wrote, and its time, from the public corpora that the caller has.

    python bench/draft.py FOLDER [--json]

FOLDER has ``aci-bench/{train,valid}.csv`` and ``mts-dialog/MTS-Dialog-{Training,Validation}Set.csv`` (both CC BY 4.0).
Nothing is trained here. The peers, in the same run: the whole transcript as it is, and another patient's note, which
ROUGE cannot tell from a good one.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

from osler.domain.note import Draft
from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance
from osler.draft.evaluate.corpora import Case, read_aci_bench, read_mts_dialog
from osler.draft.evaluate.rouge import note_text, rouge_l, rouge_n
from osler.draft.extractive import ExtractiveWriter, classify_topic
from osler.draft.gate import check
from osler.draft.port import Style
from osler.draft.templates import load_templates

WORDS_OF_TEN_MINUTES = 1500


def spoken(transcript: DeidentifiedTranscript) -> str:
    return "\n".join(utterance.text for utterance in transcript.utterances)


def tagged(transcript: DeidentifiedTranscript) -> str:
    tags = {"clinician": "Doctor", "patient": "Patient", "other": "Guest_family"}
    return "\n".join(f"{tags[utterance.role.value]}: {utterance.text}" for utterance in transcript.utterances)


def rouge(cases: Sequence[Case], text: Callable[[int], str]) -> dict[str, float]:
    texts = [text(index) for index in range(len(cases))]
    pairs = [(written, case.reference) for written, case in zip(texts, cases, strict=True)]
    return {
        "rouge_1": round(100 * mean(rouge_n(*pair).f1 for pair in pairs), 2),
        "rouge_2": round(100 * mean(rouge_n(*pair, 2).f1 for pair in pairs), 2),
        "rouge_l": round(100 * mean(rouge_l(*pair).f1 for pair in pairs), 2),
        "words": round(mean(len(written.split()) for written in texts)),
    }


def evidence(drafts: Sequence[Draft], cases: Sequence[Case]) -> dict[str, float]:
    """Return the share of statements whose every quote is in its utterance, and of those that pass the gate."""
    quoted, passed, count = 0, 0, 0
    for draft, case in zip(drafts, cases, strict=True):
        checked = check(draft, case.transcript)
        for statement in draft.statements():
            count += 1
            heard = [(case.transcript.utterance(part.utterance), part.quote) for part in statement.evidence]
            quoted += bool(heard) and all(said is not None and quote in said.text for said, quote in heard)
            passed += checked.passes(statement)
    return {"statements": count, "quoted": round(quoted / count, 4), "passed_by_the_gate": round(passed / count, 4)}


def seconds_of_ten_minutes(writer: ExtractiveWriter, cases: Sequence[Case]) -> float:
    utterances: list[DeidentifiedUtterance] = []
    words = 0
    for case in cases:
        for said in case.transcript.utterances:
            if words < WORDS_OF_TEN_MINUTES:
                number = len(utterances) + 1
                utterances.append(DeidentifiedUtterance(number, said.speaker, said.role, said.text))
                words += len(said.text.split())
    start = time.perf_counter()
    writer.write(DeidentifiedTranscript(tuple(utterances)), load_templates()["soap"], Style())
    return round(time.perf_counter() - start, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    start = time.perf_counter()
    writer, templates = ExtractiveWriter(), load_templates()
    classify_topic("Doctor: any allergies?")
    loading = round(time.perf_counter() - start, 3)
    valid = read_aci_bench(given.folder / "aci-bench" / "valid.csv")
    train = read_aci_bench(given.folder / "aci-bench" / "train.csv")
    sections = read_mts_dialog(given.folder / "mts-dialog" / "MTS-Dialog-ValidationSet.csv")
    drafts = [writer.write(case.transcript, templates["progress"], Style()) for case in valid]
    figures = {
        "draft": rouge(valid, lambda index: note_text(drafts[index])),
        "transcript_as_it_is": rouge(valid, lambda index: spoken(valid[index].transcript)),
        "another_patients_note": rouge(valid, lambda index: train[index].reference),
        "evidence": evidence(drafts, valid),
        "sections_right": round(
            mean(classify_topic(tagged(case.transcript)).topic is case.topic for case in sections), 3
        ),
        "seconds": {"loading": loading, "ten_minutes": seconds_of_ten_minutes(writer, valid)},
    }
    if given.json:
        print(json.dumps(figures, indent=2))
        return
    for name, figure in figures.items():
        print(f"{name:24}{figure}")


if __name__ == "__main__":
    main()
