"""Whose a resource is: the patient that it names, so that all his dates are moved by one number of days."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from osler.deidentify.fhir.known import objects
from osler.deidentify.fhir.references import Names

_SUBJECT: Final = ("subject", "patient", "beneficiary", "for", "individual", "who")


class Subjects:
    """Patients by what refers to them.

    Parameters
    ----------
    names : Names
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._urls: dict[str, str] = {}

    def learn(self, bundle: Mapping[str, Any]) -> str:
        """Take note of the patients of a bundle; return the one that all of it is of, '' when there are several."""
        found = []
        for entry in _dicts(bundle.get("entry")):
            resource, url = entry.get("resource"), entry.get("fullUrl")
            if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
                continue
            base = self._names.base_of(url, "Patient")
            identity = resource.get("id")
            key = f"{base}/Patient/{identity}" if isinstance(identity, str) else str(url)
            if isinstance(url, str):
                self._urls[url] = key
            found.append(key)
        return found[0] if len(set(found)) == 1 else ""

    def groups(self, bundle: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
        """Return the resources of a bundle by what tells their patient apart; '' for those of nobody or of several."""
        self.learn(bundle)
        made: dict[str, list[Mapping[str, Any]]] = {}
        for entry in _dicts(bundle.get("entry")):
            resource = entry.get("resource")
            if isinstance(resource, dict):
                base = self._names.base_of(entry.get("fullUrl"), str(resource.get("resourceType")))
                made.setdefault(self.of(resource, base, ""), []).append(resource)
        return made

    def of(self, resource: Mapping[str, Any], base: str, outer: str) -> str:
        """Return what tells the patient of a resource apart.

        Parameters
        ----------
        resource : dict
        base : str
            What relative references count from.
        outer : str
            The patient of what it stands in; his, when it names no other.
        """
        if resource.get("resourceType") == "Patient":
            identity = resource.get("id")
            if isinstance(identity, str):
                return f"{base}/Patient/{identity}"
            return outer
        for name in _SUBJECT:
            value = resource.get(name)
            named = next((self._patient(r, base) for r in _dicts(value) if self._patient(r, base)), "")
            if named:
                return named
        if outer:
            return outer
        found = {self._patient(node, base) for node in objects(resource)} - {""}
        return found.pop() if len(found) == 1 else ""

    def _patient(self, reference: Mapping[str, Any], base: str) -> str:
        url = reference.get("reference")
        if not isinstance(url, str):
            return ""
        if url in self._urls:
            return self._urls[url]
        return self._names.patient_key(url, base)


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            yield item
