"""Which language is spoken, window by window."""

from collections import Counter
from typing import Final

from osler.transcribe.recognise import Recogniser, Recognition
from osler.transcribe.windows import Window

_SURE: Final = 0.8
_LEAST_S: Final = 3.0
_SECOND_S: Final = 4.0
_SECOND_SHARE: Final = 0.05


class Languages:
    """Hears each window in the language of the recording, unless it is surely in another.

    Parameters
    ----------
    recogniser : Recogniser
    told : str or None
        The language, when it is known; nothing is detected then.
    hotwords : str
    """

    def __init__(self, recogniser: Recogniser, told: str | None, hotwords: str) -> None:
        self._recogniser = recogniser
        self._told = told
        self._hotwords = hotwords
        self._seconds: Counter[str] = Counter()
        self._sure: Counter[str] = Counter()

    @property
    def main(self) -> str:
        """The language that is spoken most, so far; empty when nothing was heard."""
        return self._told or next((language for language, _ in self._seconds.most_common(1)), "")

    def recognise(self, window: Window) -> Recognition:
        """Write down what is said in a window."""
        heard = self._recogniser.recognise(window.samples, language=self._told, hotwords=self._hotwords)
        main = self.main or heard.language
        sure = heard.language_probability >= _SURE and window.seconds >= _LEAST_S
        if heard.language != main and not sure:
            heard = self._recogniser.recognise(window.samples, language=main, hotwords=self._hotwords)
        self._seconds[heard.language] += round(window.seconds * 1000)
        if sure:
            self._sure[heard.language] += round(window.seconds * 1000)
        return heard

    def warnings(self) -> list[str]:
        """Say so when more than one language is spoken."""
        least = max(_SECOND_S * 1000, _SECOND_SHARE * sum(self._seconds.values()))
        found = sorted({self.main} | {one for one, heard in self._sure.items() if heard >= least}) if self.main else []
        if len(found) < 2:
            return []
        return [f"more than one language is spoken ({', '.join(found)}): the note is drafted from what is in one"]
