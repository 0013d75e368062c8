"""What is audited: the table of events, and the record of one."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Final, Literal

AgentKind = Literal["person", "client", "system", "peer"]
Action = Literal["C", "R", "U", "D", "E"]

DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
REST: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
INTERACTION: Final = "http://hl7.org/fhir/restful-interaction"
LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
OSLER: Final = "urn:osler:audit-event"

_MAX_TEXT: Final = 256
_OUTCOMES: Final = frozenset({0, 4, 8, 12})


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event.

    Parameters
    ----------
    name : str
        As records and searches name it.
    action : {"C", "R", "U", "D", "E"}
        Create, read, update, delete, execute.
    type, subtype : tuple of (code, system, display)
        The standard's codes (DICOM PS3.16 CID 400 and 401, FHIR, ISO 21089). Our own name follows as a second subtype.
    help : str
        One line for the reference.
    """

    name: str
    action: Action
    type: tuple[str, str, str]
    subtype: tuple[str, str, str] | None
    help: str


_ACTIVITY: Final = ("110100", DCM, "Application Activity")
_AUDIT_USED: Final = ("110101", DCM, "Audit Log Used")
_EXPORT: Final = ("110106", DCM, "Export")
_ACCESSED: Final = ("110103", DCM, "DICOM Instances Accessed")
_TRANSFERRED: Final = ("110104", DCM, "DICOM Instances Transferred")
_PATIENT: Final = ("110110", DCM, "Patient Record")
_PROCEDURE: Final = ("110111", DCM, "Procedure Record")
_ALERT: Final = ("110113", DCM, "Security Alert")
_AUTHENTICATION: Final = ("110114", DCM, "User Authentication")
_RESTFUL: Final = ("rest", REST, "RESTful Operation")
_START: Final = ("110120", DCM, "Application Start")
_STOP: Final = ("110121", DCM, "Application Stop")
_LOGOUT: Final = ("110123", DCM, "Logout")
_EMERGENCY: Final = ("110127", DCM, "Emergency Override Started")
_LOGIN: Final = ("110122", DCM, "Login")
_NODE: Final = ("110126", DCM, "Node Authentication")
_SECURITY: Final = ("110129", DCM, "Security Configuration")
_RESTRICTED: Final = ("110132", DCM, "Use of Restricted Function")
_SOFTWARE: Final = ("110131", DCM, "Software Configuration")
_USER: Final = ("110137", DCM, "User Security Attributes Changed")


def _lifecycle(code: str, display: str) -> tuple[str, str, str]:
    return (code, LIFECYCLE, f"{display} Record Lifecycle Event")


def _interaction(code: str) -> tuple[str, str, str]:
    return (code, INTERACTION, code)


_PSEUDONYMIZE: Final = _lifecycle("pseudonymize", "Pseudonymize")
_REIDENTIFY: Final = _lifecycle("reidentify", "Re-identify")
_DEIDENTIFY: Final = _lifecycle("deidentify", "De-Identify (Anononymize)")
_ORIGINATE: Final = _lifecycle("originate", "Originate/Retain")
_RECEIVE: Final = _lifecycle("receive", "Receive/Retain")
_TRANSMIT: Final = _lifecycle("transmit", "Transmit")
_DISCLOSE: Final = _lifecycle("disclose", "Disclose")
_EXTRACT: Final = _lifecycle("extract", "Extract")
_VERIFY: Final = _lifecycle("verify", "Verify")

EVENTS: Final[Mapping[str, EventType]] = {
    e.name: e
    for e in (
        EventType("study-received", "C", _TRANSFERRED, _RECEIVE, "A study arrived."),
        EventType("study-complete", "U", _PROCEDURE, None, "Nothing more of a study is awaited."),
        EventType("study-deidentified", "C", _ACCESSED, _DEIDENTIFY, "A study was de-identified."),
        EventType("study-quarantined", "U", _ACCESSED, None, "A study waits for a person."),
        EventType("quarantine-listed", "E", _ACCESSED, None, "A person listed what is in quarantine."),
        EventType("quarantine-viewed", "R", _ACCESSED, None, "A person looked at an entry of the quarantine."),
        EventType("quarantine-opened", "R", _ACCESSED, None, "A person was shown an instance in quarantine."),
        EventType("quarantine-released", "U", _ACCESSED, None, "A person let an instance out of quarantine."),
        EventType("quarantine-discarded", "D", _ACCESSED, None, "A person discarded an instance in quarantine."),
        EventType("originals-kept", "C", _PATIENT, _PSEUDONYMIZE, "The vault kept what stood behind placeholders."),
        EventType("originals-revealed", "R", _PATIENT, _REIDENTIFY, "The vault gave what stood behind placeholders."),
        EventType("pseudonym-created", "C", _PATIENT, _PSEUDONYMIZE, "The vault made pseudonyms."),
        EventType("pseudonym-looked-up", "R", _PATIENT, _PSEUDONYMIZE, "The vault gave pseudonyms."),
        EventType("identity-revealed", "R", _PATIENT, _REIDENTIFY, "The vault gave identities."),
        EventType("job-queued", "C", _ACTIVITY, None, "A study waits for a model."),
        EventType("job-retried", "U", _ACTIVITY, None, "A person let a failed job run again."),
        EventType("job-discarded", "D", _ACTIVITY, None, "A person discarded a failed job."),
        EventType("models-changed", "U", _ACTIVITY, None, "The hub has other versions of models in use."),
        EventType("model-registered", "C", _ALERT, _SOFTWARE, "A version of a model was registered."),
        EventType("model-alias-set", "U", _ALERT, _SOFTWARE, "A person gave a version of a model another part."),
        EventType("model-evaluated", "C", _ALERT, _SOFTWARE, "A model was measured on a locked data set."),
        EventType("promotion-requested", "C", _ALERT, _SOFTWARE, "A person asked for another champion."),
        EventType("promotion-refused", "E", _ALERT, _SOFTWARE, "The evidence for another champion did not suffice."),
        EventType("model-promoted", "U", _ALERT, _SOFTWARE, "A second person confirmed another champion."),
        EventType("model-rolled-back", "U", _ALERT, _SOFTWARE, "A person brought the former champion back."),
        EventType("drift-alarm", "E", _ACTIVITY, None, "What a model is shown, or answers, has changed."),
        EventType("drift-reference-set", "U", _ACTIVITY, None, "A person took what a model is shown now as usual."),
        EventType("inference-recorded", "C", _PROCEDURE, _ORIGINATE, "A model's result was recorded."),
        EventType("result-verified", "U", _PROCEDURE, _VERIFY, "A person confirmed or rejected a model's result."),
        EventType("study-forwarded", "R", _EXPORT, _DISCLOSE, "An edge sent a de-identified study to its hub."),
        EventType("study-not-forwarded", "E", _ALERT, None, "An edge could not forward a study: no room, or refused."),
        EventType("forwarding-retried", "U", _ACTIVITY, None, "A person let an edge forward a study after all."),
        EventType("spoke-study-received", "C", _TRANSFERRED, _RECEIVE, "A hub took a de-identified study of a spoke."),
        EventType("spoke-answered", "R", _EXPORT, _TRANSMIT, "A spoke fetched what a hub's models said of its study."),
        EventType("endpoint-asked", "R", _EXPORT, _DISCLOSE, "De-identified data went to a model that runs elsewhere."),
        EventType("reply-refused", "E", _ALERT, None, "A hub or an endpoint answered for what it was not asked."),
        EventType("result-published", "C", _TRANSFERRED, _TRANSMIT, "A result went into the hub's own FHIR store."),
        EventType("result-disclosed", "R", _EXPORT, _DISCLOSE, "A result went to another system."),
        EventType("delivery-failed", "C", _TRANSFERRED, _TRANSMIT, "A result could not be delivered."),
        EventType("message-received", "C", _PATIENT, _RECEIVE, "HL7 v2 brought a patient, a visit or an order."),
        EventType("patients-merged", "U", _PATIENT, None, "An HL7 v2 message merged two patients."),
        EventType("message-refused", "E", _ALERT, _NODE, "An HL7 v2 message or its sender was turned away."),
        EventType("ehr-signed-in", "E", _AUTHENTICATION, _LOGIN, "We, or a person through us, got access to an EHR."),
        EventType("ehr-record-read", "R", _PATIENT, _RECEIVE, "A patient's record was read from an EHR and sealed."),
        EventType("ehr-record-deidentified", "C", _PATIENT, _DEIDENTIFY, "A record from an EHR was de-identified."),
        EventType("ehr-key-made", "C", _ALERT, _SECURITY, "A key was made that proves to EHRs who we are."),
        EventType("encounter-opened", "C", _PATIENT, None, "An encounter is to be documented."),
        EventType("encounter-read", "R", _PATIENT, None, "Somebody looked how far an encounter has come."),
        EventType("encounters-listed", "E", _PATIENT, None, "Somebody listed the encounters that are documented."),
        EventType("consent-recorded", "U", _PATIENT, None, "Consent to a recording was put on record."),
        EventType("consent-withdrawn", "U", _PATIENT, None, "Consent to a recording was taken back."),
        EventType("recording-paused", "U", _ACTIVITY, None, "A recording was paused."),
        EventType("recording-resumed", "U", _ACTIVITY, None, "A recording went on."),
        EventType("recording-finished", "U", _ACTIVITY, None, "Nothing more of a recording is awaited."),
        EventType("audio-received", "C", _PATIENT, _RECEIVE, "Audio of an encounter arrived."),
        EventType("audio-heard", "R", _PATIENT, None, "Somebody listened to a place in a recording."),
        EventType("audio-deleted", "D", _PATIENT, None, "The audio of an encounter was deleted."),
        EventType("transcript-received", "C", _PATIENT, _RECEIVE, "A transcript came in place of audio."),
        EventType("transcript-read", "R", _PATIENT, None, "Somebody read a transcript."),
        EventType("transcript-deidentified", "C", _PATIENT, _DEIDENTIFY, "A transcript was de-identified."),
        EventType("encounter-transcribed", "C", _PATIENT, _ORIGINATE, "A recording was transcribed."),
        EventType("encounter-failed", "E", _ACTIVITY, None, "A recording could not be transcribed or drafted."),
        EventType("encounter-retried", "U", _ACTIVITY, None, "A person let a failed encounter be tried again."),
        EventType("roles-changed", "U", _PATIENT, None, "A person said who the speakers are."),
        EventType("note-drafted", "C", _PATIENT, _ORIGINATE, "A note was drafted and checked."),
        EventType("note-read", "R", _PATIENT, None, "Somebody read a note under review."),
        EventType("note-edited", "U", _PATIENT, None, "A person changed a note under review."),
        EventType("note-signed", "U", _PATIENT, _VERIFY, "A person signed a note."),
        EventType("note-amended", "U", _PATIENT, _VERIFY, "A person signed another version of a note."),
        EventType("signed-read", "R", _PATIENT, None, "Somebody read a signed note."),
        EventType("note-published", "C", _PATIENT, _TRANSMIT, "A signed note went into our own chart."),
        EventType("note-disclosed", "R", _EXPORT, _DISCLOSE, "A signed note went to another system."),
        EventType("note-delivery-failed", "E", _PATIENT, _TRANSMIT, "A signed note could not be delivered."),
        EventType("note-delivery-retried", "U", _ACTIVITY, None, "A person let a note be delivered again."),
        EventType("drafts-evaluated", "C", _ALERT, _SOFTWARE, "Drafts or hearing were measured, and it was kept."),
        EventType("language-model-asked", "R", _EXPORT, _DISCLOSE, "A de-identified transcript went to an endpoint."),
        EventType("alert-raised", "C", _PROCEDURE, None, "A critical finding was sent to people."),
        EventType("alert-escalated", "U", _PROCEDURE, None, "Nobody acknowledged an alert; it went out again."),
        EventType("alert-acknowledged", "U", _PROCEDURE, None, "A person acknowledged an alert."),
        EventType("resource-read", "R", _RESTFUL, _interaction("read"), "A FHIR resource was read."),
        EventType("version-read", "R", _RESTFUL, _interaction("vread"), "A version of a FHIR resource was read."),
        EventType("history-read", "R", _RESTFUL, _interaction("history"), "The history of FHIR resources was read."),
        EventType("resource-created", "C", _RESTFUL, _interaction("create"), "A FHIR resource was created."),
        EventType("resource-updated", "U", _RESTFUL, _interaction("update"), "A FHIR resource was replaced."),
        EventType("resource-patched", "U", _RESTFUL, _interaction("patch"), "A FHIR resource was patched."),
        EventType("resource-deleted", "D", _RESTFUL, _interaction("delete"), "A FHIR resource was deleted."),
        EventType("transaction-refused", "E", _RESTFUL, _interaction("transaction"), "A FHIR transaction was refused."),
        EventType("resource-searched", "E", _RESTFUL, _interaction("search-type"), "FHIR resources were searched."),
        EventType("everything-read", "R", _RESTFUL, _interaction("operation"), "All of a patient's record was read."),
        EventType("resource-validated", "E", _RESTFUL, _interaction("operation"), "A FHIR resource was validated."),
        EventType("export-started", "E", _EXPORT, _interaction("operation"), "A client asked for a bulk export."),
        EventType("patient-exported", "R", _EXPORT, _DISCLOSE, "A bulk export took in a patient's data."),
        EventType("export-downloaded", "R", _EXPORT, _TRANSMIT, "A client downloaded a file of a bulk export."),
        EventType("export-ended", "D", _EXPORT, None, "A bulk export was cancelled or expired; its files go."),
        EventType("subscriber-told", "R", _EXPORT, _DISCLOSE, "A subscriber was sent a resource, or told of one."),
        EventType("subscription-ended", "U", _ALERT, None, "A subscription was ended: it failed, or may not go on."),
        EventType("cds-called", "E", _PATIENT, None, "A CDS Hooks client was shown cards about a patient."),
        EventType("cds-feedback", "U", _ACTIVITY, None, "A CDS Hooks client told what became of cards."),
        EventType("access-denied", "E", _ALERT, _RESTRICTED, "Somebody asked for what they may not have."),
        EventType("association-rejected", "E", _ALERT, _NODE, "A DICOM peer was turned away."),
        EventType("token-issued", "E", _AUTHENTICATION, _LOGIN, "A client got an access token."),
        EventType("token-introspected", "R", _AUTHENTICATION, None, "A client asked what a token stands for."),
        EventType("token-revoked", "E", _AUTHENTICATION, None, "A client ended a token."),
        EventType("access-granted", "E", _AUTHENTICATION, None, "A person let a client act in their name."),
        EventType("access-refused", "E", _AUTHENTICATION, None, "A person did not let a client act in their name."),
        EventType("launch-created", "E", _AUTHENTICATION, None, "A launch of an app was prepared."),
        EventType("client-added", "C", _ALERT, _SECURITY, "A client was registered."),
        EventType("client-disabled", "U", _ALERT, _SECURITY, "A client was disabled."),
        EventType("user-added", "C", _ALERT, _USER, "A person was given an account."),
        EventType("user-disabled", "U", _ALERT, _USER, "A person's account was disabled."),
        EventType("signed-in", "E", _AUTHENTICATION, _LOGIN, "A person signed in."),
        EventType("signed-in-again", "E", _AUTHENTICATION, _LOGIN, "A person signed in again, to confirm one thing."),
        EventType("signed-out", "E", _AUTHENTICATION, _LOGOUT, "A person signed out."),
        EventType("sign-in-failed", "E", _AUTHENTICATION, _LOGIN, "A password, a code or signing in again was wrong."),
        EventType("sign-in-delayed", "E", _ALERT, _LOGIN, "A sign-in had to wait after many failures."),
        EventType("password-changed", "U", _ALERT, _USER, "A person's password was changed."),
        EventType("role-changed", "U", _ALERT, _USER, "A person was given another role."),
        EventType("second-factor-enrolled", "U", _ALERT, _USER, "A person enrolled a second factor."),
        EventType("second-factor-reset", "U", _ALERT, _USER, "A person's second factor was taken away."),
        EventType("recovery-code-used", "E", _ALERT, _LOGIN, "A person signed in with a recovery code."),
        EventType("glass-broken", "E", _ALERT, _EMERGENCY, "A person opened restricted records, for a reason."),
        EventType("glass-told", "E", _TRANSFERRED, _TRANSMIT, "The alarm of broken glass went to the privacy officer."),
        EventType("glass-listed", "R", _AUDIT_USED, None, "A person listed who broke the glass."),
        EventType("glass-reviewed", "U", _AUDIT_USED, None, "A person reviewed why the glass was broken."),
        EventType("key-rotated", "U", _ALERT, _SECURITY, "Keys were rotated or wrapped anew."),
        EventType("backup-started", "E", _EXPORT, _EXTRACT, "A person began to copy the hub's data."),
        EventType("backup-made", "R", _EXPORT, _EXTRACT, "A copy of the hub's data was finished."),
        EventType("backup-restored", "C", _ALERT, _SECURITY, "A hub's data was put back from a backup."),
        EventType("audit-exported", "R", _AUDIT_USED, _EXTRACT, "Audit entries were exported."),
        EventType("audit-searched", "R", _AUDIT_USED, None, "Audit entries were searched or read."),
        EventType("disclosures-listed", "R", _AUDIT_USED, _EXTRACT, "A patient's disclosures were accounted for."),
        EventType("audit-verified", "R", _AUDIT_USED, _VERIFY, "The audit chain was verified."),
        EventType("hub-started", "E", _ACTIVITY, _START, "A hub started."),
        EventType("hub-stopped", "E", _ACTIVITY, _STOP, "A hub stopped."),
    )
}


@dataclass(frozen=True, slots=True)
class Agent:
    """Who did it.

    Parameters
    ----------
    name : str
        User name, client id, AE title or name of the process. Characters that do not print are replaced.
    kind : {"person", "client", "system", "peer"}
    address : str
        Network address it came from; empty for the hub itself.
    via : str
        Id of the client through which a person acts; empty for none.
    """

    name: str
    kind: AgentKind
    address: str = ""
    via: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", printable(self.name))
        object.__setattr__(self, "address", printable(self.address))
        object.__setattr__(self, "via", printable(self.via))


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One thing that happened, to be written down. Holds pseudonyms, never a value from the data.

    Parameters
    ----------
    event : str
        A name from ``EVENTS``.
    outcome : {0, 4, 8, 12}
        Success, minor failure, serious failure, major failure (FHIR ``audit-event-outcome``).
    agent : Agent
    patient : str, optional
        Pseudonym of the patient.
    entities : tuple of str
        What it was about: ``study:<pseudonymous UID>``, ``job:<id>``, or a FHIR reference like ``Observation/abc``.
    detail : mapping of str to str, int or float
        Further facts, such as counts, versions and rule names. Of a search, ``type`` and ``parameters`` (their names,
        parted by commas) make its query.
    recipient : Agent, optional
        Another system that got something from the hub.
    purpose : str
        What for, by HL7 v3 PurposeOfUse, where it is not the usual: ``BTG`` behind broken glass.

    Raises
    ------
    ValueError
        If the event or the outcome is not in the tables.
    """

    event: str
    _: KW_ONLY
    agent: Agent
    outcome: int = 0
    patient: str | None = None
    entities: tuple[str, ...] = ()
    detail: Mapping[str, str | int | float] = field(default_factory=dict)
    recipient: Agent | None = None
    purpose: str = ""

    def __post_init__(self) -> None:
        if self.event not in EVENTS:
            raise ValueError(f"unknown audit event {self.event!r}")
        if self.outcome not in _OUTCOMES:
            raise ValueError("the outcome of an audit event is 0, 4, 8 or 12")
        if self.patient is not None:
            object.__setattr__(self, "patient", printable(self.patient))


def printable(text: str) -> str:
    """Replace what a database, a log or a terminal could stumble over: names come from the network."""
    short = text[:_MAX_TEXT]
    return (
        short if short.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in short)
    )


HUB: Final = Agent("osler", "system")
"""The hub itself, when nobody else acts."""
