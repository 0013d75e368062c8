"""Word lists of DICOM descriptions."""
