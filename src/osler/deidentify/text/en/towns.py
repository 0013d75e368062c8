"""Towns of the gazetteer."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from osler.deidentify.text.en.crowd import is_crowded
from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.terms import terms
from osler.deidentify.text.en.wordlists import load_lexicon, load_places
from osler.deidentify.text.engine import Document
from osler.deidentify.text.spans import Category, Span

_CANDIDATE: Final = re.compile(
    r"[A-Z\u00c0-\u00de][\w.'\-]{1,25}(?:[ \t](?:(?:de|del|du|la|le|upon"
    r"|on) )?[A-Z\u00c0-\u00de][\w.'\-]{1,25}){0,3}"
)
_LOWER_CANDIDATE: Final = re.compile(
    r"\b(?:(?P<home>lives? in|living in|resident of|born in|grew up in|raised in|moved (?:to|from)|native of|visiting"
    r"|home in)|in|from|near|to|outside) (?P<v>[a-z]{3,20}(?: [a-z]{3,20})?)\b"
)
_CODE_AFTER: Final = re.compile(r"[ ,]{1,2}(?!(?:19|20)\d\d\b)(?:\d{4,6}|\d{3}-\d{4})(?![\w.%])")
_CODE_BEFORE: Final = re.compile(
    r"(?<![\w.])(?!(?:19|20)\d\d )(?:\d{5}|\d{3} \d\d|\d{4} [A-Z]{2}|[A-Z]{1,2}-\d{4,5}) $"
)
_WHERE: Final = re.compile(
    r"(?:\b(?:in|from|near|outside|visiting|via|to|around|leaving|downtown|greater|lives? at"
    r"|(?:street|st|avenue|ave|road|rd|drive|dr|lane|ln|blvd|court|ct|way|place|pl|terrace|circle)\.?,|town of"
    r"|city of|village of|resident of|native of|born in|moved to|city:|town:"
    r"))\s{1,2}$",
    re.IGNORECASE,
)
_EPONYM: Final = re.compile(
    r"(?:'s)?[- ](?:[\w-]{2,20} ){0,2}(?:criteria|classifications?|scores?|scales?|stag(?:e"
    r"|ing)|definitions?|rules?|virus|fever|disease|syndrome|chromosome|"
    r"mutation|index|grad(?:e|ing)|protocol|guidelines?|brace|prep(?:aration)?|questionnaire|sump|ii|iii"
    r"|inventory|test|stool|sci(?:entific)?|enceph(?:alitis)?|flu|"
    r"consensus|regimen|system|tube|drain|catheter|method|procedure|trial|study|cohort"
    r"|heart study|equation|declaration|assessment|association|knee|hip|cuff|sign)\b",
    re.IGNORECASE,
)
SCORED: Final = re.compile(
    r" (?:[IVX]{1,4}[A-Ca-c]?\b|[A-Z]\d|[A-D](?=[.,;)]|$)|A\dL\d|\d{1,2}(?=[.,;]|$)|neg\b|pos\b|wnl|Naming|moderate"
    r"|mild|severe|ok\b|normal|passed|prep\b)"
)
_SITE: Final = re.compile(
    r" (?:downtown |medical |general |main |pediatric )?(?:clinics?|office|facility|hospital"
    r"|hosp|campus|branch|location|er|ed|urgent care|health(?! (?:dep|plan|ins|screen|care)))\b",
    re.IGNORECASE,
)
_SHORT: Final = re.compile(
    r"\b(?:NYC|San Fran|Philly|LA(?= (?:General|clinic|County))|the Bronx|Bronx|Vegas|Frisco"
    r"|Washington,? D\.?C\.?|(?:N\.?Y\.? )?New York(?! (?:State|Heart)))(?!\w)"
)
_TITLE: Final = re.compile(r"\b(?:dr|mr|mrs|ms|miss|prof|doctor|sister|nurse)\.? $", re.IGNORECASE)


def _plain(name: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(c))


_TERMS: Final = frozenset({"banff", "baveno", "kasai", "kawasaki", "kennedy", "lugano", "norwalk", "prague"})
"""Towns that a note names for a disease, a score or a procedure, unless the words before say that they are towns."""

OTHERWISE: Final = frozenset(
    {"home", "english", "french", "german", "polish", "spanish", "russian", "italian", "mandarin"}
)
"""Towns whose names a note rather writes for another thing: a language, the patient's home."""

_COMMON: Final = frozenset({"w0", "w1", "m", "d", "a", "o"})
_EDGES: Final = ".'-"
_ABBREVIATION: Final = re.compile(r"[a-z][A-Z]{2}")


class Towns:
    """Finds towns of the gazetteer: those that are nothing else anywhere, the others where the words before say so."""

    def __init__(self) -> None:
        self._codes = load_places()
        self._firsts = frozenset(name.split(" ")[0].rstrip(_EDGES) for name in self._codes)
        self._lexicon = load_lexicon()

    def spans(self, document: Document) -> Iterator[Span]:
        """Return towns."""
        text = document.shadow.text
        found = [span for match in _CANDIDATE.finditer(text) for span in self._longest(text, match)]
        yield from self._no_terms(document, found)
        for match in _SHORT.finditer(text):
            yield self._with_site(text, match.start(), match.end())
        for match in _LOWER_CANDIDATE.finditer(text):
            for name in (match["v"], match["v"].split(" ")[0]):
                end = match.start("v") + len(name)
                code = self._codes.get(name)
                if (
                    code == "p"
                    or (code and (match["home"] or not self._is_common(name, verb=match[0].startswith("to "))))
                ) and not _EPONYM.match(text, end, end + 60):
                    yield Span(match.start("v"), end, Category.LOCATION, 0.8, "town")
                    break

    def _is_common(self, name: str, *, verb: bool) -> bool:
        """Tell whether a word in smalls is rather no town: "to brush" is none, "from duluth" is one."""
        codes = self._lexicon.get(name, ("w0",))
        return is_vocabulary(name) and not ((_COMMON | {"w2"}) if verb else _COMMON).isdisjoint(codes)

    def _no_terms(self, document: Document, found: list[Span]) -> Iterator[Span]:
        """Return the spans without those towns that are part of a clinical term, or eponyms among others."""
        text, tokens = document.shadow.text, document.tokens if found else ()
        at = {token.start: i for i, token in enumerate(tokens)}
        in_terms = {i for first, last in terms(tokens) for i in range(first, last)}
        for span in found:
            i = at.get(span.start, -1)
            if span.rule == "town" and i >= 0:
                eponym = "e" in self._lexicon.get(tokens[i].text.lower(), ())
                where = eponym and _WHERE.search(text, max(0, span.start - 14), span.start)
                if i in in_terms or (eponym and not where and is_crowded(self._lexicon, tokens, i)):
                    continue
            yield span

    def _longest(self, text: str, match: re.Match[str]) -> Iterator[Span]:
        words = list(re.finditer(r"[^ \t]+", match[0]))
        first = 0
        while first < len(words):
            if not self._may_begin(words[first][0]):
                first += 1
                continue
            for last in range(len(words), first, -1):
                start = match.start() + words[first].start()
                end = match.start() + words[last - 1].end()
                name = text[start:end].rstrip(".'-")
                name = name[:-2] if name.endswith("'s") else name
                if self._is_place(text, start, name):
                    yield self._with_site(text, start, start + len(name))
                    first = last - 1
                    break
            first += 1

    def _may_begin(self, word: str) -> bool:
        """Tell whether a place begins with a word, so that the words after it need be tried."""
        bare = (word.lower() if word.isascii() else _plain(word)).rstrip(_EDGES)
        return bare in self._firsts or bare.removesuffix("'s") in self._firsts

    @staticmethod
    def _with_site(text: str, start: int, end: int) -> Span:
        """Return the span of a town, or of "the Dallas clinic", which is no town that a limited data set may keep."""
        site = _SITE.match(text, end)
        before, after = _CODE_BEFORE.search(text, max(0, start - 9), start), _CODE_AFTER.match(text, end)
        if before or after:
            start, end = before.start() if before else start, after.end() if after else end
            return Span(start, end, Category.LOCATION, 0.9, "town-code")
        return Span(start, site.end() if site else end, Category.LOCATION, 0.82, "town-site" if site else "town")

    def _is_place(self, text: str, start: int, name: str) -> bool:
        code = self._codes.get(name.lower() if name.isascii() else _plain(name))
        if code is None or name.lower() in OTHERWISE:
            return False
        end = start + len(name)
        if (
            _EPONYM.match(text, end, end + 60)
            or SCORED.match(text, end, end + 12)
            or _TITLE.search(text, max(0, start - 8), start)
        ):
            return False
        if (name.isupper() and len(name) < 5) or _ABBREVIATION.search(name):
            return False
        return (
            (code == "p" and name.lower() not in _TERMS)
            or bool(_WHERE.search(text, max(0, start - 14), start))
            or bool(_SITE.match(text, end) or _CODE_BEFORE.search(text, max(0, start - 9), start))
        )
