"""Names that a title or a label gives away, whatever the model thinks of them."""

import re
from typing import Final

from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

_NAME: Final = r"[A-Z\u00c0-\u00de][\w'\-]{1,30}"
RULES: Final = (
    Rule(
        "name-titled",
        Category.NAME,
        r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|DR|MR|MRS|MS(?=\.)|Prof|Doctor|Sister(?! Mary Joseph)|Nurse|Rev)\.?[ ]"
        rf"(?P<v>{_NAME}(?: [A-Z]\. ?{_NAME})?|[A-Z]\. ?{_NAME})",
        0.9,
        ("mr", "ms", "miss", "mx", "dr", "prof", "doctor", "sister", "nurse", "rev"),
        lambda m: m["v"].lower() not in {"signature", "name", "to", "notified", "aware", "consult", "will", "on"},
        cased=True,
        digits=False,
    ),
    Rule(
        "name-labelled",
        Category.NAME,
        r"\b(?:(?:[Pp]atient|PATIENT|[Pp]t)(?:'?s?)?(?: [Nn]ame| NAME)?|[Nn]ame|NAME|[Mm]other|[Ff]ather|[Ss]pouse"
        r"|[Pp]hysician|PHYSICIAN|[Pp]rovider|PROVIDER|[Aa]ttending|ATTENDING|[Ss]igned(?: by)?|[Dd]ictated by"
        r"|[Rr]eferred by|[Nn]ext of [Kk]in|NOK|PCP|[Ss]urgeon|SURGEON|[Rr]adiologist|CC|cc|[Gg]uarantor)"
        r"[ \t]?[:=][ \t]{0,3}"
        rf"(?P<v>{_NAME}(?:,[ ]?{_NAME}(?: [A-Z]\b\.?)?|(?: [A-Z]\.)? {_NAME}))",
        0.82,
        (":", "="),
        lambda m: not re.search(r"\d|\b(?:Is|Was|Has|Not|No|Yes|Unknown|None|Denies|Male|Female)\b", m["v"]),
        cased=True,
        digits=False,
    ),
)
