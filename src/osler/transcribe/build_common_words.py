"""Makes ``data/common_words.txt``: the words that the correction pass never changes.

    python -m osler.transcribe.build_common_words DIALOGUES VOCABULARY

DIALOGUES is a folder with the training files of ACI-BENCH, MTS-Dialog and PriMock57 (all CC BY 4.0) as CSV; VOCABULARY
is ``vocabulary.txt`` of a Whisper model (MIT). A word is common when two encounters have it, or when the vocabulary has
it as one token. Names of drugs are taken out, so that they can be corrected to.
"""

import csv
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from osler.clinical.lexicon import drug_names

_COLUMNS: Final = ("dialogue", "note", "section_text")
_WORD: Final = re.compile(r"[a-z]{3,}")
_TOKEN: Final = re.compile("Ġ([a-z]{3,})")
_HEADER: Final = (
    "# Words of everyday and clinical English that are never corrected, made by build_common_words.py from the\n"
    "# dialogues of ACI-BENCH, MTS-Dialog and PriMock57 (CC BY 4.0) and the vocabulary of Whisper (MIT).\n"
)


def build(dialogues: Path, vocabulary: Path) -> list[str]:
    """Return the words in order of the alphabet.

    Parameters
    ----------
    dialogues : Path
        Folder; files for validation and test are left out.
    vocabulary : Path
    """
    encounters: Counter[str] = Counter()
    for path in sorted(dialogues.rglob("*.csv")):
        if "valid" not in path.name.lower() and "metadata" not in path.name:
            with path.open(encoding="utf-8", errors="replace", newline="") as stream:
                for row in csv.DictReader(stream):
                    encounters.update({w for c in _COLUMNS for w in _WORD.findall((row.get(c) or "").lower())})
    lines = vocabulary.read_text(encoding="utf-8").splitlines()
    tokens = {match[1] for line in lines if (match := _TOKEN.fullmatch(line))}
    said = {word for word, number in encounters.items() if number > 1}
    drugs = {name for name in drug_names() if " " not in name}
    return sorted((said - (drugs - tokens)) | tokens)


def main(arguments: list[str]) -> None:
    """Write the file beside this module."""
    words = build(Path(arguments[0]), Path(arguments[1]))
    target = Path(__file__).parent / "data" / "common_words.txt"
    target.write_text(_HEADER + "".join(f"{word}\n" for word in words), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
