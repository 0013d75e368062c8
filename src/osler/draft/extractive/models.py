"""The models of the extractive writer: read once, and known by the hash of their files."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from typing import Final

from osler.draft.extractive.linear import Linear, load

VERSION: Final = "1"
_FILES: Final = ("relevance.npz", "routing.npz", "topics.npz")


@dataclass(frozen=True, slots=True)
class Models:
    """What was fitted.

    Parameters
    ----------
    relevance : Linear
        Whether a note keeps a statement.
    routing : Linear
        What a statement is about.
    topics : Linear
        What a stretch of dialogue is about.
    sha256 : str
        Of the three files one after the other, hexadecimal.
    """

    relevance: Linear
    routing: Linear
    topics: Linear
    sha256: str


@cache
def models() -> Models:
    """Return the shipped models."""
    digest = hashlib.sha256()
    read = []
    for name in _FILES:
        with as_file(files("osler.draft.extractive").joinpath("weights", name)) as path:
            digest.update(path.read_bytes())
            read.append(load(str(path)))
    relevance, routing, topics = read
    return Models(relevance, routing, topics, digest.hexdigest())
