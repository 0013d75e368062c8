"""Reading records from an EHR: a SMART on FHIR client, by backend services or in a person's name.

:mod:`~osler.ingest.ehr.wire` asks, :mod:`~osler.ingest.ehr.access` and :mod:`~osler.ingest.ehr.user_launch` get the
token, :mod:`~osler.ingest.ehr.fhir_client` reads and searches, :mod:`~osler.ingest.ehr.record` knows what of a patient
is read. What comes out is identified; nothing here writes it anywhere.
"""
