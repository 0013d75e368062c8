"""References inside a resource: which of them name a resource of ours, and how they are written anew.

References
----------
HL7 FHIR R4 4.0.1, 2.3.0 (Reference), 3.1.0.17.2 (transactions)
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from osler.standards.fhir import Resource
from osler.standards.fhir_search import SEARCHABLE

LOCAL: Final = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")
_APART: Final = frozenset({"AuditEvent"})
"""Types that are served and kept elsewhere."""


def local_references(resource: Resource) -> Iterator[tuple[str, str, str]]:
    """Yield each relative reference to a resource that should be here: its path, the type and the id that it names.

    The path is FHIRPath without the type in front, such as ``.subject.reference``.
    """
    for path, text in references(resource):
        match = LOCAL.fullmatch(text)
        if match and match[1] in SEARCHABLE and match[1] not in _APART:
            yield f"{path}.reference", match[1], match[2]


def relative(resource: Resource, base: str) -> Resource:
    """Return a resource whose references under our FHIR base are relative: one form in the index, and in all searches.

    It is the one that is given when there are none, as mostly.
    """
    if not any(text.startswith(f"{base}/") for _, text in references(resource)):
        return resource
    new: Resource = rewritten(
        resource, lambda name, text: text.removeprefix(f"{base}/") if name == "reference" else text
    )
    return new


def rewritten(node: Any, new: Callable[[str, str], str]) -> Any:
    """Return a copy with URLs put anew, in References and wherever else a ``uri`` or ``url`` may point to a resource.

    Parameters
    ----------
    node : dict, list or scalar
    new : callable
        ``new(name, text)`` returns what to put in place of the text of an element of that name.
    """
    if isinstance(node, list):
        return [rewritten(item, new) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: new(name, value) if isinstance(value, str) and name in ADDRESSES else rewritten(value, new)
        for name, value in node.items()
    }


ADDRESSES: Final = frozenset({"reference", "url", "valueUri", "valueUrl", "div"})
"""Names of elements that may hold the address of another entry of a transaction."""


def references(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and text of each reference in a resource or a part of it."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from references(item, f"{path}[{index}]")
    elif isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield path, node["reference"]
        for name, value in node.items():
            if isinstance(value, dict | list):
                yield from references(value, f"{path}.{name}")
