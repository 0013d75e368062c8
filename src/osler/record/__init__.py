"""What a model said, into the ledger, with all that is to be delivered: the only writer of results."""

from osler.record.ledger import save

__all__ = ["save"]
