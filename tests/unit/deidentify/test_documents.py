"""Encapsulated documents: written anew, or a notice in their place; never what was not understood."""

import struct
import time
import tracemalloc
from xml.etree import ElementTree

import pytest

from dicom_residue import Planted, Planter, cda, pdf, residue
from osler.deidentify.dicom.descriptors import cleaner_for
from osler.deidentify.dicom.documents import NOTICE, clean_document

CLEANER = cleaner_for({0x00100010: b"QUILLFEATHER^OTTOLINE"})
V3 = "{urn:hl7-org:v3}"


def cleaned(raw: bytes, mime: str) -> bytes:
    return clean_document(raw, mime=mime, cleaner=CLEANER)


def test_a_cda_document_keeps_narrative_codes_and_numbers() -> None:
    plant = Planter()
    raw = cda(plant)
    output = cleaned(raw + b"\0", "text/XML")
    assert residue(Planted(raw, plant.canaries), output) == []
    root = ElementTree.fromstring(output)
    assert root.find(f".//{V3}section/{V3}title").text.strip() == "Findings"  # type: ignore[union-attr]
    assert "has clear lungs." in "".join(root.find(f".//{V3}paragraph").itertext())  # type: ignore[union-attr]
    value = root.find(f".//{V3}observation/{V3}value")
    assert value is not None
    assert (value.get("value"), value.get("unit")) == ("72", "/min")
    assert [child.tag.removeprefix(V3) for child in root] == [
        *("typeId", "id", "code", "title", "effectiveTime", "confidentialityCode", "recordTarget", "author"),
        *("custodian", "component"),
    ]
    assert cleaned(output, "text/xml") == cleaned(cleaned(output, "text/xml"), "text/xml")


BOMB = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "' + b"&a;" * 50 + b'">]><ClinicalDocument xmlns="urn:hl7-org:v3"/>'


@pytest.mark.parametrize(
    "raw",
    [
        BOMB,
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><ClinicalDocument xmlns="urn:hl7-org:v3">&x;</ClinicalDocument>',
        BOMB.decode().encode("utf-16"),
        b"<a" * 100_000,
        b'<ClinicalDocument xmlns="urn:hl7-org:v3">' + b"<component>" * 100_000,
        b'<ClinicalDocument xmlns="urn:hl7-org:v3"><title>' + b"Quillfeather " * 300_000,
        b"<other>Quillfeather</other>",
        b"Quillfeather",
        b"",
    ],
    ids=["entities", "external", "utf-16", "open tags", "deep", "long", "another document", "no XML", "empty"],
)
def test_what_is_no_safe_cda_gives_way_to_a_notice(raw: bytes) -> None:
    began = time.process_time()
    tracemalloc.start()
    try:
        output = cleaned(raw, "text/XML")
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 2
    assert NOTICE in ElementTree.fromstring(output).findtext(f".//{V3}text", "")
    assert b"uillfeather" not in output


def test_a_pdf_gives_way_to_a_page_with_a_notice() -> None:
    plant = Planter()
    raw = pdf(plant)
    output = cleaned(raw, "application/pdf\0")
    assert residue(Planted(raw, plant.canaries), output) == []
    assert output.startswith(b"%PDF-1.4\n")
    assert NOTICE.encode() in output
    table = int(output.split(b"startxref\n")[1].split()[0])
    assert output[table:].startswith(b"xref\n0 6\n")
    for number, line in enumerate(output[table:].splitlines()[3:8], 1):
        assert output[int(line[:10]) :].startswith(b"%d 0 obj" % number)


TRIANGLE = struct.pack("<12f", 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0)


def test_a_binary_stl_keeps_its_triangles() -> None:
    raw = b"Ottoline Quillfeather".ljust(80) + struct.pack("<I", 1) + TRIANGLE + b"QF" + b"Quillfeather"
    assert cleaned(raw, "model/stl") == b"\0" * 80 + struct.pack("<I", 1) + TRIANGLE + b"\0\0"


@pytest.mark.parametrize(
    ("mime", "raw", "left"),
    [
        (
            "model/stl",
            b"solid Quillfeather\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 Quill\nendloop\nendfacet\n",
            b"solid\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nendloop\nendfacet\nendsolid\n",
        ),
        (
            "model/obj",
            b"# Quillfeather\nmtllib quill.mtl\no Ottoline\nv 0 0 1\nvn 0 1 0.5\nf 1//1 2//1 3//1\nv 1 2 Doe\n",
            b"v 0 0 1\nvn 0 1 0.5\nf 1//1 2//1 3//1\n",
        ),
        (
            "model/mtl",
            b"newmtl Quillfeather\nKd 1 0 0\nmap_Kd quill.png\nnewmtl Ottoline\nNs 10\n",
            b"newmtl material_1\nKd 1 0 0\nnewmtl material_2\nNs 10\n",
        ),
        ("model/stl", b"Quillfeather", b""),
        ("application/x-unknown", b"Quillfeather", b""),
    ],
)
def test_surfaces_keep_their_numbers(mime: str, raw: bytes, left: bytes) -> None:
    assert cleaned(raw, mime) == left
