"""A draft note: statements that each say where in the encounter they were said, and what the gate found of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Topic(StrEnum):
    """What a part of an encounter is about: the section headers of MTS-Dialog (Ben Abacha et al. 2023), and vitals."""

    CHIEF_COMPLAINT = "CC"
    HISTORY = "GENHX"
    REVIEW_OF_SYSTEMS = "ROS"
    PAST_MEDICAL = "PASTMEDICALHX"
    PAST_SURGICAL = "PASTSURGICAL"
    FAMILY_SOCIAL = "FAM/SOCHX"
    GYNAECOLOGICAL = "GYNHX"
    OTHER_HISTORY = "OTHER_HISTORY"
    MEDICATIONS = "MEDICATIONS"
    ALLERGIES = "ALLERGY"
    IMMUNIZATIONS = "IMMUNIZATIONS"
    VITALS = "VITALS"
    EXAM = "EXAM"
    LABS = "LABS"
    IMAGING = "IMAGING"
    PROCEDURES = "PROCEDURES"
    EMERGENCY_COURSE = "EDCOURSE"
    DIAGNOSIS = "DIAGNOSIS"
    ASSESSMENT = "ASSESSMENT"
    PLAN = "PLAN"
    DISPOSITION = "DISPOSITION"


@dataclass(frozen=True, slots=True)
class SectionTemplate:
    """One section of a kind of note.

    Parameters
    ----------
    key : str
        Name in addresses and in JSON, as ``hpi``.
    title : str
    code : str
        LOINC code of the section.
    topics : tuple of Topic
        What belongs here. A topic stands in one section of a template.
    """

    key: str
    title: str
    code: str
    topics: tuple[Topic, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of note.

    Parameters
    ----------
    name : str
        As ``soap``.
    title : str
    code : str
        LOINC document type.
    sections : tuple of SectionTemplate
    by_problem : bool
        Whether assessment and plan are ordered by problem.
    """

    name: str
    title: str
    code: str
    sections: tuple[SectionTemplate, ...]
    by_problem: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a statement was said.

    Parameters
    ----------
    utterance : int
        Number of the utterance.
    quote : str
        Words of the utterance, exactly as the de-identified transcript has them.
    """

    utterance: int
    quote: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of a note.

    Parameters
    ----------
    id : str
        Unique in the draft, as ``s12``.
    text : str
        The sentence, with placeholders.
    evidence : tuple of Evidence
        Never empty in a draft that may be signed.
    topic : Topic
    verbatim : bool
        Whether the text is left as somebody's own words, in quotation marks.
    """

    id: str
    text: str
    evidence: tuple[Evidence, ...]
    topic: Topic
    verbatim: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a draft; ``problem`` heads a part of a problem-oriented plan."""

    key: str
    title: str
    code: str
    statements: tuple[Statement, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class DraftAuthor:
    """What wrote a draft.

    Parameters
    ----------
    kind : {"extractive", "language-model"}
    name, version : str
    sha256 : str
        Of the weights; empty where a remote endpoint does not say.
    """

    kind: str
    name: str
    version: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A note that nobody has signed; de-identified, with placeholders.

    Parameters
    ----------
    template : str
    sections : tuple of Section
        In the order of the template; several of one key where the plan is by problem.
    author : DraftAuthor
    warnings : tuple of str
        What the writer wants to say of the draft, quoting nothing.
    """

    template: str
    sections: tuple[Section, ...]
    author: DraftAuthor
    warnings: tuple[str, ...] = ()

    def statements(self) -> Iterator[Statement]:
        """Yield all statements, in order."""
        for section in self.sections:
            yield from section.statements


class Support(StrEnum):
    """How far the encounter carries a statement."""

    DIRECT = "direct"
    INFERENCE = "inference"
    UNMENTIONED = "unmentioned"
    CONTRADICTED = "contradicted"


class Severity(StrEnum):
    """How much harm a statement could do if it were wrong."""

    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says of one statement.

    Parameters
    ----------
    support : Support
    severity : Severity
        ``none`` when it passed.
    reasons : tuple of str
        Names of the rules that failed, as ``quote-not-found``, ``number``, ``drug``, ``dose``, ``laterality``,
        ``negation``, ``certainty``, ``no-evidence``.
    """

    support: Support
    severity: Severity
    reasons: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the statement may be signed."""
        return self.support in (Support.DIRECT, Support.INFERENCE) and not self.reasons


@dataclass(frozen=True, slots=True)
class Omission:
    """Something of weight that was said and that the note does not have.

    Parameters
    ----------
    kind : {"problem", "medication", "allergy", "plan", "symptom"}
    text : str
        The term, as said.
    evidence : Evidence
    """

    kind: str
    text: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Checked:
    """A draft that went through the gate.

    Parameters
    ----------
    draft : Draft
    verdicts : mapping of str to Verdict
        By statement id; one for each.
    omissions : tuple of Omission
    refusal : str
        Why the whole note is refused, as ``another-encounter``; empty when it is not.
    """

    draft: Draft
    verdicts: Mapping[str, Verdict]
    omissions: tuple[Omission, ...] = ()
    refusal: str = ""

    def passes(self, statement: Statement) -> bool:
        """Whether a statement may be signed."""
        return not self.refusal and self.verdicts[statement.id].passed


@dataclass(frozen=True, slots=True)
class CodeSuggestion:
    """A code that the note suggests; a person takes or leaves it.

    Parameters
    ----------
    system, code, display : str
    statement : str
        Id of the statement that it comes from.
    evidence : tuple of Evidence
    """

    system: str
    code: str
    display: str
    statement: str
    evidence: tuple[Evidence, ...] = field(default_factory=tuple)
