"""What happens on the DICOM network, into metrics, log and audit. Nothing here names a patient."""

import structlog

from osler.api.denials import Denials
from osler.audit import Agent, AuditRecord
from osler.errors import OslerError
from osler.ingest.dimse import Peer
from osler.metrics import Metrics

log = structlog.get_logger(__name__)


class NetworkObserver:
    """Counts and notes what peers do.

    Parameters
    ----------
    metrics : Metrics
    denials : Denials
        Where rejections are written down: a flood of them is a few entries with counts.
    """

    def __init__(self, metrics: Metrics, denials: Denials) -> None:
        self._metrics = metrics
        self._denials = denials

    def association_accepted(self, peer: Peer) -> None:
        """Note an association."""
        log.debug("association accepted", calling=peer.calling_ae_title, address=peer.address)

    def association_rejected(self, peer: Peer, reason: str) -> None:
        """Put a rejection on record."""
        self._metrics.refused("dimse", reason)
        log.warning("association rejected", calling=peer.calling_ae_title, address=peer.address, reason=reason)
        agent = Agent(peer.calling_ae_title or "unknown", "peer", peer.address)
        try:
            self._denials.write_now(
                AuditRecord(event="association-rejected", outcome=4, agent=agent, detail={"reason": reason})
            )
        except OslerError as error:  # the peer got nothing; the rejection stands without its entry
            log.error("audit entry lost", entry="association-rejected", reason=str(error))

    def association_aborted(self, peer: Peer, reason: str) -> None:
        """Note an association that ended badly."""
        self._metrics.refused("dimse", reason)
        log.warning("association aborted", calling=peer.calling_ae_title, address=peer.address, reason=reason)

    def instance_refused(self, peer: Peer, status: int) -> None:
        """Note an instance that was not taken."""
        self._metrics.refused("dimse", f"{status:04X}")
        log.warning("instance refused", calling=peer.calling_ae_title, address=peer.address, status=f"{status:04X}")
