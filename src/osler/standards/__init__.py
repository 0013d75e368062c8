"""Parse and build what the standards define: DICOM, FHIR. No I/O, no policy."""
