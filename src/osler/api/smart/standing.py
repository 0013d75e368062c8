"""What a client may still do long after its token: for work that goes on in the background.

References
----------
SMART App Launch 2.2, Backend Services
"""

from typing import Any, Final

from sqlalchemy import Connection, select

from osler.api.people.roles import Role
from osler.api.smart.context import LaunchContext
from osler.api.smart.scopes import intersect, parse_scopes
from osler.api.smart.tokens import ActingFor, Grant
from osler.storage.tables import access_grant, client, user

_GRANT: Final[Any] = (
    select(access_grant.c.context, access_grant.c.expires_at, user.c.name, user.c.role, user.c.fhir_user)
    .join(user, user.c.name == access_grant.c.person)
    .where(~access_grant.c.revoked, ~user.c.disabled)
)


def standing(connection: Connection, client_id: str, scope: str, grant_id: str | None, *, now: float) -> Grant | None:
    """Return what a client may do now of what it once was granted.

    Parameters
    ----------
    connection : Connection
    client_id : str
    scope : str
        Scopes of the token that it had; what it is not registered for any more is gone.
    grant_id : str or None
        What a person let it do; it ends with that.
    now : float
        Seconds since the epoch, UTC.

    Returns
    -------
    Grant or None
        None when it may do nothing: the client is disabled, or the person is, or has taken the access back.
    """
    registered = connection.execute(
        select(client.c.scope).where(client.c.id == client_id, ~client.c.disabled)
    ).scalar_one_or_none()
    scopes = intersect(parse_scopes(scope), parse_scopes(registered or ""))
    if not scopes:
        return None
    if grant_id is None:
        return Grant(client_id, scopes)
    row = connection.execute(
        _GRANT.where(access_grant.c.id == grant_id, access_grant.c.client_id == client_id)
    ).one_or_none()
    if row is None or row.expires_at <= now:
        return None
    person = ActingFor(row.name, Role(row.role), row.fhir_user)
    return Grant(client_id, scopes, person, LaunchContext.loads(row.context), expires_at=row.expires_at, id=grant_id)
