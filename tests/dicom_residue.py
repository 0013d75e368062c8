"""Objects of each family with planted identifiers, and the search for what is left of them.

Every planted identifier is unique, so that what is found tells where it was planted.
"""

import base64
import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, generate_uid

from osler.standards.dicom import open_part10

PATIENT, PATIENT_ID, BIRTH_DATE = "QUILLFEATHER^OTTOLINE^B", "MRN-73104477", "19440517"
EXPLICIT, RLE, JPEG, DEFLATED = (
    *("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"),
    "1.2.840.10008.1.2.1.99",
)
_SURNAMES = [
    "Abernathy",
    "Brzezinski",
    "Castellanos",
    "Dombrowski",
    "Eberhardt",
    "Fitzwilliam",
    "Gustafsson",
    "Hargreaves",
    "Ivanenko",
    "Jaworski",
    "Kowalczyk",
    "Lindqvist",
    "Montgomery",
    "Nakagawa",
    "Okonkwo",
    "Papadopoulos",
    "Quintanilla",
    "Rosenberg",
    "Szymanski",
    "Takahashi",
    "Underhill",
    "Vandenberg",
    "Wojciechowski",
    "Xenakis",
    "Yamashita",
    "Zimmermann",
    "Ashworth",
    "Blackwood",
    "Carrington",
    "Davenport",
    "Ellsworth",
    "Farnsworth",
    "Goldstein",
    "Hathaway",
    "Ingersoll",
    "Jorgensen",
    "Kensington",
    "Lancaster",
    "Merriweather",
    "Northcott",
    "Ostrowski",
    "Pemberton",
    "Radcliffe",
    "Sutherland",
    "Thorneycroft",
    "Ulbricht",
    "Vanderbilt",
    "Weatherby",
    "Yarborough",
    "Zeligman",
    "Achterberg",
    "Birmingham",
    "Cunningham",
    "Delacroix",
    "Engelhardt",
    "Featherstone",
    "Greenwald",
    "Hollingsworth",
    "Isaksson",
    "Jablonski",
]


_PSEUDONYM = re.compile(rb"2\.25\.\d{20,39}|TMP[0-9A-F]{12}")


@dataclass
class Planted:
    """A Part 10 file with what was planted in it, by the place.

    ``kept`` tells of the output what of the must-keep values is lost.
    """

    content: bytes
    canaries: dict[str, tuple[str, ...]]
    kept: dict[str, Callable[[Dataset], object]] = field(default_factory=dict)
    wanted: dict[str, object] = field(default_factory=dict)

    def lost(self, output: Dataset) -> list[str]:
        """Return the must-keep values that the output does not have as they were."""
        missing = []
        for name, read in self.kept.items():
            try:
                value = read(output)
            except (AttributeError, KeyError, IndexError, TypeError):
                missing.append(name)
                continue
            if value != self.wanted[name]:
                missing.append(name)
        return missing


class Planter:
    """Makes unique identifiers and remembers where they were planted."""

    def __init__(self) -> None:
        self.canaries: dict[str, tuple[str, ...]] = {}
        self._count = 0

    def name(self, place: str, *, form: str = "{0}^Ottoline") -> str:
        """Return a person's name."""
        surname = _SURNAMES[self._count % len(_SURNAMES)]
        self._count += 1
        return self._note(place, form.format(surname), surname)

    def number(self, place: str, *, form: str = "{0}") -> str:
        """Return a record number."""
        self._count += 1
        number = f"73{self._count:03d}{(self._count * 7919) % 1000:03d}"
        return self._note(place, form.format(number), number)

    def date(self, place: str) -> str:
        """Return a date as DICOM writes it."""
        self._count += 1
        date = f"19{30 + self._count % 60}{1 + self._count % 12:02d}{1 + self._count % 28:02d}"
        return self._note(place, date, date)

    def phone(self, place: str, *, form: str = "{0}") -> str:
        """Return a telephone number."""
        self._count += 1
        phone = f"617-555-{1000 + self._count:04d}"
        return self._note(place, form.format(phone), phone)

    def uid(self, place: str) -> str:
        """Return an instance's UID."""
        self._count += 1
        return self._note(place, uid := f"1.2.826.0.1.3680043.8.731.{self._count}.{self._count * 31}", uid)

    def _note(self, place: str, text: str, *tokens: str) -> str:
        self.canaries[place] = tokens
        return text


def residue(planted: Planted, output: bytes) -> list[str]:
    """Return the places whose identifiers can still be found in the output, in whatever disguise.

    Pseudonyms are left out of the search: in 39 random digits eight given ones turn up by chance now and then.
    """
    views = [view.lower() for view in _views(_PSEUDONYM.sub(b"", output))]
    return sorted(
        place
        for place, tokens in planted.canaries.items()
        if any(form in view for token in tokens for form in _forms(token) for view in views)
    )


def _forms(token: str) -> list[str]:
    low = token.lower()
    digits = re.sub(r"\D", "", low)
    return [low, *([digits] if len(digits) >= 7 and digits != low and "." not in low else [])]


def _views(content: bytes) -> Iterator[str]:
    yield from _decoded(content)
    if DEFLATED.encode() + b"\0\0" in content or DEFLATED.encode() + b"\x02" in content:
        yield from _decoded(open_part10(content).data)
    for hidden in (*_inflated(content), *_base64(content), *_hexadecimal(content)):
        yield from _decoded(hidden)


def _decoded(content: bytes) -> Iterator[str]:
    for codec in ("latin-1", "utf-8", "gb18030", "shift_jis", "euc_kr", "iso2022_jp"):
        yield content.decode(codec, "ignore")
    for codec in ("utf-16-le", "utf-16-be"):
        for offset in (0, 1):
            yield content[offset:].decode(codec, "ignore")


def _inflated(content: bytes) -> Iterator[bytes]:
    for match in re.finditer(rb"stream\r?\n|\x78[\x01\x9c\xda]", content):
        at = match.end() if match[0].startswith(b"stream") else match.start()
        try:
            yield zlib.decompressobj().decompress(content[at:], 1 << 20)
        except zlib.error:
            continue


def _base64(content: bytes) -> Iterator[bytes]:
    for match in re.finditer(rb"[A-Za-z0-9+/]{12,}={0,2}", content):
        for offset in range(4):
            run = match[0][offset:]
            yield base64.b64decode(run[: len(run) // 4 * 4])


def _hexadecimal(content: bytes) -> Iterator[bytes]:
    for match in re.finditer(rb"(?:[0-9A-Fa-f]{2}){6,}", content):
        yield bytes.fromhex(match[0].decode())


# ------------------------------------------------------------------------------------------------ what all have


def base(plant: Planter, sop_class: str, modality: str, *, description: str) -> Dataset:
    """Return a header with identifiers in every attribute that usually has one."""
    d = Dataset()
    d.SpecificCharacterSet = "ISO_IR 100"
    d.SOPClassUID, d.SOPInstanceUID = sop_class, plant.uid("SOP Instance UID")
    d.StudyInstanceUID, d.SeriesInstanceUID = plant.uid("Study Instance UID"), plant.uid("Series Instance UID")
    d.FrameOfReferenceUID = plant.uid("Frame of Reference UID")
    d.Modality = modality
    plant.canaries["the patient's name"] = ("quillfeather",)
    plant.canaries["the patient's id"] = ("73104477",)
    plant.canaries["the patient's birth date"] = (BIRTH_DATE, "1944-05-17", "05/17/1944")
    d.PatientName, d.PatientID, d.PatientBirthDate = PATIENT, PATIENT_ID, BIRTH_DATE
    d.PatientSex, d.StudyID, d.SeriesNumber, d.InstanceNumber = "F", plant.number("Study ID"), "1", "1"
    d.StudyDate = d.SeriesDate = d.ContentDate = plant.date("dates")
    d.StudyTime = d.SeriesTime = d.ContentTime = "101112"
    d.AccessionNumber = plant.number("Accession Number")
    d.ReferringPhysicianName = plant.name("Referring Physician's Name")
    d.Manufacturer = "SIEMENS"
    d.StudyDescription = f"{description} QUILLFEATHER-OTTOLINE"
    d.SeriesDescription = plant.name("Series Description", form=f"{description} {{0}}")
    d.ProtocolName = f"{description} " + plant.number("Protocol Name", form="MRN {0}")
    d.InstitutionName = plant.name("Institution Name", form="{0} Memorial Hospital")
    d.InstitutionAddress = plant.name("Institution Address", form="12 {0} Street")
    d.StationName = plant.name("Station Name", form="CT{0}")
    d.PerformingPhysicianName = plant.name("Performing Physician's Name")
    d.OperatorsName = plant.name("Operators' Name")
    d.PatientAddress = plant.name("Patient's Address", form="7 {0} Road")
    d.PatientTelephoneNumbers = plant.phone("Patient's Telephone Numbers")
    d.OtherPatientIDs = plant.number("Other Patient IDs")
    d.PatientComments = plant.phone("Patient Comments", form="Call daughter at {0}.")
    d.AdditionalPatientHistory = plant.name("Additional Patient History", form="Seen by Dr. {0} for chest pain.")
    d.ImageComments = plant.name("Image Comments", form="Reviewed with {0}, no effusion.")
    d.SoftwareVersions = ["syngo CT 2012B", plant.name("Software Versions", form="built by {0}")]
    d.BodyPartExamined = plant.name("Body Part Examined", form="{0}").upper()[:16]
    d.RetrieveURL = plant.name("Retrieve URL", form="https://pacs.example/{0}/1")
    coded = Dataset()
    coded.CodeValue, coded.CodingSchemeDesignator = "51185008", "SCT"
    coded.CodeMeaning = plant.name("Code Meaning", form="Thorax of {0}")
    d.AnatomicRegionSequence = Sequence([coded])
    request = Dataset()
    request.RequestedProcedureDescription = plant.name("Requested Procedure Description", form="{0} CT")
    request.RequestedProcedureID = plant.number("Requested Procedure ID")
    request.ScheduledProcedureStepDescription = plant.phone("Scheduled Step", form="call {0}")
    d.RequestAttributesSequence = Sequence([request])
    other = Dataset()
    other.PatientID, other.TypeOfPatientID = plant.number("Other Patient IDs Sequence"), "TEXT"
    d.OtherPatientIDsSequence = Sequence([other])
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = sop_class, plant.uid("Source Image UID")
    source.SpatialLocationsPreserved = "YES"
    d.SourceImageSequence = Sequence([source])
    _private(plant, d)
    _unknown_sequence(plant, d)
    d.add_new(0x7FE10010, "LO", plant.name("private creator after the pixels"))
    d.DataSetTrailingPadding = plant.name("Data Set Trailing Padding").encode()
    return d


def _private(plant: Planter, d: Dataset) -> None:
    block = d.private_block(0x0029, plant.name("private creator", form="{0} PRIVATE"), create=True)
    block.add_new(0x10, "LO", plant.name("private LO"))
    block.add_new(0x11, "UN", plant.number("private UN").encode())
    inner = Dataset()
    inner.PatientName = plant.name("private sequence")
    block.add_new(0x12, "SQ", Sequence([inner]))


def _unknown_sequence(plant: Planter, d: Dataset) -> None:
    """A sequence of UN, in implicit VR (PS3.5 6.2.2), that holds a name and a date at depth two."""
    name, date = plant.name("UN sequence").encode(), plant.date("UN sequence, date").encode()
    elements = b"".join(
        struct.pack("<HHI", group, number, len(v + b" " * (len(v) % 2))) + v + b" " * (len(v) % 2)
        for group, number, v in ((0x0010, 0x0010, name), (0x0010, 0x0030, date))
    )
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(elements)) + elements
    d.add_new(0x00081199, "OB", item)  # becomes UN in what is written: pydicom itself would read the items


def pixels(plant: Planter, d: Dataset, *, bits: int = 16, frames: int = 1) -> bytes:
    """Add an image of random noise; returns its pixels."""
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.Rows, d.Columns, d.BitsAllocated, d.BitsStored, d.HighBit = 16, 16, bits, min(bits, 12), min(bits, 12) - 1
    d.SamplesPerPixel, d.PhotometricInterpretation, d.PixelRepresentation = 1, "MONOCHROME2", 0
    d.BurnedInAnnotation = "NO"
    if frames > 1:
        d.NumberOfFrames = frames
    step = bits // 8
    values = ((17 * i) % (1 << min(bits, 12)) for i in range(256 * frames))
    return b"".join(v.to_bytes(step, "little") for v in values)


def written(plant: Planter, d: Dataset, syntax: str = EXPLICIT) -> bytes:
    """Return the file, with identifiers in preamble, file meta information and after the last element."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = d.SOPClassUID, d.SOPInstanceUID
    meta.TransferSyntaxUID, meta.ImplementationClassUID = UID(syntax), generate_uid(prefix="1.2.3.")
    meta.SourceApplicationEntityTitle = plant.name("(0002,0016)", form="{0}")[:16]
    meta.SendingApplicationEntityTitle = plant.name("(0002,0017)", form="{0}")[:16]
    meta.ReceivingApplicationEntityTitle = plant.name("(0002,0018)", form="{0}")[:16]
    meta.PrivateInformationCreatorUID = plant.uid("(0002,0100)")
    meta.PrivateInformation = plant.name("(0002,0102)").encode()
    preamble = plant.name("preamble").encode().ljust(128, b"\0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = FileDataset(None, d, preamble=preamble, file_meta=meta)
        stream = io.BytesIO()
        whole.save_as(stream, enforce_file_format=True)
    content = stream.getvalue().replace(b"\x08\0\x99\x11OB", b"\x08\0\x99\x11UN")
    return content if syntax == DEFLATED else content + plant.name("after the last element").encode()


def common_kept(d: Dataset, *keywords: str) -> tuple[dict[str, Callable[[Dataset], object]], dict[str, object]]:
    """Return readers and values of attributes that must be kept."""
    kept = {k: (lambda o, k=k: o[k].value) for k in keywords if k in d}
    return kept, {k: d[k].value for k in kept}


# ------------------------------------------------------------------------------------------------ families


IMAGE_KEPT = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PhotometricInterpretation", "Modality")
GEOMETRY = ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "KVP")


def image(sop_class: str, modality: str, description: str, *, bits: int = 16, frames: int = 1) -> Planted:
    """Return an uncompressed image with padding after its pixels."""
    plant = Planter()
    d = base(plant, sop_class, modality, description=description)
    values = pixels(plant, d, bits=bits, frames=frames)
    d.PixelSpacing, d.SliceThickness, d.KVP = [0.7, 0.7], "1.25", "120"
    d.ImagePositionPatient, d.ImageOrientationPatient = [1.5, -2.25, 3], [1, 0, 0, 0, 1, 0]
    d.ChannelLabel = plant.name("Channel Label", form="{0}")[:16] if modality == "US" else None
    if d.ChannelLabel is None:
        del d.ChannelLabel
    overlay = 0x60000000
    d.add_new(overlay | 0x10, "US", 16)
    d.add_new(overlay | 0x11, "US", 16)
    d.add_new(overlay | 0x22, "LO", plant.name("Overlay Description"))
    d.add_new(overlay | 0x40, "CS", "G")
    d.add_new(overlay | 0x50, "SS", [1, 1])
    d.add_new(overlay | 0x100, "US", 1)
    d.add_new(overlay | 0x102, "US", 0)
    d.add_new(overlay | 0x1500, "LO", plant.name("Overlay Label"))
    d.add_new(overlay | 0x3000, "OB", plant.name("Overlay Data", form="{0}^O").encode().ljust(32, b"\0"))
    d.PixelData = values + plant.name("padding after PixelData").encode().ljust(32, b"\0")
    kept, wanted = common_kept(d, *IMAGE_KEPT, *GEOMETRY)
    kept["pixels"], wanted["pixels"] = (lambda o: o.PixelData[: len(values)]), values
    return Planted(written(plant, d), plant.canaries, kept, wanted)


def deflated() -> Planted:
    """Return a CT whose dataset is deflated."""
    plant = Planter()
    d = base(plant, "1.2.840.10008.5.1.4.1.1.2", "CT", description="CT ABDOMEN")
    d.PixelData = values = pixels(plant, d)
    kept, wanted = common_kept(d, *IMAGE_KEPT)
    kept["pixels"], wanted["pixels"] = (lambda o: o.PixelData), values
    return Planted(written(plant, d, DEFLATED), plant.canaries, kept, wanted)


def run_length() -> Planted:
    """Return an RLE image with bytes after the last segment."""
    plant = Planter()
    d = base(plant, "1.2.840.10008.5.1.4.1.1.2", "CT", description="CT HEAD")
    pixels(plant, d, bits=8)
    d.BitsStored, d.HighBit = 8, 7
    rows = b"".join(bytes([15]) + bytes(range(16)) for _ in range(16))
    frame = struct.pack("<16I", 1, 64, *[0] * 14) + rows
    trailing = plant.name("RLE trailing bytes").encode()
    d.PixelData = encapsulate([frame + trailing + b"\0" * ((len(frame) + len(trailing)) % 2)])
    d["PixelData"].is_undefined_length = True
    kept, wanted = common_kept(d, *IMAGE_KEPT)
    return Planted(written(plant, d, RLE), plant.canaries, kept, wanted)


def jpeg() -> Planted:
    """Return a JPEG image with a comment, an application segment, and bytes after its end."""
    from PIL import Image

    plant = Planter()
    d = base(plant, "1.2.840.10008.5.1.4.1.1.1", "CR", description="CHEST PA")
    pixels(plant, d, bits=8)
    d.BitsStored, d.HighBit = 8, 7
    stream = io.BytesIO()
    Image.new("L", (16, 16), 99).save(stream, "JPEG")
    coded = stream.getvalue()

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content

    inserted = segment(0xFE, plant.name("JPEG COM").encode()) + segment(0xE1, plant.number("JPEG APP1").encode())
    frame = coded[:2] + inserted + coded[2:] + plant.name("after EOI").encode()
    d.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2)])
    d["PixelData"].is_undefined_length = True
    kept, wanted = common_kept(d, *IMAGE_KEPT)
    return Planted(written(plant, d, JPEG), plant.canaries, kept, wanted)


def enhanced() -> Planted:
    """Return an enhanced MR of three frames, with names in its functional groups."""
    plant = Planter()
    d = base(plant, "1.2.840.10008.5.1.4.1.1.4.1", "MR", description="MR BRAIN")
    values = pixels(plant, d, frames=3)
    d.ContentQualification = "RESEARCH"
    spacing = Dataset()
    spacing.PixelSpacing, spacing.SliceThickness = [0.5, 0.5], "2"
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([spacing])
    comments = Dataset()
    comments.FrameComments = plant.name("Frame Comments", form="Frame of {0}")
    shared.FrameContentSequence = Sequence([comments])
    d.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for i in range(3):
        content, group = Dataset(), Dataset()
        content.StackID, content.InStackPositionNumber = "1", i + 1
        content.FrameLabel = plant.name(f"Frame Label {i}")
        content.FrameAcquisitionDateTime = plant.date(f"Frame Acquisition DateTime {i}") + "101112"
        group.FrameContentSequence = Sequence([content])
        groups.append(group)
    d.PerFrameFunctionalGroupsSequence = Sequence(groups)
    d.PixelData = values
    kept, wanted = common_kept(d, *IMAGE_KEPT, "NumberOfFrames")
    read = lambda o: o.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing  # noqa: E731
    kept["spacing"], wanted["spacing"] = read, spacing.PixelSpacing
    return Planted(written(plant, d), plant.canaries, kept, wanted)


def _content(kind: str, relationship: str, **values: object) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, kind
    name = Dataset()
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = "121071", "DCM", "Finding"
    item.ConceptNameCodeSequence = Sequence([name])
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def report(sop_class: str = "1.2.840.10008.5.1.4.1.1.88.33", modality: str = "SR") -> Planted:
    """Return an SR document, or a key object selection, with identifiers in content items at several depths."""
    plant = Planter()
    d = base(plant, sop_class, modality, description="Chest report")
    d.ValueType, d.ContinuityOfContent, d.CompletionFlag, d.VerificationFlag = (
        *("CONTAINER", "SEPARATE", "COMPLETE"),
        "VERIFIED",
    )
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = "126000", "DCM", "Imaging Measurement Report"
    d.ConceptNameCodeSequence = Sequence([title])
    observer = Dataset()
    observer.VerifyingObserverName = plant.name("Verifying Observer Name")
    observer.VerifyingOrganization = plant.name("Verifying Organization", form="{0} Clinic")
    observer.VerificationDateTime = plant.date("Verification DateTime") + "101112"
    d.VerifyingObserverSequence = Sequence([observer])
    unit, measured = Dataset(), Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "mm", "UCUM", "millimeter"
    measured.MeasurementUnitsCodeSequence, measured.NumericValue = Sequence([unit]), "12.7"
    coded = Dataset()
    coded.CodeValue, coded.CodingSchemeDesignator = "27925004", "SCT"
    coded.CodeMeaning = plant.name("SR CODE meaning", form="Nodule of {0}")
    deep = _content("TEXT", "HAS PROPERTIES", TextValue=plant.name("SR TEXT at depth 3", form="Discussed with {0}."))
    inner = _content("TEXT", "CONTAINS", TextValue=plant.phone("SR TEXT at depth 2", form="Call {0} with results."))
    inner.ContentSequence = Sequence([deep])
    group = _content("CONTAINER", "CONTAINS", ContinuityOfContent="SEPARATE")
    group.ContentSequence = Sequence([inner, _content("PNAME", "CONTAINS", PersonName=plant.name("SR PNAME, deep"))])
    d.ContentSequence = Sequence(
        [
            _content("TEXT", "CONTAINS", TextValue="No pleural effusion."),
            _content("TEXT", "CONTAINS", TextValue=plant.number("SR TEXT", form="Patient MRN {0}, stable.")),
            _content("PNAME", "CONTAINS", PersonName=plant.name("SR PNAME")),
            _content("UIDREF", "CONTAINS", UID=plant.uid("SR UIDREF")),
            _content("DATE", "CONTAINS", Date=plant.date("SR DATE")),
            _content("NUM", "CONTAINS", MeasuredValueSequence=Sequence([measured])),
            _content("CODE", "CONTAINS", ConceptCodeSequence=Sequence([coded])),
            group,
        ]
    )
    kept: dict[str, Callable[[Dataset], object]] = {
        "NUM": lambda o: str(o.ContentSequence[5].MeasuredValueSequence[0].NumericValue),
        "CODE": lambda o: o.ContentSequence[6].ConceptCodeSequence[0].CodeValue,
        "number of items": lambda o: len(o.ContentSequence),
        "clinical text": lambda o: o.ContentSequence[0].TextValue,
    }
    wanted = {"NUM": "12.7", "CODE": "27925004", "number of items": 8, "clinical text": "No pleural effusion."}
    return Planted(written(plant, d), plant.canaries, kept, wanted)


def presentation_state() -> Planted:
    """Return a greyscale presentation state with text drawn on the image."""
    plant = Planter()
    d = base(plant, "1.2.840.10008.5.1.4.1.1.11.1", "PR", description="Chest annotation")
    d.ContentLabel, d.ContentDescription = "ANNOTATION", plant.name("Content Description", form="for {0}")
    d.ContentCreatorName = plant.name("Content Creator's Name")
    text, graphic = Dataset(), Dataset()
    text.UnformattedTextValue = plant.name("PR text", form="{0} 5 mm")
    text.AnchorPoint, text.AnchorPointVisibility, text.AnchorPointAnnotationUnits = [3, 4], "Y", "PIXEL"
    graphic.GraphicLayer, graphic.TextObjectSequence = "LAYER1", Sequence([text])
    d.GraphicAnnotationSequence = Sequence([graphic])
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = "LAYER1", 1
    layer.GraphicLayerDescription = plant.name("Graphic Layer Description", form="drawn by {0}")
    d.GraphicLayerSequence = Sequence([layer])
    return Planted(written(plant, d), plant.canaries)


def segmentation() -> Planted:
    """Return a segmentation whose labels name people."""
    plant = Planter()
    d = base(plant, "1.2.840.10008.5.1.4.1.1.66.4", "SEG", description="Liver segmentation")
    d.Rows, d.Columns, d.BitsAllocated, d.BitsStored, d.HighBit, d.NumberOfFrames = 8, 8, 1, 1, 0, 1
    d.SamplesPerPixel, d.PhotometricInterpretation, d.PixelRepresentation = 1, "MONOCHROME2", 0
    d.ImageType, d.SegmentationType = ["DERIVED", "PRIMARY"], "BINARY"
    d.ContentLabel, d.ContentDescription = "SEGMENTATION", plant.name("Content Description", form="{0} liver")
    d.ContentCreatorName = plant.name("Content Creator's Name")
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentAlgorithmType = 1, "MANUAL"
    segment.SegmentLabel = plant.name("Segment Label", form="{0} liver")
    segment.SegmentDescription = plant.number("Segment Description", form="liver of MRN {0}")
    d.SegmentSequence = Sequence([segment])
    d.PixelData = bytes(range(8))
    kept, wanted = common_kept(d, "Rows", "Columns", "SegmentationType")
    kept["pixels"], wanted["pixels"] = (lambda o: o.PixelData), bytes(range(8))
    kept["number"], wanted["number"] = (lambda o: o.SegmentSequence[0].SegmentNumber), 1
    return Planted(written(plant, d), plant.canaries, kept, wanted)


def structure_set() -> Planted:
    """Return an RT structure set whose regions name people."""
    plant = Planter()
    d = base(plant, "1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", description="Pelvis planning")
    d.StructureSetLabel = plant.name("Structure Set Label", form="{0}")[:16]
    d.StructureSetName = plant.name("Structure Set Name")
    d.StructureSetDescription = plant.name("Structure Set Description", form="drawn by {0}")
    rois = []
    for number, text in enumerate((plant.name("ROI Name", form="PTV {0}"), "BLADDER"), 1):
        roi = Dataset()
        roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = number, text, "MANUAL"
        roi.ReferencedFrameOfReferenceUID = d.FrameOfReferenceUID
        roi.ROIDescription = plant.phone(f"ROI Description {number}")
        rois.append(roi)
    d.StructureSetROISequence = Sequence(rois)
    contour, drawn = Dataset(), Dataset()
    contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", 3
    contour.ContourData = [0, 0, 1, 1, 0, 1, 1, 1, 1]
    drawn.ReferencedROINumber, drawn.ContourSequence = 1, Sequence([contour])
    d.ROIContourSequence = Sequence([drawn])
    observation = Dataset()
    observation.ObservationNumber, observation.ReferencedROINumber = 1, 1
    observation.RTROIInterpretedType = "PTV"
    observation.ROIObservationLabel = plant.name("ROI Observation Label", form="{0}")[:16]
    observation.ROIInterpreter = plant.name("ROI Interpreter")
    d.RTROIObservationsSequence = Sequence([observation])
    kept: dict[str, Callable[[Dataset], object]] = {
        "contour": lambda o: list(o.ROIContourSequence[0].ContourSequence[0].ContourData),
        "clinical ROI": lambda o: o.StructureSetROISequence[1].ROIName,
    }
    return Planted(
        written(plant, d), plant.canaries, kept, {"contour": [0, 0, 1, 1, 0, 1, 1, 1, 1], "clinical ROI": "BLADDER"}
    )


def plan() -> Planted:
    """Return an RT plan with names in its labels."""
    plant = Planter()
    d = base(plant, "1.2.840.10008.5.1.4.1.1.481.5", "RTPLAN", description="Prostate plan")
    d.RTPlanLabel, d.RTPlanName = plant.name("RT Plan Label", form="{0}")[:16], plant.name("RT Plan Name")
    d.RTPlanDescription, d.RTPlanGeometry = plant.name("RT Plan Description", form="plan of {0}"), "PATIENT"
    d.PrescriptionDescription = plant.number("Prescription Description", form="78 Gy MRN {0}")
    beam = Dataset()
    beam.BeamNumber, beam.BeamName, beam.BeamType = 1, plant.name("Beam Name", form="AP {0}"), "STATIC"
    beam.BeamDescription, beam.TreatmentMachineName = plant.name("Beam Description"), plant.name("Machine")[:16]
    d.BeamSequence = Sequence([beam])
    kept: dict[str, Callable[[Dataset], object]] = {"beam": lambda o: o.BeamSequence[0].BeamNumber}
    return Planted(written(plant, d), plant.canaries, kept, {"beam": 1})


def waveform() -> Planted:
    """Return a 12-lead ECG with annotations."""
    plant = Planter()
    d = base(plant, "1.2.840.10008.5.1.4.1.1.9.1.1", "ECG", description="ECG rest")
    channel, group = Dataset(), Dataset()
    channel.ChannelLabel, channel.WaveformBitsStored = plant.name("Channel Label", form="{0}")[:16], 16
    group.WaveformOriginality, group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = "ORIGINAL", 1, 4
    group.SamplingFrequency, group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 500, 16, "SS"
    group.MultiplexGroupLabel = plant.name("Multiplex Group Label", form="{0}")
    group.ChannelDefinitionSequence = Sequence([channel])
    group.add_new(0x54001010, "OW", bytes(range(8)))
    d.WaveformSequence = Sequence([group])
    note = Dataset()
    note.UnformattedTextValue, note.AnnotationGroupNumber = plant.name("ECG annotation", form="{0} sinus rhythm"), 0
    d.WaveformAnnotationSequence = Sequence([note])
    kept: dict[str, Callable[[Dataset], object]] = {"samples": lambda o: o.WaveformSequence[0][0x54001010].value}
    return Planted(written(plant, d), plant.canaries, kept, {"samples": bytes(range(8))})


def document(kind: str) -> Planted:
    """Return an encapsulated PDF or CDA with identifiers in content, streams, metadata and media."""
    plant = Planter()
    sop_class = {"pdf": "1.2.840.10008.5.1.4.1.1.104.1", "cda": "1.2.840.10008.5.1.4.1.1.104.2"}[kind]
    d = base(plant, sop_class, "DOC", description="Chest document")
    d.DocumentTitle = plant.name("Document Title", form="Report of {0}")
    d.MIMETypeOfEncapsulatedDocument = {"pdf": "application/pdf", "cda": "text/XML"}[kind]
    d.BurnedInAnnotation = "YES"
    content = pdf(plant) if kind == "pdf" else cda(plant)
    d.EncapsulatedDocumentLength = len(content)
    d.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    return Planted(written(plant, d), plant.canaries)


def pdf(plant: Planter) -> bytes:
    """Return a PDF with a compressed content stream, an attachment, a document information and XMP."""
    drawn = zlib.compress(f"BT ({plant.name('PDF content')}) Tj ET".encode())
    attached = zlib.compress(plant.number("PDF attachment").encode())
    xmp = f"<x:xmpmeta>{plant.name('PDF XMP')}</x:xmpmeta>".encode()
    hexadecimal = plant.name("PDF hexadecimal text").encode().hex().encode()
    return b"".join(
        (
            b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n",
            b"4 0 obj\n<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (len(drawn), drawn),
            b"5 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (len(attached), attached),
            b"6 0 obj\n<< /Type /Metadata >>\nstream\n%s\nendstream\nendobj\n7 0 obj\n<%s>\nendobj\n"
            % (xmp, hexadecimal),
            f"8 0 obj\n<< /Author ({plant.name('PDF author')}) >>\nendobj\n%%EOF\n".encode(),
        )
    )


def cda(plant: Planter) -> bytes:
    """Return a CDA document with identifiers in header, narrative, entries, comments and media."""
    media = base64.b64encode(plant.name("CDA media", form="photo of {0} at home").encode()).decode()
    surname = plant.name("CDA name", form="{0}")
    parts = (
        f'<?xml version="1.0"?><!-- {plant.name("CDA comment")} --><ClinicalDocument xmlns="urn:hl7-org:v3"',
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">',
        '<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>',
        f'<id root="{plant.uid("CDA id")}" extension="{plant.number("CDA id extension")}"/>',
        f'<code code="18748-4" codeSystem="2.16.840.1.113883.6.1" displayName="{plant.name("CDA display name")}"/>',
        f"<title>Report for {plant.name('CDA title', form='{0}')}</title>",
        f'<effectiveTime value="{plant.date("CDA time")}"/><recordTarget><patientRole>',
        f'<id extension="{plant.number("CDA patient id")}"/><telecom value="tel:{plant.phone("CDA tel")}"/>',
        f"<patient><name><given>O</given><family>{surname}</family></name></patient></patientRole></recordTarget>",
        "<component><structuredBody><component><section><title>Findings</title><text>",
        f'<paragraph ID="{plant.name("CDA ID", form="{0}")}">Patient {plant.name("CDA narrative", form="{0}")}',
        f' has clear lungs.</paragraph><renderMultiMedia referencedObject="{plant.name("CDA reference")}"/></text>',
        '<entry><observation classCode="OBS" moodCode="EVN">',
        '<code code="8867-4" codeSystem="2.16.840.1.113883.6.1"/><value xsi:type="PQ" value="72" unit="/min"/>',
        f'</observation></entry><entry><observationMedia><value representation="B64">{media}</value>',
        "</observationMedia></entry></section></component></structuredBody></component></ClinicalDocument>",
    )
    return "".join(parts).encode()


def in_character_set(term: str | list[str], encoded: dict[str, bytes], description: bytes) -> Planted:
    """Return a CT whose names are in a character set, which may be the wrong one; ``encoded`` by place."""
    plant = Planter()
    d = base(plant, "1.2.840.10008.5.1.4.1.1.2", "CT", description="CT CHEST")
    d.PixelData = pixels(plant, d)
    d.SpecificCharacterSet = term
    whole = written(plant, d)
    value = encoded["PatientName"]
    value += b" " * (len(value) % 2)
    for tag, vr, new in ((0x00100010, b"PN", value), (0x00081030, b"LO", description + b" " * (len(description) % 2))):
        head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
        at = whole.index(head, 200)
        length = struct.unpack_from("<H", whole, at + 6)[0]
        whole = whole[: at + 6] + struct.pack("<H", len(new)) + new + whole[at + 8 + length :]
    return Planted(whole, plant.canaries)


FAMILIES: dict[str, Callable[[], Planted]] = {
    "CT": lambda: image("1.2.840.10008.5.1.4.1.1.2", "CT", "CT CHEST W CONTRAST"),
    "CT deflated": deflated,
    "CT in RLE": run_length,
    "CR in JPEG": jpeg,
    "CR": lambda: image("1.2.840.10008.5.1.4.1.1.1", "CR", "CHEST PA"),
    "MR": lambda: image("1.2.840.10008.5.1.4.1.1.4", "MR", "MR BRAIN WO CONTRAST"),
    "MR enhanced": enhanced,
    "US": lambda: image("1.2.840.10008.5.1.4.1.1.6.1", "US", "US ABDOMEN", bits=8),
    "SC": lambda: image("1.2.840.10008.5.1.4.1.1.7", "OT", "SCREENSHOT", bits=8),
    "SR": report,
    "KO": lambda: report("1.2.840.10008.5.1.4.1.1.88.59", "KO"),
    "PR": presentation_state,
    "SEG": segmentation,
    "RTSTRUCT": structure_set,
    "RTPLAN": plan,
    "ECG": waveform,
    "PDF": lambda: document("pdf"),
    "CDA": lambda: document("cda"),
}
