"""Fit the model: ``python -m osler.deidentify.text.en.train [--text FILE...] [--carriers FILE...] [--parts PART...]``.

``--text`` takes JSON lines ``{"id", "text", "spans": [{"start", "end", "cat"}]}``; three tenths (by id) are left
for measuring. ``--carriers`` takes CSV files of dialogues and notes, into which names are planted. The generated
training notes are always used, and so are the hand-made texts that are no measure. The same files and seed give the
same weights.
"""

import argparse
import csv
import json
import random
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pycrfsuite

from osler.deidentify.text.corpus.hand_made import TRAINING_PARTS, hand_made_texts
from osler.deidentify.text.corpus.notes import training_notes
from osler.deidentify.text.corpus.people import People, Person
from osler.deidentify.text.en.features import Featurizer, case_of
from osler.deidentify.text.en.places import STATE_NAME
from osler.deidentify.text.en.wordlists import countries, load_lexicon, load_places
from osler.deidentify.text.engine import Document
from osler.deidentify.text.spans import Category

SEED: Final = 20260101
GENERATED: Final = 14000
REPEATED: Final = 3
"""How often each text of ``--text`` is learnt from, each time with other names hidden and other features dropped."""

HAND_MADE_REPEATED: Final = 4
"""The same for each hand-made text."""

HIDDEN: Final = 0.3
"""Share of the words of a text's names and places that the lists are made not to know."""

HIDDEN_OTHERS: Final = 0.04
"""The same for words that are neither."""

DROPPED: Final = 0.15
"""Share of the features left out in training, so that no single word carries a decision."""

_WEIGHTS: Final = Path(__file__).parent / "weights" / "names.crfsuite"
_WORD: Final = re.compile(r"\w+")
_TITLED: Final = re.compile(r"\b((?:Dr|Mr|Mrs|Ms|Miss|Doctor)\.?,? +)((?:[A-Z][\w'-]+ ?){1,2})(?<! )")
_PATIENT: Final = re.compile(r"\b[Tt]he patient\b(?!')|\bPatient\b(?! ?:)")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and the ranges of its names, and of its places below the state."""

    text: str
    names: tuple[tuple[int, int], ...]
    places: tuple[tuple[int, int], ...] = ()


def main() -> None:
    """Read the command line, fit, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, nargs="*", default=[])
    parser.add_argument("--carriers", type=Path, nargs="*", default=[])
    parser.add_argument("--parts", nargs="*", default=TRAINING_PARTS, help="parts of the hand-made texts")
    parser.add_argument("--out", type=Path, default=_WEIGHTS)
    arguments = parser.parse_args()
    rng = random.Random(SEED)  # noqa: S311  not a secret: training must be repeatable
    labelled = [
        *_generated(),
        *(list(annotated(arguments.text)) * REPEATED),
        *(list(hand_made(arguments.parts)) * HAND_MADE_REPEATED),
        *planted(arguments.carriers, rng),
    ]
    arguments.out.parent.mkdir(exist_ok=True)
    fit(labelled, rng, arguments.out)


def fit(labelled: Iterable[Labelled], rng: random.Random, out: Path, *, iterations: int = 90) -> None:
    """Fit the model to labelled texts and write it."""
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params({"c1": 0.4, "c2": 0.02, "max_iterations": iterations, "feature.minfreq": 2})
    for example in labelled:
        _append(trainer, example, Featurizer(load_lexicon(), load_places(), _hidden(example, rng)), rng)
    trainer.train(str(out))


def _append(trainer: Any, example: Labelled, featurizer: Featurizer, rng: random.Random) -> None:
    document = Document(example.text)
    text, tokens = document.shadow.text, document.tokens
    inside = ["O"] * (len(example.text) + 1)
    for label, ranges in (("N", example.names), ("L", example.places)):
        for start, end in ranges:
            inside[start:end] = label * (end - start)
    labels = [inside[document.shadow.to_input(t.start, t.end)[0]] for t in tokens]
    case = case_of(text)
    for start, end in featurizer.windows(tokens, case):
        rows = featurizer.features(text, tokens, start, end, case)
        trainer.append([[f for f in row if rng.random() >= DROPPED] for row in rows], labels[start:end])


def _hidden(example: Labelled, rng: random.Random) -> frozenset[str]:
    """Choose the words that the lists are made not to know: some of the names and places, and a few others."""
    ranges = (*example.names, *example.places)
    names = {w.lower() for start, end in ranges for w in _WORD.findall(example.text[start:end])}
    others = set(map(str.lower, _WORD.findall(example.text))) - names
    hidden = {word for word in sorted(names) if rng.random() < HIDDEN}
    return frozenset(hidden | {word for word in sorted(others) if rng.random() < HIDDEN_OTHERS})


def _generated() -> Iterator[Labelled]:
    for note in training_notes(GENERATED, seed=SEED):
        yield _labelled(note.text, ((p.start, p.end, p.category) for p in note.planted))


def hand_made(parts: Iterable[str]) -> Iterator[Labelled]:
    """Return the hand-made texts of some parts."""
    for part in parts:
        for gold in hand_made_texts(part):
            yield _labelled(gold.text, ((m.start, m.end, m.category) for m in gold.marked))


def _labelled(text: str, spans: Iterable[tuple[int, int, str]]) -> Labelled:
    spans = tuple(spans)
    names, places = (
        tuple((start, end) for start, end, category in spans if category == wanted)
        for wanted in (Category.NAME, Category.LOCATION)
    )
    return Labelled(text, names, places)


def is_held_out(text_id: str) -> bool:
    """Tell whether a text of ``--text`` is left for measuring."""
    return zlib.crc32(text_id.encode()) % 10 < 3


def annotated(paths: Iterable[Path]) -> Iterator[Labelled]:
    """Return the texts of ``--text`` that are not held out."""
    for path in paths:
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            if not is_held_out(row["id"]):
                text = row["text"]
                spans = ((s["start"], s["end"], s["cat"]) for s in row["spans"])
                yield _labelled(text, (span for span in spans if not _may_stay(text[span[0] : span[1]])))


def _may_stay(value: str) -> bool:
    return value.lower() in countries() or re.fullmatch(STATE_NAME, value) is not None


def planted(paths: Iterable[Path], rng: random.Random) -> Iterator[Labelled]:
    """Return the carriers with names planted."""
    people = People(held_out=False)
    for path in paths:
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                known = _known_names(path, row)
                for column in ("section_text", "dialogue", "note"):
                    if row.get(column):
                        yield _plant(row[column], known, people, rng)


def _known_names(path: Path, row: dict[str, str]) -> list[str]:
    """Return the names that a carrier is known to hold (from ``*_metadata.csv`` beside it)."""
    metadata = path.with_name(f"{path.stem}_metadata.csv")
    if not metadata.exists():
        return []
    with metadata.open(encoding="utf-8", newline="") as stream:
        for other in csv.DictReader(stream):
            if other["encounter_id"] == row["encounter_id"]:
                columns = ("patient_firstname", "patient_familyname", "doctor_name")
                return [word for column in columns for word in re.findall(r"[A-Za-z'-]{3,}", other[column] or "")]
    return []


def _plant(carrier: str, known: list[str], people: People, rng: random.Random) -> Labelled:
    """Put invented names where the carrier has a known name, a title, or "the patient"."""
    cast: dict[str, Person] = {}
    places: list[tuple[int, int, str | None]] = []
    places += [(m.start(), m.end(), None) for m in _PATIENT.finditer(carrier) if rng.random() < 0.4]
    places += [(m.start(2), m.end(2), m[2]) for m in _TITLED.finditer(carrier)]
    for name in known:
        places += [(m.start(), m.end(), m[0]) for m in re.finditer(rf"\b{re.escape(name)}\b", carrier, re.IGNORECASE)]
    pieces: list[str] = []
    names: list[tuple[int, int]] = []
    length = at = 0
    for start, end, found in sorted(places, key=lambda place: place[:2]):
        if start < at:
            continue
        prefix, name = _name_for(found, cast, people, rng)
        pieces += (carrier[at:start], prefix, name)
        length += start - at + len(prefix) + len(name)
        names.append((length - len(name), length))
        at = end
    return Labelled("".join([*pieces, carrier[at:]]), tuple(names))


def _name_for(found: str | None, cast: dict[str, Person], people: People, rng: random.Random) -> tuple[str, str]:
    if found is None:
        person = cast.setdefault("", people.draw(rng))
        title = rng.choice(("", "Mr. ", "Ms. ", "Mrs. "))
        full = f"{person.given} {person.surname}"
        return title, rng.choice((person.surname, full) if title else (person.given, full, person.surname))
    person = cast.setdefault(found.lower(), people.draw(rng))
    name = rng.choice((person.given, person.surname))
    return "", name.lower() if found.islower() else name


if __name__ == "__main__":
    main()
