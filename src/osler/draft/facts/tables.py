"""The word lists beside the code, read once."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

import yaml

FACTS: Final = "osler.draft.facts"


@lru_cache(maxsize=4)
def table(package: str = FACTS) -> Mapping[str, Any]:
    """Return ``english.yaml`` of a package."""
    loaded: dict[str, Any] = yaml.safe_load(files(package).joinpath("english.yaml").read_text(encoding="utf-8"))
    return loaded


@lru_cache(maxsize=128)
def listed(name: str, package: str = FACTS) -> frozenset[str]:
    """Return a list of words."""
    return frozenset(table(package)[name].split())


@lru_cache(maxsize=64)
def named(name: str, package: str = FACTS) -> tuple[str, ...]:
    """Return a list of names that may have several words, in its order."""
    return tuple(entry.strip() for entry in table(package)[name].split("|"))
