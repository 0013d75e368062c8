"""HL7 v2 messages without identity: fields by the rules of their segment, unknown ones empty, unknown segments gone.

The rules are ``data/hl7v2-rules.csv``. What stays keeps its place: segments, fields, repetitions and delimiters.
"""

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import groupby, islice
from typing import Final, NamedTuple

from osler.deidentify import safe_harbor
from osler.deidentify.batched import MANY, BatchedText, RecordedText
from osler.deidentify.coding import is_unit, local_code, system_of_v2
from osler.deidentify.collecting import CollectedIdentities
from osler.deidentify.dates import secret_of
from osler.deidentify.dicom import Pseudonyms
from osler.deidentify.free_text import RemovedText, TextDeidentifier, known_values
from osler.deidentify.hl7v2_known import PATIENT_NUMBERS, known_people, patient_number
from osler.deidentify.hl7v2_values import Observed, clean_value
from osler.deidentify.last_look import LastLook
from osler.deidentify.methods import Values
from osler.deidentify.structured import StructuredDeidentifier
from osler.deidentify.surrogate_names import surrogate
from osler.standards.hl7v2 import CHARACTER_SETS, Message, Segment, build, parse, split

_UID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]{0,38})){5,30}")
_QUANTITY: Final = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,4})?")
_REPORT_TYPES: Final = frozenset({"TX", "FT"})
_LONG: Final = 20_000  # characters, from which on it is asked how many texts there are
_CWE: Final = 9  # components: two codes of three, their versions, the original text
_CODED_NAME: Final = "S"  # table 0200: coded pseudo-name to ensure anonymity
_NO_NUMBER: Final = frozenset({"SS", "DL", "PPN"})  # table 0203: numbers that another register leads back


class _Rule(NamedTuple):
    action: str
    forms: tuple[re.Pattern[str], ...]


class Hl7v2Deidentifier(StructuredDeidentifier):
    """De-identifies messages by one method."""

    def message(self, content: bytes) -> bytes:
        """Return one message without identity, in the same delimiters, character set and line ends.

        MSH-8 (Security) names the method.

        Raises
        ------
        Malformed, UnsupportedKind, TooLarge
            As :func:`osler.standards.hl7v2.parse`.
        """
        message = parse(content)
        collected = CollectedIdentities()
        self._pass(message, collected, lambda secret: RemovedText()).run()
        self._pseudonyms.prefetch(list(dict.fromkeys(collected.identities)))
        known = known_people(message)

        @cache
        def text_of(secret: str) -> TextDeidentifier:
            return LastLook(self._text_for(known, secret), known)

        return build(self._pass(message, self._pseudonyms, text_of).run())

    def _pass(self, message: Message, pseudonyms: Pseudonyms, text_of: Callable[[str], TextDeidentifier]) -> "_Pass":
        return _Pass(message, pseudonyms, text_of, self._values_of, method=self._method)


class _Pass:
    """One pass over a message."""

    def __init__(
        self,
        message: Message,
        pseudonyms: Pseudonyms,
        text_of: Callable[[str], TextDeidentifier],
        values_of: Callable[[str], Values],
        *,
        method: str,
    ) -> None:
        self._message = message
        self._marks = message.delimiters
        self._pseudonyms = pseudonyms
        self._collects = isinstance(pseudonyms, CollectedIdentities)
        self._text_of = text_of
        self._values_of = values_of
        self._method = method
        self._theirs = known_values(known_people(message))
        self._text = text_of("")
        self._values = values_of("")
        self._actions: Mapping[str, Callable[[str, _Rule], str]] = {
            "match": self._match,
            "date": lambda raw, rule: self._first(raw, self._values.date),
            "birth": lambda raw, rule: self._first(raw, self._values.birth),
            "period": self._period,
            "code": self._code,
            "range": self._range,
            "measure": self._measure,
            "parents": self._parents,
            "uid": lambda raw, rule: self._uid(raw),
            "unit": self._unit,
            "address": self._address,
            "patient": lambda raw, rule: self._numbered(raw, patient=True),
            "number": lambda raw, rule: self._numbered(raw, patient=False),
            "accession": lambda raw, rule: self._accession(raw),
            "charset": lambda raw, rule: raw if raw in CHARACTER_SETS else "",
            "text": lambda raw, rule: self._words(raw),
            "name": lambda raw, rule: self._name(raw),
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
        made: list[Segment] = []
        for secret, group in self._patients(kept):
            self._text, self._values = self._text_of(secret), self._values_of(secret)
            length = sum(len(field) for segment in group for field in segment.fields)
            if length > _LONG and not self._collects:
                self._read_together(group)
            made += self._cleaned(group)
        return Message(self._marks, tuple(made), self._message.codec, self._message.mark)

    def _cleaned(self, group: Sequence[Segment]) -> list[Segment]:
        reports = self._reports(group)
        return [self._segment(segment, reports.get(index)) for index, segment in enumerate(group)]

    def _read_together(self, group: Sequence[Segment]) -> None:
        """Have the texts of a patient read as one when there are many."""
        text, recorded = self._text, RecordedText()
        self._text = recorded
        self._cleaned(group)
        self._text = BatchedText(text, recorded.texts) if len(recorded.texts) > MANY else text

    def _patients(self, segments: Sequence[Segment]) -> list[tuple[str, list[Segment]]]:
        """Return the segments of each patient with his secret; what stands before the first PID is of the first."""
        groups: list[tuple[str, list[Segment]]] = [("", [])]
        for segment in segments:
            if segment.name == "PID" and self._method != "safe-harbor":
                patient = patient_number(self._message, segment)
                secret = self._pseudonyms.uid(secret_of(patient).value) if patient else ""
                if any(s.name == "PID" for s in groups[-1][1]):
                    groups.append((secret, []))
                else:
                    groups[-1] = (secret, groups[-1][1])
            groups[-1][1].append(segment)
        return groups

    def _segment(self, segment: Segment, report: str | None) -> Segment:
        rules = _rules()[segment.name]
        fields = []
        for number, raw in enumerate(segment.fields, start=1):
            rule = rules.get(number)
            if segment.name == "MSH" and number <= 2:
                fields.append(raw)
            elif rule is not None and report is not None and rule.action in ("text", "value"):
                fields.append(report)
            elif rule is not None and rule.action == "method":
                fields.append(self._method.upper())
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
        if kind in ("ST", "TX", "FT") and _UID.fullmatch(raw):
            return self._pseudonyms.uid(raw)
        unit = self._message.text(split(segment.field(6), self._marks.component)[0])
        return clean_value(raw, kind, Observed(unit, self._message, self._text, self._values, self._theirs))

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
            part if i < len(rule.forms) and rule.forms[i].fullmatch(part) and part not in self._theirs else ""
            for i, part in enumerate(parts)
        )

    def _code(self, raw: str, rule: _Rule) -> str:
        """Clean a CWE: identifier, text, code system; the same again for another system; the original text."""
        if self._collects:
            return ""  # no pseudonym is in a code
        mark = self._marks.component
        raws = split(raw, mark)
        parts = [*(self._message.text(part) if part else "" for part in raws[:_CWE]), *[""] * _CWE][:_CWE]
        made = [""] * _CWE
        for first in (0, 3):
            code, words, name = parts[first : first + 3]
            if not code and not words:
                continue
            system = system_of_v2(name) if name else None
            plain = rule.forms[0].fullmatch(code) if rule.forms and not name else None
            known = (system.has(code) if system else plain is not None) and code not in self._theirs
            closed = system is not None and system.uri
            code = code if known else "" if closed or not code else local_code(code, self._text)
            shown = self._text.display if system and code else self._text.deidentify
            cleaned = shown(words) if words else ""
            made[first : first + 3] = code, cleaned, name if system and code else "L" if name and code else ""
        made[8] = self._text.deidentify(parts[8]) if parts[8] else ""
        kept = [self._marks.escaped(part) if part else "" for part in made[: len(raws)]]
        return mark.join([*kept, *[""] * (len(raws) - len(kept))])

    def _range(self, raw: str, rule: _Rule) -> str:
        return raw if rule.forms[0].fullmatch(raw) and raw not in self._theirs else self._words(raw)

    def _measure(self, raw: str, rule: _Rule) -> str:
        """Clean a CQ: a quantity and its unit."""
        first, *rest = split(raw, self._marks.component)
        unit = self._unit_name(split(rest[0], self._marks.subcomponent)[0]) if rest else ""
        number = first if _QUANTITY.fullmatch(first) and first.partition(".")[0] not in self._theirs else ""
        return self._marks.component.join([number, *([unit] if rest else []), *("" for _ in rest[1:])])

    def _parents(self, raw: str, rule: _Rule) -> str:
        """Replace the numbers of an EIP: the placer's and the filler's, as where they are given by themselves."""
        mark = self._marks.component
        numbers = [self._message.text(split(part, self._marks.subcomponent)[0]) for part in split(raw, mark)]
        return mark.join(self._pseudonyms.accession(n, "HL7 v2") if n.strip() else "" for n in numbers)

    def _uid(self, raw: str) -> str:
        mark = self._marks.component
        first, *rest = split(raw, mark)
        made = self._pseudonyms.uid(first) if _UID.fullmatch(first) else ""
        return mark.join([made, *("DICOM" if part == "DICOM" and i == 2 else "" for i, part in enumerate(rest))])

    def _unit(self, raw: str, rule: _Rule) -> str:
        """Clean a CWE of a unit, or a unit that is written without its escapes (``%`` and ``^`` may be in one)."""
        whole = self._unit_name(raw)
        if whole:
            return whole
        mark = self._marks.component
        first, *rest = split(raw, mark)
        code = self._unit_name(first)
        shown = ["UCUM" if part == "UCUM" else self._unit_name(part) for part in rest]
        return mark.join([code, *(shown if code else [""] * len(rest))])

    def _unit_name(self, raw: str) -> str:
        text = self._message.text(raw)
        if not text or not is_unit(text):
            return ""
        return raw if text == raw else self._marks.escaped(text)

    def _address(self, raw: str, rule: _Rule) -> str:
        mark = self._marks.component
        parts = [self._message.text(part) for part in split(raw, mark)]
        keep = {2: self._town, 3: safe_harbor.state, 4: self._values.postal, 5: safe_harbor.country}
        return mark.join(self._marks.escaped(keep[i](part)) if i in keep else "" for i, part in enumerate(parts))

    def _town(self, name: str) -> str:
        return "" if self._theirs & set(name.lower().split()) else self._values.city(name)

    def _first(self, raw: str, change: Callable[[str], str]) -> str:
        """Change a TS by its first component; the second tells its precision alone."""
        first, *rest = split(raw, self._marks.component)
        return self._marks.component.join([change(first), *("" for _ in rest)])

    def _name(self, raw: str) -> str:
        """Mark an XPN as a pseudonym; with surrogates it is another name, the one that texts give the patient."""
        mark = self._marks.component
        parts = [self._message.text(split(part, self._marks.subcomponent)[0]) for part in split(raw, mark)]
        family, given, middle = [*parts, "", ""][:3]
        made = surrogate([given, middle, family], self._text) if self._method == "surrogates" else []
        first = [made[2], made[0], made[1]] if made else ["", "", ""]
        return mark.join([*map(self._marks.escaped, first), "", "", "", _CODED_NAME])

    def _period(self, raw: str, rule: _Rule) -> str:
        mark = self._marks.component
        return mark.join(self._values.date(split(part, self._marks.subcomponent)[0]) for part in split(raw, mark))

    def _numbered(self, raw: str, *, patient: bool) -> str:
        """Replace the number of a CX, EI or ST; of who gave it out and what it is, keep the type (CX.5) alone."""
        mark = self._marks.component
        parts = [self._message.text(part) for part in split(raw, mark)]
        kind = parts[4] if len(parts) > 4 else ""
        made = [""] * len(parts)
        if parts[0].strip() and kind not in _NO_NUMBER:
            if patient and kind in PATIENT_NUMBERS:
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
