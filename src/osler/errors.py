"""One tree of errors, split by what the caller can do next.

::

    OslerError
    ├── ConfigError                stop, exit 2
    ├── InputRejected              the sender's fault: refuse or quarantine, never retry
    │   ├── Malformed
    │   │   └── DataSetMismatch
    │   ├── UnsupportedKind
    │   │   └── UnsupportedMediaType
    │   ├── TooLarge
    │   ├── TooCostly
    │   ├── InvalidResource
    │   │   └── Unprocessable
    │   └── DeidentificationRefused
    ├── AccessDenied               audit as denied
    │   └── Unauthenticated
    ├── NotFound                   nothing of that name (or not for this caller)
    │   └── Gone
    ├── Conflict                   the state of things is not what the change expects: look again
    │   └── PreconditionFailed
    ├── Transient                  back off and retry
    │   ├── PeerUnavailable
    │   ├── StorageBusy
    │   ├── StorageFull
    │   └── Overloaded
    ├── DeliveryRefused            the receiver answered no: a person must look
    ├── PluginError                fail the job, keep the worker
    │   ├── ContractViolation
    │   │   └── ReplyRefused
    │   └── PluginTimeout
    └── IntegrityError             stop the process, page somebody

Each class carries its wire forms, so that every edge (DIMSE, HL7 v2, HTTP, FHIR) translates it once
and without an ``if`` chain. A message holds pseudonyms, tags and rule names, never a value from the data.
"""

from typing import Any, ClassVar


class OslerError(Exception):
    """The root. Catch it at an edge, nowhere else.

    Attributes
    ----------
    retryable : bool
        The same request may succeed later.
    dimse_status : int
        Status of a C-STORE response (PS3.4 table B.2-1; PS3.7 annex C).
    hl7_ack : str
        HL7 v2 acknowledgement code (table 0008).
    http_status : int
    issue_code : str
        FHIR R4 ``IssueType`` of the OperationOutcome.
    exit_code : int
        Exit code of a command that ends with this error.
    """

    retryable: ClassVar[bool] = False
    dimse_status: ClassVar[int] = 0x0110
    hl7_ack: ClassVar[str] = "AE"
    http_status: ClassVar[int] = 500
    issue_code: ClassVar[str] = "exception"
    exit_code: ClassVar[int] = 1


class ConfigError(OslerError):
    """The configuration cannot be used; the message names the setting and the line."""

    exit_code = 2


class InputRejected(OslerError):
    """What was sent cannot be taken; sending it again will not help."""

    dimse_status = 0xC000
    http_status = 400
    issue_code = "invalid"


class Malformed(InputRejected):
    """The bytes are not what they claim to be."""


class DataSetMismatch(Malformed):
    """The data set is not of the SOP class, instance or study that it was announced as."""

    dimse_status = 0xA900


class TooLarge(InputRejected):
    """What was sent is larger than the settings allow."""

    http_status = 413
    issue_code = "too-long"


class TooCostly(InputRejected):
    """To answer would mean to open more than is opened for one request: ask for less."""

    http_status = 422
    issue_code = "too-costly"


class InvalidResource(InputRejected):
    """A FHIR resource breaks the R4 definitions.

    Parameters
    ----------
    message : str
    issues : tuple of osler.standards.fhir.Issue
        What is wrong, and where.
    """

    def __init__(self, message: str, issues: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.issues = issues


class Unprocessable(InvalidResource):
    """Well formed, but a rule of this server or the state of the resource does not allow it."""

    http_status = 422
    issue_code = "processing"


class UnsupportedKind(InputRejected):
    """Well formed, but of a kind that is not taken here."""

    dimse_status = 0x0122
    hl7_ack = "AR"
    http_status = 422
    issue_code = "not-supported"


class UnsupportedMediaType(UnsupportedKind):
    """The request is not of a media type that is taken here."""

    http_status = 415


class DeidentificationRefused(InputRejected):
    """It cannot be made safe by rule; it waits in quarantine for a person.

    Parameters
    ----------
    rule : str
        Name of the rule that refused, kebab-case.
    message : str
        The reason, without any value from the data.
    """

    http_status = 422
    issue_code = "business-rule"

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class AccessDenied(OslerError):
    """The caller is unknown or may not do this."""

    dimse_status = 0x0124
    hl7_ack = "AR"
    http_status = 403
    issue_code = "forbidden"


class Unauthenticated(AccessDenied):
    """No credentials, or credentials that do not hold."""

    http_status = 401
    issue_code = "login"


class NotFound(OslerError):
    """There is nothing of that name, or nothing that this caller may know of."""

    dimse_status = 0x0112
    http_status = 404
    issue_code = "not-found"


class Gone(NotFound):
    """There was something of that name; it has been deleted."""

    http_status = 410
    issue_code = "deleted"


class Conflict(OslerError):
    """The state of things does not allow this change."""

    http_status = 409
    issue_code = "conflict"


class PreconditionFailed(Conflict):
    """The state of things is not the one that the change was made for."""

    http_status = 412


class Transient(OslerError):
    """It may work later: back off and retry."""

    retryable = True
    dimse_status = 0xA700
    http_status = 503
    issue_code = "transient"


class PeerUnavailable(Transient):
    """A peer did not answer, or answered that it cannot now."""


class StorageBusy(Transient):
    """The database or the disk did not answer in time."""


class StorageFull(Transient):
    """The disk watermark is reached; nothing more is taken until there is room."""

    http_status = 507
    issue_code = "no-store"


class Overloaded(Transient):
    """More waits than the settings allow; what is not urgent is to be sent again later."""


class DeliveryRefused(OslerError):
    """A destination understood the result and refused it; retrying will not help."""

    http_status = 502
    issue_code = "processing"


class PluginError(OslerError):
    """A plugin failed; the job fails, the worker goes on."""


class ContractViolation(PluginError):
    """A plugin returned what its contract does not allow (NaN, a missing output, an unknown case)."""


class ReplyRefused(ContractViolation):
    """Somebody answered for what was not asked: under another id, pseudonym, model or form. It is an alarm."""


class PluginTimeout(PluginError):
    """A plugin did not answer in its time and was stopped."""

    issue_code = "timeout"


class IntegrityError(OslerError):
    """The audit chain, the vault or a stored object is not what was written."""

    exit_code = 1
