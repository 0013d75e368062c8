"""Statements of a language model, in the order and under the heads of a template."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from osler.domain.note import Section, SectionTemplate, Statement, Template, Topic
from osler.domain.transcript import DeidentifiedTranscript
from osler.draft.language_model.statements import Said

BY_PROBLEM: Final = frozenset({Topic.DIAGNOSIS, Topic.ASSESSMENT, Topic.PLAN})
"""Topics that stand by problem in a problem-oriented note."""


def assemble(
    said: Iterable[Said], template: Template, transcript: DeidentifiedTranscript, *, by_problem: bool
) -> tuple[Section, ...]:
    """Return the sections that have statements; what two parts of a transcript say in the same words stands once."""
    spoken = " ".join(" ".join(one.text.lower().split()) for one in transcript.utterances)
    once = _once(said)
    sections: list[Section] = []
    count = 0
    for section in template.sections:
        here = [one for topic in section.topics for one in once if one.topic is topic]
        grouped = by_problem and not BY_PROBLEM.isdisjoint(section.topics)
        for problem, of_problem in _groups(here, spoken) if grouped else [("", here)]:
            if of_problem:
                sections.append(_section(section, of_problem, problem, count))
                count += len(of_problem)
    return tuple(sections)


def _section(section: SectionTemplate, said: Sequence[Said], problem: str, before: int) -> Section:
    statements = tuple(Statement(f"s{n}", one.text, one.evidence, one.topic) for n, one in enumerate(said, before + 1))
    return Section(section.key, section.title, section.code, statements, problem)


def _once(said: Iterable[Said]) -> list[Said]:
    kept: dict[tuple[str, Topic], Said] = {}
    for one in said:
        key = (one.text.lower(), one.topic)
        if key in kept:
            first = kept[key]
            both = tuple(dict.fromkeys((*first.evidence, *one.evidence)))
            kept[key] = Said(first.text, first.topic, both, first.problem or one.problem)
        else:
            kept[key] = one
    return list(kept.values())


def _groups(said: Sequence[Said], spoken: str) -> Iterator[tuple[str, list[Said]]]:
    """Yield statements by problem. A head is not gated as statements are: it must be words that were said."""
    groups: dict[str, list[Said]] = {}
    heads: dict[str, str] = {}
    for one in said:
        key = one.problem.lower()
        key = key if key and key in spoken else ""
        heads.setdefault(key, one.problem if key else "")
        groups.setdefault(key, []).append(one)
    for key in sorted(groups, key=lambda key: not key):
        yield heads[key], groups[key]
