"""DICOM instances into pseudonymised instances: the basic profile of PS3.15 on the encoded bytes."""

from osler.deidentify.dicom.instance import PreparedInstance, Pseudonyms, SafeInstance, deidentify_instance

__all__ = ["PreparedInstance", "Pseudonyms", "SafeInstance", "deidentify_instance"]
