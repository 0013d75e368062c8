"""Sentences about the patient as sentences to the patient, where the grammar is sure; else as they are."""

import re
from typing import Final

_ADVERB: Final = (
    r"(?:also|still|currently|usually|now|often|sometimes|occasionally|always|generally|recently|otherwise)"
)
_CLAUSE: Final = re.compile(
    rf"(?:(?<![\w'])the patient|^patient|^pt|(?<![\w'])s?he)(?P<adverb> {_ADVERB})?"
    r" (?!(?:to|for|with|in|on|at|and|or|about|that|from|by|if|when|back)\b)"  # there it is no subject
    r"(?P<verb>denies(?= that\b)|denies(?: any\b| having\b)*|[a-z]+)\b(?!')",
    re.IGNORECASE,
)
"""The patient as a subject, with the verb."""

_COORDINATED: Final = re.compile(
    r"\b(?P<and>and|but)(?P<adverb> also)? (?P<verb>is|has|was|does|takes|uses|denies|reports|admits|states|feels)\b"
)
_OTHERS: Final = re.compile(
    r"\b(?:mother|father|sister|brother|husband|wife|spouse|partner|son|daughter|aunt|uncle|cousin|grand\w+|parents?"
    r"|child|children|friend|mom|dad|family|relatives?|boyfriend|girlfriend|doctor|physician|provider|nurse|surgeon"
    r"|specialist|man|woman|gentleman|lady|who|whose|mr|mrs|ms|dr)\b|\[NAME-\d+\]",
    re.IGNORECASE,
)
"""Other people, of whom "he", "she" or "her" may be said."""

_PRONOUN: Final = re.compile(r"\b(?:he|she|him|his|hers?|himself|herself)\b", re.IGNORECASE)
_OBJECT_AFTER: Final = re.compile(
    r"(?: (?:to|with|for|and|that|in|on|at|if|when|about|as|back|today)\b|\s*[.,;)]|\s*$)"
)

_VERBS: Final = {
    "has": "have",
    "is": "are",
    "was": "were",
    "does": "do",
    "goes": "go",
    "tries": "try",
    "carries": "carry",
    "denies": "said no to",
    "endorses": "said you have",
    "complains": "told us",
    "presents": "came",
    "reports": "reported",
    "states": "said",
    "notes": "noted",
    "describes": "described",
    "admits": "admitted",
}
_REGULAR: Final = frozenset(
    """
    take need want feel smoke drink live work eat sleep walk continue remain appear seem follow see get use have
    require wear exercise monitor check return tolerate experience receive understand agree plan prefer know run think
    find tend believe like hope sit stand come wake drive keep bring show exhibit lie play look check forget help
    """.split()  # noqa: SIM905
)
"""Verbs whose third person is the word and an s."""

_UNCHANGED: Final = frozenset(
    """
    had did will would should can could may might must went came took felt saw got began underwent ran thought
    became ate drank said told found left fell lost gave kept made slept woke broke tore heard brought
    """.split()  # noqa: SIM905
)
_PLAN: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), words)
    for pattern, words in (
        (r"^(?:refer|referral|referred)(?: the patient)? to ", "We will refer you to "),
        (r"^(?:order|obtain) ", "We will order "),
        (r"^recheck ", "We will recheck "),
        (r"^repeat ", "We will repeat "),
        (r"^prescribe(?: the patient)? ", "We will prescribe "),
        (r"^schedule(?: the patient for)? ", "We will schedule "),
        (r"^send(?: the patient)? (?=for|to)", "We will send you "),
    )
)


def addressed(text: str) -> str:
    """Return a sentence about the patient in the second person; what is not sure to be about them stays.

    Examples
    --------
    >>> addressed("The patient has had pain in her left knee.")
    'You have had pain in your left knee.'
    """
    for pattern, words in _PLAN:
        if match := pattern.match(text):
            return words + text[match.end() :]
    if " of the patient" in text or (_OTHERS.search(text) and _PRONOUN.search(text)):
        return text
    begins = _CLAUSE.match(text) is not None
    made = _CLAUSE.sub(_clause, text)
    if begins:
        made = _COORDINATED.sub(_coordinated, made)
    made = re.sub(r"\b(?:the )?patient's\b", "your", made, flags=re.IGNORECASE)
    made = re.sub(r"\b(?:himself|herself)\b", "yourself", made)
    made = re.sub(r"\b(?:his|her)\b", _owned, made, flags=re.IGNORECASE)
    made = re.sub(r"\bhim\b|\bthe patient\b", "you", made)
    if _UNSURE in made or _PRONOUN.search(made):
        return text
    return made[:1].upper() + made[1:]


_UNSURE: Final = "\0"
"""Stands for a verb that is not known: then the sentence is left."""


def _clause(match: re.Match[str]) -> str:
    verb, rest = match["verb"].lower().partition(" ")[0], match.string[match.end() :]
    second = _second(verb)
    if verb == "endorses" and rest.startswith(" that"):
        second = "said"
    if verb == "denies" and rest.startswith(" that"):
        second = ""
    return f"you{match['adverb'] or ''} {second or _UNSURE}"


def _coordinated(match: re.Match[str]) -> str:
    return f"{match['and']}{match['adverb'] or ''} {_second(match['verb'])}"


def _owned(match: re.Match[str]) -> str:
    """Return "your" or, where "her" is whom something is done to, "you"."""
    object_ = match[0].lower() == "her" and _OBJECT_AFTER.match(match.string, match.end())
    return "you" if object_ else "your"


def _second(verb: str) -> str:
    """Return the verb as it follows "you"; empty when it is not known."""
    if verb in _VERBS:
        return _VERBS[verb]
    if verb in _UNCHANGED or (verb.endswith("ed") and len(verb) > 4):
        return verb
    base = verb[:-1] if verb.endswith("s") else ""
    return base if base in _REGULAR else ""
