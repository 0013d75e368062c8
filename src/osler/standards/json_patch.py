"""JSON Patch: changes to a JSON document, one after the other, all or none.

References
----------
RFC 6902 (JSON Patch), RFC 6901 (JSON Pointer)
"""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from osler.errors import Malformed, Unprocessable
from osler.standards.fhir_json import MAX_DEPTH, Resource, loads

MAX_OPERATIONS: Final = 500
MAX_ADDED: Final = 100_000
"""Values that a patch may put in, each with all that is in it: copies of copies would grow without bound."""
_MAX_POINTER: Final = 2_000  # characters
_NO_PLACE: Final = "its place is not there"

Place = tuple[str, ...]


def parse_patch(text: str | bytes) -> list[Resource]:
    """Read a patch document.

    Returns
    -------
    list of dict
        The operations, each of a form that RFC 6902 knows. Decimals keep their text.

    Raises
    ------
    Malformed
        If it is not JSON, not an array of operations, or has more than :data:`MAX_OPERATIONS` of them.
    """
    content = text.encode() if isinstance(text, str) else text
    operations = loads(b'{"patch":' + content + b"}")
    if operations.keys() != {"patch"} or not isinstance(operations["patch"], list):
        raise Malformed("a JSON Patch is an array of operations")
    if len(operations["patch"]) > MAX_OPERATIONS:
        raise Malformed(f"a JSON Patch has at most {MAX_OPERATIONS} operations")
    for number, operation in enumerate(operations["patch"], 1):
        _check_form(operation, number)
    return list(operations["patch"])


def apply_patch(document: Resource, operations: Sequence[Mapping[str, Any]]) -> Resource:
    """Return a document with the operations applied; the one that is given stays as it is.

    Raises
    ------
    Unprocessable
        If a place is not there or a test does not hold (RFC 6902 5), or the document would grow out of bounds. The
        message counts operations from 1.
    """
    patched: Any = copy.deepcopy(document)
    room = MAX_ADDED
    for number, operation in enumerate(operations, 1):
        try:
            room -= _added(patched, operation)
            if room < 0:
                raise Unprocessable("more is added than a patch may add")
            patched = _OPERATIONS[operation["op"]](patched, operation)
        except Unprocessable as error:
            raise Unprocessable(f"operation {number} of the patch: {error}") from None
    if not isinstance(patched, dict):
        raise Unprocessable("the patch leaves no object")
    return patched


def _check_form(operation: Any, number: int) -> None:
    def refuse(words: str) -> Malformed:
        return Malformed(f"operation {number} of the patch {words}")

    if not isinstance(operation, dict) or str(operation.get("op")) not in _OPERATIONS:
        raise refuse("is none of add, remove, replace, move, copy and test")
    for name in ("path", "from") if operation["op"] in ("move", "copy") else ("path",):
        pointer = operation.get(name)
        if not isinstance(pointer, str) or len(pointer) > _MAX_POINTER or not _POINTER.fullmatch(pointer):
            raise refuse(f"has no {name} that is a JSON Pointer")
    if operation["op"] in ("add", "replace", "test") and "value" not in operation:
        raise refuse("has no value")


_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")


def _place(pointer: str) -> Place:
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def _added(document: Any, operation: Mapping[str, Any]) -> int:
    """Count what an operation puts in; refuse what would be nested too deep."""
    if operation["op"] in ("remove", "test"):
        return 0
    copied = operation["op"] in ("move", "copy")
    value = _value_at(document, _place(operation["from"])) if copied else operation["value"]
    level, count, depth = [value], 0, operation["path"].count("/")
    while level:
        count, depth = count + len(level), depth + 1
        if depth > MAX_DEPTH:
            raise Unprocessable(f"the document would be nested deeper than {MAX_DEPTH}")
        level = [
            item
            for node in level
            if isinstance(node, dict | list)
            for item in (node.values() if isinstance(node, dict) else node)
        ]
    return count


def _index(part: str, length: int) -> int:
    if not _INDEX.fullmatch(part) or int(part) >= length:
        raise Unprocessable(_NO_PLACE)
    return int(part)


def _value_at(node: Any, place: Place) -> Any:
    for part in place:
        if isinstance(node, list):
            node = node[_index(part, len(node))]
        elif isinstance(node, dict) and part in node:
            node = node[part]
        else:
            raise Unprocessable(_NO_PLACE)
    return node


def _set(document: Any, place: Place, value: Any) -> Any:
    """Add a value: before an item of an array, at its end (``-``), or as a member in place of what it was."""
    if not place:
        return value
    parent, last = _value_at(document, place[:-1]), place[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent) + 1), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise Unprocessable(_NO_PLACE)
    return document


def _cut(document: Any, place: Place) -> tuple[Any, Any]:
    """Return a document without a value, and the value."""
    value = _value_at(document, place)
    if not place:
        return None, value
    parent = _value_at(document, place[:-1])
    del parent[int(place[-1]) if isinstance(parent, list) else place[-1]]
    return document, value


def _add(document: Any, operation: Mapping[str, Any]) -> Any:
    return _set(document, _place(operation["path"]), copy.deepcopy(operation["value"]))


def _remove(document: Any, operation: Mapping[str, Any]) -> Any:
    return _cut(document, _place(operation["path"]))[0]


def _replace(document: Any, operation: Mapping[str, Any]) -> Any:
    place, value = _place(operation["path"]), copy.deepcopy(operation["value"])
    _value_at(document, place)
    if not place:
        return value
    parent = _value_at(document, place[:-1])
    parent[int(place[-1]) if isinstance(parent, list) else place[-1]] = value
    return document


def _move(document: Any, operation: Mapping[str, Any]) -> Any:
    source, target = _place(operation["from"]), _place(operation["path"])
    if target[: len(source)] == source and target != source:
        raise Unprocessable("a value cannot be moved into itself")
    rest, value = _cut(document, source)
    return _set(rest, target, value)


def _copy(document: Any, operation: Mapping[str, Any]) -> Any:
    value = copy.deepcopy(_value_at(document, _place(operation["from"])))
    return _set(document, _place(operation["path"]), value)


def _test(document: Any, operation: Mapping[str, Any]) -> Any:
    if not _equal(_value_at(document, _place(operation["path"])), operation["value"]):
        raise Unprocessable("its test does not hold")
    return document


def _equal(one: Any, other: Any) -> bool:
    """Compare as RFC 6902 4.6 does: numbers by value, but true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_equal(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


_OPERATIONS: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], Any]]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
