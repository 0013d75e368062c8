"""FHIR R4 resources, bundles and NDJSON without identity.

Every element goes by the rule of its path or type (``data/fhir-rules.csv``); what no rule knows is removed.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Final

from osler.deidentify.collecting import CollectedIdentities
from osler.deidentify.dicom import Pseudonyms
from osler.deidentify.fhir.known import known_people
from osler.deidentify.fhir.references import Names
from osler.deidentify.fhir.rules import rules
from osler.deidentify.fhir.subjects import Subjects
from osler.deidentify.fhir.walk import Walk
from osler.deidentify.free_text import RemovedText, TextDeidentifier, TextFor, known_values, no_text
from osler.domain.identifiers import Identity
from osler.errors import InputRejected
from osler.standards.fhir import Resource

MANY_PATIENTS: Final = 32
"""A bundle of more patients is no longer one story: each patient's names are looked for in what is his."""

__all__ = ["FhirDeidentifier", "known_people"]


class FhirDeidentifier:
    """De-identifies resources by one method.

    Parameters
    ----------
    pseudonyms : Pseudonyms
    text_for : callable
        Makes the text engine for the people of one resource, by the same method; without it all free text is removed.
    method : str
        One of :data:`osler.deidentify.methods.CITATIONS`.
    this_year : int, optional
        The year from which ages count; else the current one.
    """

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        *,
        text_for: TextFor = no_text,
        method: str = "safe-harbor",
        this_year: int | None = None,
    ) -> None:
        self._pseudonyms = pseudonyms
        self._text_for = text_for
        self._method = method
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
            If it, or an entry of a bundle, is no resource of R4, or is nested deeper than 64.
        DeidentificationRefused
            If a modifier extension or implicit rules that are not known change its meaning.
        """
        self._pseudonyms.prefetch(self._identities(resource))
        names = Names(self._pseudonyms, rules().resources)
        walk = Walk(
            names,
            self._texts(resource, people, names),
            method=self._method,
            this_year=self._this_year,
            numbers=known_values(known_people(resource, *people)),
        )
        return walk.resource(resource)

    def _texts(
        self, resource: Resource, people: Sequence[Resource], names: Names
    ) -> Callable[[str, str], TextDeidentifier]:
        """Return what makes the text engine of a patient with his secret."""
        groups = Subjects(names).groups(resource) if resource.get("resourceType") == "Bundle" else {}
        if len(groups) <= MANY_PATIENTS:
            known = known_people(resource, *people)
            of_all = cache(lambda secret: self._text_for(known, secret))
            return lambda patient, secret: of_all(secret)

        @cache
        def of_one(patient: str, secret: str) -> TextDeidentifier:
            nobodys = groups.get("", ())[:MANY_PATIENTS]
            return self._text_for(known_people(*groups.get(patient, ()), *nobodys, *people), secret)

        return of_one

    def prefetch(self, resources: Iterable[Resource]) -> None:
        """Ask the vault once for all that some resources need; one that will be refused needs nothing."""
        wanted: list[Identity] = []
        for resource in resources:
            try:
                wanted += self._identities(resource)
            except InputRejected:
                continue  # it is refused in its turn
        self._pseudonyms.prefetch(list(dict.fromkeys(wanted)))

    def _identities(self, resource: Resource) -> Sequence[Identity]:
        collected = CollectedIdentities()
        names = Names(collected, rules().resources)
        Walk(names, lambda patient, secret: RemovedText(), method=self._method, this_year=self._this_year).resource(
            resource
        )
        return list(dict.fromkeys(collected.identities))
