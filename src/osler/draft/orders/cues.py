"""Verbs with which a clinician orders, and who says them how: what is only considered, past or denied is no cue.

A verb counts where what stands before it makes it an intention of the clinician ("we will", "I want to"), what the
patient is told to do ("was advised to"), or an instruction at the head of a sentence. All else is no order.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from osler.domain.orders import OrderAction, OrderKind

_TESTS: Final = frozenset({OrderKind.LABORATORY, OrderKind.IMAGING, OrderKind.PROCEDURE})
_DRUG: Final = frozenset({OrderKind.MEDICATION})
_REFERRAL: Final = frozenset({OrderKind.REFERRAL})
_FOLLOW_UP: Final = frozenset({OrderKind.FOLLOW_UP})
_DEVICE: Final = frozenset({OrderKind.PROCEDURE})

_WHOM: Final = r"(?:(?:the\s+)?(?:patient|client)|you|him|her|them)"
_VISIT: Final = (
    r"(?:an|another|a|our|the|his|her|your)?\s*(?:next\s+)?(?:follow[ -]?up\s+)?(?:appointment|visit|follow[ -]?up)"
)
_VERBS: Final[tuple[tuple[str, frozenset[OrderKind], OrderAction], ...]] = (
    # the first that fits is it: phrases stand before their heads
    (
        rf"follow(?:ing)?[ -]?up|come\s+back|return|see(?:ing)?\s+{_WHOM}\s+(?:again|back|in\b|at\b|next|for)|"
        rf"check\s+{_WHOM}\s+in\b|get\s+{_WHOM}\s+back|(?:make|schedule|set\s+up|book)\s+{_VISIT}\b",
        _FOLLOW_UP,
        OrderAction.ORDER,
    ),
    (
        rf"(?:get|take|wean|come)\s+(?:{_WHOM}\s+)?off(?:\s+of)?|stop(?:ping)?(?:\s+taking)?|"
        r"discontinu(?:e|ing)|hold(?:ing)?(?!\s+off)",
        _DRUG,
        OrderAction.STOP,
    ),
    (
        rf"(?:get|have)\s+{_WHOM}\s+started\s+on|start(?:ing)?|begin(?:ning)?|initiat(?:e|ing)|"
        rf"(?:put|place)\s+{_WHOM}\s+(?:back\s+)?on|add(?:ing)?(?:\s+on)?",
        _DRUG | _DEVICE,
        OrderAction.START,
    ),
    (
        r"increas(?:e|ing)|decreas(?:e|ing)|reduc(?:e|ing)|rais(?:e|ing)|lower(?:ing)?|doubl(?:e|ing)|"
        r"bump(?:\s+up)?|go\s+(?:up|down)\s+on|cut\s+back\s+on|taper(?:ing)?|titrat(?:e|ing)|adjust(?:ing)?",
        _DRUG,
        OrderAction.CHANGE,
    ),
    (
        rf"refill(?:ing)?|renew(?:ing)?|(?:order|get|send\s+in|give|write|call\s+in)\s+(?:{_WHOM}\s+)?"
        r"(?:a|the|your|some)?\s*refills?(?:\s+(?:of|on|for))?",
        _DRUG,
        OrderAction.REFILL,
    ),
    (
        rf"refer(?:ring)?|referral\s+to|send(?:ing)?\s+{_WHOM}\s+(?:over\s+)?to|see|consult(?:ing)?|"
        rf"(?:place|put\s+in|make|submit|order|give)\s+(?:{_WHOM}\s+)?a\s+referral|"
        rf"get\s+{_WHOM}\s+(?:in\s+)?(?:with|to)",
        _REFERRAL,
        OrderAction.ORDER,
    ),
    (
        rf"prescrib(?:e|ing)|(?:call|send|phone)(?:ing)?\s+in|writ(?:e|ing)(?:\s+{_WHOM})?(?:\s+for)?|"
        rf"dispens(?:e|ing)|treat(?:ing)?\s+(?:{_WHOM}|this|that|it)\s+with|giv(?:e|ing)|provid(?:e|ing)|"
        rf"put(?:ting)?\s+{_WHOM}\s+in|fit",
        _DRUG | _DEVICE | _REFERRAL,
        OrderAction.ORDER,
    ),
    (r"continu(?:e|ing)|keep|maintain|monitor|watch", frozenset(), OrderAction.ORDER),
    (r"order(?:ing)?", frozenset(OrderKind) - _FOLLOW_UP, OrderAction.ORDER),
    (r"take(?!\s+(?:a\s+)?(?:look|listen|peek))|use|try|wear", _DRUG | _DEVICE, OrderAction.ORDER),
    (
        rf"set(?:ting)?\s+{_WHOM}\s+up(?:\s+(?:for|with))?|"
        rf"send(?:ing)?(?:\s+{_WHOM})?(?:\s+(?:off|out|up|down))?(?:\s+for)?|get(?:ting)?|obtain(?:ing)?|draw(?:ing)?|"
        r"(?:re)?check(?:ing)?(?:\s+(?:on|up\s+on))?|repeat(?:ing)?|run(?:ning)?|do(?:ing)?|perform(?:ing)?|"
        r"schedul(?:e|ing)|arrang(?:e|ing)|book|set\s+up|put\s+in|plac(?:e|ing)|updat(?:e|ing)|have|undergo|complete|"
        r"request(?:ing)?|collect|swab|bring|proceed\s+with|need|recommend|plan(?:\s+(?:for|on))?",
        _TESTS | _REFERRAL,
        OrderAction.ORDER,
    ),
)
_PASSIVE: Final[tuple[tuple[str, frozenset[OrderKind], OrderAction], ...]] = (
    (r"started\s+on|put\s+on|placed\s+on|treated\s+with", _DRUG, OrderAction.START),
    (r"started|initiated|added", _DRUG, OrderAction.START),
    (r"stopped|discontinued|held", _DRUG, OrderAction.STOP),
    (r"increased|decreased|reduced", _DRUG, OrderAction.CHANGE),
    (r"refilled|renewed", _DRUG, OrderAction.REFILL),
    (r"referred(?:\s+to)?|(?:seen|evaluated)\s+by", _REFERRAL, OrderAction.ORDER),
    (r"prescribed", _DRUG, OrderAction.ORDER),
    (
        r"ordered|scheduled(?:\s+for)?|obtained|performed|repeated|checked|rechecked|drawn|done|given|"
        r"placed\s+in(?:to)?|provided(?:\s+with)?|sent\s+for",
        _TESTS,
        OrderAction.ORDER,
    ),
)

_FILLED: Final = (
    r"(?:[\s,]+(?:also|just|then|now|again|first|next|actually|definitely|really|certainly|go\s+ahead(?:\s+and)?|"
    r"go\s+and|kind\s+of|today|for\s+now|for\s+right\s+now|right\s+now|in\s+the\s+meantime|start\s+by|"
    r"i\s+think|um|uh))*"
)
_INTENDS: Final = (
    r"(?:(?:'ll|’ll|\s+will|\s+shall|\s+should)(?:\s+(?:need|have|want|try|plan)\s+to)?|(?:\s+am|"
    r"\s+are|'m|'re)\s+(?:also\s+)?going\s+to|"
    r"(?:\s+do)?(?:\s+also)?\s+(?:want|need|have|plan|intend)\s+to|\s+(?:am|are)\s+planning\s+to|"
    r"(?:'d|\s+would)(?:\s+also)?\s+like\s+to)"
)
_TOLD: Final = (
    r"(?:\s+(?:will|should)(?:\s+(?:need|have|try)\s+to)?|\s+needs?\s+to|\s+(?:is|"
    r"are)\s+(?:also\s+)?going\s+to|\s+has\s+to|"
    r"\s+(?:is|are|was|were)\s+(?:advised|instructed|asked|encouraged|told|recommended)\s+to|\s+(?:is\s+)?to)"
)
_OTHERS: Final = (
    r"(?:the\s+(?:patient|nurse|medical\s+assistant|front\s+desk|ma)|my\s+(?:nurse|ma)|you|him|her|them|patient)"
)
_HEAD: Final = (
    r"(?:^|[.;]\s+)(?:[-*\u2022]\s*|\d{1,2}[.)]\s*)?(?:[^:.;]{1,80}:\s*)?"
    r"(?:(?:for|in|at|on|regarding|as|with|if|once|when|from)\s[^,.;]{1,100},\s*)?"
)
_LEAD: Final = re.compile(
    "|".join(
        (
            rf"(?P<we>\b(?:we|i){_FILLED}{_INTENDS}{_FILLED}\s+)$",
            rf"(?P<let>\b(?:let's|let’s|let\s+us){_FILLED}\s+)$",
            rf"(?P<have>\b(?:we|i){_FILLED}(?:\s+do)?(?:\s+also)?(?:\s+want|\s+need|(?:'d|"
            rf"\s+would)(?:\s+also)?\s+like|(?:'ll|\s+will)\s+(?:have|ask|get)|\s+have\s+(?:asked|advised|"
            rf"instructed))"
            rf"\s+{_OTHERS}(?:\s+to)?(?:\s+come\s+in\s+and)?{_FILLED}\s+)$",
            rf"(?P<ask>(?:^|\band\s+|,\s*)have\s+{_OTHERS}{_FILLED}\s+)$",
            rf"(?P<told>\b(?:patient|client|you|she|he|they){_FILLED}{_TOLD}{_FILLED}\s+)$",
            rf"(?P<that>(?:\brecommend(?:ed)?\b[^.;]{{0,30}}\s(?:that\s+)?(?:we|you|she|he|they|the\s+patient)|"
            rf"\brecommendation\s+(?:is|would\s+be)\s+to){_FILLED}\s+)$",
            rf"(?P<is>\b(?:do|plan|step|thing|done)\s+is(?:\s+to)?{_FILLED}\s+)$",
            rf"(?P<bare>(?<!\bam\s)(?<!\bis\s)(?<!\bare\s)(?<!\bwas\s)(?<!\bnot\s)(?<!'s\s)(?<!likely\s)(?<!'re\s)(?<!also\s)(?<!just\s)(?<!were\s)\bgoing\s+to{_FILLED}\s+)$",
            rf"(?P<going>(?:(?:^|[.;:]\s+|\band\s+)will|(?:^|[.;:]\s+)(?:plan\s+to|planning\s+to|"
            rf"would\s+like\s+to)){_FILLED}\s+)$",
            rf"(?P<head>{_HEAD}(?:(?:also|then|please|now|just|first|next|lastly|finally|go\s+ahead\s+and)[\s,]+)*)$",
        )
    ),
    re.IGNORECASE,
)
_GOING_ON: Final = re.compile(
    rf"\b(?:(?:i|we){_FILLED}(?:\s+am|\s+are|'m|'re)?(?:\s+going\s+to\s+be|\s+will\s+(?:also\s+)?be|"
    rf"(?<=\bam)|(?<=\bare)|(?<='m)|(?<='re))){_FILLED}\s+$",
    re.IGNORECASE,
)
_TO_BE: Final = re.compile(
    rf"(?:\b(?:will|should|needs?\s+to|(?:is|are)\s+going\s+to|(?:is|are)\s+to|(?:like|want|need)\s+(?:for\s+)?"
    rf"{_WHOM}\s+to)(?:\s+also)?\s+be|"
    rf"\bis\s+being){_FILLED}\s+$",
    re.IGNORECASE,
)
_RECOMMENDS: Final = re.compile(rf"\b(?:i|we){_FILLED}(?:\s+(?:do|would|will))?{_FILLED}\s+$", re.IGNORECASE)
_JOINED: Final = re.compile(rf"(?:\band|\bthen|,|\bas\s+well\s+as){_FILLED}\s*$", re.IGNORECASE)
_ALLOWED: Final = re.compile(r"\b(?:patient|you|she|he|they)\s+can(?:\s+(?:also|now|just))?\s+$", re.IGNORECASE)
_CAN: Final = re.compile(rf"\bwe\s+can{_FILLED}\s+$", re.IGNORECASE)
_OPEN: Final = re.compile(
    r"(?:\b(?:not|n't|never|no\s+need|unsure|whether|wonder\w*|debat\w+|consider\w*|discuss\w*|"
    r"talk\w*|think\w*\s+about|options?|could|may|might|"
    r"maybe|perhaps|possibl[ey]|potentially|tentatively|(?<!\bi\s)(?<!\bwe\s)(?:said|says|told|asked|"
    r"wants|wanted|thought|hop\w+|suggested)|"
    r"last\s+(?:time|visit|week|month|year)|previously|yesterday|ago)\b)(?:(?!\b(?:so|but|and|then|"
    r"now|today|i|we|they|he|she|which|because|since)\b)[^.;,:]){0,60}$",
    re.IGNORECASE,
)
_BARE_ONLY: Final = re.compile(
    r"(?:order|start|stop|discontinue|hold|increase|decrease|reduce|refill|renew|refer(?:ral)?|prescribe|"
    r"repeat|check|recheck|obtain|get|"
    r"schedule|send|add|continue|plan|begin|initiate|taper|titrate|follow|return|come|see|set|arrange|"
    r"give|draw|recommend)\b",
    re.IGNORECASE,
)
_TOLD_OF: Final = re.compile(r"[^.;,]{0,60}\b(?:was|were|has|have|had|is|are|show\w*|came)\b", re.IGNORECASE)
_REACH: Final = 240


_TO_GET: Final = re.compile(r"^[^.;,]{0,40}\b(?:to|for)\s+$", re.IGNORECASE)
_CUT_OFF: Final = re.compile(
    r"[.;?]|\b(?:because|since|that|which|who|if|when|could|may|might|would|not)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Cue:
    """A verb that orders.

    Parameters
    ----------
    lead, start, end : int
        Where its subject begins, where the verb does, where it ends.
    kinds : frozenset of OrderKind
    action : OrderAction
    verb : str
        In lower case.
    told : bool
        Whether it is what the patient is to do.
    before : bool
        Whether what is ordered stands before it: "an MRI will be ordered".
    """

    lead: int
    start: int
    end: int
    kinds: frozenset[OrderKind]
    action: OrderAction
    verb: str
    told: bool = False
    before: bool = False


def _compiled(rows: tuple[tuple[str, frozenset[OrderKind], OrderAction], ...]) -> re.Pattern[str]:
    return re.compile("|".join(rf"(?P<v{n}>\b(?:{words})\b)" for n, (words, _, _) in enumerate(rows)), re.IGNORECASE)


_VERB: Final = _compiled(_VERBS)
_DONE: Final = _compiled(_PASSIVE)


def cues(sentence: str) -> Iterator[Cue]:
    """Yield the cues of a sentence, in order."""
    found = [*_VERB.finditer(sentence), *_DONE.finditer(sentence)]
    last: Cue | None = None
    for match in sorted(found, key=lambda one: (one.start(), -one.end())):
        if last is not None and match.start() < last.end:
            continue
        cue = _cue(sentence, match, last)
        if cue is not None:
            last = cue
            yield cue


def _cue(sentence: str, match: re.Match[str], last: Cue | None) -> Cue | None:
    table = _VERBS if match.re is _VERB else _PASSIVE
    _, kinds, action = table[int((match.lastgroup or "v0")[1:])]
    verb = " ".join(match[0].lower().split())
    before = sentence[max(0, match.start() - _REACH) : match.start()]
    cue = Cue(match.start(), match.start(), match.end(), kinds, action, verb)
    lead = _TO_BE.search(before) if match.re is _DONE else _lead(sentence, before, cue)
    if lead is None:
        goes_on = match.re is not _DONE and last is not None and _goes_on(sentence, before, last, cue)
        return replace(cue, told=last.told) if goes_on and last is not None else None
    if _OPEN.search(before[: lead.start()]):
        return None
    behind = verb.endswith((" on", " to", " by", " with", " in", " into", " for"))
    return replace(
        cue,
        lead=match.start() - len(before) + lead.start(),
        told=lead.lastgroup in ("told", "have", "ask"),
        before=match.re is _DONE and not behind,
    )


def _lead(sentence: str, before: str, cue: Cue) -> re.Match[str] | None:
    """Return what makes a verb an intention or an instruction, None when nothing does."""
    if cue.verb == "recommend":
        return _RECOMMENDS.search(before) or _LEAD.search(before)
    if cue.verb.split()[0].endswith("ing"):
        return _GOING_ON.search(before)
    lead = _LEAD.search(before)
    if lead and lead.lastgroup == "head" and (not _BARE_ONLY.match(cue.verb) or _TOLD_OF.match(sentence, cue.end)):
        lead = None
    if lead is None and OrderKind.FOLLOW_UP in cue.kinds:
        return _CAN.search(before)
    if lead is None and cue.action is OrderAction.STOP and cue.verb.startswith(("stop", "discontinue")):
        return _ALLOWED.search(before)
    return lead


def _goes_on(sentence: str, before: str, last: Cue, cue: Cue) -> bool:
    """Whether a verb goes on with the cue before it: "and order", "come back to get"."""
    between = sentence[last.end : cue.start]
    if _JOINED.search(before):
        return len(between) <= _REACH and not _CUT_OFF.search(between)
    return OrderKind.FOLLOW_UP in last.kinds and _TO_GET.search(between) is not None
