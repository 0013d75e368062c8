"""What every DICOM object of ours has in common: whose it is, of which study, made when, by what.

The objects are clean whatever the source's header looks like: a value that its value representation does not allow is
left empty. The Patient ID alone is never changed, because a changed one would name another patient.

References
----------
DICOM PS3.3 C.7.1.1 (Patient), C.7.2.1 (General Study), C.7.5.1 (General Equipment), C.12.1 (SOP Common)
"""

import contextlib
import datetime
import io
from collections.abc import Iterator
from typing import Final

import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from osler import __version__
from osler.domain.findings import ModelVersion
from osler.errors import DeliveryRefused
from osler.publish import header as dicom
from osler.publish.ids import dicom_uid
from osler.publish.reidentify import IdentifiedStudy
from osler.standards.dicom import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

MANUFACTURER: Final = "Osler"


@contextlib.contextmanager
def building(what: str) -> Iterator[None]:
    """Turn what the libraries raise on odd values into a refusal, and keep their warnings away: both quote values.

    Raises
    ------
    DeliveryRefused
        If the object cannot be built. The next attempt would end the same way; a person must look.
    """
    with dicom.quietly():
        try:
            yield
        except dicom.UNREADABLE as error:
            raise DeliveryRefused(f"the {what} cannot be built ({type(error).__name__})") from None


def describe_study(source: IdentifiedStudy) -> pydicom.Dataset:
    """Return the attributes that tie an object to the patient and the study of its source.

    Returns
    -------
    pydicom.Dataset
        Patient and General Study modules, and Timezone Offset From UTC where the source has one.
    """
    header, identity = source.first.header, source.first.identity
    made = pydicom.Dataset()
    made.PatientName = dicom.name(header, "PatientName")
    made.PatientID = identity.patient_id
    if identity.issuer_of_patient_id:
        made.IssuerOfPatientID = identity.issuer_of_patient_id
    made.PatientBirthDate = _da(dicom.date(header, "PatientBirthDate"))
    sex = dicom.code(header, "PatientSex")
    made.PatientSex = sex if sex in ("M", "F", "O") else ""
    made.StudyInstanceUID = identity.study_instance_uid
    made.StudyDate = _da(dicom.date(header, "StudyDate"))
    made.StudyTime = _tm(dicom.time(header, "StudyTime"))
    made.ReferringPhysicianName = dicom.name(header, "ReferringPhysicianName")
    made.StudyID = _whole(header, "StudyID")
    made.AccessionNumber = _whole(header, "AccessionNumber")
    description = dicom.text(header, "StudyDescription")
    if description:
        made.StudyDescription = description
    zone = dicom.timezone(header)
    if zone is not None:
        made.TimezoneOffsetFromUTC = datetime.datetime.now(zone).strftime("%z")
    return made


def describe_equipment(model: ModelVersion) -> pydicom.Dataset:
    """Return the General Equipment module: Osler, and the model with its version."""
    made = pydicom.Dataset()
    made.Manufacturer = MANUFACTURER
    made.ManufacturerModelName = dicom.one_line(model.name)
    made.DeviceSerialNumber = model.sha256[:64]
    made.SoftwareVersions = [dicom.one_line(model.version), dicom.one_line(f"osler {__version__}")]
    return made


def describe_moment(recorded_at: float, source: IdentifiedStudy) -> pydicom.Dataset:
    """Return the dates and times of creation, the same each time: in the source's time zone, else in the hub's."""
    zone = dicom.timezone(source.first.header)
    at = datetime.datetime.fromtimestamp(round(recorded_at, 3), tz=datetime.UTC).astimezone(zone)
    made = pydicom.Dataset()
    for name in ("InstanceCreation", "Series", "Content"):
        setattr(made, f"{name}Date", _da(at.date()))
        setattr(made, f"{name}Time", _tm(at.time()))
    return made


def finish(made: pydicom.Dataset) -> pydicom.Dataset:
    """Give an object its character set and its file meta information.

    Latin-1 when that is enough, since old receivers know little else; UTF-8 otherwise.
    """
    made.SpecificCharacterSet = "ISO_IR 100" if _is_latin(made) else "ISO_IR 192"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = made.SOPClassUID
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    made.file_meta = meta
    return made


def encode(made: pydicom.Dataset) -> bytes:
    """Write an object as a Part 10 file."""
    stream = io.BytesIO()
    with dicom.quietly():
        made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def object_uid(purpose: str, *, study_uid: str, revision: int, model: ModelVersion, case: str = "") -> str:
    """Return the SOP Instance UID of an object: the same for the same result, made from pseudonyms alone."""
    return dicom_uid(purpose, study_uid, str(revision), str(model), model.sha256, case)


def series_uid(purpose: str, *, study_uid: str, model: ModelVersion) -> str:
    """Return the Series Instance UID of a model's objects of one kind in one study."""
    return dicom_uid(f"{purpose}-series", study_uid, str(model), model.sha256)


def _whole(header: pydicom.Dataset, keyword: str) -> str:
    """Return a number that is worth nothing when it is cut: as it is, or empty when it is too long (SH)."""
    value = dicom.text(header, keyword)
    return value if len(value) <= 16 else ""


def _is_latin(made: pydicom.Dataset) -> bool:
    for element in made.iterall():
        if element.VR in ("PN", "LO", "SH", "LT", "ST", "UT", "UC"):
            try:
                str(element.value).encode("latin-1")
            except UnicodeEncodeError:
                return False
    return True


def _da(day: datetime.date | None) -> str:
    return "" if day is None else day.strftime("%Y%m%d")


def _tm(clock: datetime.time | None) -> str:
    return "" if clock is None else clock.strftime("%H%M%S.%f" if clock.microsecond else "%H%M%S")
