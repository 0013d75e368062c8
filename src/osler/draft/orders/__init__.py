"""Orders that the clinician said, staged for a person: never placed, and nothing in them that was not said."""

from osler.draft.orders.staging import Said, staged_orders

__all__ = ["Said", "staged_orders"]
