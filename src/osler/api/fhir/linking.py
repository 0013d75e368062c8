"""How entries of a transaction refer to each other, and to what a search finds.

References
----------
HL7 FHIR R4 4.0.1, 3.1.0.17.2 (transaction processing), Bundle 2.36.4 (resolving references)
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from osler.api.fhir.changing import Change
from osler.api.fhir.references import LOCAL, references, rewritten
from osler.errors import Unprocessable
from osler.standards.fhir import Issue
from osler.standards.fhir_search import SEARCHABLE
from osler.storage.stored import Stored

Find = Callable[[str, str], Stored | None]
"""``find(type, criteria)`` returns the one resource that criteria choose."""
_CONDITIONAL: Final = re.compile(r"([A-Z][A-Za-z]{1,63})\?(.+)", re.DOTALL)
_QUOTED: Final = re.compile(r'"(urn:[^"\s]{1,100})"')
_REST: Final = re.compile(r"(https?://.+)/[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}", re.DOTALL)


class Links:
    """The references that the entries of one transaction get in place of those that they came with."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._new: dict[str, str] = {}

    def add(self, full_url: str, reference: str) -> None:
        """Note that what was sent under a full URL is kept as ``Type/id``."""
        if full_url:
            self._new[full_url] = reference

    def applied(self, change: Change, full_url: str) -> Change:
        """Return a change whose resource or patch refers to what is kept.

        Raises
        ------
        Unprocessable
            If a conditional reference finds nothing.
        PreconditionFailed
            If it finds more than one resource.
        """
        match = _REST.fullmatch(full_url)
        origin = f"{match[1]}/" if match else ""

        def new(name: str, text: str) -> str:
            if name == "div":
                return self._in_narrative(text)
            if name != "reference":
                return self._new.get(text, text)
            if conditional := _CONDITIONAL.fullmatch(text):
                return self._found(change, conditional[1], conditional[2])
            relative = origin and LOCAL.fullmatch(text)
            return self._new.get(text) or (self._new.get(origin + text) if relative else None) or text

        if change.resource is not None:
            return replace(change, resource=rewritten(change.resource, new))
        return replace(change, patch=tuple(self._operation(rewritten(o, new)) for o in change.patch))

    def _operation(self, operation: dict[str, Any]) -> dict[str, Any]:
        value = operation.get("value")
        return operation | {"value": self._new[value]} if isinstance(value, str) and value in self._new else operation

    def _found(self, change: Change, type_name: str, criteria: str) -> str:
        found = self._find(type_name, criteria) if type_name in SEARCHABLE else None
        if found is None:
            issue = Issue("not-found", change.place, "a conditional reference finds nothing")
            raise Unprocessable("a conditional reference finds nothing", (issue,))
        return found.reference

    def _in_narrative(self, text: str) -> str:
        return _QUOTED.sub(lambda match: f'"{self._new.get(match[1], match[1])}"', text)


def has_conditional(change: Change) -> bool:
    """Tell whether a resource refers to something by a search: what it may find is written before it."""
    return change.resource is not None and any("?" in text for _, text in references(change.resource))
