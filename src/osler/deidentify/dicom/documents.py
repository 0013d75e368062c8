"""Encapsulated documents: what can be read is written anew without identifiers, the rest gives way to a notice.

======================  ==============================================================================================
MIME type               what becomes of it
======================  ==============================================================================================
text/xml (CDA)          rewritten: codes, numbers and cleaned narrative; all that names people, places and times is gone
model/stl, model/obj,   the geometry alone: no names, comments, file references, or bytes that belong to no triangle
model/mtl
application/pdf         one page that says that the document was removed: what a PDF draws cannot be told from its text
any other               nothing is left
======================  ==============================================================================================

References
----------
DICOM PS3.3 A.45 and A.85 (encapsulated document IODs), C.24.2 (MIME types)
"""

from typing import Final, Protocol

from osler.deidentify.dicom import cda, surfaces
from osler.errors import Malformed

MAX_BYTES: Final = 64 << 20
NOTICE: Final = "This document was removed by de-identification."


class Cleaner(Protocol):
    """Takes the identifiers out of a text."""

    def text(self, text: str) -> str:
        """Return the text without identifiers; empty when nothing of it may stay."""
        ...


def clean_document(raw: bytes, *, mime: str, cleaner: Cleaner) -> bytes:
    """Clean the content of Encapsulated Document (0042,0011).

    Parameters
    ----------
    raw : bytes
    mime : str
        MIME Type of Encapsulated Document (0042,0012).
    cleaner : Cleaner
        As :class:`osler.deidentify.dicom.descriptors.TextCleaner`.

    Returns
    -------
    bytes
        Of the same type, without padding; empty for a type that is not known. Encapsulated Document Length (0042,0015)
        has to follow it.
    """
    kind = mime.split(";")[0].strip(" \0").lower()
    if kind == "application/pdf":
        return notice_pdf()
    if len(raw) > MAX_BYTES:
        raw = b""
    try:
        if kind in ("text/xml", "application/xml", "application/hl7-cda+xml"):
            return cda.clean(raw.rstrip(b"\0"), cleaner.text)
        if kind in ("model/stl", "model/x.stl-binary"):
            return surfaces.clean_stl(raw)
        if kind == "model/obj":
            return surfaces.clean_obj(raw)
        if kind == "model/mtl":
            return surfaces.clean_mtl(raw)
    except Malformed:
        return cda.notice(NOTICE) if "xml" in kind else b""
    return b""


def notice_pdf() -> bytes:
    """Return a PDF of one page that says that the document was removed (ISO 32000-1, annex H.3)."""
    drawn = f"BT /F1 14 Tf 72 720 Td ({NOTICE}) Tj ET".encode("ascii")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    content, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return content + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, table, len(objects) + 1, len(content))
    )
