"""SMART scopes of backend services: which interactions with which resource types.

References
----------
SMART App Launch 2.2, Scopes for requesting FHIR resources
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from osler.errors import InputRejected

CRUDS: Final = "cruds"
_FORM: Final = re.compile(
    r"(?P<context>patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]{1,63})\.(?P<rights>read|write|\*|(?=.)c?r?u?d?s?)"
)
_VERSION_1: Final = {"read": "rs", "write": "cud", "*": CRUDS}
_MAX_SCOPES: Final = 100


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope.

    Parameters
    ----------
    text : str
        As asked for.
    type : str
        Resource type, or ``*``.
    rights : frozenset of str
        Letters of ``cruds``: create, read, update, delete, search.
    """

    text: str
    type: str
    rights: frozenset[str]

    def covers(self, type_name: str) -> bool:
        """Tell whether it speaks of a resource type."""
        return self.type in ("*", type_name)


def parse_scopes(text: str) -> tuple[Scope, ...]:
    """Read a list of scopes, parted by blanks.

    Returns
    -------
    tuple of Scope
        The ``system/`` scopes, in order. Others of SMART (``patient/``, ``user/``, ``launch``, ...) need a person's
        sign-in, which this server does not offer: they are left out, as is what is no scope at all.
    """
    return tuple(_scopes(text.split(" ")[:_MAX_SCOPES]))


def check_scopes(text: str) -> str:
    """Return scopes that a client may be registered with, each once.

    Raises
    ------
    InputRejected
        If one of them is not a ``system/`` scope. A scope with a filter (``?category=...``) is refused too: this
        server could not keep to it.
    """
    asked = text.split()
    if not asked or len(parse_scopes(" ".join(asked))) != len(asked):
        raise InputRejected(
            "scopes must have the form system/Type.rights, where rights are read, write, * or letters of cruds in order"
        )
    return " ".join(dict.fromkeys(asked))


def intersect(asked: Iterable[Scope], registered: Iterable[Scope]) -> tuple[Scope, ...]:
    """Return what may be granted: of each scope asked for, the part that is registered."""
    held = tuple(registered)
    granted: dict[str, Scope] = {}
    for scope in asked:
        for part in _parts(scope, held):
            granted.setdefault(part.text, part)
    return tuple(granted.values())


def allows(scopes: Iterable[Scope], type_name: str, right: str) -> bool:
    """Tell whether scopes give a right (a letter of ``cruds``) to a resource type."""
    return any(right in scope.rights and scope.covers(type_name) for scope in scopes)


def _parts(scope: Scope, registered: tuple[Scope, ...]) -> Iterator[Scope]:
    everywhere = _union(r for r in registered if r.covers(scope.type))
    if scope.rights <= everywhere:
        yield scope  # all of it: in the words of the client
        return
    if scope.rights & everywhere:
        yield _scope(scope.type, scope.rights & everywhere)
    if scope.type == "*":
        for type_name in dict.fromkeys(r.type for r in registered if r.type != "*"):
            rights = scope.rights & _union(r for r in registered if r.type == type_name)
            if rights - everywhere:
                yield _scope(type_name, rights)


def _union(scopes: Iterable[Scope]) -> frozenset[str]:
    return frozenset().union(*(scope.rights for scope in scopes))


def _scope(type_name: str, rights: frozenset[str]) -> Scope:
    return Scope(f"system/{type_name}.{''.join(letter for letter in CRUDS if letter in rights)}", type_name, rights)


def _scopes(texts: Iterable[str]) -> Iterator[Scope]:
    for text in texts:
        match = _FORM.fullmatch(text)
        if match and match["context"] == "system":
            yield Scope(text, match["type"], frozenset(_VERSION_1.get(match["rights"], match["rights"])))
