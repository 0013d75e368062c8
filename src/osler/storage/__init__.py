"""Connection, schema, migrations and blobs: the only place that speaks SQL dialect."""

from osler.storage.database import Database

__all__ = ["Database"]
