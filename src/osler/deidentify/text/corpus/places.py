"""Invented places for generated training notes: towns, streets, facilities, schools and employers put together."""

import random
import zlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Final

from osler.deidentify.text.corpus.people import People
from osler.deidentify.text.en.wordlists import load_places

Maker = Callable[[random.Random], str]

_PEOPLE: Final = People(held_out=False)


def town(rng: random.Random) -> str:
    """Return a town of the gazetteer (the fifth that measuring may use apart), or one that no list has."""
    kind = rng.random()
    if kind < 0.12:
        return _PEOPLE.draw(rng).surname + rng.choice(("ville", "ton", "burg", " Falls", " Springs", "field", "dale"))
    if kind < 0.2:
        return f"{rng.choice(_parts()['before'])} {_surname(rng)}"
    if kind < 0.27:
        return f"{_surname(rng)} {rng.choice(_parts()['nature'])}"
    return rng.choice(_towns())


def road(rng: random.Random) -> str:
    """Return a street without a number."""
    name = _named(rng) if rng.random() < 0.8 else _ordinal(rng.randrange(1, 180))
    direction = rng.choice(("", "", "", "N ", "S. ", "East ", "W ", "NE ", "North "))
    return f"{direction}{name} {rng.choice(_parts()['ways'])}"


def address(rng: random.Random) -> str:
    """Return a street with its number, and perhaps the unit."""
    unit = rng.choice(_parts()["units"]).replace("#", str(rng.randrange(1, 400)))
    number = str(rng.randrange(1, 19999))
    if rng.random() < 0.08:
        number = f"{number[:3]}{rng.choice('ABC')}"
    street = road(rng) if rng.random() < 0.9 else _named(rng)
    return f"{number} {street}" + (f"{rng.choice((', ', ' '))}{unit}" if rng.random() < 0.3 else "")


def facility(rng: random.Random) -> str:
    """Return a place of care: a name, perhaps a speciality, and what it is."""
    name = rng.choice((_named, _named, _saint, town, _two))(rng)
    special = f" {rng.choice(_parts()['special'])}" if rng.random() < 0.45 else ""
    whole = f"{name}{special} {rng.choice(_parts()['care'])}"
    if rng.random() < 0.12:
        whole = f"{rng.choice(_parts()['carefirst'])} of {town(rng)}"
    if rng.random() < 0.1:
        whole += rng.choice((" at ", " of ", " - ", " on ")) + _named(rng)
    return whole


def bare(rng: random.Random) -> str:
    """Return a facility or a firm by its name alone, as those who work there call it."""
    return rng.choice((_named, _saint, _two, _surname))(rng)


def school(rng: random.Random) -> str:
    """Return a school, a college, a day care."""
    name = rng.choice((_named, _saint, _two, town, _person))(rng)
    kind = rng.choice(_parts()["schools"])
    return f"{kind} of {town(rng)}" if kind in {"University", "College"} and rng.random() < 0.4 else f"{name} {kind}"


def employer(rng: random.Random) -> str:
    """Return a firm, a shop, a farm, a public body."""
    name = rng.choice((_named, _surname, _two, town, _pair))(rng)
    return f"{name} {rng.choice(_parts()['firms'])}"


def site(rng: random.Random) -> str:
    """Return another place that a note names: a church, a park, a shelter, a jail, a housing block."""
    name = rng.choice((_named, _saint, _two, town))(rng)
    return f"{name} {rng.choice(_parts()['sites'])}"


def _surname(rng: random.Random) -> str:
    return _PEOPLE.draw(rng).surname


def _named(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(_parts()["first"]) + rng.choice(("", " ", " ")).replace(" ", " " + _nature(rng))
    if kind < 0.75:
        return _surname(rng)
    return _two(rng)


def _nature(rng: random.Random) -> str:
    return rng.choice(_parts()["nature"])


def _two(rng: random.Random) -> str:
    return f"{rng.choice(_parts()['first'])} {_nature(rng)}"


def _saint(rng: random.Random) -> str:
    saint = rng.choice(("St. ", "St ", "Saint ", "Sts. ", "Our Lady of ", "Mt. ", "Mount ", "Holy ", "Sacred "))
    return saint + rng.choice((_PEOPLE.draw(rng).given, rng.choice(_parts()["virtues"])))


def _person(rng: random.Random) -> str:
    person = _PEOPLE.draw(rng)
    return f"{person.given} {person.surname}"


def _pair(rng: random.Random) -> str:
    return f"{_surname(rng)} {rng.choice(('&', 'and', '-', 'Bros.', 'Brothers'))} {_surname(rng)}".replace(" - ", "-")


def _ordinal(number: int) -> str:
    return f"{number}{'th' if 10 < number % 100 < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


@cache
def _towns() -> list[str]:
    return [_title(name) for name in load_places() if zlib.crc32(name.encode()) % 5]


def _title(name: str) -> str:
    return " ".join(w if w in {"de", "la", "del", "upon", "on", "of", "the"} else w.title() for w in name.split())


@cache
def _parts() -> dict[str, list[str]]:
    lines = files(__package__).joinpath("places.txt").read_text("utf-8").splitlines()
    return {name: values.split(" | ") for name, values in (line.split(" = ") for line in lines)}
