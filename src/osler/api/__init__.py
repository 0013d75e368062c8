"""The HTTP side: FHIR, DICOMweb store, OAuth, health, metrics. It translates; decisions are made below."""
