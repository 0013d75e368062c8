"""What a spoke sends is de-identified already; the hub looks all the same, and takes nothing that names anybody.

The look is no second de-identification. It finds an edge that sends what it received in place of what it made of it.
"""

import io
import re
import warnings
from collections.abc import Iterable
from typing import Any, Final

import pydicom

from osler.domain.events import Deidentified, DeidentifiedInstance
from osler.domain.manifest import PSEUDONYMOUS_UID, Manifest
from osler.errors import DeidentificationRefused, Malformed
from osler.standards.dicom import read_identity

_PATIENT: Final = re.compile(r"OSL-[A-Z2-7]{12}")
_ACCESSION: Final = re.compile(r"(?:OSA-[A-Z2-7]{12})?")
_BASIC_PROFILE: Final = "113100"  # PS3.16 CID 7050
_EMPTY: Final = ("PatientBirthDate", "IssuerOfPatientID", "OtherPatientIDs", "PatientAddress", "InstitutionName")


def admitted_instance(content: bytes, *, study_instance_uid: str, sop_instance_uid: str) -> tuple[str, str]:
    """Look at an instance that a spoke sends.

    Parameters
    ----------
    content : bytes
        A Part 10 file.
    study_instance_uid, sop_instance_uid : str
        What it was announced as.

    Returns
    -------
    (str, str)
        Series Instance UID and SOP Class UID.

    Raises
    ------
    Malformed, UnsupportedKind
        If it cannot be read, or is another instance.
    DeidentificationRefused
        If it carries what the Basic Profile takes away, or a UID or number that no vault gave.
    """
    identity = read_identity(content)
    if (identity.study_instance_uid, identity.sop_instance_uid) != (study_instance_uid, sop_instance_uid):
        raise Malformed("the instance is another than was announced")
    uids = (study_instance_uid, identity.series_instance_uid, sop_instance_uid)
    if not all(PSEUDONYMOUS_UID.fullmatch(uid) for uid in uids):
        raise _refused("a UID has not the form of a pseudonym")
    if not _PATIENT.fullmatch(identity.patient_id) or not _ACCESSION.fullmatch(identity.accession_number):
        raise _refused("a patient or accession number has not the form of a pseudonym")
    header = _header(content)
    methods = {str(item.get("CodeValue", "")) for item in header.get("DeidentificationMethodCodeSequence", None) or ()}
    if header.get("PatientIdentityRemoved") != "YES" or _BASIC_PROFILE not in methods:
        raise _refused("it does not say that the Basic Profile was applied")
    if any(header.get(keyword) for keyword in _EMPTY) or any(_names(header, identity.patient_id)):
        raise _refused("it holds an attribute that the Basic Profile takes away")
    return identity.series_instance_uid, identity.sop_class_uid


def admitted_study(study_instance_uid: str, manifest: Manifest, stored: Iterable[DeidentifiedInstance]) -> Deidentified:
    """Bind instances that were looked at to the study that the queue takes.

    Raises
    ------
    Malformed
        If they are not those of the manifest.
    """
    instances = tuple(stored)
    if set(instances) != set(manifest.instances):
        raise Malformed("the manifest gives an instance another series or SOP class than it has")
    return Deidentified(study_instance_uid, manifest.revision, instances, manifest.age_band, manifest.priority)


def _header(content: bytes) -> pydicom.Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's warnings quote values
            return pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
    except (pydicom.errors.InvalidDicomError, ValueError, EOFError, OSError, AttributeError, TypeError, KeyError):
        raise Malformed("the file cannot be read as DICOM") from None


def _names(header: pydicom.Dataset, patient: str) -> list[Any]:
    """Return the names of people in it, at any depth."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            people = [e.value for e in header.iterall() if e.VR == "PN" and str(e.value or "") not in ("", patient)]
    except (ValueError, EOFError, OSError, AttributeError, TypeError, KeyError, NotImplementedError):
        raise Malformed("the file cannot be read as DICOM") from None
    return people


def _refused(words: str) -> DeidentificationRefused:
    return DeidentificationRefused("spoke-not-deidentified", words)
