"""HL7 v2 messages as FHIR: who the patient is, where they are, and what was ordered."""
