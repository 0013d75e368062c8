"""The launch context: what an app is told about where it was started.

References
----------
SMART App Launch 2.2, Launch context arrives with your access_token
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from osler.errors import InputRejected

_REFERENCE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9\-.]{1,64}")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_LONGEST_WORD: Final = 200


@dataclass(frozen=True, slots=True)
class LaunchContext:
    """Where an app was started.

    Parameters
    ----------
    patient, encounter : str or None
        Logical ids.
    fhir_context : tuple of str
        References to further resources in context, such as ``ImagingStudy/abc``.
    intent : str or None
    need_patient_banner : bool or None
        Whether the app must show whose record it is; None says nothing.
    smart_style_url : str or None
    """

    patient: str | None = None
    encounter: str | None = None
    fhir_context: tuple[str, ...] = ()
    intent: str | None = None
    need_patient_banner: bool | None = None
    smart_style_url: str | None = None

    def check(self) -> None:
        """Refuse what could be no context.

        Raises
        ------
        InputRejected
            The words name the part.
        """
        for name, logical_id in (("patient", self.patient), ("encounter", self.encounter)):
            if logical_id is not None and not _ID.fullmatch(logical_id):
                raise InputRejected(f"the {name} is not a logical id")
        if self.encounter is not None and self.patient is None:
            raise InputRejected("an encounter needs its patient")
        for reference in self.fhir_context:
            if not _REFERENCE.fullmatch(reference) or reference.startswith(("Patient/", "Encounter/")):
                raise InputRejected("a context must be Type/id, of a type other than Patient and Encounter")
        for name, word in (("intent", self.intent), ("style", self.smart_style_url)):
            if word is not None and not (0 < len(word) <= _LONGEST_WORD and word.isprintable()):
                raise InputRejected(f"the {name} is not one line of {_LONGEST_WORD} characters or less")

    def dumps(self) -> str:
        """Write it as JSON."""
        return json.dumps({name: value for name, value in asdict(self).items() if value not in (None, ())})

    @classmethod
    def loads(cls, text: str) -> "LaunchContext":
        """Read what :meth:`dumps` wrote."""
        content: dict[str, Any] = json.loads(text)
        return cls(**(content | {"fhir_context": tuple(content.get("fhir_context", ()))}))

    def parameters(self) -> Mapping[str, Any]:
        """Return the parameters of a token response."""
        held = {
            "patient": self.patient,
            "encounter": self.encounter,
            "fhirContext": [{"reference": reference} for reference in self.fhir_context] or None,
            "intent": self.intent,
            "need_patient_banner": self.need_patient_banner,
            "smart_style_url": self.smart_style_url,
        }
        return {name: value for name, value in held.items() if value is not None}


NOWHERE: Final = LaunchContext()
"""The context of a client that was not launched."""
