"""Known identifiers first: what the context tells of the patient is found however the text writes it."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from osler.deidentify.text.engine import Document
from osler.deidentify.text.spans import Category, Span

LONG_NAME: Final = 6
"""Names of so many letters are also found with one letter wrong, missing, added, or two swapped."""

_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]{2,})?")
_FIELDS: Final = (
    (re.compile(r"fax"), Category.FAX),
    (re.compile(r"phone|tel|mobile|cell|contact"), Category.PHONE),
    (re.compile(r"e-?mail"), Category.EMAIL),
    (re.compile(r"ssn|social"), Category.SSN),
    (re.compile(r"mrn|medical.?record|patient.?(?:id|number)"), Category.MRN),
    (re.compile(r"plan|policy|member|subscriber|insur|medicare|medicaid"), Category.HEALTH_PLAN),
    (re.compile(r"account|acct|csn|visit|encounter"), Category.ACCOUNT),
    (re.compile(r"licen[cs]e|passport|npi|dea"), Category.LICENSE),
    (re.compile(r"vin|plate|vehicle"), Category.VEHICLE),
    (re.compile(r"serial|device|udi"), Category.DEVICE),
    (re.compile(r"url|web|site"), Category.URL),
    (re.compile(r"birth|dob|date|admi|discharge|death|deceased"), Category.DATE),
    (
        re.compile(r"address|street|line|city|town|district|zip|postal|employer|school|facility|hospital"),
        Category.LOCATION,
    ),
    (
        re.compile(r"name|given|family|relative|spouse|mother|father|provider|physician|doctor|alias|prefix|suffix"),
        Category.NAME,
    ),
)
_SILENT: Final = frozenset(
    [
        "resourceType",
        "id",
        "meta",
        "text",
        "use",
        "system",
        "active",
        "gender",
        "sex",
        "period",
        "rank",
        "state",
        "country",
        "language",
        "type",
        "code",
        "coding",
        "display",
    ]
)
"""Keys whose values tell no identifier: structure, codes, and what Safe Harbor keeps."""

_TYPES: Final = {
    "MR": Category.MRN,
    "SS": Category.SSN,
    "DL": Category.LICENSE,
    "PPN": Category.LICENSE,
    "MB": Category.HEALTH_PLAN,
    "AN": Category.ACCOUNT,
}


@dataclass(frozen=True, slots=True)
class KnownIdentifiers:
    """A recogniser of values that are known beforehand.

    Parameters
    ----------
    names : sequence of sequence of str
        Each a full name, as its words.
    values : sequence of (Category, str)
        Everything else, as the context writes it.
    nicknames : callable
        Takes a lower-case given name, returns others for it.
    is_vocabulary : callable
        Tells an ordinary lower-case word; such a name is hidden only beside
        another part of the name.
    months : sequence of str
        The twelve names in lower case.
    """

    names: Sequence[Sequence[str]]
    values: Sequence[tuple[Category, str]]
    nicknames: Callable[[str], Iterable[str]]
    is_vocabulary: Callable[[str], bool]
    months: Sequence[str]
    _patterns: list[tuple[Category, re.Pattern[str]]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Compile the values' patterns."""
        for category, value in self.values:
            is_date = category is Category.DATE
            patterns = date_patterns(value, self.months) if is_date else [value_pattern(value)]
            if category is Category.LOCATION:
                patterns.extend(value_pattern(part) for part in street_parts(value))
            elif not is_date:
                patterns.extend(value_pattern(part) for part in re.findall(r"\d{5,}", value) if part != value)
            self._patterns.extend((category, re.compile(pattern)) for pattern in patterns if pattern)
        for name in self.names:
            patterns = [initials_pattern(name), *map(spaced_pattern, name)]
            self._patterns.extend((Category.NAME, re.compile(p)) for p in patterns if p)

    @classmethod
    def from_patient_json(
        cls,
        context: Mapping[str, Any],
        *,
        nicknames: Callable[[str], Iterable[str]],
        is_vocabulary: Callable[[str], bool],
        months: Sequence[str],
    ) -> "KnownIdentifiers":
        """Read a FHIR R4 Patient, or any object whose keys say what the values are (name, mrn, birthDate, phone ...).

        What no key explains is an identifier all the same.
        """
        values = [(category, value.strip()) for category, value in _walk(context, "", None) if value.strip()]
        names = [tuple(_WORD.findall(value)) for category, value in values if category is Category.NAME]
        others = [(category, value) for category, value in values if category is not Category.NAME]
        return cls(names, others, nicknames, is_vocabulary, months)

    def spans(self, document: Document) -> Iterator[Span]:
        """Return every place where a known value stands."""
        for category, pattern in self._patterns:
            for match in pattern.finditer(document.shadow.lower):
                yield Span(match.start(), match.end(), category, 1.0, "known")
        yield from self._name_spans(document.shadow.text)

    def _name_spans(self, text: str) -> Iterator[Span]:
        verdicts: dict[str, bool | None] = {}
        verdict = self._verdict()
        held: list[tuple[re.Match[str], bool]] = []
        for match in _WORD.finditer(text):
            word = match[0]
            if word not in verdicts:
                verdicts[word] = verdict(word)
            certain = verdicts[word]
            beside = bool(held) and text[held[-1][0].end() : match.start()].strip(" ,.-^_") == ""
            if not beside:
                yield from _name(text, held)
                held = []
            if certain is not None or (beside and len(word) == 1 and word.isupper()):
                held.append((match, bool(certain)))
            else:
                yield from _name(text, held)
                held = []
        yield from _name(text, held)

    def _verdict(self) -> Callable[[str], bool | None]:
        """Return what says True of a name by itself, False of one that needs another beside it, None of no name."""
        parts = {fold(word) for name in self.names for word in name if len(word) > 1}
        parts |= {part.replace("'", "").replace("’", "") for part in parts}
        sure = {part for part in parts if not self.is_vocabulary(part)} | self._glued()
        nicknames = {fold(other) for part in parts for other in self.nicknames(part)} - parts
        long = [part for part in sure if len(part) >= LONG_NAME]

        def verdict(word: str) -> bool | None:
            low = fold(word)
            for form in (low, re.sub(r"['’]s$", "", low)):
                if form in sure:
                    return True
                if form in parts:
                    return False if word[0].isupper() else None
                if form in nicknames and word[0].isupper():
                    return not self.is_vocabulary(form)
                if any(near(form, name) for name in long):
                    return True
            return None

        return verdict

    def _glued(self) -> set[str]:
        """Return the names written as one word ("smithjohn"), and an initial with the other part ("jsmith")."""
        glued: set[str] = set()
        for name in self.names:
            words = [fold(word) for word in name if len(word) > 1]
            for one in words:
                for other in words:
                    if one != other:
                        glued |= {one + other, one + other[0], one[0] + other}
        initials = [*self.names, *([name[0], *name[-2:]] for name in self.names if len(name) > 3)]
        capitals = {"".join(word[0] for word in name).lower() for name in initials if len(name) >= 3}
        return {word for word in glued if len(word) > 4 and not self.is_vocabulary(word)} | {
            word for word in capitals if not self.is_vocabulary(word)
        }


def _name(text: str, held: Sequence[tuple[re.Match[str], bool]]) -> Iterator[Span]:
    """Return the span of neighbouring parts of a name, with an initial before it, without the possessive after it."""
    if any(certain for _, certain in held) or sum(len(match[0]) > 1 for match, _ in held) > 1:
        start, end = held[0][0].start(), held[-1][0].end()
        initial = re.search(r"(?<!\w)[A-Z]\.? $", text[max(0, start - 4) : start])
        possessive = re.search(r"['’]s$", text[start:end])
        yield Span(
            start - (len(initial[0]) if initial else 0), end - (2 if possessive else 0), Category.NAME, 1.0, "known"
        )


def fold(word: str) -> str:
    """Return a word in lower case without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(c))


def near(word: str, name: str) -> bool:
    """Tell whether two words differ by one letter, or by two neighbours swapped (distance 1)."""
    if abs(len(word) - len(name)) > 1 or len(word) < LONG_NAME - 1:
        return False
    at = next((i for i, (a, b) in enumerate(zip(word, name, strict=False)) if a != b), min(len(word), len(name)))
    if word[at:] in {name[at + 1 :]} or word[at + 1 :] in {name[at:], name[at + 1 :]}:
        return True
    return word[at : at + 2] == name[at : at + 2][::-1] and word[at + 2 :] == name[at + 2 :]


def value_pattern(value: str) -> str:
    """Return a pattern of a value whatever punctuation or spaces its letters and digits have between them."""
    characters = [c for c in value.lower() if c.isalnum()]
    if len(characters) < 3:
        return ""
    gap = r"[\s\-./()_,#+]{0,3}" if any(c.isdigit() for c in characters) else r"[\s\-.,']{0,3}"
    return r"(?<![^\W_])" + gap.join(map(re.escape, characters)) + r"(?![^\W_])"


def street_parts(line: str) -> list[str]:
    """Return a line of an address without its house number, and without its last word ("12 Main St")."""
    words = line.split()
    if len(words) < 3 or not words[0][:1].isdigit():
        return []
    name = words[1:-1]
    return [" ".join(words[1:]), " ".join(words[:-1]), *([" ".join(name)] if len(name) > 1 else [])]


def spaced_pattern(word: str) -> str:
    """Return a pattern of a word whose letters stand apart ("S M I T H")."""
    letters = [c for c in word.lower() if c.isalpha()]
    return r"\b" + r"[ .\-]{1,2}".join(map(re.escape, letters)) + r"\b" if len(letters) > 3 else ""


def initials_pattern(name: Sequence[str]) -> str:
    """Return a pattern of a full name's initials with full stops ("j.r.s.")."""
    if not 2 <= len(name) <= 4:
        return ""
    letters = [re.escape(word[0].lower()) for word in name]
    some = [letters, [letters[0], letters[-1]]]
    return r"\b(?:" + "|".join(r"\.[ ]?".join(each) + r"\.(?!\w)" for each in some) + ")"


def date_patterns(value: str, months: Sequence[str]) -> list[str]:
    """Return patterns of an ISO or HL7 date in every order, with and without its year."""
    match = re.match(r"(\d{4})-?(\d\d)-?(\d\d)", value)
    if not match:
        return [value_pattern(value)]
    year, month, day = match.groups()
    m, d = rf"0?{int(month)}", rf"0?{int(day)}(?:st|nd|rd|th)?"
    y = rf"(?:{year}|'?{year[2:]})"
    gap, name = r"[\s/.,\-]{1,3}", months[int(month) - 1][:3] + r"[a-z]{0,6}\.?" if 1 <= int(month) <= 12 else month
    forms = (
        rf"{m}{gap}{d}{gap}{y}",
        rf"{d}{gap}{m}{gap}{y}",
        rf"{year}{gap}{m}{gap}{d}",
        rf"{name}[\s.,\-]{{0,3}}{d}(?:[\s,\-]{{1,3}}{y})?",
        rf"{d}[\s\-]{{0,3}}(?:of )?{name}(?:[\s,\-]{{0,3}}{y})?",
        rf"{year}{month}{day}",
        rf"{month}{day}{y}",
        rf"{day}{month}{y}",
    )
    return [rf"(?<!\w){form}(?!\w)" for form in forms]


def _walk(node: Any, key: str, category: Category | None) -> Iterator[tuple[Category, str]]:
    if isinstance(node, Mapping):
        inner = _category_of(node, category)
        if inner is Category.NAME and ("family" in node or "given" in node):
            given = node.get("given") or []
            words = [*([given] if isinstance(given, str) else given), node.get("family") or ""]
            yield Category.NAME, " ".join(map(str, words))
            return
        for name, value in node.items():
            if name not in _SILENT:
                yield from _walk(value, name, _category(name) or inner)
    elif isinstance(node, str | int) and not isinstance(node, bool):
        yield category or (Category.OTHER_ID if any(map(str.isdigit, str(node))) else Category.NAME), str(node)
    elif isinstance(node, Sequence):
        for value in node:
            yield from _walk(value, key, category)


def _category(key: str) -> Category | None:
    low = key.lower()
    return next((category for pattern, category in _FIELDS if pattern.search(low)), None)


def _category_of(node: Mapping[str, Any], outer: Category | None) -> Category | None:
    system = node.get("system")
    if isinstance(system, str) and system in {"phone", "fax", "email", "url", "pager", "sms"}:
        return {"fax": Category.FAX, "email": Category.EMAIL, "url": Category.URL}.get(system, Category.PHONE)
    kind = node.get("type")
    if isinstance(kind, Mapping):
        for coding in kind.get("coding") or ():
            code = coding.get("code") if isinstance(coding, Mapping) else None
            if isinstance(code, str) and code in _TYPES:
                return _TYPES[code]
    if isinstance(system, str) and system.endswith("us-ssn"):
        return Category.SSN
    return outer
