"""What kind of image a case is, in categories that name nobody, for those who watch for drift."""

import contextlib
from typing import Final

import pydicom

from osler.domain.states import AgeBand
from osler.errors import OslerError
from osler.infer.contract import WORD
from osler.plugins import Case
from osler.registry.boundary import call

_OTHER: Final = "other"


def origin_of(case: Case, age_band: AgeBand) -> dict[str, str]:
    """Return the scanner (manufacturer and model, as far as de-identification keeps them), modality and the like.

    A value with unusual characters is told as ``other``: the header is a stranger's.
    """
    words = {"age": age_band.value}
    with contextlib.suppress(OslerError):  # a damaged header, which the model could read all the same
        words |= call("origin", lambda: _words(case.instances[0].header()))
    return {name: word if WORD.fullmatch(word) else _OTHER for name, word in words.items() if word}


def _words(header: pydicom.Dataset) -> dict[str, str]:
    return {
        "scanner": f"{_text(header, 'Manufacturer')} {_text(header, 'ManufacturerModelName')}".strip(),
        "modality": _text(header, "Modality"),
        "photometric": _text(header, "PhotometricInterpretation"),
    }


def _text(header: pydicom.Dataset, keyword: str) -> str:
    return str(header.get(keyword) or "").strip()
