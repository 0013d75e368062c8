"""Names and towns to draw surrogates from, by sex and culture."""

import random
import re
from importlib.resources import files
from typing import Final

_DATA: Final = "surrogates.txt"


class Pools:
    """Surrogates of names and places, from a small list of names that are frequent, and so tell nothing."""

    def __init__(self) -> None:
        text = files("osler.deidentify.text.en.data").joinpath(_DATA).read_text(encoding="utf-8")
        pools = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        self._pools: dict[str, list[str]] = {name: words.split(", ") for name, words in pools.items()}
        self._of: dict[str, str] = {}
        for pool, words in self._pools.items():
            for word in words:
                self._of.setdefault(word.lower(), pool)

    def name(self, original: str, draw: random.Random) -> str:
        """Return a name with as many parts, of the pools that the original's parts are in, in its case."""
        words = re.findall(r"[^\W\d_]+", original)
        known = [self._of.get(word.lower(), "") for word in words]
        culture = next((pool.split()[0] for pool in known if pool), "english")
        sex = next(
            (pool.split()[1] for pool in known if pool.endswith(("female", "male"))), draw.choice(("female", "male"))
        )
        last = len(words) - 1
        made = iter(
            [
                self._pools[f"{culture} {'family' if i == last and self._is_family(words, known) else sex}"]
                for i in range(len(words))
            ]
        )
        return re.sub(r"[^\W\d_]+", lambda m: _cased(draw.choice(next(made)), m[0]), original)

    def place(self, original: str, draw: random.Random) -> str:
        """Return a town that does not exist, with the kind of facility when the original ends with one."""
        town = draw.choice(self._pools["town"])
        kind = re.search(
            r"\b(?:Hospital|Medical Center|Clinic|University|School|College|County|Health|Street|Road|Avenue)\b",
            original,
            re.I,
        )
        number = f"{draw.randrange(1, 990)} " if original[:1].isdigit() else ""
        return _cased(f"{number}{town} {kind[0] if kind else 'Street' if number else ''}".strip(), original)

    def _is_family(self, words: list[str], known: list[str]) -> bool:
        return len(words) > 1 or not known[-1].endswith("male")


def _cased(made: str, original: str) -> str:
    if len(original) == 1:
        return made[0]
    return made.upper() if original.isupper() else made.lower() if original.islower() else made
