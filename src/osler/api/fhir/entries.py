"""Entries of a batch or transaction, as what they ask for.

References
----------
HL7 FHIR R4 4.0.1, 3.1.0.17 (batch and transaction), Bundle
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote

from osler.api.fhir.changes import check_resource
from osler.api.fhir.changing import RIGHTS, Change, require_valid
from osler.api.fhir.negotiation import JSON_PATCH
from osler.api.fhir.reading import READ_ONLY, Wanted
from osler.api.forms import Pairs, parse_pairs
from osler.errors import InvalidResource, Malformed, NotFound, UnsupportedKind
from osler.standards.fhir import Resource
from osler.standards.fhir_search import SEARCHABLE
from osler.standards.json_patch import parse_patch

MAX_ENTRIES: Final = 1000
_PLACE: Final = re.compile(
    r"(?P<type>[A-Z][A-Za-z]{1,63})(?:/(?P<id>[A-Za-z0-9\-.]{1,64}))?"
    r"(?:/(?P<history>_history)(?:/(?P<version>[A-Za-z0-9\-.]{1,64}))?)?"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    Parameters
    ----------
    number : int
        From 0.
    full_url : str
        By which other entries refer to it; empty for none.
    change : Change or None
        For POST, PUT, PATCH and DELETE.
    wanted : Wanted or None
        For GET of a resource, a version or a history.
    search : str
        Type of a search; empty when it is none.
    pairs : list of (str, str)
        Parameters of a search or history.
    if_none_match, if_modified_since : str
        Conditions of a GET.
    """

    number: int
    full_url: str = ""
    change: Change | None = None
    wanted: Wanted | None = None
    search: str = ""
    pairs: tuple[tuple[str, str], ...] = ()
    if_none_match: str = ""
    if_modified_since: str = ""

    @property
    def place(self) -> str:
        """FHIRPath of the entry."""
        return f"Bundle.entry[{self.number}]"


def entries_of(bundle: Resource) -> list[Mapping[str, Any]]:
    """Return the entries of a batch or transaction; their resources are still to be checked, each by itself.

    Raises
    ------
    InvalidResource
        If it is no Bundle of these types, or its frame breaks the R4 definitions.
    Malformed
        If it has more than :data:`MAX_ENTRIES`.
    """
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") not in ("batch", "transaction"):
        raise InvalidResource("what is sent to the base must be a Bundle of type batch or transaction")
    entries = bundle.get("entry", [])
    if isinstance(entries, list):
        if len(entries) > MAX_ENTRIES:
            raise Malformed(f"a Bundle may have at most {MAX_ENTRIES} entries")
        bare = [{k: v for k, v in e.items() if k != "resource"} if isinstance(e, dict) else e for e in entries]
        bundle = bundle | ({"entry": bare} if bare else {})
    require_valid(bundle)
    return list(entries)


def parse_entry(entry: Mapping[str, Any], number: int, base: str) -> Entry:
    """Understand one entry of a Bundle whose frame is valid.

    Parameters
    ----------
    entry : mapping
    number : int
        From 0.
    base : str
        Our FHIR base URL: an absolute URL under it is as good as a relative one.

    Raises
    ------
    InvalidResource, Malformed
        If it has no request, or the request has not its form.
    NotFound, UnsupportedKind
        If the type is not served, or cannot be written by clients, or the interaction is not offered.
    """
    request = entry.get("request")
    if not isinstance(request, dict):
        raise InvalidResource("the entry has no request")
    path, _, query = request["url"].removeprefix(f"{base}/").lstrip("/").partition("?")
    match = _PLACE.fullmatch(unquote(path))
    if match is None:
        raise UnsupportedKind("the URL of the entry names no interaction that is offered in a Bundle")
    if match["type"] not in SEARCHABLE:
        raise NotFound("there is no such type of resource here")
    common = Entry(
        number,
        entry.get("fullUrl", ""),
        if_none_match=request.get("ifNoneMatch", ""),
        if_modified_since=request.get("ifModifiedSince", ""),
    )
    if request["method"] in ("GET", "HEAD"):
        return _get(common, match, parse_pairs(query))
    return _with_change(common, match, query, entry)


def _get(common: Entry, match: re.Match[str], pairs: Pairs) -> Entry:
    if match["history"] or match["id"]:
        version = match["version"] or ""
        wanted = Wanted(match["type"], match["id"] or "", version, history=bool(match["history"]) and not version)
        return replace(common, wanted=wanted, pairs=tuple(pairs))
    return replace(common, search=match["type"], pairs=tuple(pairs))


def _with_change(common: Entry, match: re.Match[str], query: str, entry: Mapping[str, Any]) -> Entry:
    request, resource = entry["request"], entry.get("resource")
    method, type_name, logical_id = request["method"], match["type"], match["id"] or ""
    if type_name in READ_ONLY or method not in RIGHTS:
        raise UnsupportedKind("the interaction is not offered for this type")
    if match["history"] or (method == "POST" and (logical_id or query)) or (logical_id and query):
        raise Malformed("the URL of the entry does not go with its method")
    if method != "POST" and not logical_id and not query:
        raise Malformed("the URL of the entry names no resource")
    if (resource is None) != (method == "DELETE"):
        raise InvalidResource("the entry must have a resource, but for DELETE, which has none")
    criteria = request.get("ifNoneExist") if method == "POST" else None if logical_id else query
    id_given = "" if method == "POST" else logical_id
    change = Change(
        method,
        type_name,
        id_given,
        criteria,
        if_match=request.get("ifMatch", ""),
        place=f"{common.place}.resource",
    )
    if method == "PATCH":
        change = replace(change, patch=_patch(resource))
    elif resource is not None:
        change = replace(change, resource=resource)
    return replace(common, change=change)


def check_entry(entry: Entry) -> None:
    """Let pass an entry whose resource is valid and the one of its URL.

    Raises
    ------
    InvalidResource
        If it is not.
    """
    if entry.change is not None and entry.change.resource is not None:
        check_resource(entry.change.resource, entry.change)


def below(place: str, expression: str) -> str:
    """Return a FHIRPath that begins at the Bundle, for one that begins at the resource of an entry."""
    if expression.startswith("Bundle."):
        return expression
    return f"{place}.resource{re.sub(r'^[A-Za-z]+', '', expression)}" if expression else place


def _patch(resource: Any) -> tuple[Resource, ...]:
    """Read the Binary that holds a JSON Patch (R4 3.1.0.6)."""
    shown = resource if isinstance(resource, dict) else {}
    if shown.get("resourceType") != "Binary" or shown.get("contentType") != JSON_PATCH:
        raise InvalidResource(f"a patch in a Bundle is a Binary of {JSON_PATCH}")
    try:
        return tuple(parse_patch(base64.b64decode(str(shown.get("data", "")), validate=True)))
    except ValueError:
        raise Malformed("the data of the Binary is not base64") from None
