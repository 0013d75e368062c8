"""Chooses what a note keeps: by the relevance model, within a length that the training notes have."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from osler.clinical.drugs import drugs_in
from osler.clinical.lexicon import Kind, lexicon
from osler.domain.note import Topic
from osler.domain.transcript import SpeakerRole
from osler.draft.extractive.features import candidate_features
from osler.draft.extractive.models import Models
from osler.draft.extractive.statements import Candidate

BUDGET: Final = (190.0, 0.215)
"""Words of a note for an encounter, and for each word of all that could be said of it: fitted to the training"
  " notes."""

DETAIL: Final = {"brief": 0.55, "standard": 1.0, "full": 1.7}
"""Times the length that the training notes have."""

_LEAST: Final = {"brief": 0.3, "standard": 0.15, "full": 0.06}
"""Probability below which a statement is left, however much room there is."""

_SAFER: Final = MappingProxyType(
    {Topic.ALLERGIES: 0.5, Topic.MEDICATIONS: 0.08, Topic.PLAN: 0.08, Topic.DIAGNOSIS: 0.08}
)
"""What a statement gains that it would be harmful to leave out."""

_ALLERGIC: Final = re.compile(r"\ballergic to\b|\bdrug allergies\b|\ballergies:|\banaphyla", re.IGNORECASE)
_SMALL_TALK: Final = re.compile(
    r"\b(?:games?|football|baseball|basketball|soccer|weather|movies?|concerts?|halloween|super bowl|playoffs"
    r"|tv show|foliage)\b",
    re.IGNORECASE,
)
_INJURED: Final = re.compile(
    r"\b(?:hurt|twist|fell|fall|pain|injur|swell|swollen|sprain|broke|land|pop|tore)\w*", re.IGNORECASE
)
_FUNCTION: Final = frozenset(
    """
    the a an of to and is are was were it that this in on for with at as i we will you has have had do does did just
    also some so but or be been there here then they their them she her he his patient
    """.split()  # noqa: SIM905
)
_AT_EASE: Final = 0.35
"""What a statement loses that is about the weather or the game."""

_NEARBY: Final = 0.4
"""What the topics of the statements beside it count, when the same person said them: topics come in stretches."""

_SUMMING_UP: Final = 0.75
"""How far into an encounter what a clinician tells is the assessment, and history no longer."""

_OF_HISTORY: Final = frozenset({Topic.HISTORY, Topic.REVIEW_OF_SYSTEMS, Topic.CHIEF_COMPLAINT, Topic.PAST_MEDICAL})

_CLINICIANS: Final = frozenset({Topic.PLAN, Topic.ASSESSMENT, Topic.DIAGNOSIS, Topic.DISPOSITION})
"""What only a clinician's words make: nobody else's go into a plan, whatever they ask for."""

_LONGEST_NOTE: Final = 1500
_DANGLING: Final = re.compile(
    r"(?:^|\s)(?:is|are|was|were|has|have|had|does|do|did|of|to|the|a|an|and|or|but|that|if|when|because|i|they"
    r"|she|he|it|we|"
    r"their|his|her|my|just|really|kind|sort|like|with|for|in|at|on|so|about|from|be|been|going|what|can|will"
    r"|would)[.,”]*$",
    re.IGNORECASE,
)


_FORMS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), topic)
    for pattern, topic in (
        (r"^(?:[\w -]*\bexam(?:ination)?):", Topic.EXAM),
        (
            r"^(?:[\w -]*\b(?:x-ray|mri|ct(?: scan)?|ultrasound|echocardiogram|ekg|ecg|mammogram)s?\b[\w -]*):",
            Topic.IMAGING,
        ),
        (r"^(?:[\w -]*\b(?:labs?|panel|a1c|blood count|lab results|blood work)\b[\w -]*):", Topic.LABS),
        (
            r"\b(?:blood pressure|heart rate|pulse|temperature|oxygen|vital signs|respirations?)\b.*(?:\d|\blook)",
            Topic.VITALS,
        ),
        (r"\b(?:we will(?: also)? (?!see|look|talk)|the patient was advised|i recommend|refill of)\b", Topic.PLAN),
        (
            r"\b(?:i|we) (?:would like|want|need|am going|are going) to (?:\w+ly )?(?:get|start|give|order|try|switch"
            r"|add|stop|increase|decrease|refer|check|repeat|put|bring)\b"
            r"|\bi will (?:give|send|order|prescribe|put|refer|start|write)\b"
            r"|^(?:\w+: )?(?:come back|follow up|return|call (?:me|us)|keep (?:the|your|taking)|drink|hold the|avoid)\b"
            r"|^\d[\d.,]* ?(?:mg|mcg|g|units?|puffs?|tablets?)\b",
            Topic.PLAN,
        ),
        (r"^i (?:can |do |also )*(?:hear|feel|see|palpate|note|appreciate)\b(?! (?:that|you|the patient))", Topic.EXAM),
    )
)
_HALF: Final = 0.5
_NAMES_IT: Final = re.compile(
    r"^(?:i (?:do )?(?:think|believe|suspect)(?: that)? )?(?:this|it|that|the patient|he|she)"
    r" (?:probably |most likely |likely )?(?:is|has|looks like|sounds like|seems)\b(?! (?:not|no)\b)"
    r"|^i am (?:worried|concerned) about\b",
    re.IGNORECASE,
)
"""How a clinician says what it is: "this is", "I think the patient has"."""

_TAKES: Final = re.compile(
    r"^(?:the patient|he|she|they)(?: is| are|'s)?(?: (?:still|also|currently|already|now|only))*"
    r" (?:takes?|taking|on|uses?|using)\b"
    r"|^[\w-]+(?: [\w-]+)?:? \d[\d.,]*(?: ?(?:mg|mcg|g|milligrams?|micrograms?|units?|puffs?|tablets?)\b"
    r"|.*\b(?:a|per|every|each) (?:day|morning|night|evening)\b|.*\bdaily\b)",
    re.IGNORECASE,
)
"""What the patient takes, said as such: "takes metformin", "metformin 500 mg"."""

_EMPTY: Final = re.compile(
    r"^[“\"]?(?:have a (?:good|nice|great|lovely)\b|(?:good )?(?:morning|afternoon|evening)\b(?=,)"
    r"|the patient is in (?:the right place|good hands)"
    r"|that(?: is|'s) (?:right|correct|it|fine|good|great|okay|all|true|perfect)[.”]|(?:\w+:"
    r" )?(?:right )?(?:here|there|this one|that one|that side)[.”]*$"
    r"|let (?:me|us)\b|let's (?:look|talk|go|do|take|see|just|review|check|start|get)\b|we will (?:take a look"
    r"|go ahead and (?:see|look|do))\b"
    r"|i (?:just |do |also |really )*(?:want|would like|am|am just|am going) ?(?:to |going to )*(?:just "
    r"|quickly |go ahead and )*(?:go over|talk|check|listen|take a|ask|examine|look|see what|do a|do your|press"
    r"|feel|move|tell|bend)\b"
    r"|i (?:understand|know|see|agree)[.,]|i am (?:so |really |very )?(?:sorry|glad|happy)\b|it is (?:so"
    r" )?(?:good|nice|great) (?:to|seeing)\b"
    r"|(?:nice|good|great|lovely) (?:to|seeing|meeting)\b|(?:dr|mr|ms|mrs|hi|hello)\.? [\w-]+[.”]*$|(?:here"
    r" )?we go\b|thank|the nurse told|i would like to tell dax|any\b"
    r"|['’-]|good (?:morning|afternoon|evening)|welcome|sorry|look (?:right )?here|that is no problem|i heard"
    r"|all right|relatively speaking|tell me|how|what|when|where|who|why|do you|does|have the patient|are the"
    r" patient|can you|sounds good|no problem|of course)",
    re.IGNORECASE,
)
"""What only leads from one thing to the next, or is politeness."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A statement that the note keeps.

    Parameters
    ----------
    candidate : Candidate
    topic : Topic
    probability : float
        That a note keeps it.
    """

    candidate: Candidate
    topic: Topic
    probability: float


def chosen(made: Sequence[Candidate], models: Models, detail: str) -> list[Chosen]:
    """Return what the note keeps, in the order of what was said.

    Parameters
    ----------
    made : sequence of Candidate
    models : Models
    detail : {"brief", "standard", "full"}
    """
    judged = _judged(made, models)
    length = [len(candidate.full_text.split()) for candidate in made]
    budget = min((BUDGET[0] + BUDGET[1] * sum(length)) * DETAIL[detail], _LONGEST_NOTE * DETAIL[detail])
    kept: list[int] = []
    seen: list[frozenset[str]] = []
    taken = 0
    for index in sorted(range(len(made)), key=lambda index: (-_weight(judged[index]), index)):
        words = frozenset(re.findall(r"\w+", made[index].full_text.lower()))
        room = taken + length[index] <= budget and _weight(judged[index]) >= _LEAST[detail]
        if room and is_sayable(made[index]) and not any(_same(words, other) for other in seen):
            kept.append(index)
            seen.append(words)
            taken += length[index]
    return [judged[index] for index in sorted(kept)]


def is_sayable(candidate: Candidate) -> bool:
    """Whether a statement says something by itself: no fragment that ends in the middle, nothing of two words."""
    count = len(re.findall(r"\w[\w'-]*", candidate.full_text))
    least = {"quote": 4, "statement": 3}.get(candidate.kind, 2)
    if _EMPTY.match(candidate.full_text):
        return False
    return count >= least and not _DANGLING.search(candidate.text.rstrip(".”"))


def _judged(made: Sequence[Candidate], models: Models) -> list[Chosen]:
    """Return every statement with its topic and the probability that a note keeps it."""
    features = [list(candidate_features(made, index)) for index in range(len(made))]
    about = [models.routing.probabilities(names) for names in features]
    found = []
    for index, candidate in enumerate(made):
        near = [about[at] for at in (index - 1, index + 1) if 0 <= at < len(made) and _together(made[at], candidate)]
        likely = about[index] + _NEARBY * sum(near)
        topic = _by_form(candidate) or Topic(models.routing.classes[int(likely.argmax())])
        if candidate.role is not SpeakerRole.CLINICIAN and topic in _CLINICIANS:
            topic = Topic.HISTORY
        elif candidate.role is SpeakerRole.CLINICIAN and candidate.place > _SUMMING_UP and topic in _OF_HISTORY:
            topic = Topic.ASSESSMENT
        found.append(Chosen(candidate, topic, float(models.relevance.probabilities(features[index])[1])))
    return found


def _together(one: Candidate, other: Candidate) -> bool:
    return one.role is other.role and abs(one.evidence[0].utterance - other.evidence[0].utterance) <= 2


def _by_form(candidate: Candidate) -> Topic | None:
    """Return the topic that the form of a statement shows, None where the words must be weighed."""
    if _ALLERGIC.search(candidate.full_text):
        return Topic.ALLERGIES
    text = candidate.full_text
    if _TAKES.search(text) and any(not drug.is_class for drug in drugs_in(text, lexicon())):
        return Topic.MEDICATIONS
    if candidate.role is not SpeakerRole.CLINICIAN:
        return None
    if candidate.heading and candidate.heading == candidate.under and candidate.place > _HALF:
        return Topic.PLAN if candidate.text.startswith(("We will", "The patient was advised")) else Topic.ASSESSMENT
    if candidate.place > _HALF and _NAMES_IT.search(text) and _names_problem(text):
        return Topic.DIAGNOSIS
    return next((topic for pattern, topic in _FORMS if pattern.search(text)), None)


def _names_problem(text: str) -> bool:
    words = [word.lower() for word in re.findall(r"[A-Za-z0-9]+", text)]
    return any(named.concept.kind is Kind.PROBLEM for named in lexicon().find(words))


def _weight(judged: Chosen) -> float:
    gain = _SAFER.get(judged.topic, 0.0)
    said = judged.candidate.said
    return judged.probability + gain - (_AT_EASE if _SMALL_TALK.search(said) and not _INJURED.search(said) else 0.0)


def _same(words: frozenset[str], other: frozenset[str]) -> bool:
    """Whether one of two statements says nothing that the other does not; another side or drug is another statement."""
    fewer, more = sorted((words - _FUNCTION, other - _FUNCTION), key=len)
    return fewer <= more and len(fewer) >= 0.6 * len(more)
