"""Ages over 89, in any wording; younger ones may stay (45 CFR 164.514(b)(2)(i)(C))."""

from typing import Final

from osler.deidentify.text.en.numbers import OVER_89
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

_OLD: Final = rf"(?P<v>(?<![\d.,/])(?:9\d|1[0-3]\d)(?![\d+]|[.,/]\d)|{OVER_89})"
_UNIT: Final = r"(?:y\.? ?/?o\b\.?|yrs?\.?|years?(?:'s?)?|year)"
_NEEDS: Final = ("9", "1", "ninet", "hundred")


def _age(name: str, pattern: str, score: float = 0.95, needs: tuple[str, ...] = _NEEDS) -> Rule:
    return Rule(name, Category.AGE, pattern, score, needs, digits=False)


RULES: Final = (
    _age(
        "age-years-old",
        rf"\b{_OLD}[- ]{{0,2}}{_UNIT}[- ]{{0,2}}(?:old\b|of age\b|young\b|aged?\b|[mf]\b|male\b"
        rf"|female\b|man\b|woman\b|gentleman\b|lady\b)",
    ),
    _age("age-yo", rf"\b{_OLD}[- ]{{0,2}}(?:y\.? ?/?o\b|yr[- ]old)"),
    _age(
        "age-labelled",
        rf"\bage[ds]?(?: is| was| of)?[ :=]{{1,3}}(?:about |approximately |over )?{_OLD}\b(?! ?(?:%"
        rf"|mm|months|weeks|days|mos?\b))",
    ),
    _age(
        "age-turned",
        rf"\b(?:turn(?:ed|ing|s)?|celebrat\w{{2,4}} (?:his|her|their)|(?:died|passed(?: away)?"
        rf"|deceased|death|lived|survived) (?:at|to|until)(?: the)?(?: age)?(?: of)?"
        rf"|at (?:the )?age(?: of)?|just|nearly|almost|is now|who is|he is|she is|he's|she's|i'm"
        rf"|i am)(?: the age of)? {_OLD}(?= ?[,.;)]| (?:and|in|on|this|last|next|but|with|years?"
        rf"|now|from|of|when|who|today)\b|\s?$)(?! years? (?:ago|later|after|history|of (?!age)))",
    ),
    _age(
        "age-birthday",
        r"\b(?P<v>9\d(?:th|st|nd|rd)|1[0-3]\d(?:th|st|nd|rd)|ninet(?:ieth|y[- ](?:first|second"
        r"|third|fourth|fifth|sixth|seventh|eighth|ninth))|(?:one )?hundredth) (?:birthday"
        r"|year of life|b-?day)",
        needs=("birthday", "year", "bday", "b-day"),
    ),
    _age(
        "age-nineties",
        r"\b(?:his|her|their|my|your|patient in the)(?: (?:early|mid|late|middle"
        r"|very late))?[- ](?:to[- ]late[- ])?(?P<v>90'?s|nineties|1[0-2]0'?s|hundreds)\b(?! of\b"
        r"|%)",
        needs=("90", "nineties", "100", "110", "120", "hundreds"),
    ),
    _age("age-noun", r"\b(?P<v>nonagenarians?|(?:super|semi)?centenarians?)\b", needs=("genarian", "centenarian")),
    _age(
        "age-sex",
        r"\b(?P<v>9\d|1[01]\d)[ -]?(?:[mf]|wm|wf|bm|bf)\b(?= (?:w/|with|who|presents?|h/o|c/o|s/p"
        r"|hx|here|admitted|p/w|from|pmh|on|in)\b|,? ?(?:pmh|w/|h/o|p/w|c/o|s/p))",
    ),
)
