"""Figures of a writer over a set of encounters."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any, Final

from osler.domain.note import Draft, Template, Topic
from osler.domain.transcript import DeidentifiedTranscript
from osler.draft.evaluate.corpora import Case
from osler.draft.evaluate.disturb import as_recognised, swap_speakers
from osler.draft.evaluate.measures import Measured, Share, measure
from osler.draft.gate import Gate
from osler.draft.port import Style, Writer

_SHARES: Final = (
    "evidence",
    "faithful",
    "numerals",
    "drugs",
    "numerals_found",
    "drugs_found",
    "concepts_found",
    "topic",
)
_WORDS_A_MINUTE: Final = 150
"""Of a conversation, where a transcript tells no times."""
_MEANS: Final = ("rouge1", "rouge2", "rouge_l", "omissions")
_DISTURBED: Final[dict[str, Callable[[DeidentifiedTranscript], DeidentifiedTranscript]]] = {
    "speakers_swapped": swap_speakers,
    "as_recognised": as_recognised,
}


@dataclass(frozen=True, slots=True)
class Control:
    """Notes held to the encounter of another patient, which must be refused, and to their own, which must not.

    Parameters
    ----------
    others_refused : Share
        Of pairs of a note and another patient's encounter.
    own_taken : Share
        Of notes with their own encounter.
    """

    others_refused: Share
    own_taken: Share


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured.

    Parameters
    ----------
    cases : int
    figures : dict of str to float or None
        Means of ROUGE and omissions over drafts; shares over all statements, numbers, drugs and concepts.
    disturbed : dict of str to dict
        The same figures with the speakers swapped, and with what a recogniser may hear.
    drafts, references : Control
        Of the writer's drafts; of the notes that people wrote.
    mean_s, slowest_s : float
        Time to write a draft, seconds.
    minute_s : float
        The same for a minute of conversation: 150 words.
    writer : str
        Name and version of what wrote.
    """

    cases: int
    figures: dict[str, float | None]
    drafts: Control
    references: Control
    mean_s: float
    slowest_s: float
    minute_s: float = 0.0
    writer: str = ""
    disturbed: dict[str, dict[str, float | None]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as what JSON can say; shares as numbers from 0 to 1 with what they were counted of."""
        return {
            "cases": self.cases,
            "writer": self.writer,
            "figures": self.figures,
            "disturbed": self.disturbed,
            "another_patient": {"drafts": _control(self.drafts), "references": _control(self.references)},
            "seconds": {"mean": self.mean_s, "slowest": self.slowest_s, "per_minute": self.minute_s},
        }


def evaluate(
    cases: Sequence[Case],
    writer: Writer,
    *,
    template: Template,
    classify: Callable[[str], Topic] | None = None,
    disturb: bool = True,
    most_pairs: int = 400,
) -> Report:
    """Write a draft of each encounter and measure it.

    Parameters
    ----------
    cases : sequence of Case
    writer : Writer
    template : Template
    classify : callable or None
        Says of a dialogue, as lines of ``speaker: words``, what it is about; None to take what most statements of the
        draft are about.
    disturb : bool
        Whether to write again with swapped speakers and with a recogniser's errors.
    most_pairs : int
        How many notes are held to another patient's encounter: all pairs, or evenly chosen ones of them.
    """
    gates = [Gate(case.transcript) for case in cases]
    drafts: list[Draft] = []
    seconds: list[float] = []
    for case in cases:
        began = time.perf_counter()
        drafts.append(writer.write(case.transcript, template, Style()))
        seconds.append(time.perf_counter() - began)
    measured = [measure(case, gate.check(draft)) for case, gate, draft in zip(cases, gates, drafts, strict=True)]
    if classify is not None:
        measured = [_told(case, one, classify) for case, one in zip(cases, measured, strict=True)]
    pairs = _pairs(len(cases), most_pairs)
    whole = [case.topic is None for case in cases]
    return Report(
        cases=len(cases),
        figures=_figures(measured),
        drafts=_held(pairs, range(len(cases)), lambda note, at: not gates[at].check(drafts[note]).refusal),
        references=_held(
            [pair for pair in pairs if whole[pair[0]]],
            [at for at in range(len(cases)) if whole[at]],
            lambda note, at: not gates[at].check_text(cases[note].reference).refusal,
        ),
        mean_s=fmean(seconds) if seconds else 0.0,
        slowest_s=max(seconds, default=0.0),
        minute_s=sum(seconds) * _WORDS_A_MINUTE / max(_spoken(cases), 1),
        writer=f"{drafts[0].author.name} {drafts[0].author.version}" if drafts else "",
        disturbed={name: _again(cases, writer, template, change) for name, change in _DISTURBED.items()}
        if disturb
        else {},
    )


def _spoken(cases: Sequence[Case]) -> int:
    return sum(len(said.text.split()) for case in cases for said in case.transcript.utterances)


def _told(case: Case, measured: Measured, classify: Callable[[str], Topic]) -> Measured:
    if case.topic is None:
        return measured
    dialogue = "\n".join(f"{said.speaker}: {said.text}" for said in case.transcript.utterances)
    return replace(measured, topic=Share(int(classify(dialogue) is case.topic), 1))


def _again(
    cases: Sequence[Case],
    writer: Writer,
    template: Template,
    change: Callable[[DeidentifiedTranscript], DeidentifiedTranscript],
) -> dict[str, float | None]:
    measured = []
    for case in cases:
        changed = Case(case.id, change(case.transcript), case.reference, case.topic)
        draft = writer.write(changed.transcript, template, Style())
        measured.append(measure(changed, Gate(changed.transcript).check(draft)))
    return _figures(measured)


def _held(pairs: Sequence[tuple[int, int]], own: Iterable[int], taken: Callable[[int, int], bool]) -> Control:
    mine = [taken(at, at) for at in own]
    return Control(Share(sum(not taken(note, other) for note, other in pairs), len(pairs)), Share(sum(mine), len(mine)))


def _pairs(count: int, most: int) -> list[tuple[int, int]]:
    pairs = [(note, other) for note in range(count) for other in range(count) if note != other]
    step = max(1, -(-len(pairs) // max(1, most)))
    return pairs[::step]


def _figures(measured: Sequence[Measured]) -> dict[str, float | None]:
    means = {name: fmean(getattr(one, name) for one in measured) if measured else None for name in _MEANS}
    shares = {name: _total([getattr(one, name) for one in measured]).value for name in _SHARES}
    return {**means, **shares}


def _total(shares: Iterable[Share]) -> Share:
    listed = list(shares)
    return Share(sum(one.good for one in listed), sum(one.of for one in listed))


def _control(control: Control) -> dict[str, Any]:
    return {
        "others_refused": control.others_refused.value,
        "pairs": control.others_refused.of,
        "own_taken": control.own_taken.value,
        "own": control.own_taken.of,
    }
