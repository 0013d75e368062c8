"""Turns what two people said to each other into what a note says of one of them.

The patient's "I" and the clinician's "you" become the patient, with their verbs; the clinician's own "I" and "we" stay,
since the clinician signs. Where the words do not allow it safely nothing is returned, and the writer quotes.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from osler.draft.extractive.english import MODALS, English, english, third_person

_CONTRACTED: Final = (
    (re.compile(r"\bcan't\b", re.IGNORECASE), "cannot"),
    (re.compile(r"\bwon't\b", re.IGNORECASE), "will not"),
    (re.compile(r"n't\b", re.IGNORECASE), " not"),
    (re.compile(r"\b(i)'m\b", re.IGNORECASE), r"\1 am"),
    (re.compile(r"'re\b", re.IGNORECASE), " are"),
    (re.compile(r"'ve\b", re.IGNORECASE), " have"),
    (re.compile(r"'ll\b", re.IGNORECASE), " will"),
)
_IS: Final = re.compile(
    r"\b(it|that|there|he|she|what|this|here|everything|nothing|who|where)'s(\s+[\w']+)?", re.IGNORECASE
)
_AFTER_HAS: Final = frozenset({"been", "had", "got", "gotten", "become"})
_HAD: Final = re.compile(
    r"\b(i|you|we|they|he|she|it)'d((?:\s+(?:just|also|really|never|always|rather))*\s+[\w']+)?", re.IGNORECASE
)

_BEFORE_OBJECT: Final = frozenset(
    """
    want let have make help see like need get ask tell told asked advise recommend put give keep start send refer with
    for to of about from on at in bother bothering hurt hurting show gave given giving tells told call watch after
    before around between by causing cause allow allows gives helps help helping taking take schedule continue monitor
    follow find found getting got having seeing starting putting keeping sending referring giving thank treat worry
    """.split()  # noqa: SIM905
)
_INVERTED: Final = frozenset({"do", "did", "are", "were", "have", "can", "could", "would", "will", "should", "had"})
_TOGETHER: Final = {"we": "they", "our": "their", "us": "them", "ours": "theirs", "ourselves": "themselves"}
_OF_BE: Final = {"am": ("is", "are"), "are": ("is", "are"), "was": ("was", "were"), "were": ("was", "were")}
_CAUSING: Final = MODALS | {"to", "also", "then", "and", "just"}
_CAUSED: Final = frozenset({"let", "have", "make", "help", "want", "need"})
_FINITE: Final = MODALS | {"am", "are", "was", "were", "have", "had", "do", "did"}
_COUNTED: Final = frozenset({"and", "or", "but"})


@dataclass(frozen=True, slots=True)
class Pronouns:
    """How a note refers to the patient after the first mention of a sentence."""

    subject: str = "they"
    object: str = "them"
    possessive: str = "their"
    owned: str = "theirs"
    reflexive: str = "themselves"
    plural: bool = True


UNKNOWN: Final = Pronouns()
FEMALE: Final = Pronouns("she", "her", "her", "hers", "herself", plural=False)
MALE: Final = Pronouns("he", "him", "his", "his", "himself", plural=False)


def spelled_out(text: str) -> str:
    """Return a text without contractions."""
    words = english()
    text = _IS.sub(
        lambda match: f"{match[1]} {'has' if (match[2] or '').strip() in _AFTER_HAS else 'is'}{match[2] or ''}", text
    )
    text = _HAD.sub(lambda match: f"{match[1]} {'had' if _perfect(match[2], words) else 'would'}{match[2] or ''}", text)
    for pattern, full in _CONTRACTED:
        text = pattern.sub(full, text)
    return text


def _perfect(after: str | None, words: English) -> bool:
    last = (after or "").split()[-1:] or [""]
    return last[0] in {"been", "had", "got", "gotten", "better", "gone"} or (
        last[0] in words.participles and last[0] not in words.verbs and last[0] not in {"done", "broken", "swollen"}
    )


def patients_words(text: str, pronouns: Pronouns = UNKNOWN, called: str = "the patient") -> str | None:
    """Return the patient's sentence told of the patient, None where it cannot be told safely."""
    text = spelled_out(text)
    if re.search(r"\b(?:you|your|yours|ain't)\b", text, re.IGNORECASE):
        return None
    return _Telling({"i"}, {"me"}, {"my"}, {"mine"}, {"myself"}, pronouns, called).of(text)


def clinicians_words(
    text: str, pronouns: Pronouns = UNKNOWN, called: str = "the patient", your: str = ""
) -> str | None:
    """Return the clinician's sentence told of the patient, None where it cannot be told safely.

    Parameters
    ----------
    text : str
    pronouns : Pronouns
    called : str
    your : str
        What "your" becomes, as ``the`` in an examination; empty for the patient's.
    """
    text = spelled_out(text)
    telling = _Telling({"you"}, {"you"}, {"your"}, {"yours"}, {"yourself"}, pronouns, called, your)
    return telling.of(text)


@dataclass(slots=True)
class _Telling:
    subjects: set[str]
    objects: set[str]
    possessives: set[str]
    owned: set[str]
    reflexives: set[str]
    pronouns: Pronouns
    called: str
    your: str = ""
    mentioned: bool = False
    pending: str = ""
    governs: str = ""
    told: list[str] = field(default_factory=list)

    def of(self, text: str) -> str | None:
        cores: list[str] = []
        tokens = [_parts(token) for token in text.split()]
        for index, (lead, core, trail) in enumerate(tokens):
            after = "" if trail else next((word.lower() for _, word, _ in tokens[index + 1 : index + 2]), "")
            word = self._word(core, cores, after)
            if word is None:
                return None
            self.told.append(lead + word + trail)
            cores.append(core.lower() + ("," if trail else ""))
        return None if self.pending else " ".join(self.told)

    def _word(self, core: str, before: list[str], after: str) -> str | None:
        lower = core.lower()
        if self.pending:
            return self._verb(core)
        if lower in self.subjects and (lower not in self.objects or _is_subject(before, after)):
            return self._subject(before)
        if lower in self.objects:
            if (
                before[-1:]
                and before[-1] in _INVERTED
                and not (before[-1] == "have" and before[-2:-1] and before[-2] in _CAUSING)
            ):
                return None
            return self._mention(self.called, self.pronouns.object)
        if lower in self.possessives:
            if self.your and after not in english().family:
                return self.your
            return self._mention(f"{self.called}'s", self.pronouns.possessive)
        if lower in self.owned:
            return self._mention(f"{self.called}'s", self.pronouns.owned)
        if lower in self.reflexives:
            return self.pronouns.reflexive
        if lower in _TOGETHER and "i" in self.subjects:
            return _TOGETHER[lower]
        return self._coordinated(core, before)

    def _mention(self, first: str, later: str) -> str:
        if self.mentioned:
            return later
        self.mentioned = True
        return first

    def _subject(self, before: list[str]) -> str | None:
        if before[-1:] and before[-1] in _INVERTED:
            return None
        if len(before) > 1 and before[-1] == "and" and before[-2] in english().family:
            self.governs = "plural"
            return self._mention(self.called, self.pronouns.subject)
        self.pending = "plural" if self.mentioned and self.pronouns.plural else "singular"
        return self._mention(self.called, self.pronouns.subject)

    def _verb(self, core: str) -> str | None:
        words, lower = english(), core.lower()
        if words.is_adverb(lower):
            return core
        number, self.pending = self.pending, ""
        self.governs = number if lower in _OF_BE or (lower in words.verbs and lower != "do") else ""
        if lower in _OF_BE:
            return _OF_BE[lower][number == "plural"]
        if lower in MODALS or lower == "did" or words.is_past(lower):
            self.governs = ""
            return core
        if lower not in words.verbs:
            return None
        return third_person(lower) if number == "singular" else core

    def _coordinated(self, core: str, before: list[str]) -> str:
        """Conjugate the second of two verbs of one subject: "I eat and sleep"."""
        words, lower = english(), core.lower()
        if lower in {
            "to",
            "i",
            "we",
            "it",
            "they",
            "he",
            "she",
            "that",
            "who",
            "which",
            "if",
            "when",
            "because",
            "let",
        }:
            self.governs = ""
        if self.governs != "singular" or not before:
            return core
        last = next((word for word in reversed(before) if not words.is_adverb(word)), "")
        if last in _COUNTED and lower in {"have", "am", "do"} | (words.verbs - _NOUNS):
            return third_person(lower)
        return core


_NOUNS: Final = frozenset(
    """
    ache act burn cause change check cough cramp cut drink end exercise experience fall fear feel help hope ice itch
    lack
    lead lift limp look love need order pain plan play press pull push question rest result ride run set sign sleep slip
    smell smoke sound sprain start stay step strain stress stretch sweat swell taste test touch train trip turn twist
    use
    visit wait walk work worry snack study treat record report return concern control faint dress care cross dance dream
    garden last like open own place present range request scratch shake shower show split spread supplement switch talk
    track watch wish
    """.split()  # noqa: SIM905
)
"""What after "and" may as well be a noun, and stays."""


def _is_subject(before: list[str], after: str) -> bool:
    if not before:
        return True
    last, words = before[-1], english()
    if last.endswith(",") or last not in _BEFORE_OBJECT:
        return after in _FINITE or after in words.verbs or words.is_past(after) or words.is_adverb(after)
    return after in _FINITE and last not in _CAUSED


def _parts(token: str) -> tuple[str, str, str]:
    """Return what stands before the word, the word, and what stands after it."""
    core = token.strip("\"“”'‘’()[]{}.,;:!?")
    start = token.find(core) if core else len(token)
    return token[:start], core, token[start + len(core) :]
