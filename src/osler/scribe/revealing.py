"""Identities back in the places of placeholders, as they were said there: one person is called in several ways."""

import re
from collections.abc import Mapping, Sequence

from osler.deidentify.reversible import PLACEHOLDER
from osler.domain.transcript import DeidentifiedTranscript


class Revealing:
    """Puts identities back.

    Parameters
    ----------
    transcript : DeidentifiedTranscript
    originals : mapping of str to sequence of str
        What stood in the place of each placeholder, in the order of the conversation.
    """

    def __init__(self, transcript: DeidentifiedTranscript, originals: Mapping[str, Sequence[str]]) -> None:
        self._fullest = {name: max(values, key=len) for name, values in originals.items() if values}
        left = {name: list(values) for name, values in originals.items()}
        self._transcript = transcript
        self._said: dict[tuple[str, int], list[str]] = {}
        for utterance in transcript.utterances:
            for name in PLACEHOLDER.findall(utterance.text):
                if left.get(name):
                    self._said.setdefault((name, utterance.number), []).append(left[name].pop(0))

    def __call__(self, text: str, evidence: Sequence[tuple[int, str]] = ()) -> str:
        """Return a text with the identities back.

        Parameters
        ----------
        text : str
        evidence : sequence of (int, str)
            Utterance and quote that the text is from. What stood there comes first; else, and without any, the fullest
            form.
        """
        said: dict[str, list[str]] = {}
        for name in dict.fromkeys(PLACEHOLDER.findall(text)):
            said[name] = [form for number, quote in evidence for form in self._forms(name, number, quote)]

        def original(match: re.Match[str]) -> str:
            name = match[0]
            return said[name].pop(0) if said[name] else self._fullest.get(name, name)

        return PLACEHOLDER.sub(original, text)

    def _forms(self, name: str, number: int, quote: str) -> list[str]:
        utterance = self._transcript.utterance(number)
        place = utterance.text.find(quote) if utterance else -1
        if utterance is None or place < 0:
            return []
        first = utterance.text.count(name, 0, place)
        return self._said.get((name, number), [])[first : first + quote.count(name)]
