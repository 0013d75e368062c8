"""CDS Hooks 2.0: what the hub knows, as cards in the clinician's workflow."""
