"""What stands in the ledger, as gauges."""

from dataclasses import replace

from osler.deidentify.study import deidentified_study
from osler.domain.states import AgeBand, Priority
from osler.monitor.standing import standing
from osler.queue.embedded import EmbeddedQueue
from osler.storage import Database
from osler.testing import FakeClock


def test_the_age_of_the_queue_is_that_of_the_oldest_job_of_each_priority(database: Database) -> None:
    clock = FakeClock()
    queue = EmbeddedQueue(database, clock=clock)
    study = deidentified_study(
        [], study_instance_uid="2.25.1", revision=1, age_bands=[AgeBand.CHILD], priority=Priority.LOW
    )
    for number, priority in enumerate([Priority.LOW, Priority.HIGH, Priority.LOW]):
        one = replace(study, study_instance_uid=f"2.25.{number}", priority=priority)
        database.write(lambda c, one=one: queue.put(c, one, "fake@1.0.0"))
        clock.advance(10.0)
    queue.claim("worker", models=["fake@1.0.0"], limit=1)
    with database.read() as connection:
        found = standing(connection, clock()).values
    assert found["osler_jobs"] == {("scheduled", "LOW"): 2.0, ("in progress", "HIGH"): 1.0}
    assert found["osler_queue_age_seconds"] == {("HIGH",): 0.0, ("MEDIUM",): 0.0, ("LOW",): 30.0}
    assert found["osler_jobs_dead"] == {(): 0.0}
    assert found["osler_deliveries_waiting"] == found["osler_outbox_age_seconds"] == {}
    assert found["osler_alert_age_seconds"] == {(): 0.0}
