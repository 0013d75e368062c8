"""Words of a person with the same placeholders as the transcript, before the gate reads them."""

import re
from collections.abc import Mapping, Sequence


def hide(text: str, originals: Mapping[str, Sequence[str]]) -> str:
    """Put placeholders in the places of what they stand for, where that stands as words of its own.

    Parameters
    ----------
    text : str
    originals : mapping of str to sequence of str
        What each placeholder stands for.
    """
    names = {value: name for name, values in originals.items() for value in values if value.strip()}
    if not names:
        return text
    longest_first = "|".join(re.escape(value) for value in sorted(names, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{longest_first})(?!\w)", lambda found: names[found[0]], text)
