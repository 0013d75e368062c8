"""A model's work on a job, in a process that knows no patient and no network."""
