"""FHIR JSON with decimals that keep their text: ``0.930`` stays ``0.930`` (FHIR R4, Data Types, decimal)."""

import json
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring
from typing import Any, Final

from osler.errors import Malformed

MAX_DEPTH: Final = 64
_MAX_NUMBER: Final = 64  # characters; a longer number is an attack, not a measurement

Resource = dict[str, Any]


class FhirDecimal(Decimal):
    """A decimal that is written again exactly as it was read.

    It compares and computes as a :class:`decimal.Decimal`; the result of a computation is a plain one.
    """

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> "FhirDecimal":
        """Make one from the text of a JSON number."""
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type["FhirDecimal"], tuple[str]]:
        return FhirDecimal, (self.text,)


def loads(text: str | bytes, *, max_depth: int = MAX_DEPTH) -> Resource:
    """Read one JSON object.

    Parameters
    ----------
    text : str or bytes
        UTF-8 when bytes.
    max_depth : int
        Deepest nesting of objects and arrays.

    Returns
    -------
    dict
        Numbers with a fraction or an exponent are :class:`FhirDecimal`, the others int.

    Raises
    ------
    Malformed
        If it is not JSON, not an object, nested deeper, has a name twice in one object (RFC 8259 leaves the meaning
        of that open), a number that JSON does not know, or half of a surrogate pair.
    """
    try:
        source = text.decode("utf-8") if isinstance(text, bytes) else text
        value = _DECODER.decode(source)
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON: fault at line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError as error:
        raise Malformed(f"not UTF-8: fault at byte {error.start}") from None
    except RecursionError:
        raise Malformed(f"JSON is nested deeper than {max_depth}") from None
    if not isinstance(value, dict):
        raise Malformed("JSON is not an object")
    _check_depth(value, max_depth)
    if "\\u" in source:
        _check_surrogates(value)
    return value


def dumps(resource: Resource) -> str:
    """Write a resource as compact JSON, decimals with the text they came with.

    Raises
    ------
    Malformed
        If it holds what FHIR JSON cannot: NaN, an infinity, or a Python object of another kind. A float is one of
        these: its text is not the number that was meant; give a :class:`decimal.Decimal`.
    """
    parts: list[str] = []
    _write(resource, parts.append)
    return "".join(parts)


def _write(value: Any, emit: Any) -> None:
    if isinstance(value, str):
        emit(encode_basestring(value))
    elif isinstance(value, dict):
        separator = "{"
        for name, item in value.items():
            emit(separator)
            emit(encode_basestring(name))
            emit(":")
            _write(item, emit)
            separator = ","
        emit("}" if value else "{}")
    elif isinstance(value, list | tuple):
        separator = "["
        for item in value:
            emit(separator)
            _write(item, emit)
            separator = ","
        emit("]" if value else "[]")
    else:
        emit(_scalar(value))


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, Decimal) and value.is_finite():
        return str(value)
    raise Malformed(f"a value of type {type(value).__name__} has no form in FHIR JSON")


def _decimal(text: str) -> FhirDecimal:
    if len(text) > _MAX_NUMBER:
        raise Malformed("a number in the JSON is too long")
    try:
        return FhirDecimal(text)
    except InvalidOperation:
        raise Malformed("a number in the JSON has an exponent out of range") from None


def _integer(text: str) -> int | FhirDecimal:
    if len(text) > _MAX_NUMBER or text == "-0":
        return _decimal(text)
    return int(text)


def _no_constant(_name: str) -> Any:
    raise Malformed("the JSON holds NaN or Infinity")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise Malformed("an object in the JSON has the same name twice")
    return made


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_decimal, parse_int=_integer, parse_constant=_no_constant
)


def _check_depth(value: Resource, max_depth: int) -> None:
    level: list[Any] = [value]
    depth = 0
    while level:
        depth += 1
        if depth > max_depth:
            raise Malformed(f"JSON is nested deeper than {max_depth}")
        level = [
            item
            for node in level
            for item in (node.values() if isinstance(node, dict) else node)
            if isinstance(item, dict | list)
        ]


def _check_surrogates(value: Any) -> None:
    try:
        dumps(value).encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("a string in the JSON holds half of a surrogate pair") from None
