"""SMART scopes: which interactions with which resources a client asks for, and what of it may be granted.

References
----------
SMART App Launch 2.2, Scopes and Launch Context
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from osler.errors import InputRejected
from osler.standards.fhir_index import COLUMNS
from osler.standards.fhir_search import SEARCHABLE, SearchParameter, asked_token

CRUDS: Final = "cruds"
PLAIN: Final = (
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
)
"""Scopes that speak of the launch, the person's identity and the life of the access, not of resources."""

INTROSPECT: Final = "osler/introspect"
"""What a resource server is registered with so that it may ask about tokens of others; no token ever holds it."""

SPOKE: Final = "osler/spoke"
"""What an edge is registered with, alone: it may forward de-identified studies and fetch what was said of them."""

PREPARE_LAUNCH: Final = "osler/launch"
"""What an EHR is registered with so that it may begin launches of apps; no token ever holds it."""

_FORM: Final = re.compile(
    r"(?P<context>patient|user|system)/(?P<type>\*|[A-Z][A-Za-z]{1,63})"
    r"\.(?:(?P<old>read|write|\*)|(?P<rights>(?=.)c?r?u?d?s?)(?:\?(?P<filters>.+))?)"
)
_VERSION_1: Final = {"read": "rs", "write": "cud", "*": CRUDS}
_MAX_SCOPES: Final = 100
_MAX_FILTERS: Final = 5

Term = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope.

    Parameters
    ----------
    text : str
        As asked for.
    context : {"patient", "user", "system", ""}
        Empty for one of :data:`PLAIN`, which speaks of no resources.
    type : str
        Resource type, or ``*``.
    rights : frozenset of str
        Letters of ``cruds``: create, read, update, delete, search.
    filters : tuple of str
        ``name=value`` of each search parameter that the resources must match, as asked for.
    """

    text: str
    context: str = ""
    type: str = ""
    rights: frozenset[str] = frozenset()
    filters: tuple[str, ...] = ()

    def covers(self, type_name: str) -> bool:
        """Tell whether it speaks of a resource type."""
        return self.type in ("*", type_name)

    def terms(self, type_name: str) -> tuple[Term, ...] | None:
        """Return what resources of a type must be indexed under; None when the type knows no such parameter."""
        found = [_term(type_name, text) for text in self.filters]
        return None if None in found else tuple(term for term in found if term is not None)


def parse_scopes(text: str) -> tuple[Scope, ...]:
    """Read a list of scopes, parted by blanks.

    Returns
    -------
    tuple of Scope
        Those that are understood, in order. What is no scope of ours is left out, as is a scope with a filter that
        is no token parameter of its type: access that could not be kept to is not given.
    """
    return tuple(_scopes(text.split(" ")[:_MAX_SCOPES]))


def check_scopes(text: str) -> str:
    """Return scopes that a client may be registered with, each once.

    Raises
    ------
    InputRejected
        If one of them is not understood.
    """
    asked = text.split()
    spoken = [word for word in asked if word not in (INTROSPECT, PREPARE_LAUNCH)]
    if SPOKE in asked and len(set(asked)) > 1:
        raise InputRejected(f"{SPOKE} stands alone: an edge may do nothing else")
    if not asked or len(parse_scopes(" ".join(spoken))) != len(spoken):
        raise InputRejected(
            "scopes must have the form CONTEXT/Type.rights, where the context is patient, user or system, and the "
            "rights are read, write, * or letters of cruds in order, perhaps with ?parameter=token; or be one of "
            f"{', '.join((*PLAIN, INTROSPECT, SPOKE))}"
        )
    return " ".join(dict.fromkeys(asked))


def in_words(scopes: Iterable[Scope]) -> str:
    """Write scopes as a token response does."""
    return " ".join(scope.text for scope in scopes)


def intersect(asked: Iterable[Scope], registered: Iterable[Scope]) -> tuple[Scope, ...]:
    """Return what may be granted: of each scope asked for, the part that is registered."""
    held = tuple(registered)
    granted: dict[str, Scope] = {}
    for scope in asked:
        for part in _parts(scope, held):
            granted.setdefault(part.text, part)
    return tuple(granted.values())


def _parts(scope: Scope, registered: tuple[Scope, ...]) -> Iterator[Scope]:
    if not scope.context:
        if scope in registered:
            yield scope
        return
    groups: dict[tuple[str, ...], list[Scope]] = {(): []}  # by the filters that they add
    for held in registered:
        if held.context == scope.context:
            added = tuple(text for text in held.filters if text not in scope.filters)
            groups.setdefault(added, []).append(held)
    for added, group in groups.items():
        parts = tuple(_cut(scope, group, added))
        yield from parts
        if parts == (scope,):
            return


def _cut(scope: Scope, registered: list[Scope], added: tuple[str, ...]) -> Iterator[Scope]:
    filters = (*scope.filters, *added)
    everywhere = _union(r for r in registered if r.covers(scope.type))
    if scope.rights <= everywhere:
        yield scope if not added else _scope(scope.context, scope.type, scope.rights, filters)
        return  # all of it: in the words of the client
    if scope.rights & everywhere:
        yield _scope(scope.context, scope.type, scope.rights & everywhere, filters)
    if scope.type == "*":
        for type_name in dict.fromkeys(r.type for r in registered if r.type != "*"):
            rights = scope.rights & _union(r for r in registered if r.type == type_name)
            if rights - everywhere:
                yield _scope(scope.context, type_name, rights, filters)


def _union(scopes: Iterable[Scope]) -> frozenset[str]:
    return frozenset().union(*(scope.rights for scope in scopes))


def _scope(context: str, type_name: str, rights: frozenset[str], filters: tuple[str, ...]) -> Scope:
    letters = "".join(letter for letter in CRUDS if letter in rights)
    query = "?" + "&".join(filters) if filters else ""
    return Scope(f"{context}/{type_name}.{letters}{query}", context, type_name, rights, filters)


def _scopes(texts: Iterable[str]) -> Iterator[Scope]:
    for text in texts:
        if text in PLAIN or text == SPOKE:
            yield Scope(text)
        elif match := _FORM.fullmatch(text):
            rights = frozenset(_VERSION_1[match["old"]] if match["old"] else match["rights"])
            filters = tuple(dict.fromkeys(match["filters"].split("&"))) if match["filters"] else ()
            scope = Scope(text, match["context"], match["type"], rights, filters)
            if _can_be_kept(scope):
                yield scope


def _can_be_kept(scope: Scope) -> bool:
    if not scope.filters:
        return True
    types = SEARCHABLE if scope.type == "*" else (scope.type,)
    return len(scope.filters) <= _MAX_FILTERS and any(scope.terms(name) is not None for name in types)


def _term(type_name: str, text: str) -> Term | None:
    """Return parameter and term of ``name=value`` with one token for value."""
    name, equals, value = text.partition("=")
    parameter = SEARCHABLE[type_name].parameters.get(name) if type_name in SEARCHABLE else None
    if not equals or parameter is None or parameter.kind != "token":
        return None
    if parameter.stored != (name,) or name in COLUMNS:
        return None  # what joins others, or has no terms, cannot be asked for as one term
    form = _token_form(unquote_plus(value), parameter)
    return None if form is None else (name, form)


def _token_form(value: str, parameter: SearchParameter) -> tuple[str, ...] | None:
    system, bar, code = value.rpartition("|") if "|" in value else ("", "", value)
    if "|" in system or "," in value or "\\" in value or not (system or code) or not value.isprintable():
        return None  # alternatives and escapes: two scopes say the former, no code has the latter
    return asked_token(parameter, system if bar else None, code)
