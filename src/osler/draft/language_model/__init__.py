"""Drafts by a language model behind any OpenAI-compatible endpoint; it sees de-identified text and nothing else."""

from osler.draft.language_model.endpoint import Endpoint
from osler.draft.language_model.exchange import ChatClient, Hosts
from osler.draft.language_model.probe import Form
from osler.draft.language_model.writer import LanguageModelWriter

__all__ = ["ChatClient", "Endpoint", "Form", "Hosts", "LanguageModelWriter"]
