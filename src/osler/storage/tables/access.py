"""Programs, and what they were granted.

Codes, tokens and launch handles are random; only their SHA-256 is kept.
"""

from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, LargeBinary, Table, Text

from osler.storage.tables.schema import metadata

client = Table(
    "client",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("jwks", Text),
    Column("jwks_uri", Text),
    Column("secret_hash", Text),
    Column("redirect_uris", Text, nullable=False),  # JSON array
    Column("launch_uri", Text),
    Column("public", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)

# What a person let a client do. All codes and tokens that come of it end with it.
access_grant = Table(
    "access_grant",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("client.id"), nullable=False),
    Column("person", Text, ForeignKey("person.name"), nullable=False),
    Column("scope", Text, nullable=False),
    Column("context", Text, nullable=False),  # JSON: the launch context
    Column("nonce", Text),
    Column("auth_time", Double, nullable=False),  # when the person had signed in
    Column("methods", Text, nullable=False),  # how, in the words of RFC 8176
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("revoked", Boolean, nullable=False),
    Index("ix_access_grant_person", "person"),
)

authorization_code = Table(
    "authorization_code",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("grant_id", Text, ForeignKey("access_grant.id"), nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("challenge", Text, nullable=False),  # PKCE, S256
    Column("expires_at", Double, nullable=False),
    Column("used", Boolean, nullable=False),
)

refresh_token = Table(
    "refresh_token",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("grant_id", Text, ForeignKey("access_grant.id"), nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("used", Boolean, nullable=False),
)

access_token = Table(
    "access_token",
    metadata,
    Column("hash", LargeBinary, primary_key=True),  # SHA-256 of the token
    Column("client_id", Text, ForeignKey("client.id"), nullable=False),
    Column("grant_id", Text, ForeignKey("access_grant.id")),  # none for a client of its own
    Column("scope", Text, nullable=False),
    Column("issued_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("revoked", Boolean, nullable=False),
)

used_assertion = Table(
    "used_assertion",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("jti", Text, primary_key=True),
    Column("expires_at", Double, nullable=False),
)

# The handle that an EHR gives an app, and what it stands for.
launch = Table(
    "launch",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("client_id", Text, ForeignKey("client.id"), nullable=False),
    Column("person", Text, ForeignKey("person.name")),  # the only one who may use it; none: whoever signs in
    Column("context", Text, nullable=False),  # JSON
    Column("expires_at", Double, nullable=False),
    Column("used", Boolean, nullable=False),
)

# RS256, for id tokens.
signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # the private key, as JWK
    Column("public", Text, nullable=False),  # the public key, as JWK
    Column("created_at", Double, nullable=False),
)
