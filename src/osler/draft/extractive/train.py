"""Fits the models of the extractive writer: what a note keeps, where it stands, and what a dialogue is about.

    python -m osler.draft.extractive.train ACI_TRAIN.csv MTS_TRAIN.csv PRIMOCK.csv --out FOLDER

It needs numpy and minutes. Nothing is drawn at random, so the same files give the same weights.
"""

import argparse
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from osler.domain.note import Topic
from osler.draft.evaluate.corpora import Case, read_aci_bench, read_mts_dialog, read_primock57
from osler.draft.evaluate.rouge import words
from osler.draft.extractive.features import candidate_features, dialogue_features
from osler.draft.extractive.linear import Linear, fit, fit_margins, save
from osler.draft.extractive.statements import Candidate, candidates
from osler.draft.extractive.units import units

KEPT: Final = ("left", "kept")
TOPICS: Final = tuple(topic.value for topic in Topic)

_HEADINGS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), topic)
    for pattern, topic in (
        (r"^(?:chief complaint|cc\b|reason for)", Topic.CHIEF_COMPLAINT),
        (r"^(?:history of present|hpi\b)", Topic.HISTORY),
        (r"^review of sy", Topic.REVIEW_OF_SYSTEMS),
        (r"^(?:vital)", Topic.VITALS),
        (r"^(?:physical exam|exam\b|examination|pe\b)", Topic.EXAM),
        (r"^(?:results?|labs?|imaging|diagnostic)", Topic.LABS),
        (r"^(?:assessment (?:and|&) plan|a/p)", Topic.ASSESSMENT),
        (r"^(?:assessment|impression|imp\b)", Topic.ASSESSMENT),
        (r"^(?:plan|instructions|recommendation)", Topic.PLAN),
        (r"^(?:current )?medications?", Topic.MEDICATIONS),
        (r"^allerg", Topic.ALLERGIES),
        (r"^(?:social|family|sh\b|fh\b)", Topic.FAMILY_SOCIAL),
        (r"^(?:past )?surgical", Topic.PAST_SURGICAL),
        (r"^(?:(?:past )?medical|past history|pmh\b)", Topic.PAST_MEDICAL),
    )
)
_IMAGED: Final = re.compile(
    r"x-?ray|radiograph|\bmri\b|\bct\b|ultrasound|echo|mammogra|scan|ekg|ecg|electrocard", re.IGNORECASE
)
_PLANNED: Final = re.compile(
    r"medical treatment|additional testing|patient education|specialist referr|\b(?:will|order(?:ed)?"
    r"|recommend(?:ed)?|prescribe|"
    r"continue|start|increase|decrease|refer(?:ral|red)?|follow[- ]?up|return|advised|encouraged|counseled"
    r"|discussed|schedule)\b",
    re.IGNORECASE,
)
_REASONED: Final = re.compile(r"medical reasoning", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Example:
    """A case with the statements that can be made of it and their features."""

    case: Case
    made: tuple[Candidate, ...]
    features: tuple[tuple[str, ...], ...]


def example(case: Case) -> Example:
    """Return a case made ready for the models."""
    made = tuple(candidates(units(case.transcript)))
    return Example(case, made, tuple(tuple(candidate_features(made, index)) for index in range(len(made))))


def worth_keeping(texts: Sequence[str], reference: str) -> set[int]:
    """Return the statements that a note would be made of, one after the other as long as ROUGE-1 rises."""
    wanted = Counter(words(reference))
    counted = [Counter(words(text)) for text in texts]
    left, kept, best, total, shared = set(range(len(texts))), set[int](), 0.0, 0, 0
    while left:
        gains = []
        for index in left:
            more = sum(min(count, wanted[word]) for word, count in counted[index].items() if wanted[word] > 0)
            length = total + counted[index].total()
            gains.append((2 * (shared + more) / (length + len(words(reference))), -index))
        score, negative = max(gains)
        if score <= best:
            break
        chosen = counted[-negative]
        taken = chosen & wanted
        shared, total, best = shared + taken.total(), total + chosen.total(), score
        wanted -= taken
        left.discard(-negative)
        kept.add(-negative)
    return kept


def topic_of_lines(note: str) -> list[tuple[str, Topic]]:
    """Return the sentences of a note with what each is about, by heading and wording."""
    topic, lines = Topic.HISTORY, list[tuple[str, Topic]]()
    planning = False
    for line in note.splitlines():
        bare = line.strip(" :•*-")
        found = next((topic for pattern, topic in _HEADINGS if pattern.search(bare)), None) if len(bare) < 40 else None
        if found is not None and (bare.isupper() or line.rstrip().endswith(":") or ":" in line[:30]):
            topic, planning = found, "plan" in bare.lower()
            bare = bare.partition(":")[2].strip() if ":" in bare else ""
        if bare:
            lines.append((bare, _refined(bare, topic, planning=planning)))
    return lines


def _refined(line: str, topic: Topic, *, planning: bool) -> Topic:
    if topic is Topic.LABS:
        return Topic.IMAGING if _IMAGED.search(line) else Topic.LABS
    if planning and topic in (Topic.ASSESSMENT, Topic.PLAN):
        return Topic.PLAN if _PLANNED.search(line) and not _REASONED.search(line) else Topic.ASSESSMENT
    return topic


def aligned(made: Sequence[Candidate], note: str) -> list[Topic | None]:
    """Return for each statement what the line of the note that has most of its words is about."""
    lines = [(set(words(text)), topic) for text, topic in topic_of_lines(note)]
    held = Counter(word for found, _ in lines for word in found)
    rarity = {word: math.log((1 + len(lines)) / count) for word, count in held.items()}
    found: list[Topic | None] = []
    for candidate in made:
        said = set(words(candidate.full_text))
        most = sum(rarity.get(word, 1.5) for word in said) or 1.0
        scored = [(sum(rarity[word] for word in said & line) / most, -index) for index, (line, _) in enumerate(lines)]
        share, place = max(scored, default=(0.0, 0))
        found.append(lines[-place][1] if share > 0.3 else None)
    return found


def fit_relevance(examples: Sequence[Example]) -> Linear:
    """Fit what a note keeps."""
    rows, targets, importance = list[Iterable[str]](), list[float](), list[float]()
    for one in examples:
        kept = worth_keeping([candidate.full_text for candidate in one.made], one.case.reference)
        for index, candidate in enumerate(one.made):
            rows.append(one.features[index])
            targets.append(float(index in kept))
            importance.append(math.sqrt(len(words(candidate.full_text)) + 1))
    probability = np.array(targets, np.float32)
    return fit(
        rows,
        np.stack([1 - probability, probability], axis=1),
        KEPT,
        importance=np.array(importance, np.float32),
        decay=1e-5,
    )


def fit_routing(encounters: Sequence[Example], sections: Sequence[Example]) -> Linear:
    """Fit where a statement stands, from aligned notes and from dialogues of one section each."""
    rows, topics, importance = list[Iterable[str]](), list[Topic](), list[float]()
    for one in encounters:
        for index, topic in enumerate(aligned(one.made, one.case.reference)):
            if topic is not None:
                rows.append(one.features[index])
                topics.append(topic)
                importance.append(1.0)
    for one in sections:
        for index in range(len(one.made)):
            if one.case.topic is not None:
                rows.append([name for name in one.features[index] if not name.startswith("place:")])
                topics.append(one.case.topic)
                importance.append(0.5)
    return fit(
        rows,
        _one_hot(topics),
        TOPICS,
        importance=_balanced(topics, np.array(importance, np.float32), 0.5),
        decay=1e-5,
        least=3,
    )


def fit_topics(cases: Sequence[Case]) -> Linear:
    """Fit what a dialogue is about; the sections written of it teach too, at half the weight."""
    rows = [list(dialogue_features(_turns(case))) for case in cases]
    rows += [[*dialogue_features([("clinician", case.reference)])] for case in cases]
    labels = [case.topic.value for case in cases if case.topic is not None] * 2
    importance = np.repeat(np.array([1.0, 0.5], np.float32), len(cases))
    return fit_margins(rows, labels, TOPICS, importance=importance, cost=0.2, sharpness=10.0)


def _turns(case: Case) -> list[tuple[str, str]]:
    return [(utterance.role.value, utterance.text) for utterance in case.transcript.utterances]


def _one_hot(topics: Sequence[Topic]) -> NDArray[np.float32]:
    return np.array([[topic.value == name for name in TOPICS] for topic in topics], np.float32)


def _balanced(topics: Sequence[Topic], importance: NDArray[np.float32], power: float) -> NDArray[np.float32]:
    counts = Counter(topics)
    rarity = np.array([(len(topics) / counts[topic]) ** power for topic in topics], np.float32)
    return importance * rarity


def main() -> None:
    """Read the corpora, fit, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("aci", type=Path, help="training CSV of ACI-BENCH")
    parser.add_argument("mts", type=Path, help="training CSV of MTS-Dialog")
    parser.add_argument("primock", type=Path, help="CSV of PriMock57")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("weights"))
    given = parser.parse_args()
    aci = [example(case) for case in read_aci_bench(given.aci)]
    primock = [example(case) for case in read_primock57(given.primock)]
    mts = read_mts_dialog(given.mts)
    given.out.mkdir(parents=True, exist_ok=True)
    save(str(given.out / "relevance.npz"), fit_relevance(aci))
    save(str(given.out / "routing.npz"), fit_routing([*aci, *primock], [example(case) for case in mts]))
    save(str(given.out / "topics.npz"), fit_topics(mts))


if __name__ == "__main__":
    main()
