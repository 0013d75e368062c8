"""English: its recognisers, its vocabulary, and how it writes replacements."""

from collections.abc import Mapping
from typing import Any

from osler.deidentify.text.en import (
    addresses,
    ages,
    contact,
    dates,
    day_forms,
    facilities,
    fields,
    forms,
    holidays,
    labelled,
    landmarks,
    lexicon,
    loose_dates,
    names,
    places,
    rosters,
    rules,
    sites,
    tables,
    titles,
    towns,
    vehicles,
    venues,
    written_dates,
)
from osler.deidentify.text.en.ordinary import is_ordinary
from osler.deidentify.text.en.surrogates import Pools
from osler.deidentify.text.engine import Recogniser, Replacer
from osler.deidentify.text.known import KnownIdentifiers
from osler.deidentify.text.profiles import Wording, make_replacer
from osler.deidentify.text.rule import RuleRecogniser

is_vocabulary = is_ordinary


def recognisers() -> tuple[Recogniser, ...]:
    """Return the recognisers in the order in which they run."""
    every = (
        *titles.RULES,
        *rosters.RULES,
        *contact.RULES,
        *rules.RULES,
        *dates.RULES,
        *holidays.RULES,
        *ages.RULES,
        *places.RULES,
        *addresses.RULES,
        *facilities.RULES,
        *forms.RULES,
        *day_forms.RULES,
        *sites.RULES,
        *fields.RULES,
        *vehicles.RULES,
        *landmarks.RULES,
        *venues.RULES,
        *loose_dates.RULES,
    )
    return (
        RuleRecogniser(every),
        labelled.Labelled(),
        tables.Tables(),
        fields.Fields(),
        addresses.AddressesAbroad(),
        facilities.Facilities(),
        towns.Towns(),
        names.recogniser(),
    )


def known(context: Mapping[str, Any]) -> Recogniser:
    """Return a recogniser of what the context tells of the patient."""
    return KnownIdentifiers.from_patient_json(
        context, nicknames=lexicon.nicknames, is_vocabulary=is_vocabulary, months=written_dates.MONTH_NAMES
    )


def replacer(method: str, key: bytes | None, subject: str) -> Replacer:
    """Return what writes the replacements of a method."""
    return make_replacer(method, key, Wording(written_dates.read_date, places.zip3, Pools()), subject)
