"""Fit the name model: ``python -m osler.deidentify.text.en.train [--text FILE...] [--carriers FILE...]``.

``--text`` takes JSON lines ``{"id", "text", "spans": [{"start", "end", "cat"}]}``; three tenths (by id) are left
for measuring. ``--carriers`` takes CSV files of dialogues and notes, into which names are planted. The generated
training notes are always used. The same files and seed give the same weights.
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

from osler.deidentify.text.corpus.notes import training_notes
from osler.deidentify.text.corpus.people import People, Person
from osler.deidentify.text.en.features import Featurizer, case_of
from osler.deidentify.text.en.wordlists import load_lexicon
from osler.deidentify.text.engine import Document
from osler.deidentify.text.spans import Category

SEED: Final = 20260101
GENERATED: Final = 14000
REPEATED: Final = 3
"""How often each text of ``--text`` is learnt from, each time with other names hidden and other features dropped."""

HIDDEN: Final = 0.3
"""Share of the names of a text that the lists are made not to know."""

HIDDEN_OTHERS: Final = 0.04
"""The same for words that are no names."""

DROPPED: Final = 0.15
"""Share of the features left out in training, so that no single word carries a decision."""

_WEIGHTS: Final = Path(__file__).parent / "weights" / "names.crfsuite"
_WORD: Final = re.compile(r"\w+")
_TITLED: Final = re.compile(r"\b((?:Dr|Mr|Mrs|Ms|Miss|Doctor)\.?,? +)((?:[A-Z][\w'-]+ ?){1,2})(?<! )")
_PATIENT: Final = re.compile(r"\b[Tt]he patient\b(?!')|\bPatient\b(?! ?:)")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and the ranges of its names."""

    text: str
    names: tuple[tuple[int, int], ...]


def main() -> None:
    """Read the command line, fit, write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, nargs="*", default=[])
    parser.add_argument("--carriers", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=_WEIGHTS)
    arguments = parser.parse_args()
    rng = random.Random(SEED)  # noqa: S311  not a secret: training must be repeatable
    labelled = [*_generated(), *(list(annotated(arguments.text)) * REPEATED), *planted(arguments.carriers, rng)]
    arguments.out.parent.mkdir(exist_ok=True)
    fit(labelled, rng, arguments.out)


def fit(labelled: Iterable[Labelled], rng: random.Random, out: Path, *, iterations: int = 90) -> None:
    """Fit the model to labelled texts and write it."""
    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params({"c1": 0.4, "c2": 0.02, "max_iterations": iterations, "feature.minfreq": 2})
    lexicon = load_lexicon()
    for example in labelled:
        _append(trainer, example, Featurizer(lexicon, _hidden(example, rng)), rng)
    trainer.train(str(out))


def _append(trainer: Any, example: Labelled, featurizer: Featurizer, rng: random.Random) -> None:
    document = Document(example.text)
    text, tokens = document.shadow.text, document.tokens
    inside = bytearray(len(example.text) + 1)
    for start, end in example.names:
        inside[start:end] = b"\1" * (end - start)
    labels = ["N" if inside[document.shadow.to_input(t.start, t.end)[0]] else "O" for t in tokens]
    case = case_of(text)
    for start, end in featurizer.windows(tokens):
        rows = featurizer.features(text, tokens, start, end, case)
        trainer.append([[f for f in row if rng.random() >= DROPPED] for row in rows], labels[start:end])


def _hidden(example: Labelled, rng: random.Random) -> frozenset[str]:
    """Choose the words that the lists are made not to know: some of the names, and a few of the other words."""
    names = {w.lower() for start, end in example.names for w in _WORD.findall(example.text[start:end])}
    others = set(map(str.lower, _WORD.findall(example.text))) - names
    hidden = {word for word in sorted(names) if rng.random() < HIDDEN}
    return frozenset(hidden | {word for word in sorted(others) if rng.random() < HIDDEN_OTHERS})


def _generated() -> Iterator[Labelled]:
    for note in training_notes(GENERATED, seed=SEED):
        yield Labelled(note.text, tuple((p.start, p.end) for p in note.planted if p.category is Category.NAME))


def is_held_out(text_id: str) -> bool:
    """Tell whether a text of ``--text`` is left for measuring."""
    return zlib.crc32(text_id.encode()) % 10 < 3


def annotated(paths: Iterable[Path]) -> Iterator[Labelled]:
    """Return the texts of ``--text`` that are not held out."""
    for path in paths:
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            if not is_held_out(row["id"]):
                yield Labelled(row["text"], tuple((s["start"], s["end"]) for s in row["spans"] if s["cat"] == "NAME"))


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
