"""Single values of FHIR elements: what may go on of each."""

import base64
import re
from collections.abc import Callable, Mapping, Set
from decimal import Decimal
from typing import Any, Final

from osler.deidentify import safe_harbor
from osler.deidentify.coding import is_measure, system_of_uri
from osler.deidentify.fhir.references import Names
from osler.deidentify.fhir.rules import Element
from osler.deidentify.free_text import TextDeidentifier
from osler.deidentify.marked_up import clean_document
from osler.deidentify.methods import Values

_OPEN_CODE: Final = re.compile(  # a language, a currency or null flavor, why a value is absent, a media type
    r"[a-z]{2,3}(?:-[A-Z]{2})?|[A-Z]{1,3}"
    r"|unknown|(?:asked|temp)-unknown|not-(?:asked|applicable|a-number|performed|permitted)|asked-declined|masked|error"
    r"|(?:text|image|application|audio|video)/[a-z0-9.+-]{1,60}(?:; ?charset=(?i:utf-8|us-ascii))?"
)
_TIME: Final = re.compile(r"[0-2][0-9]:[0-5][0-9]:[0-6][0-9](?:\.[0-9]{1,9})?")
_KEY: Final = re.compile(r"(?!.*[A-Za-z]{4})(?!.*[0-9]{6})(?!(?:[^0-9]*[0-9]){7})[A-Za-z0-9/._-]{1,24}")
_SAMPLE: Final = re.compile(r"[+-]?[0-9]{1,7}(?:\.[0-9]{1,8})?|[EUL]")
_STATUS: Final = re.compile(r"[1-5][0-9]{2}(?=$| )")


class Scalars:
    """Values that have no parts, by the action of their rule.

    Parameters
    ----------
    names : Names
    text : TextDeidentifier
    values : Values
    resource_types : frozenset of str
    numbers : set of str, optional
        Numbers and names of the people, which may not go on as a value.
    """

    def __init__(
        self,
        names: Names,
        text: TextDeidentifier,
        values: Values,
        *,
        resource_types: frozenset[str],
        numbers: Set[str] = frozenset(),
    ) -> None:
        self._numbers = numbers
        self._resource_types = resource_types
        self._strings: Mapping[str, Callable[[str], str]] = {
            "text": text.deidentify,
            "date": values.date,
            "instant": values.instant,
            "birth": values.birth,
            "city": lambda town: "" if numbers & set(town.lower().split()) else values.city(town),
            "state": safe_harbor.state,
            "country": safe_harbor.country,
            "postal": values.postal,
            "time": lambda value: value if _TIME.fullmatch(value) else "",
            "samples": self._samples,
            "status": _status,
            "uri": lambda value: _uri(value, names),
            "urn": names.urn,
            "uid": names.uid,
            "key": lambda value: value if _KEY.fullmatch(value) else names.uid(f"key {value}"),
        }

    def clean(self, value: Any, element: Element) -> Any:
        """Return what may go on of a value, None when nothing."""
        action = element.action
        if action == "boolean":
            return value if isinstance(value, bool) else None
        if action == "number":
            is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
            return value if is_number and self._is_measure(str(int(value))) else None
        if not isinstance(value, str):
            return None
        if action == "code":
            return value if self._is_code(value, element.codes) else None
        cleaned = self._strings[action](value)
        return cleaned if cleaned.strip() else None

    def _samples(self, value: str) -> str:
        """Return samples when each is a number; a number of the people that is written as some is none."""
        digits = re.sub(r"[^0-9]", "", value).lstrip("0")
        known = digits in self._numbers or not self._numbers.isdisjoint(value.split())
        return "" if known or not all(map(_SAMPLE.fullmatch, value.split())) else value

    def _is_measure(self, digits: str) -> bool:
        return is_measure(digits) and digits not in self._numbers

    def _is_code(self, value: str, codes: frozenset[str] | None) -> bool:
        if codes is not None:
            return value in codes
        return _OPEN_CODE.fullmatch(value) is not None or value in self._resource_types


def clean_data(data: Any, content_type: Any, text: TextDeidentifier) -> str | None:
    """Return the base64 data of an attachment without identifiers; None when its type cannot be cleaned."""
    if not isinstance(data, str) or not isinstance(content_type, str):
        return None
    try:
        content = base64.b64decode(data, validate=False)
    except ValueError:  # no base64, or no ASCII at all
        return None
    cleaned = clean_document(content, content_type, text)
    return base64.b64encode(cleaned).decode() if cleaned else None


def _status(value: str) -> str:
    match = _STATUS.match(value)
    return match[0] if match else ""


def _uri(value: str, names: Names) -> str:
    shared = value.partition("|")[0]
    return shared if system_of_uri(shared) else names.urn(value)
