"""Bytes from a peer in, :class:`~osler.domain.events.Received` out, or a refusal in the sender's own protocol."""
