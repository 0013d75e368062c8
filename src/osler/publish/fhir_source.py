"""The patient and the study of a result as FHIR R4: Patient and ImagingStudy, from the headers as received.

References
----------
HL7 FHIR R4 4.0.1 Patient, ImagingStudy; DICOM PS3.3 C.7.1.1, C.7.2.1; ISO 21090 name representations
"""

import datetime
import re
from collections.abc import Mapping
from typing import Any, Final

from osler.publish import header as dicom
from osler.publish.ids import logical_id
from osler.publish.reidentify import IdentifiedStudy, SourceInstance, SourceSeries
from osler.standards.fhir import Resource

DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_IDENTIFIER_TYPE: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_REPRESENTATION: Final = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
_GENDER: Final = {"M": "male", "F": "female", "O": "other"}
_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+")
_URI: Final = re.compile(r"(?:https?://|urn:)\S+")


def patient(source: IdentifiedStudy) -> Resource:
    """Build the Patient that the header names. Its logical id stands for the pseudonym."""
    one = source.first
    header, identity = one.header, one.identity
    made: Resource = {"resourceType": "Patient", "id": source.patient}
    if identity.patient_id:
        made["identifier"] = [_identifier("MR", identity.patient_id, identity.issuer_of_patient_id)]
    names = _names(header)
    if names:
        made["name"] = names
    gender = _GENDER.get(dicom.code(header, "PatientSex"))
    if gender:
        made["gender"] = gender
    born = dicom.date(header, "PatientBirthDate")
    if born:
        made["birthDate"] = born.isoformat()
    return made


def imaging_study(source: IdentifiedStudy) -> Resource:
    """Build the ImagingStudy with all its series, and with the instances that were read."""
    one = source.first
    header, identity = one.header, one.identity
    identifiers: list[Resource] = [{"system": "urn:dicom:uid", "value": f"urn:oid:{identity.study_instance_uid}"}]
    if identity.accession_number:
        identifiers.append(_identifier("ACSN", identity.accession_number, ""))
    series = [_series(source, uid, content) for uid, content in source.series.items()]
    modalities = dict.fromkeys(s["modality"]["code"] for s in series)
    made: Resource = {
        "resourceType": "ImagingStudy",
        "id": imaging_study_id(source.study_uid),
        "identifier": identifiers,
        "status": "available",
        "modality": [{"system": DCM, "code": code} for code in modalities],
        "subject": {"reference": f"Patient/{source.patient}"},
        "numberOfSeries": len(series),
        "numberOfInstances": sum(s["numberOfInstances"] for s in series),
        "series": series,
    }
    began = moment(header, "StudyDate", "StudyTime")
    if began:
        made["started"] = began
    description = dicom.text(header, "StudyDescription")
    if description:
        made["description"] = description
    return made


def imaging_study_id(study_uid: str) -> str:
    """Return the logical id of a study's ImagingStudy."""
    return logical_id("ImagingStudy", study_uid)


def acquired(one: SourceInstance) -> str:
    """Return when the image was made, as a FHIR dateTime; empty when the header does not say it."""
    pairs = (("AcquisitionDate", "AcquisitionTime"), ("ContentDate", "ContentTime"), ("StudyDate", "StudyTime"))
    return next((found for found in (moment(one.header, *pair) for pair in pairs) if found), "")


def moment(header: Any, date_keyword: str, time_keyword: str) -> str:
    """Return a date, with the time of day only where the header says its time zone: FHIR allows no time without one."""
    day = dicom.date(header, date_keyword)
    if day is None:
        return ""
    clock, zone = dicom.time(header, time_keyword), dicom.timezone(header)
    if clock is None or zone is None:
        return day.isoformat()
    return datetime.datetime.combine(day, clock.replace(microsecond=0), zone).isoformat()


def _series(source: IdentifiedStudy, series_uid: str, content: SourceSeries) -> Resource:
    header, identity = content.first.header, content.first.identity
    made: Resource = {
        "uid": identity.series_instance_uid,
        "modality": {"system": DCM, "code": dicom.code(header, "Modality") or "OT"},
        "numberOfInstances": content.instances,
    }
    number, description = dicom.integer(header, "SeriesNumber"), dicom.text(header, "SeriesDescription")
    if number is not None:
        made["number"] = number
    if description:
        made["description"] = description
    read = [i for i in source.read.values() if i.identity.series_instance_uid == identity.series_instance_uid]
    if read:
        made["instance"] = [_instance(i) for i in read]
    return made


def _instance(one: SourceInstance) -> Resource:
    made: Resource = {
        "uid": one.identity.sop_instance_uid,
        "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{one.identity.sop_class_uid}"},
    }
    number = dicom.integer(one.header, "InstanceNumber")
    if number is not None:
        made["number"] = number
    return made


def _identifier(kind: str, value: str, issuer: str) -> Resource:
    made: Resource = {"type": {"coding": [{"system": _IDENTIFIER_TYPE, "code": kind}]}}
    if _OID.fullmatch(issuer):
        made["system"] = f"urn:oid:{issuer}"
    elif _URI.fullmatch(issuer):
        made["system"] = issuer
    made["value"] = value
    if issuer:
        made["assigner"] = {"display": issuer}
    return made


def _names(header: Any) -> list[Resource]:
    whole = dicom.name(header, "PatientName")
    groups: Mapping[str, str] = {"ABC": whole.alphabetic, "IDE": whole.ideographic, "SYL": whole.phonetic}
    several = sum(map(bool, groups.values())) > 1
    made = []
    for representation, group in groups.items():
        if not group:
            continue
        family, given, middle, prefix, suffix = (group.split("^") + [""] * 5)[:5]
        human: Resource = {"use": "official", "text": " ".join(p for p in (prefix, given, middle, family, suffix) if p)}
        if several or representation != "ABC":
            human["extension"] = [{"url": _REPRESENTATION, "valueCode": representation}]
        if family:
            human["family"] = family
        lists = {"given": [g for g in (given, middle) if g], "prefix": [prefix], "suffix": [suffix]}
        human |= {key: parts for key, parts in lists.items() if any(parts)}
        made.append(human)
    return made
