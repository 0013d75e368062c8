"""References put anew: to another patient, after a merge."""

from typing import Any

from osler.standards.fhir_json import Resource


def repointed(resource: Resource, old: str, new: str) -> Resource:
    """Return a resource whose references to ``old`` (``Type/id``, of any version) are to ``new``."""
    made: Resource = _repointed(resource, old, new)
    return made


def _repointed(node: Any, old: str, new: str) -> Any:
    if isinstance(node, list):
        return [_repointed(item, old, new) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: new if name == "reference" and _names(value, old) else _repointed(value, old, new)
        for name, value in node.items()
    }


def _names(value: Any, reference: str) -> bool:
    return isinstance(value, str) and value.partition("/_history/")[0] == reference
