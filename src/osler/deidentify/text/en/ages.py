"""Ages over 89, in any wording; younger ones may stay (45 CFR 164.514(b)(2)(i)(C))."""

import re
from typing import Final

from osler.deidentify.text.en.numbers import OVER_89
from osler.deidentify.text.en.written_dates import MONTH_NAMES
from osler.deidentify.text.rule import Check, Rule
from osler.deidentify.text.spans import Category

_KIN: Final = (
    r"(?:mother|father|mom|dad|(?:great-?)?grand(?:mother|father|ma|pa|parent)|wife|husband|spouse|sister|brother"
    r"|aunt|uncle|patient|pt"
    r"|gma|gpa|g-ma|nana|abuela|mgm|mgf|pgm|pgf|woman|man|lady|gentleman|female|male|widow(?:er)?|resident)"
)
_OLD: Final = rf"(?P<v>(?<![\d.,/])(?:9\d|1[0-3]\d)(?![\d+]|[.,/]\d)|{OVER_89})"
_UNIT: Final = r"(?:y\.? ?/?o\b\.?|yrs?\.?|years?(?:'s?)?|year)"
_NEEDS: Final = ("9", "1", "ninet", "hundred")


def _age(
    name: str, pattern: str, score: float = 0.95, needs: tuple[str, ...] = _NEEDS, check: Check | None = None
) -> Rule:
    return Rule(name, Category.AGE, pattern, score, needs, check, digits=False)


def _no_temperature(match: re.Match[str]) -> bool:
    return not re.search(
        r"\b(?:t|temp|temperature|tmax|fever|of|at|to)[ :=]{0,3}$",
        match.string[max(0, match.start() - 15) : match.start()],
    )


RULES: Final = (
    _age(
        "age-years-old",
        rf"\b{_OLD}[- \n]{{0,2}}{_UNIT}[- \n]{{0,2}}(?:old\b|of age\b|young\b|aged?\b|[mf]\b|male\b"
        rf"|female\b|man\b|woman\b|gentleman\b|lady\b)",
    ),
    _age("age-yo", rf"\b{_OLD}[- ]{{0,2}}(?:y\.?[ /-]?o\.?(?:ld)?(?:[mf])?\b|yr[- ]old)(?!-yo)"),
    _age(
        "age-kin",
        rf"\b{_KIN}(?:,? (?:is|was|of|aged|who (?:is|was)|now|also))?[ ,(:]{{1,3}}(?:(?:deceased|died|dec'd|d\.|alive"
        rf"|living|well|age)(?: at)?[ ,]{{1,2}})?"
        rf"{_OLD}(?= ?[,;)]| ?\.(?!\d)| (?:and|cva|mi|ca|chf|cancer|stroke"
        rf"|dementia|of|from|yo|still|living|healthy|lives?|she|he|who|with|now|alive|has|had)\b|\s*$)",
        0.93,
    ),
    _age("age-at", rf"\b(?:at|since) {_OLD},? (?=(?:she|he|they|still)\b)"),
    _age("age-and", rf"\bages? (?:of )?\d{{1,3}}(?: and | or |, ?| to | & ){_OLD}\b"),
    _age("age-before", rf"\b{_OLD}(?= (?:and|or|to) \d{{2,3}}[- ]years?[- ]old)"),
    _age(
        "age-by-sex",
        r"(?<![\w/.\-])(?:[mf](?:/|, ))?(?P<v>(?:(?<=[mf]/)|(?<=[mf], ))(?:9\d|1[01]\d)(?![\w%/]|[.,]\d)|(?:9\d"
        r"|1[01]\d)(?= ?/ ?[mf]\b|m\b(?! walk))|9[0-4](?=f\b))",
    ),
    _age(
        "age-labelled",
        rf"\bage[ds]?(?: ?/ ?(?:sex|gender))?(?: is| was| of)?[ :=\n]{{1,3}}(?:about |approximately "
        rf"|over )?{_OLD}(?:y(?:o|rs?)?)?\b(?! ?(?:%"
        rf"|mm|months|weeks|days|mos?\b))",
    ),
    _age(
        "age-turned",
        rf"\b(?:turn(?:ed|ing|s)?|celebrat\w{{2,4}} (?:his|her|their)|(?:died|passed(?: away)?"
        rf"|deceased|death|lived|survived)(?: [a-z]{{2,10}}){{0,3}}? (?:at|to(?: be)?|until)(?: the)?(?: age)?(?: of)?"
        rf"|at (?:the )?age(?: of)?|just|nearly|almost|is now|who is|he is|she is|he's|she's|i'm"
        rf"|i am|you're|you are|they're|gonna be|going to be|will be)(?: the age of)? {_OLD}(?= ?[,.;)]| (?:and|in"
        rf"|on|this|last|next|but|with|years?"
        rf"|now|from|of|when|who|today)\b|\s?$)(?! years? (?:ago|later|after|history|of (?!age)))",
    ),
    _age(
        "age-by-month",
        rf"(?:^|[.?!:,] )(?P<v>{OVER_89}),? (?=(?:this |next |last |come |in )(?:{'|'.join(MONTH_NAMES)})\b)",
        needs=("ninet", "hundred"),
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
        check=_no_temperature,
    ),
)
