"""FHIR resources, their history, and the index by which they are found."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, Table, Text

from osler.storage.tables.schema import metadata

resource = Table(
    "resource",
    metadata,
    Column("type", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("patient", Text),  # logical id of the Patient it is about: a pseudonym
    Column("date_at", Double, nullable=False),  # by which pages are sorted
    Column("updated_at", Double, nullable=False),
    Column("method", Text, nullable=False),  # POST, PUT, PATCH or DELETE: how this version came to be
    Column("deleted", Boolean, nullable=False),
    Column("restricted", Boolean, nullable=False),  # meta.security has R or V
    Column("present", BigInteger, nullable=False),  # bits of the search parameters that it has a value for
    Column("sealed", LargeBinary, nullable=False),  # the resource as JSON text; that before when it is deleted
    Index("ix_resource_date_at", "type", "date_at", "id"),
    Index("ix_resource_updated_at", "type", "updated_at", "id"),
    Index("ix_resource_patient", "patient", "type", "date_at", "id"),
)

resource_history = Table(
    "resource_history",
    metadata,
    Column("type", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("updated_at", Double, nullable=False),
    Column("patient", Text),
    Column("method", Text, nullable=False),
    Column("restricted", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # as it was in resource
    Index("ix_resource_history_updated_at", "type", "updated_at", "id", "version"),
)

# The key is in the order of a page of a search: all that have one term, by date.
resource_token = Table(
    "resource_token",
    metadata,
    Column("type", Text, primary_key=True),
    Column("parameter", Text, primary_key=True),
    Column("value", LargeBinary, primary_key=True),  # keyed index of the term
    Column("date_at", Double, primary_key=True),
    Column("id", Text, primary_key=True),
    sqlite_with_rowid=False,
)

resource_span = Table(
    "resource_span",
    metadata,
    Column("type", Text, primary_key=True),
    Column("parameter", Text, primary_key=True),
    Column("value", LargeBinary, primary_key=True),  # keyed index of the unit; empty for dates and bare numbers
    Column("date_at", Double, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("low", Double, primary_key=True),  # dates: seconds since the epoch
    Column("high", Double, primary_key=True),
    Index("ix_resource_span_low", "type", "parameter", "value", "low", "high"),
    sqlite_with_rowid=False,
)

# In clear: a reference names logical ids, which are pseudonyms. What points outside is a keyed index, in hexadecimal.
resource_reference = Table(
    "resource_reference",
    metadata,
    Column("type", Text, primary_key=True),
    Column("parameter", Text, primary_key=True),
    Column("target", Text, primary_key=True),  # Type/id
    Column("date_at", Double, primary_key=True),
    Column("id", Text, primary_key=True),
    Index("ix_resource_reference_target", "target"),
    sqlite_with_rowid=False,
)

resource_index = Table(
    "resource_index",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Text, nullable=False),  # the rules that the index is built by
    Column("built_to", Text),  # Type/id of the last one that is in it; null when it is whole
)
