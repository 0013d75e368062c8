"""How clinicians say plans and findings, and how a note writes them.

"I'm going to go ahead and order an MRI" is "We will order an MRI"; "on your heart exam I do appreciate a murmur" is
"Heart exam: a murmur". Hedges (may, think, likely, seems) are never taken out.
"""

import re
from dataclasses import dataclass
from typing import Final

from osler.draft.extractive.english import english

_TO_DEVICE: Final = re.compile(r"^(?:hey|okay|hi)?[\s,]*(?:dragon|dax|siri)\b[\s,]*(?:go ahead and\s+)?", re.IGNORECASE)
_COMMAND: Final = re.compile(
    r"^(?:show|finalize|finalise|open|pull up|bring up|record|stop|start recording|play|close|end)\b", re.IGNORECASE
)
_KNOWN: Final = re.compile(
    r"^(?:(?:i|we) (?:know|see|do see|can see|remember|understand|read|noticed)(?:,)?(?: here)?(?:"
    r" that)?(?=\s+(?:you|your|there|it|the|we|he|she)\b)"
    r"|it says here(?: that)?|as you know|(?:like|as) i said|i have (?:here )?that|i would say(?: that)?|(?:and"
    r" )?that means(?: that)?(?=\s+i\b)|"
    r"again|lastly|first|first of all|firstly|secondly|additionally|unfortunately|fortunately|luckily|otherwise"
    r"|overall|in summary|"
    r"the (?:first|second|third|next|last|other) thing is(?: that)?|the plan is(?: that)?|what i(?:'d| would)"
    r" like to do is|"
    r"so|and|but|here|now|then|okay|well)\b[\s,]*",
    re.IGNORECASE,
)
_REVIEWED: Final = re.compile(
    r"^(?:(?:in |and )?(?:looking|reviewing)(?: here)?(?: at)?|i (?:have )?(?:reviewed|looked at)|on(?= (?:this"
    r"|the|your) (?:\w+ )?(?:x-ray|mri|ct)))\s+"
    r"(?:here )?(?:(?:the|your|this)\s+)?(?:results?(?: here)?\s*(?:(?:of|from|for)\s+(?:(?:the|your"
    r"|this)\s+)?)?)?(?P<what>[^,.;]{0,60}?)\s*"
    r"(?:,|(?=\bit (?:looks|does|appears|shows|seems)\b)|and(?= (?:it|they)\b))\s*",
    re.IGNORECASE,
)
_ON_EXAM: Final = re.compile(
    r"^(?:(?:and|so)\s+)?(?:on|for|in|with)\s+(?:the|your|my|this"
    r"|today's)?\s*(?P<what>[^,.;]{0,40}?)\s*\b(?:exam|examination)\b(?:\s+today)?\s*,?\s*"
    r"(?:(?:i|we)\s+(?:do\s+)?(?:also\s+)?(?:appreciate|hear|see|note|feel|find|notice)\s+(?!that\b|no\b"
    r"|like\b)|there (?:is|are)\s+(?!no\b)|(?:you|it) (?:do |does )?(?:also )?ha(?:ve|s)\s+(?!not\b|no\b))?",
    re.IGNORECASE,
)
_I_FIND: Final = re.compile(
    r"^(?:i|we)\s+(?:do\s+)?(?:also\s+)?(?:appreciate|hear)\s+(?=(?:a|an|some|slight|mild|[0-9]|two|three|one)\b)",
    re.IGNORECASE,
)
_PROBLEM: Final = re.compile(
    r"^(?:(?:and|so|but|now|lastly|first|next|then|finally|also)[\s,]+)*(?:"
    r"(?:for|with|regarding|as for|in regards? to|with regards? to|about)\s+(?:(?:the|your|my)\s+)?(?:first"
    r"|second|third|fourth|fifth|next|last|other|final|1st|2nd|3rd)\s+"
    r"(?:problem|issue|concern|diagnosis|thing|one|complaint)s?(?:\s+(?:of|is|here))?[\s,]*(?:(?:the|your"
    r"|of)\s+)?(?P<a>[^,.;]{0,60}?)\s*(?:[,.;]|$)"
    r"|from (?:a|an|your|the) (?P<b>[^,.;]{2,40}?)\s+(?:standpoint|perspective|point of view)\s*,?"
    r"|(?:for|regarding|as for|as far as|in terms of|with regards? to|in regards? to|when it comes"
    r" to)\s+(?:your|the|my)\s+(?P<c>[^,.;]{3,50}?)\s*(?:,|\bgoes\b,?|\bis concerned\b,?)"
    r")\s*",
    re.IGNORECASE,
)
_INTENT: Final = re.compile(
    r"^(?:(?:so|and|then|but|also|at this point|right now|today|for that|for now)[\s,]+)*"
    r"(?:what )?(?:(?:i|we)(?:'d| would| do| also| just| really| still)* (?:want to|like to|need to|plan to)"
    r"|(?:i|we)(?:'m| am|'re| are)(?: also| just)* (?:going to|gonna)|"
    r"(?:i|we)(?:'ll| will)|let's|let us)(?P<also>\s+also)?(?:\s+(?:just|also|do is|then|probably want"
    r" to))*(?:\s+go ahead(?:\s+and)?)?(?:\s+(?:just|also))*\s+"
    r"(?P<what>(?:\w+ly )?(?P<verb>[a-z]+)\b.*)$",
    re.IGNORECASE,
)
_ADVICE: Final = re.compile(
    r"^(?:(?:so|and|then|but|also|in the meantime|at this point)[\s,]+)*(?:(?:i|we)(?:'d| would| do| also| just"
    r"| really)* (?:want|like|need|encourage|advise|ask)|"
    r"(?:i|we)(?:'m| am|'re| are) going to (?:need|want|ask))\s+you(?:\s+(?:also"
    r"|just))*\s+(?:to\s+)?(?P<not>not\s+to\s+|not\s+)?(?:go ahead and\s+)?(?P<what>[a-z]+\b.*)$",
    re.IGNORECASE,
)
_AND_INTENT: Final = re.compile(
    r"\b(?P<and>and|so|but|then)(?: then| also)? (?:(?:i|we)(?:'d| would| do| also| just)* (?:want to|like to)"
    r"|(?:i|we)(?:'m| am|'re| are)(?: also| just)* going to|let's)"
    r"(?: also| just)*(?: go ahead(?: and)?)?(?: just| also)* (?P<verb>[a-z]+)\b",
    re.IGNORECASE,
)
_IMPERATIVE: Final = frozenset(
    """
    continue keep take try avoid call use stop start return follow rest ice elevate drink eat monitor record weigh check
    stay limit watch contact
    """.split()  # noqa: SIM905
)
_NOT_PLANS: Final = frozenset(
    """
    talk look see listen ask tell say know be get hear check let chat discuss go come examine feel move press review
    think do recommend
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A clinician's sentence made ready.

    Parameters
    ----------
    heading : str
        What is examined or reviewed, as ``heart exam``; empty for none.
    problem : str
        The problem that the sentence names as its own, as ``congestive heart failure``.
    text : str
        The sentence; ``you`` is still the patient.
    """

    heading: str
    problem: str
    text: str


def phrased(text: str) -> Phrase | None:
    """Return a clinician's sentence without what only leads to it, None for a command to a device."""
    heading, problem = "", ""
    spoken_to = _TO_DEVICE.match(text)
    if spoken_to:
        text = text[spoken_to.end() :]
        if _COMMAND.match(text):
            return None
        text = re.sub(
            r"^(?:order|prescribe|refill)\b", lambda m: f"we will {m.group().lower()}", text, flags=re.IGNORECASE
        )
    elif re.match(r"^(?:show me|finalize)\b", text, re.IGNORECASE):
        return None
    text = re.sub(r"^(?:order|prescribe|refill)\b", lambda m: f"we will {m.group().lower()}", text, flags=re.IGNORECASE)
    for _ in range(3):
        text = _KNOWN.sub("", text)
    named = _PROBLEM.match(text)
    if named:
        problem = (named["a"] or named["b"] or named["c"] or "").strip()
        text = _KNOWN.sub("", text[named.end() :])
    reviewed = _REVIEWED.match(text)
    if reviewed:
        heading, text = reviewed["what"], text[reviewed.end() :]
    examined = _ON_EXAM.match(text)
    if examined:
        heading, text = f"{examined['what']} exam".strip(), text[examined.end() :]
    text = _I_FIND.sub("", _KNOWN.sub("", text))
    return Phrase(heading.strip(" ,"), problem, _planned(text).strip(" ,"))


def _planned(text: str) -> str:
    """Return a plan or an advice as a note has it, anything else as it is."""
    advice = _ADVICE.match(text)
    if advice:
        return f"you were advised {'not ' if advice['not'] else ''}to {advice['what']}"
    text = _AND_INTENT.sub(_also_planned, text)
    text = re.sub(
        r"^(?:so )?(?:i|we)(?:'d| would|'m going to|'re going to| am going to| will|'ll) recommend\b",
        "I recommend",
        text,
        flags=re.IGNORECASE,
    )
    intent = _INTENT.match(text)
    if intent and intent["verb"].lower() in english().verbs and intent["verb"].lower() not in _NOT_PLANS:
        return f"we will{' also' if intent['also'] else ''} {intent['what']}"
    first = text.split(" ", 1)[0].lower()
    if first in _IMPERATIVE and re.search(
        r"\b(?:you|your)\b|^(?:continue|avoid|take|use|monitor)\b", text, re.IGNORECASE
    ):
        return f"you were advised to {text}"
    return text


def _also_planned(match: re.Match[str]) -> str:
    verb = match["verb"].lower()
    planned = verb in english().verbs and verb not in _NOT_PLANS
    return f"{match['and']} we will {match['verb']}" if planned else match.group()
