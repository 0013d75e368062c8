"""Writes a draft from what was said and nothing else: every statement is somebody's words, told in the third person."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from osler.domain.note import Draft, DraftAuthor, Evidence, Section, SectionTemplate, Statement, Template, Topic
from osler.domain.transcript import DeidentifiedTranscript, SpeakerRole
from osler.draft.extractive.english import cased
from osler.draft.extractive.models import VERSION, models
from osler.draft.extractive.patient import pronouns_of
from osler.draft.extractive.roles import righted
from osler.draft.extractive.selecting import Chosen, chosen
from osler.draft.extractive.statements import Candidate, candidates
from osler.draft.extractive.units import units
from osler.draft.port import ORDERED_BY_PROBLEM, Style
from osler.errors import ConfigError

NAME: Final = "osler-extractive"
NOTHING: Final = "Nothing was said that a note could keep."
NOT_ENGLISH: Final = "The encounter is not in English; sentences are left as they were said."
EXTRACTED: Final = (
    "Written without a language model: statements are sentences of the encounter, told in the third person."
)
SWAPPED: Final = "The speakers' roles look swapped; the draft takes them the other way round."

_PRESENTS: Final = re.compile(
    r"\b(?:presents?|presenting|here|comes? in|came in|is seen|coming in)\b(?:\s+(?:to\s+\w+\s+)?(?:today|now))?\s+"
    r"(?:for|with|because of|to discuss|complaining of)\s+"
    r"(?P<what>[^.?!;]{3,80}\b)",
    re.IGNORECASE,
)
_OPENING: Final = 0.35


class ExtractiveWriter:
    """The embedded writer: no language model, no network, the same draft for the same transcript."""

    def write(self, transcript: DeidentifiedTranscript, template: Template, style: Style) -> Draft:
        """Return a draft of which every statement quotes its utterances.

        Parameters
        ----------
        transcript : DeidentifiedTranscript
        template : Template
        style : Style

        Raises
        ------
        ConfigError
            If the style asks for a detail that there is not.
        """
        if style.detail not in ("brief", "standard", "full"):
            raise ConfigError(f"the style's detail must be brief, standard or full, not {style.detail!r}")
        fitted = models()
        transcript, swapped = righted(transcript)
        pronouns = pronouns_of(transcript)
        made = candidates(units(transcript), pronouns, style.patient_called)
        kept = chosen(made, fitted, style.detail)
        complaint = _complaint(made, kept)
        by_problem = template.by_problem if style.by_problem is None else style.by_problem
        numbered = _Numbered()
        sections = [
            section
            for part in template.sections
            for section in _sections(part, kept, complaint, numbered, by_problem=by_problem)
        ]
        warnings = [EXTRACTED]
        if swapped:
            warnings.append(SWAPPED)
        if transcript.language and not transcript.language.lower().startswith("en"):
            warnings.append(NOT_ENGLISH)
        if not any(section.statements for section in sections):
            warnings.append(NOTHING)
        return Draft(
            template.name,
            tuple(sections),
            DraftAuthor("extractive", NAME, VERSION, fitted.sha256),
            tuple(warnings),
        )


class _Numbered:
    """Gives statements their ids, in the order of the note."""

    def __init__(self) -> None:
        self._last = 0

    def statement(self, text: str, evidence: tuple[Evidence, ...], topic: Topic, *, verbatim: bool) -> Statement:
        self._last += 1
        return Statement(f"s{self._last}", text, evidence, topic, verbatim)


def _sections(
    part: SectionTemplate,
    kept: Sequence[Chosen],
    complaint: tuple[str, tuple[Evidence, ...]] | None,
    numbered: _Numbered,
    *,
    by_problem: bool,
) -> Iterator[Section]:
    """Yield the sections of one part of the template; several where it goes by problem, none where nothing was said."""
    here = [one for one in kept if one.topic in part.topics]
    lead: list[Statement] = []
    if complaint is not None and Topic.CHIEF_COMPLAINT in part.topics:
        lead = [numbered.statement(*complaint, Topic.CHIEF_COMPLAINT, verbatim=False)]
    if not (by_problem and ORDERED_BY_PROBLEM & set(part.topics)):
        statements = (*lead, *(_statement(one, numbered, one.candidate.full_text) for one in here if _is_said(one)))
        if statements:
            yield Section(part.key, part.title, part.code, statements)
        return
    for problem, of_problem in _by_problem(here):
        statements = tuple(
            _statement(one, numbered, one.candidate.text if problem else one.candidate.full_text)
            for one in of_problem
            if one.candidate.text
        )
        if statements:
            yield Section(part.key, part.title, part.code, statements, problem)


def _by_problem(here: Sequence[Chosen]) -> list[tuple[str, list[Chosen]]]:
    """Return what belongs to each problem: what follows the sentence that names it."""
    groups: dict[str, list[Chosen]] = {"": []}
    for one in here:
        groups.setdefault(one.candidate.under, []).append(one)
    return list(groups.items())


def _statement(one: Chosen, numbered: _Numbered, text: str) -> Statement:
    return numbered.statement(text, one.candidate.evidence, one.topic, verbatim=one.candidate.kind == "quote")


def _is_said(one: Chosen) -> bool:
    return bool(one.candidate.full_text)


def _complaint(made: Sequence[Candidate], kept: Sequence[Chosen]) -> tuple[str, tuple[Evidence, ...]] | None:
    """Return why the patient came, in the words after "presents with", unless a statement already says it."""
    if any(one.topic is Topic.CHIEF_COMPLAINT for one in kept):
        return None
    for candidate in made:
        found = _PRESENTS.search(candidate.full_text) if candidate.place < _OPENING else None
        if found and candidate.role is SpeakerRole.CLINICIAN:
            what = re.split(
                r",? (?:and (?=\w+ (?:is|are|has|have|was)\b)|so |who |which |because |but |she |he |they |i |we )",
                found["what"],
                maxsplit=1,
            )[0]
            return cased(re.sub(r"^(?:some|his|her|their|a|an|the) ", "", what.strip(" ,"))), candidate.evidence
    return None
