"""FHIR R4 resources, bundles and NDJSON without identity.

Every element goes by the rule of its path or type (``data/fhir-rules.csv``); what no rule knows is removed.
"""

from datetime import UTC, datetime

from osler.deidentify.collecting import CollectedIdentities
from osler.deidentify.dicom import Pseudonyms
from osler.deidentify.fhir.known import known_people
from osler.deidentify.fhir.references import Names
from osler.deidentify.fhir.rules import rules
from osler.deidentify.fhir.walk import Walk
from osler.deidentify.free_text import RemovedText, TextFor, no_text
from osler.standards.fhir import Resource

__all__ = ["FhirDeidentifier", "known_people"]


class FhirDeidentifier:
    """De-identifies resources by the method Safe Harbor: dates to the year, places to the state, pseudonyms for ids.

    Parameters
    ----------
    pseudonyms : Pseudonyms
    text_for : callable
        Makes the text engine for the people of one resource; without it all free text is removed.
    this_year : int, optional
        The year from which ages count; else the current one.
    """

    def __init__(self, pseudonyms: Pseudonyms, *, text_for: TextFor = no_text, this_year: int | None = None) -> None:
        self._pseudonyms = pseudonyms
        self._text_for = text_for
        self._this_year = this_year if this_year is not None else datetime.now(UTC).year

    def resource(self, resource: Resource, *people: Resource) -> Resource:
        """Return a resource or bundle without identity; the input is not changed.

        Parameters
        ----------
        resource : dict
            As :func:`osler.standards.fhir.loads` reads it; decimals keep their text.
        *people : dict
            Further resources whose names and numbers to look for in the text, such as the Patient.

        Raises
        ------
        Malformed
            If it, or an entry of a bundle, is no resource of R4.
        DeidentificationRefused
            If a modifier extension or implicit rules that are not known change its meaning.
        """
        known = rules().resources
        collected = CollectedIdentities()
        Walk(Names(collected, known), RemovedText(), this_year=self._this_year).resource(resource)
        self._pseudonyms.prefetch(list(dict.fromkeys(collected.identities)))
        text = self._text_for(known_people(resource, *people))
        return Walk(Names(self._pseudonyms, known), text, this_year=self._this_year).resource(resource)
