"""Identities and what stands for them. An identity never prints itself."""

from dataclasses import dataclass
from enum import StrEnum


class PseudonymKind(StrEnum):
    """What a pseudonym stands for."""

    PATIENT = "patient"
    ACCESSION = "accession"
    UID = "uid"


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """A real identifier with the authority that issued it.

    Parameters
    ----------
    kind : PseudonymKind
    value : str
        As received, without padding. Empty when the sender gave none.
    issuer : str
        Issuer of Patient ID (0010,0021) or of the accession; empty when not given. Always empty for a UID.
    """

    kind: PseudonymKind
    value: str
    issuer: str = ""

    def __repr__(self) -> str:
        return f"Identity({self.kind.value}, <identified>)"


@dataclass(frozen=True, slots=True, repr=False)
class InstanceIdentity:
    """What the hub must know of an instance to file it. Identified: it never leaves the identified zone.

    Parameters
    ----------
    study_instance_uid, series_instance_uid, sop_instance_uid, sop_class_uid, transfer_syntax_uid : str
    patient_id, issuer_of_patient_id, accession_number : str
        Empty when absent.
    priority : str
        Requested Procedure Priority (0040,1003), upper case; empty when absent.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    accession_number: str = ""
    priority: str = ""

    def __repr__(self) -> str:
        return f"InstanceIdentity({self.sop_class_uid}, <identified>)"
