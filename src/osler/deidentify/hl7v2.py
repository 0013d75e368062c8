"""HL7 v2 messages without identity: fields by the rules of their segment, unknown ones empty, unknown segments gone.

The rules are ``data/hl7v2-rules.csv``. What stays keeps its place: segments, fields, repetitions and delimiters.
"""

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from itertools import groupby, islice
from typing import Final, NamedTuple

from osler.deidentify import safe_harbor
from osler.deidentify.coding import is_unit, local_code, system_of_v2
from osler.deidentify.collecting import CollectedIdentities
from osler.deidentify.dicom import Pseudonyms
from osler.deidentify.free_text import RemovedText, TextDeidentifier, TextFor, no_text
from osler.deidentify.hl7v2_known import known_people
from osler.deidentify.hl7v2_values import clean_value
from osler.standards.hl7v2 import CHARACTER_SETS, Message, Segment, build, parse, split

_REPORT_TYPES: Final = frozenset({"TX", "FT"})
_CWE: Final = 9  # components: two codes of three, their versions, the original text
_CODED_NAME: Final = "S"  # table 0200: coded pseudo-name to ensure anonymity
_NO_NUMBER: Final = frozenset({"SS", "DL", "PPN"})  # table 0203: numbers that another register leads back

_PATIENT_NUMBERS: Final = frozenset({"", "MR", "PI", "PT"})


class _Rule(NamedTuple):
    action: str
    forms: tuple[re.Pattern[str], ...]


class Hl7v2Deidentifier:
    """De-identifies messages by the method Safe Harbor.

    Parameters
    ----------
    pseudonyms : Pseudonyms
    text_for : callable
        Makes the text engine for the people of one message; without it all free text is removed.
    this_year : int, optional
        The year from which ages count; else the current one.
    """

    def __init__(self, pseudonyms: Pseudonyms, *, text_for: TextFor = no_text, this_year: int | None = None) -> None:
        self._pseudonyms = pseudonyms
        self._text_for = text_for
        self._this_year = this_year if this_year is not None else datetime.now(UTC).year

    def message(self, content: bytes) -> bytes:
        """Return one message without identity, in the same delimiters, character set and line ends.

        Raises
        ------
        Malformed, UnsupportedKind
            As :func:`osler.standards.hl7v2.parse`.
        """
        message = parse(content)
        collected = CollectedIdentities()
        _Pass(message, collected, RemovedText(), self._this_year).run()
        self._pseudonyms.prefetch(list(dict.fromkeys(collected.identities)))
        text = self._text_for(known_people(message))
        return build(_Pass(message, self._pseudonyms, text, self._this_year).run())


class _Pass:
    """One pass over a message."""

    def __init__(self, message: Message, pseudonyms: Pseudonyms, text: TextDeidentifier, this_year: int) -> None:
        self._message = message
        self._marks = message.delimiters
        self._pseudonyms = pseudonyms
        self._text = text
        self._actions: Mapping[str, Callable[[str, _Rule], str]] = {
            "match": self._match,
            "year": lambda raw, rule: safe_harbor.year(raw),
            "birth": lambda raw, rule: safe_harbor.year_of_birth(raw, this_year=this_year),
            "code": self._code,
            "unit": self._unit,
            "address": self._address,
            "patient": lambda raw, rule: self._numbered(raw, patient=True),
            "number": lambda raw, rule: self._numbered(raw, patient=False),
            "accession": lambda raw, rule: self._accession(raw),
            "charset": lambda raw, rule: raw if raw in CHARACTER_SETS else "",
            "text": lambda raw, rule: self._words(raw),
            "name": lambda raw, rule: self._marks.component * 6 + _CODED_NAME,
        }

    def run(self) -> Message:
        """Return the message that may go on."""
        kept: list[Segment] = []
        removed = False
        for segment in self._message.segments:
            # A note belongs to what stands before it; it must not become the note of something else.
            removed = segment.name not in _rules() if segment.name != "NTE" else removed
            if not removed:
                kept.append(segment)
        reports = self._reports(kept)
        segments = tuple(self._segment(segment, reports.get(index)) for index, segment in enumerate(kept))
        return Message(self._marks, segments, self._message.codec)

    def _segment(self, segment: Segment, report: str | None) -> Segment:
        rules = _rules()[segment.name]
        fields = []
        for number, raw in enumerate(segment.fields, start=1):
            rule = rules.get(number)
            if segment.name == "MSH" and number <= 2:
                fields.append(raw)
            elif rule is not None and report is not None and rule.action in ("text", "value"):
                fields.append(report)
            elif rule is None or not raw:
                fields.append("")
            elif raw == '""':
                fields.append(raw)  # "delete what you have": no value
            else:
                fields.append(self._repetitions(raw, rule, segment))
        return Segment(segment.name, tuple(fields), segment.terminator)

    def _repetitions(self, raw: str, rule: _Rule, segment: Segment) -> str:
        mark = self._marks.repetition
        return mark.join(self._one(item, rule, segment) if item else "" for item in split(raw, mark))

    def _one(self, raw: str, rule: _Rule, segment: Segment) -> str:
        if rule.action != "value":
            return self._actions[rule.action](raw, rule)
        kind = segment.field(2)
        if kind in ("CE", "CWE", "CNE", "CF", "IS", "ID"):
            return self._code(raw, rule)
        if kind in ("ST", "TX", "FT") and re.fullmatch(r"[0-2](?:\.(?:0|[1-9][0-9]*)){5,30}", raw):
            return self._pseudonyms.uid(raw)
        unit = self._message.text(split(segment.field(6), self._marks.component)[0])
        return clean_value(raw, kind, unit, self._message, self._text)

    def _reports(self, segments: Iterable[Segment]) -> dict[int, str]:
        """Return the new text of reports and notes by segment; lines of one report are read as one text."""
        made: dict[int, str] = {}
        for key, run in groupby(enumerate(segments), key=lambda pair: _report_key(pair[1])):
            if key:
                members = list(run)
                numbers = {"OBX": 5, "NTE": 3}
                raws = [segment.field(numbers[segment.name]) for _, segment in members]
                made |= dict(zip((index for index, _ in members), self._report(raws), strict=True))
        return made

    def _report(self, raws: list[str]) -> list[str]:
        mark = self._marks.repetition
        slots = [[self._message.text(item) for item in split(raw, mark)] for raw in raws]
        lines = self._text.deidentify("\n".join(text for slot in slots for text in slot)).split("\n")
        counts = [[text.count("\n") + 1 for text in slot] for slot in slots]
        counts[-1][-1] = max(1, len(lines) - sum(map(sum, counts)) + counts[-1][-1])  # the last takes what is left
        left = iter(lines)
        return [mark.join(self._marks.escaped("\n".join(islice(left, count))) for count in slot) for slot in counts]

    def _words(self, raw: str) -> str:
        return self._marks.escaped(self._text.deidentify(self._message.text(raw)))

    def _match(self, raw: str, rule: _Rule) -> str:
        mark = self._marks.component
        parts = split(raw, mark)
        return mark.join(
            part if i < len(rule.forms) and rule.forms[i].fullmatch(part) else "" for i, part in enumerate(parts)
        )

    def _code(self, raw: str, rule: _Rule) -> str:
        """Clean a CWE: identifier, text, code system; the same again for another system; the original text."""
        mark = self._marks.component
        raws = split(raw, mark)
        parts = [*(self._message.text(part) for part in raws[:_CWE]), *[""] * _CWE][:_CWE]
        made = [""] * _CWE
        for first in (0, 3):
            code, words, name = parts[first : first + 3]
            system = system_of_v2(name) if name else None
            plain = rule.forms[0].fullmatch(code) if rule.forms and not name else None
            known = system.has(code) if system else plain is not None
            code = code if known else "" if system or not code else local_code(code, self._text)
            cleaned = self._text.deidentify(words) if words else ""
            made[first : first + 3] = code, cleaned, name if system and code else "L" if name and code else ""
        made[8] = self._text.deidentify(parts[8]) if parts[8] else ""
        kept = [self._marks.escaped(part) for part in made][: len(raws)]
        return mark.join([*kept, *[""] * (len(raws) - len(kept))])

    def _unit(self, raw: str, rule: _Rule) -> str:
        return raw if is_unit(self._message.text(raw)) else self._unit_code(raw, rule)

    def _unit_code(self, raw: str, rule: _Rule) -> str:
        mark = self._marks.component
        first, *rest = split(raw, mark)
        code = first if is_unit(self._message.text(first)) else ""
        return mark.join([code, *("UCUM" if code and part == "UCUM" and i == 1 else "" for i, part in enumerate(rest))])

    def _address(self, raw: str, rule: _Rule) -> str:
        mark = self._marks.component
        parts = [self._message.text(part) for part in split(raw, mark)]
        keep = {3: safe_harbor.state, 4: safe_harbor.postal_area, 5: safe_harbor.country}
        return mark.join(keep[i](part) if i in keep else "" for i, part in enumerate(parts))

    def _numbered(self, raw: str, *, patient: bool) -> str:
        """Replace the number of a CX, EI or ST; of who gave it out and what it is, keep the type (CX.5) alone."""
        mark = self._marks.component
        parts = [self._message.text(part) for part in split(raw, mark)]
        kind = parts[4] if len(parts) > 4 else ""
        made = [""] * len(parts)
        if parts[0].strip() and kind not in _NO_NUMBER:
            if patient and kind in _PATIENT_NUMBERS:
                issuer = split(split(raw, mark)[3], self._marks.subcomponent)[0] if len(parts) > 3 else ""
                made[0] = self._pseudonyms.patient(parts[0], self._message.text(issuer))
            else:
                made[0] = self._pseudonyms.accession(parts[0], "HL7 v2")
        if len(parts) > 4 and re.fullmatch(r"[A-Z]{2,4}", kind):
            made[4] = kind
        return mark.join(made)

    def _accession(self, raw: str) -> str:
        mark = self._marks.component
        first, *rest = split(raw, mark)
        number = self._message.text(first)
        return mark.join([self._pseudonyms.accession(number, "") if number.strip() else "", *("" for _ in rest)])


def _report_key(segment: Segment) -> tuple[str, ...]:
    if segment.name == "NTE":
        return ("NTE",)
    if segment.name == "OBX" and segment.field(2) in _REPORT_TYPES:
        return ("OBX", segment.field(2), segment.field(3))
    return ()


@cache
def _rules() -> Mapping[str, Mapping[int, _Rule]]:
    source = files("osler.deidentify").joinpath("data/hl7v2-rules.csv").read_text(encoding="ascii")
    made: dict[str, dict[int, _Rule]] = {}
    for row in csv.DictReader(source.splitlines()[2:]):
        forms = tuple(re.compile(form, re.ASCII) for form in _forms(row["action"], row["form"]))
        made.setdefault(row["segment"], {})[int(row["field"])] = _Rule(row["action"], forms)
    return made


def _forms(action: str, form: str) -> list[str]:
    if action == "match":
        return form.split(" ")
    return [form] if form else []
