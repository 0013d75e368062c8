"""The flow of an encounter: capture, transcribe, de-identify, draft and check, review, sign, write back.

What was said is heard and kept in the identified zone. A writer of drafts sees only the de-identified transcript; what
it writes gets the identities back from the vault, and nothing leaves before a person has signed it.
"""
