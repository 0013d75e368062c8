"""Audio or a transcript of another system in, transcript out; all of it in the identified zone."""
