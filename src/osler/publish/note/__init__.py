"""A signed note on its way to the chart: identities back in, FHIR document, HL7 v2 message, the EHR's FHIR server.

:mod:`~osler.publish.note.identified` puts the identities back, :mod:`~osler.publish.note.document` makes the FHIR
document and what stands in it, :mod:`~osler.publish.note.mdm` the message; :mod:`~osler.publish.note.ehr` creates all
of it at an EHR once.
"""
