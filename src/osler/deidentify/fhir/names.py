"""Names of people (HumanName) by the method ``surrogates``: other names, the same that the person has in texts."""

from typing import Any, Final

from osler.deidentify.free_text import TextDeidentifier
from osler.deidentify.surrogate_names import surrogate
from osler.standards.fhir import Resource

_USES: Final = ("usual", "official", "temp", "nickname", "anonymous", "old", "maiden")


def surrogate_name(name: dict[str, Any], text: TextDeidentifier) -> Resource | None:
    """Return another name with the same parts; None when not all of them can be replaced.

    Titles and degrees do not go on.

    Parameters
    ----------
    name : dict
        A HumanName. Of one that is written as text alone, the last word is the family name.
    text : TextDeidentifier
        Of the method ``surrogates``, with the person among those it looks for.
    """
    family, given, whole = name.get("family"), name.get("given"), name.get("text")
    parts = [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
    if not parts and not isinstance(family, str) and isinstance(whole, str):
        *parts, family = whole.split() or [""]
    made = surrogate([*parts, family if isinstance(family, str) else ""], text)
    if not made:
        return None
    *firsts, last = made
    kept = {"use": name["use"]} if name.get("use") in _USES else {}
    firsts = [first for first in firsts if first]
    told = {"family": last, "given": firsts, "text": " ".join([*firsts, last]).strip()}
    return kept | {key: value for key, value in told.items() if value}
