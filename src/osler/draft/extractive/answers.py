"""Questions with their answers, as one statement: "any fever or chills?" and "no" are "Denies fever or chills"."""

import re
from enum import Enum
from typing import Final

from osler.clinical.drugs import drugs_in
from osler.clinical.lexicon import lexicon
from osler.draft.extractive.english import english, third_person
from osler.draft.extractive.person import Pronouns, clinicians_words, spelled_out


class Answer(Enum):
    """What an answer says to a question that asks for yes or no."""

    YES = "yes"
    NO = "no"


ALLERGIES: Final = "Allergies"
_LEAD: Final = r"^(?:(?:uh|um|oh|well|okay|ah|hm+|mm|,)[\s,.]*)*"
_NO: Final = re.compile(
    _LEAD + r"(?:no\b(?!\s+(?:problem|worries))|nope|nah|none\b|never\b|not (?:really|at all|that i|right now|lately"
    r"|recently|any|yet|so far|anymore)"
    r"|nothing\b|negative|i (?:don't|do not|do n't|have n't|haven't|have not|did n't|didn't|am not) ?(?:think"
    r" so)?\s*[.,]?\s*$)",
    re.IGNORECASE,
)
_YES: Final = re.compile(
    _LEAD + r"(?:yes\b|yeah\b|yep\b|yup\b|correct\b|uh-huh|mm-hmm|absolutely|exactly|definitely|that's (?:right"
    r"|correct)|right\s*[.,]|"
    r"(?:i|it|they) (?:do|did|have|am|is|does|was|are)\s*[.,]|of course)",
    re.IGNORECASE,
)
_BOTH: Final = re.compile(
    _LEAD + r"(?:no|nope|nah)\b[\s,.]*(?:yeah|yes|yep|actually|i (?:do|did|have|am)\b(?! ?(?:not|n't))|it"
    r" (?:does|is)\b(?! ?(?:not|n't)))"
    r"|" + _LEAD + r"(?:yeah|yes|yep|well yes)\b[\s,.]*(?:no|nope|not)\b",
    re.IGNORECASE,
)
_BUT: Final = re.compile(r"\b(?:but|except|other than|just|only|besides|apart from|until|unless|well)\b", re.IGNORECASE)
HEDGE: Final = re.compile(
    r"\b(?:not really|(?:i )?do(?: not|n't| n't) think(?: so)?|not that i(?:'ve| have)? \w+(?: of)?|a little(?:"
    r" bit)?|sometimes|maybe|"
    r"i guess(?: so)?|kind of|kinda|sort of|occasionally|(?:every )?once in a while|not right now|not anymore"
    r"|not lately|not recently|"
    r"i think(?: so)?|probably|possibly|i(?:'m| am) not sure|not yet|a bit|mostly|not usually|not currently|so"
    r" far)\b",
    re.IGNORECASE,
)
_TAG: Final = re.compile(r"[\s,]*\b(?:okay|ok|all right|alright)\s*\?\s*$", re.IGNORECASE)
_CONFIRM: Final = re.compile(
    r"(?:[\s,]*\b(?:right|correct|is that (?:right|correct|true|accurate)|does that sound right|huh|yeah|yes|no"
    r"|did you|have you|is it|or no))\s*\??\s*$",
    re.IGNORECASE,
)
_ASKED: Final = re.compile(
    r"^(?:(?:and|or|but|so|now|then|also|okay|just|in general|overall|today)[\s,]+)*"
    r"(?:(?:how about|what about|in terms of)(?: (?:any|other|your))?[\s,]+)?"
    r"(?:(?:do|did|have|are|were|had) you (?:(?:ever|also|currently|really|still|recently|been|otherwise)\s+)*"
    r"(?P<verb>have|had|having|notice|noticed|noticing|experience|experienced|experiencing|feel|felt|feeling"
    r"|report|seen)\s+"
    r"|(?:is|was|are|were|has|have) there (?:been )?)?"
    r"(?P<any>(?:(?:any|a|an|other|some|of those|recent|like|kind of|additional|more|problems with|issues with"
    r"|trouble with|symptoms of)\s+)*)",
    re.IGNORECASE,
)
_KINDS: Final = re.compile(
    r"^(?:symptoms?|issues?|problems?|things?|complaints?|concerns?)(?:\s+(?:like|such as|as far as|in terms"
    r" of)\s+|\s*,\s*)(?:like[\s,]+)?(?:(?:any|other|an?)\s+)?",
    re.IGNORECASE,
)
_LIST_END: Final = re.compile(
    r"[\s,]*(?:\b(?:anything (?:like that|else|at all)|any of that|at all|or anything|things like that|that"
    r" (?:kind|sort|type) of (?:thing|stuff)|"
    r"stuff like that|or no|or not|for (?:you|me)|or|and|like that|with that|with it|right now|now|lately|today"
    r"|either|too)\b[\s,]*)+$",
    re.IGNORECASE,
)
_CLAUSAL: Final = re.compile(
    r"\b(?:you|you're|your|i|we|he|she|they|it|what|when|where|how|why|who|which|that|is|are|was|were|do|does"
    r"|did|has|has|have|had)\b",
    re.IGNORECASE,
)
_INVERTED: Final = re.compile(
    r"^(?:and |so |but |now |or |then )*(do|did|have|are|were|can|could|will|would|had) (you)\s+(.+)$"
    r"|^(?:and |so |but |now |or |then )*(does|did|has|is|was|will|would|can) (it|that|this|there|he|she)\s+(.+)$",
    re.IGNORECASE,
)
LABELS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), label)
    for pattern, label in (
        (r"\bhow (?:long|many (?:years|months|weeks|days|hours))\b", "Duration"),
        (r"\b(?:when|what (?:day|time|year))\b", "When"),
        (r"\bhow (?:often|frequently|many times)\b", "Frequency"),
        (r"\bhow (?:far)\b", "Distance"),
        (r"\b(?:where|which (?:side|part|one|knee|leg|arm|hand|foot|shoulder|hip|ear|eye|finger))\b", "Location"),
        (r"\b(?:how (?:bad|severe)|scale|out of (?:10|ten)|rate)\b", "Severity"),
        (
            r"\b(?:better or worse|worse or better|makes? it (?:better|worse|feel)|bring it on|trigger)",
            "Modifying factors",
        ),
        (
            r"\b(?:what|which|any) (?:other )?(?:medications?|medicines?|meds|drugs)\b|\btaking (?:for|anything)\b",
            "Medication",
        ),
        (
            r"\b(?:taken|tried|take|taking|using|used|doing|done|do) (?:anything |something )?(?:for (?:it|that"
            r"|the pain|your pain|this)|to (?:help|relieve|treat|manage))",
            "Tried",
        ),
        (r"\b(?:how much|what dose|what dosage|how many)\b", "Amount"),
        (r"\ballerg", ALLERGIES),
        (r"\b(?:surger|operations?)", "Surgeries"),
        (r"\b(?:do for (?:work|a living)|your job|occupation|where do you work|kind of work)", "Occupation"),
        (r"\bhow old\b", "Age"),
        (r"\b(?:who|live with|lives with)\b", "Who"),
        (r"\b(?:medical (?:history|problems|conditions)|past (?:medical )?history|diagnosed)\b", "Past history"),
        (r"\bfamily\b", "Family history"),
        (r"\b(?:describe|feel like|what kind of pain|what does)\b", "Character"),
    )
)
"""What a short answer is the answer to, by the words of the question."""


def answer_of(text: str) -> Answer | None:
    """Return what the beginning of an answer says, None when it says neither yes nor no, or both."""
    if _BOTH.search(text):
        return None
    if _NO.search(text):
        return Answer.NO
    return Answer.YES if _YES.search(text) else None


def only_asks_leave(text: str) -> bool:
    """Whether a sentence is no question: it ends in "okay?" and tells."""
    return bool(_TAG.search(text))


def untagged(text: str) -> str:
    """Return a sentence without the "okay?" or "is that right?" at its end."""
    return _CONFIRM.sub("", _TAG.sub("", text))


def label_of(question: str) -> str:
    """Return what a short answer to a question is, as ``Duration``; empty when no label fits."""
    return next((label for pattern, label in LABELS if pattern.search(question)), "")


def medicine_asked(question: str, answer: str) -> str:
    """Return the medicine that a question is about, ``Allergies`` for one about allergies; empty for none or several.

    An answer that names no medicine is about the one of the question; one that names one is about that, unless
    allergies were asked for.
    """
    named = {drug.said for drug in drugs_in(answer, lexicon())}
    if re.search(r"\ballerg", question, re.IGNORECASE):
        return ALLERGIES if named and not re.search(r"\ballerg", answer, re.IGNORECASE) else ""
    asked = [question[drug.start : drug.end] for drug in drugs_in(question, lexicon()) if not drug.is_class]
    return asked[0] if len(asked) == 1 and not named else ""


def answered(question: str, answer: Answer, pronouns: Pronouns, called: str) -> str | None:
    """Return a question that was answered yes or no as a statement, without capital and full stop.

    Parameters
    ----------
    question : str
        Written and trimmed, without its mark.
    answer : Answer
    pronouns : Pronouns
    called : str

    Returns
    -------
    str or None
        None where the question has no form that can be turned.
    """
    question = untagged(question).strip(" ,?.")
    if re.match(r"(?:and |so |but )*no\b", question, re.IGNORECASE):
        return _without(question, answer, pronouns, called)
    listed = _listed(question)
    turned = _INVERTED.match(spelled_out(question))
    if listed and (answer is Answer.NO or turned is None):
        first = listed.split()[0]
        told = clinicians_words(
            listed[0].lower() + listed[1:] if first.istitle() else listed, pronouns, called, your="the"
        )
        return told and f"{'denies' if answer is Answer.NO else 'reports'} {told}"
    question = spelled_out(question)
    match = _INVERTED.match(question)
    if match:
        aux, subject, rest = match[1] or match[4], match[2] or match[5], match[3] or match[6]
        return _turned(aux.lower(), subject.lower(), rest, answer, pronouns, called)
    if (
        answer is Answer.YES
        and not _ASKS_WITHIN.search(question)
        and not re.match(
            r"^(?:and |so |but )*(?:what|when|where|how|why|who|which|any|is|are|does|or|if)\b", question, re.IGNORECASE
        )
    ):
        return (
            clinicians_words(question, pronouns, called)
            if re.search(r"\b(?:you|your|it|that|there)\b", question)
            else None
        )
    return None


def _without(question: str, answer: Answer, pronouns: Pronouns, called: str) -> str | None:
    """Return "no fever, no chills?" with "no" as a denial; a "yes" to it may mean either, and says nothing."""
    listed = _listed(re.sub(r"\bno\s+", "", question, flags=re.IGNORECASE))
    if answer is Answer.YES or not listed:
        return None
    told = clinicians_words(listed, pronouns, called, your="the")
    return told and f"denies {told}"


def _listed(question: str) -> str:
    """Return what was asked for when a question lists findings: "fever, chills or cough"."""
    asked = _ASKED.match(question + " ")
    rest = (question[asked.end() :] if asked else question).strip(" ,")
    if re.match(r"(?:do|did|have|are|were|is|was|does|can|could|would|will|has|had)\b", rest, re.IGNORECASE):
        return ""
    rest = _LIST_END.sub("", _KINDS.sub("", rest)).strip(" ,")
    rest = re.sub(r",?\s*\b(?:any|anything|have you had|do you have|are you having)\s+(?=\w)", ", ", rest).strip(" ,")
    rest = re.sub(r"(?:,\s*)+(?!\d)", ", ", rest)
    if not rest or _CLAUSAL.search(rest) or len(rest.split()) > 25:
        return ""
    if rest.split()[0].lower().strip(",") in _NOT_FINDINGS or (
        rest.split()[0].endswith("ing") and rest.split()[0] not in _GERUNDS
    ):
        return ""
    feels = asked and (asked["verb"] or "").lower().startswith("fe") and "any" not in asked["any"].lower()
    return f"feeling {rest}" if feels else rest


_ASKS_WITHIN: Final = re.compile(
    r"\b(?:what|how|why|where|which)\b|\b(?:or|,) (?:has|have|is|are|do|does|did|was|were)\b|,\s*(?:is|are|was"
    r"|were|do|does|did|have|has)\b|\b(?:is|are|do|did|have|does) you\b",
    re.IGNORECASE,
)
_ANY: Final = re.compile(r"\bany(?:\s+(?=\w))(?!more|thing|one|where)", re.IGNORECASE)
_NOT_FINDINGS: Final = frozenset(
    """
    okay yeah yes no right good going able allergic taking doing using questions else exercising eating to the about for
    why really problem problems issue issues things everything nothing something anything together supposed married
    symptoms symptom history trouble been working smoking drinking able willing ready comfortable happy this
    """.split()  # noqa: SIM905
)
_GERUNDS: Final = frozenset(
    {
        "swelling",
        "bleeding",
        "vomiting",
        "tingling",
        "burning",
        "itching",
        "coughing",
        "sneezing",
        "wheezing",
        "bruising",
        "ringing",
        "numbing",
        "cramping",
        "bloating",
        "sweating",
        "snoring",
        "popping",
        "clicking",
        "locking",
        "grinding",
        "catching",
        "fainting",
        "throbbing",
        "spotting",
        "drooling",
    }
)


def _turned(aux: str, subject: str, rest: str, answer: Answer, pronouns: Pronouns, called: str) -> str | None:
    """Turn "do you smoke" into "you smoke" or "you do not smoke", and tell it."""
    words = english()
    if answer is Answer.YES and aux in {"is", "are", "was", "were", "does"} and re.search(r"\bor\b", rest):
        return None
    lead = re.match(
        r"(?:(?:also|ever|still|currently|usually|actually|really|already|just|now|even|all|both)\s+)*", rest
    )
    between, rest = (lead.group(), rest[lead.end() :]) if lead else ("", rest)
    between = re.sub(r"\bever\s+", "", between)
    rest = re.sub(r"\s+(?:at all|or no|or not)$", "", rest)
    if answer is Answer.NO:
        rest = re.sub(r"\bsome\b|\banything\b", lambda m: "any" if m.group() == "some" else "anything", rest)
        negated = {"cannot": "cannot"}.get(aux, f"{aux} not")
        sentence = f"{subject} {negated} {between}{rest}"
    elif aux in {"do", "does", "did"}:
        verb, _, tail = rest.partition(" ")
        if verb.lower() not in words.verbs:
            return None
        form = words.in_past(verb) if aux == "did" else third_person(verb) if aux == "does" else verb
        tail = _ANY.sub("", tail)
        sentence = f"{subject} {between}{form} {tail}".strip()
    else:
        sentence = f"{subject} {aux} {between}{_ANY.sub('', rest)}"
    return clinicians_words(sentence, pronouns, called)


def says_more(answer: str) -> bool:
    """Whether an answer limits its yes or no, so that it must be quoted beside it."""
    return bool(HEDGE.search(answer) or _BUT.search(answer))
