"""FHIR R4 as JSON: read, write, check, and say what went wrong.

``loads`` and ``dumps`` keep decimals as text; ``validate`` checks against the R4 definitions; ``operation_outcome``
says what went wrong. No input or output here, and no policy.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from osler.errors import OslerError
from osler.standards.fhir_json import FhirDecimal, Resource, dumps, loads
from osler.standards.fhir_validation import Issue, validate

__all__ = ["FhirDecimal", "Issue", "Resource", "dumps", "instant", "issue_of", "loads", "operation_outcome", "validate"]


def operation_outcome(issues: Iterable[Issue]) -> Resource:
    """Build an OperationOutcome; without issues it says that all is well (R4 OperationOutcome.issue is 1..*)."""
    found = [_issue(issue) for issue in issues]
    return {
        "resourceType": "OperationOutcome",
        "issue": found or [{"severity": "information", "code": "informational", "diagnostics": "no issues"}],
    }


def issue_of(error: OslerError) -> Issue:
    """Return the issue that says an error of ours."""
    return Issue(error.issue_code, "", str(error) or type(error).__name__)


def instant(seconds: float) -> str:
    """Write a time (seconds since the epoch, UTC) as a FHIR instant with milliseconds."""
    moment = datetime.fromtimestamp(round(seconds * 1000) / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _issue(issue: Issue) -> Resource:
    made: Resource = {"severity": issue.severity, "code": issue.code, "diagnostics": issue.diagnostics}
    if issue.expression:
        made["expression"] = [issue.expression]
    return made
