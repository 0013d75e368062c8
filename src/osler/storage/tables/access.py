"""People, programs, and what they were granted."""

from sqlalchemy import Boolean, Column, Double, ForeignKey, LargeBinary, Table, Text

from osler.storage.tables.schema import metadata

user = Table(
    "person",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),  # argon2id
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)

client = Table(
    "client",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("jwks", Text),
    Column("secret_hash", Text),
    Column("redirect_uris", Text, nullable=False),  # JSON array
    Column("public", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
)

access_token = Table(
    "access_token",
    metadata,
    Column("hash", LargeBinary, primary_key=True),  # SHA-256 of the token
    Column("client_id", Text, ForeignKey("client.id"), nullable=False),
    Column("scope", Text, nullable=False),
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
