"""The gate that no statement passes which the encounter does not carry."""

from osler.draft.gate.judge import ANOTHER, Gate, check, check_text

__all__ = ["ANOTHER", "Gate", "check", "check_text"]
