"""Paediatric pneumonia triage on frontal chest radiographs: the built-in chest X-ray model."""

from osler.models.cxr.model import ChestRadiographModel


def model() -> ChestRadiographModel:
    """Make the model; the entry point ``cxr-pneumonia-paediatric`` of ``osler.models``."""
    return ChestRadiographModel()
