"""The workers: who they are, and what those that hold no key of the hub hand in."""

from sqlalchemy import Boolean, Column, Double, ForeignKey, Integer, Table, Text

from osler.storage.tables.schema import metadata

worker = Table(
    "worker",
    metadata,
    Column("id", Text, primary_key=True),  # different for each start; the leases of its jobs begin with it
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("models", Text, nullable=False),  # JSON: name@version of the models that it can run now
    Column("tags", Text, nullable=False),  # JSON
    Column("device", Text, nullable=False),  # cpu, cuda:0, rocm:1
    Column("gpu_memory_mb", Integer, nullable=False),
    Column("busy", Integer, nullable=False),  # jobs in work
    Column("draining", Boolean, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("heartbeat_at", Double, nullable=False),
)

handed_in = Table(
    "handed_in",
    metadata,
    Column("job_id", Text, ForeignKey("job.id"), primary_key=True),
    Column("lease", Text, primary_key=True),  # that the job was held with
    Column("body", Text, nullable=False),  # JSON of domain.findings.Inference; heatmaps are blob references
    Column("handed_in_at", Double, nullable=False),
)
