"""The embedded writer: a draft by extraction, with its evidence, from models that are fitted here."""

from osler.draft.extractive.topics import TopicGuess, classify_topic
from osler.draft.extractive.writer import ExtractiveWriter

__all__ = ["ExtractiveWriter", "TopicGuess", "classify_topic"]
