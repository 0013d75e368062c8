"""Dates that a feast, a holiday or a season's custom tells, and days and months by figures alone."""

from typing import Final

from osler.deidentify.text.en.dates import BEFORE_DAY, END, START, YEAR4, is_day, no_dose, stands_alone
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

_HOLIDAY: Final = (
    r"(?:christmas(?: eve| day| morning)?|xmas(?: eve| day)?|thanksgiving(?: day)?"
    r"|easter(?: sunday| monday)?|good friday"
    r"|halloween|new year'?s?(?: (?:eve|day))?(?!\w)|(?:fourth|4th) of july|independence day|memorial day|labor day"
    r"|labour day|valentine'?s day|mother'?s day|father'?s day|veteran'?s'? day|columbus day|president'?s'? day"
    r"|martin luther king(?: jr\.?)? day|mlk day|groundhog day|earth day|boxing day|bastille day|canada day"
    r"|(?:st|saint)\.? patrick'?s day|cinco de mayo|juneteenth|mardi gras|ash wednesday|palm sunday|pentecost"
    r"|(?:chinese|lunar) new year|ramadan|eid(?: al[- ]\w{3,6})?|hanukkah|chanukah|passover|yom kippur|rosh hashanah?"
    r"|diwali|kwanzaa|labor day weekend|(?:anzac|australia|waitangi|victoria|remembrance|patriots'?|flag|guy fawkes"
    r"|burns"
    r"|pi|republic|constitution|bank holiday|three kings|all saints'?|all souls'?|flag|family|groundhog"
    r"|april fools'?) day"
    r"|(?:bonfire|guy fawkes|burns|prom|twelfth) night|hogmanay|(?:black|holy) friday|cyber monday|spring break"
    r"|holi(?= )"
    r"|nowruz|norooz|songkran|vaisakhi|baisakhi|onam|pongal|navratri|dussehra|chuseok|obon|purim|sukkot|shavuot"
    r"|oktoberfest|d[ií]a de (?:los )?(?:los )?muertos|nochebuena|michaelmas|whitsun|st\.? (?:david|george"
    r"|andrew)'?s day"
    r"|super bowl(?: sunday)?)"
)
_HOLIDAYS_NEED: Final = (
    *("day", "mas", "giving", "easter", "hallow", "new year", "ramadan", "eid", "nukkah", "passover", "kippur"),
    *(
        "hashana",
        "diwali",
        "night",
        "friday",
        "monday",
        "break",
        "hogmanay",
        "holi",
        "nowruz",
        "norooz",
        "songkran",
        "aisakhi",
        "onam",
        "pongal",
        "navratri",
        "dussehra",
        "chuseok",
        "obon",
        "purim",
        "sukkot",
        "shavuot",
        "fest",
        "muertos",
        "buena",
        "michaelmas",
        "whitsun",
        "kwanzaa",
        "mayo",
        "teenth",
        "gras",
        "july",
        "super bowl",
        "pentecost",
    ),
)
RULES: Final = (
    Rule(
        "date-holiday",
        Category.DATE,
        rf"\b{_HOLIDAY}(?:,? (?:of )?{YEAR4})?",
        score=0.995,
        check=stands_alone,
        needs=_HOLIDAYS_NEED,
        digits=False,
    ),
    Rule(
        "date-dash",
        Category.DATE,
        r"\b(?:given|fell|planned for|f/u|return|cxr|(?:mri|ct|us|xr) [a-z]{3,10}|placed|onset|admitted|comparison"
        r"|lmp|edd"
        r"|extubated|intubated|cath|vaccine|echo|surgery|born|started|stopped|discharged|received|removed"
        r"|scheduled(?: for)?"
        rf"|appt|until|by):? (?P<v>(?P<a>1[0-2]|0?[1-9])-(?P<b>1[3-9]|2\d|3[01]|0?[1-9])){END}"
        r"(?! ?(?:w(?:ee)?ks?\b|d\b|mos?\b|min|/|x\b|times|puffs|tabs?|pills|lit|pounds|people|more|or\b|french))",
        score=0.75,
        check=is_day,
        needs=("-",),
    ),
    Rule(
        "date-month-slash-year",
        Category.DATE,
        rf"{START}0[1-9]/(?:3[2-9]|[4-9]\d){END}|\b(?:since|in|s/p [a-z]{{2,14}}|until|from|born|dob"
        rf"|last [a-z]{{2,14}}"
        rf"|implanted|placed|diagnosed|dx|surgery|cabg|onset|quit|retired|exp(?:ires?)?:?) "
        rf"(?P<v>(?:1[0-2]|[1-9])/(?:3[2-9]|[4-9]\d)){END}",
        score=0.75,
        check=no_dose,
        needs=("/",),
    ),
    Rule(
        "date-slash-day-first",
        Category.DATE,
        rf"(?:{BEFORE_DAY}|\b[a-z]{{2,12}}(?:ectomy|oscopy|plasty|tomy|gram)|chole|repair|\bop"
        rf"|scan):?\s{{1,2}}(?P<v>(?:1[3-9]|2\d|3[01])/(?:0?[1-9]|1[0-2])){END}|{START}(?P<v2>(?:1[3-9]"
        rf"|2[0-35-9]|3[01])"
        rf"/(?:0[1-9])){END}",
        score=0.75,
        check=no_dose,
        needs=("/",),
    ),
)
