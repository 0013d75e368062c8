"""People: their accounts, sessions and second factors, failed sign-ins, and glass that was broken."""

from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from osler.storage.tables.schema import metadata

user = Table(
    "person",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),  # argon2id; empty for who signs in elsewhere
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("fhir_user", Text),  # Practitioner/id
    Column("subject", Text),  # at an external identity provider: its issuer, a blank, its subject
    Column("totp_sealed", LargeBinary),  # secret of the second factor
    Column("totp_step", Integer),  # the last time step whose code was used
    UniqueConstraint("subject"),
)

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("person", Text, ForeignKey("person.name"), primary_key=True),
    Column("hash", LargeBinary, primary_key=True),  # SHA-256 of the code, which is random
)

session = Table(
    "session",
    metadata,
    Column("hash", LargeBinary, primary_key=True),  # SHA-256 of the cookie's value
    Column("person", Text, ForeignKey("person.name"), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("methods", Text, nullable=False),  # of RFC 8176, parted by blanks
    Column("awaits", Text, nullable=False),  # the step of the sign-in that is still to be done; empty when signed in
    Index("ix_session_person", "person"),
)

sign_in_failure = Table(
    "sign_in_failure",
    metadata,
    Column("source", LargeBinary, primary_key=True),  # SHA-256 of what is counted: an account, a device, an address
    Column("count", Integer, nullable=False),
    Column("last_at", Double, nullable=False),
    Index("ix_sign_in_failure_last_at", "last_at"),
)

broken_glass = Table(
    "broken_glass",
    metadata,
    Column("id", Text, primary_key=True),
    Column("person", Text, ForeignKey("person.name"), nullable=False),
    Column("patient", Text, nullable=False),  # logical id: a pseudonym
    Column("opened_at", Double, nullable=False),
    Column("ends_at", Double, nullable=False),
    Column("reason_sealed", LargeBinary, nullable=False),
    Column("told_at", Double),  # when the alarm had gone out
    Column("reviewed_at", Double),
    Column("reviewed_by", Text),
    Column("review_sealed", LargeBinary),
    Index("ix_broken_glass_person", "person", "ends_at"),
)
