"""Values of search parameters, read into what they ask of the index.

References
----------
HL7 FHIR R4 4.0.1, 3.1.1.4.2 (numbers) to 3.1.1.4.20 (escaping)
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Final

from osler.errors import Malformed
from osler.standards.fhir_conditions import Every, Present, Range, Test, Text
from osler.standards.fhir_dates import parse_span
from osler.standards.fhir_index import Link, Span, Term, join
from osler.standards.fhir_search import SEARCHABLE, SearchParameter, asked_token
from osler.standards.fhir_text import MOST_STARTS, fold

_PREFIXED: Final = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)
_NUMBER: Final = re.compile(r"[+-]?(?P<digits>[0-9]{1,30}(?P<point>\.[0-9]{0,30})?)(?P<exponent>[eE][+-]?[0-9]{1,3})?")
_LOGICAL_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_ESCAPED: Final = re.compile(r"\\([,|$\\])")
_MOST_TEXT: Final = 200  # characters of a string that is searched for


@dataclass(frozen=True, slots=True)
class Values:
    """Reads values.

    Parameters
    ----------
    now : float
        Seconds since the epoch, for the prefix ``ap`` of dates.
    base : str
        Our FHIR base URL; an absolute reference under it means the same as a relative one.
    """

    now: float
    base: str

    def tests(self, type_name: str, parameter: SearchParameter, modifier: str, text: str) -> Iterator[Test]:
        """Yield what one alternative asks for; any of them suffices.

        Raises
        ------
        Malformed
            If the value has not the form of its parameter, or the parameter does not know the modifier. The message
            quotes nothing.
        """
        known = SEARCHABLE[type_name].parameters
        for name in parameter.stored:
            if parameter.kind == "composite":
                yield from self._composite(type_name, known[name], modifier, text)
            else:
                yield from self._plain(name, parameter, modifier, text)

    def _plain(self, name: str, parameter: SearchParameter, modifier: str, text: str) -> Iterator[Test]:
        """Yield the tests of a parameter that is no composite, on what is stored under a name."""
        kind = parameter.kind
        if kind == "token":
            yield from _token(name, parameter, modifier, text)
        elif kind == "reference":
            yield from self._reference(name, parameter, modifier, text)
        elif kind == "string":
            yield _string(name, modifier, text)
        elif modifier:
            raise Malformed("the parameter does not know this modifier")
        elif kind == "date":
            yield self._date(name, text)
        elif kind == "uri":
            yield Term(name, ("uri", unescape(text)))
        else:
            yield _number(name, text) if kind == "number" else _quantity(name, text)

    def _composite(self, type_name: str, parameter: SearchParameter, modifier: str, text: str) -> Iterator[Test]:
        if modifier:
            raise Malformed("the parameter does not know this modifier")
        values = split(text, "$")
        if len(values) != len(parameter.parts) or not all(values):
            raise Malformed("a composite needs its values joined by $")
        alternatives = [
            list(self.tests(type_name, part, "", value)) for part, value in zip(parameter.parts, values, strict=True)
        ]
        if any(isinstance(test, Text) for tests in alternatives for test in tests):
            raise Malformed("a string of a composite is too long")
        for left, right in product(*alternatives):
            yield _joined(parameter.name, left, right) if parameter.at else Every((left, right))

    def _reference(self, name: str, parameter: SearchParameter, modifier: str, text: str) -> Iterator[Test]:
        if modifier == "identifier":
            system, code = _system_and_code(text)
            form = ("code", code) if system is None else ("both", system, code) if code else ("system", system)
            yield Term(f"{name}:identifier", form)
            return
        if modifier and (modifier not in SEARCHABLE or (parameter.targets and modifier not in parameter.targets)):
            raise Malformed("the parameter does not know this modifier")
        reference = unescape(text).partition("/_history/")[0]
        if self.base and reference.startswith(f"{self.base}/"):
            reference = reference[len(self.base) + 1 :]
        if "/" not in reference and ":" not in reference:
            targets = (modifier,) if modifier else parameter.targets
            if not targets:
                raise Malformed("a reference must name its type, as in Type/id")
            yield from (Link(name, f"{target}/{reference}") for target in targets)
            return
        kind = reference.rsplit("/", 2)[-2] if "/" in reference else ""
        wanted = (modifier,) if modifier else parameter.targets
        if not wanted or not kind or kind in wanted or any(p.type == "canonical" for p in parameter.paths):
            yield Link(name, reference)

    def _date(self, name: str, text: str) -> Range:
        prefix, date = _prefixed(text)
        low, high = parse_span(date.replace(" ", "+"))  # a + that was not escaped in the URL
        if prefix == "ap":
            margin = abs(self.now - (low + high) / 2) / 10  # R4 3.1.1.4.7: ten percent of the distance from now
            low, high = low - margin, high + margin
        return Range(name, prefix, low, high)


def _token(name: str, parameter: SearchParameter, modifier: str, text: str) -> Iterator[Test]:
    if modifier == "of-type" and any(path.type == "Identifier" for path in parameter.paths):
        parts = [unescape(part) for part in split(text, "|")]
        if len(parts) != 3 or not all(parts):
            raise Malformed("an identifier of a type has the form system|code|value")
        yield Term(name, ("type", *parts))
        return
    if modifier not in ("", "not"):
        raise Malformed("the parameter does not know this modifier")
    system, code = _system_and_code(text)
    if name == "_id" and not _LOGICAL_ID.fullmatch(code):
        return
    if parameter.coded and system and not code:
        if system == parameter.system:
            yield Present(parameter.bit)
        return
    form = asked_token(parameter, system, code)
    if form is not None:
        yield Term(name, form)


def _system_and_code(text: str) -> tuple[str | None, str]:
    system, *rest = (unescape(part) for part in split(text, "|"))
    if len(rest) > 1:
        raise Malformed("a token has one | at most")
    if not rest:
        return None, system
    if not system and not rest[0]:
        raise Malformed("a token needs a system or a code")
    return system, rest[0]


def _string(name: str, modifier: str, text: str) -> Test:
    plain = unescape(text)
    if len(plain) > _MOST_TEXT:
        raise Malformed(f"a string is longer than {_MOST_TEXT} characters")
    if modifier == "exact":
        return Term(name, ("exact", plain))
    folded = fold(plain)
    if not folded:
        raise Malformed("a string is empty")
    if modifier == "contains":
        return Text(name, folded, anywhere=True)
    if modifier:
        raise Malformed("the parameter does not know this modifier")
    return Term(name, ("starts", folded)) if len(folded) <= MOST_STARTS else Text(name, folded, anywhere=False)


def _number(name: str, text: str) -> Range:
    prefix, digits = _prefixed(text)
    return Range(name, prefix, *_interval(prefix, digits), numeric=True)


def _quantity(name: str, text: str) -> Range:
    number, *unit = (unescape(part) for part in split(text, "|"))
    prefix, digits = _prefixed(number)
    form: tuple[str, ...] = ()
    if unit:
        if len(unit) != 2 or not unit[1]:
            raise Malformed("a quantity has the form number, number||code or number|system|code")
        form = ("both", *unit) if unit[0] else ("code", unit[1])
    return Range(name, prefix, *_interval(prefix, digits), form, numeric=True)


def _interval(prefix: str, digits: str) -> tuple[float, float]:
    """Return what a number allows, by its own precision (R4 3.1.1.4.6)."""
    match = _NUMBER.fullmatch(digits)
    if match is None:
        raise Malformed("a number has not the form of a decimal")
    number = Decimal(digits)
    if prefix == "ap":
        margin = abs(number) / 10
    elif prefix in ("eq", "ne"):
        exponent = number.as_tuple().exponent
        # By R4's own examples 1e2 means 95 to 105, and 5.40e-3 means 0.005395 to 0.005405.
        finer = bool(match["exponent"]) and not match["point"]
        margin = Decimal(5).scaleb(int(exponent) - 1 - finer)
    else:
        margin = Decimal(0)
    return float(number - margin), float(number + margin)


def _joined(name: str, left: Test, right: Test) -> Test:
    """Join what the parts of a composite ask for, as the index joins what a resource has."""
    if not isinstance(left, Term | Link) or not isinstance(right, Term | Link | Range):
        raise Malformed("a value of a composite has a form that it cannot have there")
    if isinstance(right, Range):
        span = join(name, left, Span("", right.low, right.high, right.unit))
        unit = span.unit if isinstance(span, Span) else ()
        return Range(name, right.prefix, right.low, right.high, unit, right.numeric)
    made = join(name, left, right)
    if not isinstance(made, Term):
        raise Malformed("a value of a composite has a form that it cannot have there")
    return made


def _prefixed(text: str) -> tuple[str, str]:
    match = _PREFIXED.fullmatch(text)
    return (match[1] or "eq", match[2]) if match else ("eq", text)


def split(text: str, separator: str) -> list[str]:
    """Split at a separator that no backslash escapes (R4 3.1.1.4.0)."""
    parts = [""]
    escaped = False
    for character in text:
        if character == separator and not escaped:
            parts.append("")
            continue
        parts[-1] += character
        escaped = character == "\\" and not escaped
    return [part for part in parts if part] if separator == "," else parts


def unescape(text: str) -> str:
    """Take the backslashes away that escape a separator."""
    return _ESCAPED.sub(r"\1", text)
