"""What fills a template's fields: identifiers in the forms people write them, and clinical facts that must survive."""

import random
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Final

from osler.deidentify.text.corpus import places
from osler.deidentify.text.en.wordlists import load_lexicon
from osler.deidentify.text.spans import Category

Maker = Callable[[random.Random], str]


def _day(rng: random.Random) -> date:
    return date(1935, 1, 1) + timedelta(days=rng.randrange(32000))


def _date(rng: random.Random) -> str:
    day = _day(rng)
    month = _values()["months"][day.month - 1]
    forms = (
        f"{day.month}/{day.day}/{day.year}",
        f"{day:%m/%d/%y}",
        f"{day:%Y-%m-%d}",
        f"{month} {day.day}, {day.year}",
        f"{day.day} {month[:3]} {day.year}",
        f"{month[:3]} {day.day}",
        f"{day.month}/{day.day}",
        f"{day:%d-%b-%Y}",
        f"{month} {_ordinal(day.day)}",
    )
    return rng.choice(forms)


def _full_date(rng: random.Random) -> str:
    return f"{_day(rng):%m/%d/%Y}"


def _ordinal(number: int) -> str:
    suffix = "th" if 10 < number < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _digits(rng: random.Random, count: int) -> str:
    return str(rng.randrange(1, 10)) + "".join(str(rng.randrange(10)) for _ in range(count - 1))


def _phone(rng: random.Random) -> str:
    area, exchange, line = _digits(rng, 3), _digits(rng, 3), _digits(rng, 4)
    forms = ("({}) {}-{}", "{}-{}-{}", "{}.{}.{}", "+1 {} {} {}", "1-{}-{}-{}")
    return rng.choice(forms).format(area, exchange, line)


def _ssn(rng: random.Random) -> str:
    return f"{rng.randrange(100, 666)}-{rng.randrange(10, 99)}-{rng.randrange(1000, 9999)}"


def _address(rng: random.Random) -> str:
    street = f"{rng.randrange(1, 9800)} {rng.choice(_values()['streets'])} {rng.choice(_values()['street_kinds'])}"
    return street + (f", Apt {rng.randrange(1, 60)}" if rng.random() < 0.2 else "")


def _email(rng: random.Random) -> str:
    user = "".join(rng.choice("abcdefghijklmnoprstuvw") for _ in range(rng.randrange(4, 9)))
    return f"{user}{rng.randrange(99)}@{rng.choice(('mailbox.example', 'clinic.example.org', 'post.example.net'))}"


def _plate(rng: random.Random) -> str:
    return "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(3)) + f"-{_digits(rng, 4)}"


def _listed(name: str) -> Maker:
    return lambda rng: rng.choice(_values()[name])


@cache
def _values() -> dict[str, list[str]]:
    lines = files(__package__).joinpath("values.txt").read_text("utf-8").splitlines()
    return {name: values.split(" | ") for name, values in (line.split(" = ") for line in lines)}


def _listed_drug(rng: random.Random) -> str:
    return rng.choice(_words_with("d")).title()


def _heading(rng: random.Random) -> str:
    return " ".join(rng.choice(_plain_words()).title() for _ in range(rng.choice((1, 2, 2, 3))))


def _eponym(rng: random.Random) -> str:
    one, other = (rng.choice(_words_with("e")).title() for _ in range(2))
    head = rng.choice(_words_with("h"))
    forms = ("{0} {2}", "{0}'s {2}", "{0}-{1} {2}", "{0} and {1} {2}", "{0}", "{0} {2}", "{0} III", "{0} 12")
    return rng.choice(forms).format(one, other, head)


def _surname(rng: random.Random) -> str:
    """Return a surname that stands for an eponym which no list has."""
    return rng.choice(_words_with(rng.choice(("s1", "s2", "s3")))).title()


def _context(letter: str) -> Maker:
    def make(rng: random.Random) -> str:
        word = rng.choice(_words_with(letter))
        return rng.choice((word, word.title()))

    return make


@cache
def _words_with(code: str) -> list[str]:
    return [word for word, codes in load_lexicon().items() if code in codes]


@cache
def _plain_words() -> list[str]:
    names = {"g0", "g1", "s0", "e", "t"}
    return [
        w for w, codes in load_lexicon().items() if {"w0", "w1", "w2", "m", "d"} & set(codes) and not names & set(codes)
    ]


IDENTIFIERS: Final[dict[str, tuple[Category, Maker]]] = {
    "date": (Category.DATE, _date),
    "dob": (Category.DATE, _full_date),
    "oldage": (Category.AGE, lambda rng: str(rng.randrange(90, 104))),
    "street": (Category.LOCATION, _address),
    "town": (Category.LOCATION, _listed("towns")),
    "zip": (Category.LOCATION, lambda rng: _digits(rng, 5)),
    "facility": (Category.LOCATION, _listed("facilities")),
    "anytown": (Category.LOCATION, places.town),
    "address": (Category.LOCATION, places.address),
    "road": (Category.LOCATION, places.road),
    "care": (Category.LOCATION, places.facility),
    "bare": (Category.LOCATION, places.bare),
    "school": (Category.LOCATION, places.school),
    "firm": (Category.LOCATION, places.employer),
    "site": (Category.LOCATION, places.site),
    "phone": (Category.PHONE, _phone),
    "fax": (Category.FAX, _phone),
    "email": (Category.EMAIL, _email),
    "ssn": (Category.SSN, _ssn),
    "mrn": (Category.MRN, lambda rng: _digits(rng, rng.choice((6, 7, 8, 10)))),
    "plan": (Category.HEALTH_PLAN, lambda rng: rng.choice("XWZ") + _digits(rng, 9)),
    "account": (Category.ACCOUNT, lambda rng: _digits(rng, rng.choice((9, 10, 12)))),
    "license": (Category.LICENSE, lambda rng: rng.choice("ABDFM") + _digits(rng, 7)),
    "plate": (Category.VEHICLE, _plate),
    "serial": (Category.DEVICE, lambda rng: f"SN{_digits(rng, 8)}"),
    "url": (Category.URL, lambda rng: f"https://portal.example.org/p/{_digits(rng, 6)}"),
    "ip": (Category.IP, lambda rng: ".".join(str(rng.randrange(1, 255)) for _ in range(4))),
    "accession": (Category.OTHER_ID, lambda rng: f"{rng.choice('SACR')}{rng.randrange(10, 26)}-{_digits(rng, 6)}"),
}
"""Field name to category and maker."""

FACTS: Final[dict[str, Maker]] = {
    "state": _listed("states"),
    "statename": _listed("statenames"),
    "age": lambda rng: str(rng.randrange(1, 90)),
    "year": lambda rng: str(rng.randrange(1960, 2026)),
    "n": lambda rng: str(rng.randrange(2, 60)),
    "dx": _listed("diseases"),
    "rx": _listed("drugs"),
    "sign": _listed("signs"),
    "heading": _heading,
    "eponym": _eponym,
    "ep": lambda rng: rng.choice(_words_with("e")).title(),
    "ambiguous": _listed("ambiguous"),
    "country": _listed("countries"),
    "language": _listed("languages"),
    "drug": _listed_drug,
    "surn": _surname,
    "surn2": _surname,
    "h": lambda rng: rng.choice(_words_with("h")),
    "label": lambda rng: rng.choice(_words_with("a")).title(),
    "did": lambda rng: rng.choice(_words_with("v")).title(),
    "abbr": lambda rng: rng.choice(_words_with("a")).upper(),
    "organism": lambda rng: rng.choice(_words_with("o")).title(),
    "organism2": lambda rng: rng.choice(_words_with("o")),
    "word": lambda rng: rng.choice(_plain_words()),
    "title": lambda rng: rng.choice(
        ("Dr.", "Dr", "Mr.", "Mrs.", "Ms.", "Ms", "Mr", "Miss", "DR.", "Prof.", "Doctor", "Sister")
    ),
    "role": _context("r"),
    "kin": _context("k"),
    "does": _context("v"),
    "cred": lambda rng: _context("c")(rng).upper(),
}
"""Field name to maker; what it makes is no identifier."""
