"""FHIR R4 resources, bundles and NDJSON without identity.

Every element goes by the rule of its path or type (``data/fhir-rules.csv``); what no rule knows is removed.
"""

from collections.abc import Callable, Iterable, Sequence, Set
from functools import cache
from typing import Final

from osler.deidentify.collecting import CollectedIdentities
from osler.deidentify.fhir.known import known_people
from osler.deidentify.fhir.references import Names
from osler.deidentify.fhir.rules import rules
from osler.deidentify.fhir.subjects import Subjects
from osler.deidentify.fhir.walk import Walk
from osler.deidentify.free_text import RemovedText, TextDeidentifier, known_values
from osler.deidentify.last_look import LastLook
from osler.deidentify.structured import StructuredDeidentifier
from osler.domain.identifiers import Identity
from osler.errors import InputRejected
from osler.standards.fhir import Resource

MANY_PATIENTS: Final = 32
"""A bundle of more patients is no longer one story: each patient's names are looked for in what is his."""

__all__ = ["FhirDeidentifier", "known_people"]


class FhirDeidentifier(StructuredDeidentifier):
    """De-identifies resources by one method."""

    def resource(self, resource: Resource, *people: Resource) -> Resource:
        """Return a resource or bundle without identity; the input is not changed.

        Parameters
        ----------
        resource : dict
            As :func:`osler.standards.fhir.loads` reads it; decimals keep their text.
        *people : dict
            Further resources, such as the Patient: their names and numbers are looked for in the text, and dates move
            by the number of a Patient among them that the resource refers to.

        Raises
        ------
        Malformed
            If it, or an entry of a bundle, is no resource of R4, or is nested deeper than 64.
        DeidentificationRefused
            If a modifier extension or implicit rules that are not known change its meaning.
        """
        self._pseudonyms.prefetch(self._identities(resource, people))
        names = Names(self._pseudonyms, rules().resources)
        texts = self._texts(resource, people, names)
        numbers = known_values(known_people(resource, *people))
        return self._walk(names, texts, people, numbers).resource(resource)

    def _walk(
        self,
        names: Names,
        texts: Callable[[str, str], TextDeidentifier],
        people: Sequence[Resource],
        numbers: Set[str] = frozenset(),
    ) -> Walk:
        return Walk(names, texts, self._values_of, method=self._method, people=people, numbers=numbers)

    def _texts(
        self, resource: Resource, people: Sequence[Resource], names: Names
    ) -> Callable[[str, str], TextDeidentifier]:
        """Return what makes the text engine of a patient with his secret."""
        groups = Subjects(names).groups(resource) if resource.get("resourceType") == "Bundle" else {}
        if len(groups) <= MANY_PATIENTS:
            known = known_people(resource, *people)
            of_all = cache(lambda secret: LastLook(self._text_for(known, secret), known))
            return lambda patient, secret: of_all(secret)

        @cache
        def of_one(patient: str, secret: str) -> TextDeidentifier:
            nobodys = groups.get("", ())[:MANY_PATIENTS]
            known = known_people(*groups.get(patient, ()), *nobodys, *people)
            return LastLook(self._text_for(known, secret), known)

        return of_one

    def prefetch(self, stories: Iterable[Sequence[Resource]]) -> None:
        """Ask the vault once for all that some resources need; one that will be refused needs nothing.

        Parameters
        ----------
        stories : iterable of sequence of dict
            Each a resource and its further resources, as :meth:`resource` takes them.
        """
        wanted: list[Identity] = []
        for resource, *people in stories:
            try:
                wanted += self._identities(resource, people)
            except InputRejected:
                continue  # it is refused in its turn
        self._pseudonyms.prefetch(list(dict.fromkeys(wanted)))

    def _identities(self, resource: Resource, people: Sequence[Resource]) -> Sequence[Identity]:
        collected = CollectedIdentities()
        names = Names(collected, rules().resources)
        self._walk(names, lambda patient, secret: RemovedText(), people).resource(resource)
        return list(dict.fromkeys(collected.identities))
