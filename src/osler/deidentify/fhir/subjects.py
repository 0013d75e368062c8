"""Whose a resource is: the patient that it names, so that all his dates are moved by one number of days.

A patient is known by his number where a Patient resource, or an identifier beside a reference, tells it: so his dates
move as in DICOM and HL7 v2. Else he is known by his logical id.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from osler.deidentify.fhir.known import objects
from osler.deidentify.fhir.marks import PATIENT_NUMBERS, type_codes
from osler.deidentify.fhir.references import Names
from osler.domain.identifiers import Identity, PseudonymKind

_SUBJECT: Final = ("subject", "patient", "beneficiary", "for", "individual", "who")


class Subjects:
    """Patients by what refers to them.

    Parameters
    ----------
    names : Names
    people : iterable of dict
        Further resources; the Patients among them are known.
    """

    def __init__(self, names: Names, people: Iterable[Mapping[str, Any]] = ()) -> None:
        self._names = names
        self._urls: dict[str, str] = {}
        self._numbers: dict[str, Identity] = {}
        for one in people:
            if one.get("resourceType") == "Patient":
                self._key(one, "", "")

    def identity(self, patient: str) -> Identity | None:
        """Return who a patient is; None for nobody."""
        base, _, logical_id = patient.rpartition("/")
        return self._numbers.get(patient) or (Identity(PseudonymKind.PATIENT, logical_id, base) if patient else None)

    def learn(self, bundle: Mapping[str, Any]) -> str:
        """Take note of the patients of a bundle; return the one that all of it is of, '' when there are several."""
        found = []
        for entry in _dicts(bundle.get("entry")):
            resource, url = entry.get("resource"), entry.get("fullUrl")
            if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
                continue
            key = self._key(resource, self._names.base_of(url, "Patient"), str(url))
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
            return self._key(resource, base, outer)
        inside = {f"#{one.get('id')}": one for one in _dicts(resource.get("contained"))}
        for name in _SUBJECT:
            value = resource.get(name)
            named = next(filter(None, (self._patient(r, base, inside) for r in _dicts(value))), "")
            if named:
                return named
        if outer:
            return outer
        found = {self._patient(node, base, inside) for node in objects(resource)} - {""}
        return found.pop() if len(found) == 1 else ""

    def _key(self, patient: Mapping[str, Any], base: str, otherwise: str) -> str:
        """Return what tells a Patient resource apart, and take note of his number."""
        logical_id, number = patient.get("id"), number_of(patient.get("identifier"), of_patient=True)
        key = f"{base}/Patient/{logical_id}" if isinstance(logical_id, str) else otherwise
        return self._numbered(key, number)

    def _numbered(self, key: str, number: Identity | None) -> str:
        if number is None:
            return key
        key = key or f"{number.issuer}#{number.value}"
        self._numbers.setdefault(key, number)
        return key

    def _patient(self, reference: Mapping[str, Any], base: str, inside: Mapping[str, Mapping[str, Any]]) -> str:
        url = reference.get("reference")
        if not isinstance(url, str):
            url = ""
        if url in inside and inside[url].get("resourceType") == "Patient":
            return self._key({**inside[url], "id": None}, base, "")
        key = self._urls.get(url) or self._names.patient_key(url, base)
        is_another = url and not url.startswith(("urn:", "#"))
        if not key and (is_another or reference.get("type") not in (None, "Patient")):
            return ""
        return self._numbered(key, number_of(reference.get("identifier"), of_patient=False))


def number_of(identifiers: Any, *, of_patient: bool) -> Identity | None:
    """Return the number that tells a patient apart with who gave it out, as his pseudonym has it.

    Parameters
    ----------
    identifiers : object
        An identifier or a list of them.
    of_patient : bool
        Whether they are of a Patient, so that one without a type is his number too.
    """
    numbers: dict[str, Identity] = {}
    for one in _dicts(identifiers):
        value, system, codes = one.get("value"), one.get("system"), type_codes(one)
        if isinstance(value, str) and value.strip() and not value.startswith("urn:"):
            issuer = system if isinstance(system, str) else ""
            for code in codes or ("",):
                numbers.setdefault(code, Identity(PseudonymKind.PATIENT, value, issuer))
    return next((numbers[code] for code in (*PATIENT_NUMBERS, *("",) * of_patient) if code in numbers), None)


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            yield item
