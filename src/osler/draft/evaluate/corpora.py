"""Readers of the public corpora of encounters and notes, from files that the caller names."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from osler.domain.note import Topic
from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance, SpeakerRole
from osler.errors import Malformed

_TAG: Final = re.compile(r"^\s*\[?\s*([A-Za-z][A-Za-z_ ]{2,20}?)(?:[_ ]?\d)?\s*(?:\]\s*:?|:)\s*")
_CLINICIANS: Final = frozenset({"doctor", "clinician", "nurse", "physician"})
_OTHERS: Final = frozenset({"guest_family", "guest family", "patient_guest", "guest", "guest_clinician", "family"})
_LARGEST_FIELD: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """An encounter with the note that a person wrote of it.

    Parameters
    ----------
    id : str
    transcript : DeidentifiedTranscript
        Of invented patients, as the corpus gives it.
    reference : str
        The note, or the section of a note.
    topic : Topic or None
        What the section is about, where the reference is one section.
    """

    id: str
    transcript: DeidentifiedTranscript
    reference: str
    topic: Topic | None = None


def read_aci_bench(path: Path) -> tuple[Case, ...]:
    """Read a CSV of ACI-BENCH (Yim et al. 2023): dialogue and full note.

    Raises
    ------
    Malformed
        If it is no CSV with the columns of the corpus.
    """
    rows = _rows(path, ("encounter_id", "dialogue", "note"))
    return tuple(Case(row["encounter_id"], read_dialogue(row["dialogue"]), row["note"]) for row in rows)


def read_primock57(path: Path) -> tuple[Case, ...]:
    """Read a CSV of PriMock57 (Papadopoulos Korfiatis et al. 2022): consultation and general practitioner's note.

    Raises
    ------
    Malformed
        If it is no CSV with the columns of the corpus.
    """
    rows = _rows(path, ("id", "dialogue", "note"))
    return tuple(Case(row["id"], read_dialogue(row["dialogue"]), row["note"]) for row in rows)


def read_mts_dialog(path: Path) -> tuple[Case, ...]:
    """Read a CSV of MTS-Dialog (Ben Abacha et al. 2023): short dialogues, each with one section of a note.

    Raises
    ------
    Malformed
        If it is no CSV with the columns of the corpus, or a section header is not one of its twenty.
    """
    cases = []
    for row in _rows(path, ("ID", "section_header", "section_text", "dialogue")):
        try:
            topic = Topic(row["section_header"].strip())
        except ValueError:
            raise Malformed("a section header is not one of MTS-Dialog") from None
        cases.append(Case(row["ID"], read_dialogue(row["dialogue"]), row["section_text"], topic))
    return tuple(cases)


def read_dialogue(text: str) -> DeidentifiedTranscript:
    """Read lines such as ``[doctor] how are you ?`` or ``Patient: fine``; one without a tag goes on the one before."""
    turns: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        tag = _TAG.match(line)
        speaker = tag[1].lower().strip() if tag else ""
        if tag and _role(speaker) is not None:
            turns.append((speaker, [line[tag.end() :].strip()]))
        elif turns:
            turns[-1][1].append(line.strip())
        elif line.strip():
            turns.append(("patient", [line.strip()]))
    spoken = [(speaker, " ".join(part for part in parts if part)) for speaker, parts in turns]
    return DeidentifiedTranscript(
        tuple(
            DeidentifiedUtterance(number, speaker, _role(speaker) or SpeakerRole.OTHER, said)
            for number, (speaker, said) in enumerate((turn for turn in spoken if turn[1]), start=1)
        )
    )


def _role(speaker: str) -> SpeakerRole | None:
    if speaker in _CLINICIANS:
        return SpeakerRole.CLINICIAN
    if speaker == "patient":
        return SpeakerRole.PATIENT
    return SpeakerRole.OTHER if speaker in _OTHERS else None


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    csv.field_size_limit(_LARGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not set(columns) <= set(reader.fieldnames or ()):
                raise Malformed("the file has not the columns of the corpus")
            for row in reader:
                yield {column: row[column] or "" for column in columns}
    except (OSError, UnicodeDecodeError, csv.Error):
        raise Malformed("the file cannot be read as a CSV of the corpus") from None
