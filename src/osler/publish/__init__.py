"""Results back to where the study came from: the chart (FHIR), the PACS (DICOM SR and SC), the person (alert).

:mod:`~osler.publish.outbox` says what is due, :mod:`~osler.publish.reidentify` finds the patient again and checks that
it is the right one, the other modules each know one form of a result or one way to send it.
"""
