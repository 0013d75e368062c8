"""The rules for FHIR and HL7 v2 as rows, for the reference: what a privacy officer signs is what the code reads."""

import csv
from importlib.resources import files
from typing import Final

from osler.deidentify.safe_harbor import small_zip_areas

ACTIONS: Final = {
    "accession": "replaced by a pseudonym, the same as in DICOM",
    "address": "state, country and three digits of the ZIP code stay (000 where few live); limited data set: also"
    " the town and the whole ZIP code",
    "attachment": "plain text, HTML, RTF and CDA cleaned and written anew; other data removed and marked as masked",
    "birth": "year of birth, nothing when it tells an age over 89; other methods: moved date",
    "boolean": "stays",
    "charset": "stays when it is a character set of table 0211",
    "city": "removed; limited data set: stays",
    "code": "stays when it has the form of a code of its system; free words are cleaned",
    "coding": "code stays when it has the form of a code of its system; display cleaned",
    "concept": "codes as codes; text cleaned",
    "country": "stays when it is a code",
    "date": "year; other methods: moved by the patient's number of days",
    "extension": "stays when its URL is on the list of known extensions, its value by the rules",
    "identifier": "value replaced by a pseudonym; type stays",
    "instant": "removed; other methods: moved by the patient's number of days",
    "key": "stays when it has the form of a key, else replaced",
    "match": "stays when it has the form given",
    "measure": "number and unit stay",
    "method": "says the method",
    "modifier": "an unknown one refuses the resource",
    "name": "removed (HL7 v2: marked as a pseudonym, table 0200); surrogates: another name, the same as in texts",
    "narrative": "words cleaned, mark-up made anew",
    "number": "a measure stays; a number that is none, or one of the patient's, is removed",
    "numbered": "replaced by a pseudonym; its type stays",
    "parents": "replaced by pseudonyms",
    "patient": "replaced by the patient's pseudonym, the same as in DICOM of the same issuer",
    "period": "year of each; other methods: moved by the patient's number of days",
    "postal": "three digits of a ZIP code, 000 where few people live; limited data set: whole",
    "quantity": "number and unit stay; an age over 89 becomes 90 or more (not in a limited data set)",
    "range": "numbers and units stay; words are cleaned",
    "reference": "renamed as the resource is; display stays, cleaned, only where it is clinical",
    "refuse": "refuses the resource",
    "remove": "removed",
    "resource": "by the rules of its own type",
    "samples": "stays when it is numbers",
    "state": "stays when it is a state of the United States",
    "status": "the number stays",
    "text": "cleaned by the text engine",
    "time": "stays",
    "uid": "replaced by a pseudonym that is a UID, the same as in DICOM",
    "unit": "stays when it is a unit",
    "uri": "stays when it names a shared vocabulary or profile, else removed",
    "url": "renamed as the resource that it names is, else removed",
    "urn": "replaced by another of its form",
    "value": "by its type (OBX-2): numbers stay, codes as codes, words cleaned, dates as dates, the rest removed",
    "walk": "by the rules of its elements",
}
"""What each action of a rule does, in words."""


def fhir_rows() -> list[tuple[str, str]]:
    """Return (element or type, what happens), in the order of the rules; what no row names is removed."""
    return [(row["path"], ACTIONS[row["action"]]) for row in csv.DictReader(_lines("fhir-rules.csv", 1))]


def fhir_extensions() -> list[str]:
    """Return the URLs of the extensions that may go on."""
    return _lines("fhir-extensions.txt", 1)


def hl7v2_rows() -> list[tuple[str, str]]:
    """Return (field such as ``PID-3``, what happens); what no row names is removed."""
    rows = csv.DictReader(_lines("hl7v2-rules.csv", 2))
    return [(f"{row['segment']}-{row['field']}", _of_field(row["action"])) for row in rows]


def code_systems() -> list[tuple[str, str, str]]:
    """Return (names in HL7 v2, URI in FHIR, form of a code) of the vocabularies whose codes stay."""
    rows = csv.DictReader(_lines("code-systems.csv", 1))
    return [(row["v2"], row["uri"], row["pattern"]) for row in rows]


def zip_areas() -> list[str]:
    """Return the three-digit ZIP areas that are told as 000."""
    return sorted(small_zip_areas())


def _of_field(action: str) -> str:
    return ACTIONS["numbered" if action == "number" else action]


def _lines(name: str, skip: int) -> list[str]:
    return files("osler.deidentify").joinpath("data", name).read_text(encoding="ascii").splitlines()[skip:]
