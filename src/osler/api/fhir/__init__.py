"""FHIR R4 over HTTP: read and search what the hub has published."""
