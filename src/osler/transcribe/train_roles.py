"""Makes ``data/role_cues.txt``: how much each word or pair of words speaks for the clinician or the patient.

    python -m osler.transcribe.train_roles DIALOGUES

DIALOGUES is a folder with the training files of ACI-BENCH, MTS-Dialog and PriMock57 (all CC BY 4.0) as CSV. Logistic
regression over the cues of labelled turns; the weights that matter are kept.
"""

import csv
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from osler.domain.transcript import SpeakerRole
from osler.transcribe.formats.labels import labelled
from osler.transcribe.roles import cues

_LEAST: Final = 12
_ROUNDS: Final = 60
_RATE: Final = 0.5
_RIDGE: Final = 2e-5
_KEPT: Final = 0.15
_HEADER: Final = (
    "# Cue and weight: above 0 for the clinician, below for the patient. Logistic regression by train_roles.py over\n"
    "# labelled turns of the training parts of ACI-BENCH, MTS-Dialog and PriMock57 (CC BY 4.0).\n"
)


def turns(dialogues: Path, *, validation: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield the text of each turn of the clinician or the patient, and whether it is the clinician's."""
    for path in sorted(dialogues.rglob("*.csv")):
        if "metadata" in path.name or ("valid" in path.name.lower()) is not validation:
            continue
        with path.open(encoding="utf-8", errors="replace", newline="") as stream:
            for row in csv.DictReader(stream):
                for turn in labelled(row["dialogue"]):
                    if turn.role in (SpeakerRole.CLINICIAN, SpeakerRole.PATIENT):
                        yield turn.text, turn.role is SpeakerRole.CLINICIAN


def train(dialogues: Path) -> dict[str, float]:
    """Return the weights of the cues."""
    rows = [(cues(text), clinician) for text, clinician in turns(dialogues)]
    counts = Counter(cue for found, _ in rows for cue in found)
    names = sorted(cue for cue, number in counts.items() if number >= _LEAST)
    index = {cue: at for at, cue in enumerate(names)}
    columns = [np.array([index[cue] for cue in sorted(found) if cue in index], dtype=np.intp) for found, _ in rows]
    flat = np.concatenate(columns)
    owner = np.repeat(np.arange(len(rows)), [len(column) for column in columns])
    scale = 1.0 / np.sqrt(np.maximum(1, [len(column) for column in columns]))
    target = np.array([clinician for _, clinician in rows], dtype=np.float64)
    weights = np.zeros(len(names))
    squares = np.full(len(names), 1e-8)
    for _ in range(_ROUNDS):
        score = np.bincount(owner, weights[flat], minlength=len(rows)) * scale
        error = (1.0 / (1.0 + np.exp(-score)) - target) * scale
        gradient = np.bincount(flat, error[owner], minlength=len(names)) / len(rows) + _RIDGE * weights
        squares += gradient**2
        weights -= _RATE * gradient / np.sqrt(squares)
    return {cue: float(weights[at]) for cue, at in index.items() if abs(weights[at]) >= _KEPT}


def main(arguments: list[str]) -> None:
    """Write the file beside this module."""
    weights = train(Path(arguments[0]))
    target = Path(__file__).parent / "data" / "role_cues.txt"
    lines = (f"{cue}\t{weight:.2f}\n" for cue, weight in sorted(weights.items()))
    target.write_text(_HEADER + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
