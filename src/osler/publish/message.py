"""What an alert says, wherever it is sent: which result of which patient, by reference and without identity."""

from dataclasses import dataclass
from typing import Any, Protocol

from osler.domain.events import Recorded
from osler.domain.findings import CaseResult, Finding
from osler.publish.alert import Alert
from osler.publish.fhir import device_id, observation_id, report_id
from osler.publish.fhir_source import imaging_study_id
from osler.publish.wording import NOTICE, figures, outside, statement
from osler.standards.fhir import Resource, instant


class Says(Protocol):
    """What a webhook or a mail can carry: in JSON, and in plain words; without identity."""

    @property
    def idempotency_key(self) -> str:
        """The same each time this message is sent."""

    @property
    def reference(self) -> str:
        """What the delivery stands for."""

    def document(self) -> Resource:
        """Return it as JSON values."""

    def subject(self) -> str:
        """Return one line."""

    def text(self) -> str:
        """Return it in plain words."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one destination.

    Parameters
    ----------
    recorded : Recorded
    patient : str
        Pseudonym.
    base_url : str
        Where FHIR references are resolved, without a slash at the end.
    alert : Alert or None
        None when the result raised no alert and goes to a destination that wants them all.
    idempotency_key : str
        The same each time this message is sent.
    """

    recorded: Recorded
    patient: str
    base_url: str
    alert: Alert | None
    idempotency_key: str

    @property
    def reference(self) -> str:
        """What the delivery stands for: the alert, or the result."""
        return self.alert.id if self.alert else self.recorded.id

    @property
    def report_url(self) -> str:
        """Where the report can be read, by those who may."""
        return f"{self.base_url}/fhir/R4/DiagnosticReport/{report_id(self.recorded.inference)}"

    def document(self) -> Resource:
        """Return the message as JSON values."""
        inference = self.recorded.inference
        raised_at = self.alert.raised_at if self.alert else self.recorded.recorded_at
        return {
            "event": "critical-finding" if self.alert else "result",
            "id": self.reference,
            "level": self.alert.level if self.alert else 0,
            "raised_at": instant(raised_at),
            "notice": NOTICE,
            "patient": f"Patient/{self.patient}",
            "study": f"ImagingStudy/{imaging_study_id(inference.study_instance_uid)}",
            "report": f"DiagnosticReport/{report_id(inference)}",
            "url": self.report_url,
            "model": {
                "name": inference.model.name,
                "version": inference.model.version,
                "sha256": inference.model.sha256,
                "device": f"Device/{device_id(inference.model)}",
            },
            "findings": [self._finding(result, finding) for result, finding in self._told()],
        }

    def subject(self) -> str:
        """Return one line without identity, for a mail."""
        again = f", reminder {self.alert.level}" if self.alert and self.alert.level else ""
        kind = "critical finding" if self.alert else "result"
        return f"AI alert (preliminary): {kind}{again}"

    def text(self) -> str:
        """Return the message in plain words without identity, for a mail."""
        lines = [NOTICE, ""]
        for result, finding in self._told():
            lines += [part for part in (statement(finding), outside(result)) if part]
        lines += ["", f"Report: {self.report_url}"]
        if self.alert:
            lines.append(f"Acknowledge: osler alerts ack {self.alert.id}")
        lines.append(f"Model {self.recorded.inference.model}.")
        return "\n".join(dict.fromkeys(lines)) + "\n"

    def _told(self) -> list[tuple[CaseResult, Finding]]:
        """Return what is told: the critical findings of an alert, else all."""
        found = [(r, f) for r in self.recorded.inference.results for f in r.findings]
        return [(r, f) for r, f in found if f.positive and f.critical] if self.alert else found

    def _finding(self, result: CaseResult, finding: Finding) -> dict[str, Any]:
        probability, threshold = figures(finding)
        code = finding.code
        return {
            "label": finding.label,
            "code": {"system": code.scheme, "code": code.value, "display": code.meaning},
            "positive": finding.positive,
            "probability": probability,
            "threshold": threshold,
            "outside_intended_use": list(result.outside_intended_use),
            "observation": f"Observation/{observation_id(self.recorded.inference, result, finding)}",
        }
