"""Subscriptions as they are written: checked, made active with the writer's reach, and their secrets put away.

References
----------
HL7 FHIR R4 4.0.1, Subscription (rest-hook)
"""

import re
from typing import Any, Final

from sqlalchemy import Connection

from osler.api.guard import Caller
from osler.api.services import Services
from osler.api.smart.scopes import in_words
from osler.errors import DeliveryRefused, Malformed, Unprocessable
from osler.standards.fhir import Issue, Resource
from osler.standards.fhir_dates import parse_span
from osler.storage.subscriptions import Active, Channel, SubscriptionStore, conditions_of

HIDDEN: Final = "***"
"""Stands in the resource for the value of a header."""
_HEADER: Final = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}):[ \t]*([\x21-\x7e][\x20-\x7e]{0,3999})")
_OURS: Final = frozenset(
    ("host", "content-length", "content-type", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect")
)
_MAX_HEADERS: Final = 10
_MOST_OF_CLIENT: Final = 50
_PAYLOADS: Final = frozenset({"", "application/fhir+json", "application/json"})
_WANTED: Final = frozenset({"requested", "active"})


def subscribed(services: Services, caller: Caller, connection: Connection, resource: Resource) -> Resource:
    """Make a Subscription active, or inactive, as it says; return it as it is to be kept.

    From then on it reaches as far as whoever wrote it last.

    Parameters
    ----------
    resource : dict
        A valid Subscription with its id.

    Raises
    ------
    AccessDenied
        If the caller could not read and search for what it waits for.
    Unprocessable
        If it cannot be done: the issues say what is in the way.
    """
    store = services.subscriptions
    if store is None:
        return resource
    if resource["status"] not in _WANTED:
        store.drop(connection, resource["id"])
        return _hidden(resource)
    before = store.find(connection, resource["id"])
    active = _active(services, caller, resource, before)
    if before is None and store.count(connection, caller.client_id) >= _MOST_OF_CLIENT:
        raise _cannot("Subscription", f"a client may have {_MOST_OF_CLIENT} active subscriptions")
    store.set(connection, active)
    kept = {name: value for name, value in resource.items() if name != "error"}
    return _hidden(kept | {"status": "active"})


def ended(store: SubscriptionStore | None, connection: Connection, subscription_id: str) -> None:
    """Forget a Subscription that is deleted."""
    if store is not None:
        store.drop(connection, subscription_id)


def _active(services: Services, caller: Caller, resource: Resource, before: Active | None) -> Active:
    now = services.tokens.clock()
    try:
        conditions_of(resource["criteria"], base=services.fhir_base, now=now)
    except Malformed as error:
        raise _cannot("Subscription.criteria", str(error)) from None
    channel = _channel(services, caller, resource, before)
    for right in "rs":
        caller.require(channel.type, right)
    ends_at = parse_span(resource["end"])[1] if "end" in resource else None
    if ends_at is not None and ends_at <= now:
        raise _cannot("Subscription.end", "its time is over already")
    grant = caller.grant
    return Active(resource["id"], grant.client_id, in_words(grant.scopes), grant.id, channel, ends_at, 0, now)


def _channel(services: Services, caller: Caller, resource: Resource, before: Active | None) -> Channel:
    channel = resource["channel"]
    if channel["type"] != "rest-hook":
        raise _cannot("Subscription.channel.type", "only rest-hook is offered")
    endpoint = channel.get("endpoint", "")
    try:
        parts = services.subscription_hosts.check(endpoint)
    except DeliveryRefused as error:
        raise _cannot("Subscription.channel.endpoint", str(error)) from None
    payload = channel.get("payload", "")
    if payload not in _PAYLOADS:
        raise _cannot("Subscription.channel.payload", "only application/fhir+json is offered, or none")
    if payload and parts.query:
        raise _cannot("Subscription.channel.endpoint", "an address that resources are put under has no query")
    known: dict[str, str] = {}
    if before is not None and before.channel.endpoint == endpoint and before.client_id == caller.client_id:
        known = {name.lower(): value for name, value in before.channel.headers}
    return Channel(resource["criteria"], endpoint, payload, _headers(channel.get("header", []), known))


def _headers(lines: list[Any], known: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Read the headers; a value that is hidden is the one that was given before, to the same endpoint.

    Raises
    ------
    Unprocessable
        If one of them has not the form of a header, is not for the subscriber to set, or its value is not known.
    """
    if len(lines) > _MAX_HEADERS:
        raise _cannot("Subscription.channel.header", f"there are more than {_MAX_HEADERS}")
    found: list[tuple[str, str]] = []
    for number, line in enumerate(lines):
        place = f"Subscription.channel.header[{number}]"
        match = _HEADER.fullmatch(line) if isinstance(line, str) else None
        if match is None or match[1].lower() in _OURS:
            raise _cannot(place, "it has not the form Name: value, or is not for the subscriber to set")
        name, value = match[1], match[2].strip()
        if value == HIDDEN:
            if name.lower() not in known:
                raise _cannot(place, "the value must be given again: it belongs to another endpoint or client")
            value = known[name.lower()]
        found.append((name, value))
    return tuple(found)


def _hidden(resource: Resource) -> Resource:
    """Return a Subscription without the values of its headers, which may be secrets."""
    channel = resource.get("channel", {})
    if "header" not in channel:
        return resource
    lines = [f"{str(line).partition(':')[0]}: {HIDDEN}" for line in channel["header"]]
    return resource | {"channel": channel | {"header": lines}}


def _cannot(place: str, words: str) -> Unprocessable:
    return Unprocessable("the subscription cannot be made active", (Issue("business-rule", place, words),))
