"""Identifiers planted in every place that an object of each family has for them: none comes out, and the image does."""

import inspect
import io
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pydicom
import pytest

from dicom_residue import FAMILIES, Planted, in_character_set, residue
from osler.deidentify.dicom import SafeInstance, deidentify_instance
from osler.deidentify.dicom.descriptors import LENGTHS, READ, cleaner_for
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.errors import DeidentificationRefused

CLEAN = ("clean-descriptors", "clean-structured-content", "clean-graphics")
OPTION_SETS: dict[str, tuple[str, ...]] = {"none": ()}
if "options" in inspect.signature(deidentify_instance).parameters:
    OPTION_SETS |= {
        "all that clean": CLEAN,
        **{option: (option,) for option in CLEAN},
        "retain-safe-private": ("retain-safe-private",),
    }

RETAINED: dict[str, frozenset[str]] = {
    "retain-uids": frozenset(
        f"{of} UID"
        for of in ("SOP Instance", "Study Instance", "Series Instance", "Frame of Reference", "Source Image")
    ),
    "retain-device-identity": frozenset({"Station Name"}),
    "retain-institution-identity": frozenset({"Institution Name", "Institution Address"}),
    "retain-patient-characteristics": frozenset(),
    "retain-longitudinal-full-dates": frozenset({"dates", *(f"Frame Acquisition DateTime {i}" for i in range(3))}),
    "retain-longitudinal-modified-dates": frozenset(),
}
"""The places that an option lets stay."""

OPEN: dict[str, frozenset[str]] = {"CT in RLE": frozenset({"RLE trailing bytes"})}
"""Places that are known to leak still, by family; to be empty."""

IMAGES = ("CT", "CT deflated", "CT in RLE", "CR in JPEG", "CR", "MR", "MR enhanced")
"""Families that the basic profile alone lets through."""


@cache
def planted(family: str) -> Planted:
    return FAMILIES[family]()


def deidentified(content: bytes, options: tuple[str, ...] = ()) -> SafeInstance:
    if not options:
        return deidentify_instance(content, pseudonyms=EphemeralPseudonyms())
    chosen = {"options": frozenset(options)}
    return deidentify_instance(content, pseudonyms=EphemeralPseudonyms(), **chosen)


def outcome(family: str, options: str) -> SafeInstance | str:
    """Return what came of an object: the output, or the reason of its refusal."""
    try:
        return deidentified(planted(family).content, OPTION_SETS[options])
    except DeidentificationRefused as refused:
        assert family not in IMAGES
        return str(refused)


def read(content: bytes) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(content))
        list(dataset.iterall())
    return dataset


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_planted_can_be_found(family: str) -> None:
    """The search sees each canary in the input, so that its silence about an output means something."""
    object_ = planted(family)
    assert residue(object_, object_.content) == sorted(object_.canaries)
    assert object_.lost(read(object_.content)) == []
    assert len(object_.canaries) >= 47


@pytest.mark.parametrize("options", OPTION_SETS)
@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_planted_is_left(family: str, options: str) -> None:
    object_, safe = planted(family), outcome(family, options)
    if isinstance(safe, str):
        assert residue(object_, safe.encode()) == []
        return
    assert set(residue(object_, safe.content)) <= OPEN.get(family, frozenset())
    if options in ("none", "all that clean") and family in IMAGES:
        assert object_.lost(read(safe.content)) == []


@pytest.mark.skipif(len(OPTION_SETS) == 1, reason="deidentify_instance takes no options")
@pytest.mark.parametrize("option", RETAINED)
@pytest.mark.parametrize("family", IMAGES)
def test_an_option_lets_stay_what_it_says_and_no_more(family: str, option: str) -> None:
    object_ = planted(family)
    assert set(residue(object_, deidentified(object_.content, (option,)).content)) <= RETAINED[option]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_cleaner_by_itself_leaves_nothing(family: str) -> None:
    """Every text of an object, at any depth, seeded with no more than the header of the object itself."""
    object_, dataset = planted(family), read(planted(family).content)
    raw = {tag: str(dataset[tag].value).encode("latin-1") for tag in READ if tag in dataset}
    cleaner = cleaner_for({**raw, 0x00080005: b"ISO_IR 100"})
    texts = [e for e in dataset.iterall() if e.VR in LENGTHS and e.value and not e.tag.is_private]
    assert len(texts) > 20
    for element in texts:
        values = [element.value] if isinstance(element.value, str) else list(element.value)
        value = "\\".join(values).encode("latin-1")
        cleaned = cleaner.value(value, vr=element.VR, character_set=b"ISO_IR 100")
        if element.keyword not in IDENTIFIERS:
            assert residue(object_, cleaned) == [], element.keyword
        if element.keyword in CLINICAL:
            assert cleaned.decode("latin-1").upper().startswith(value.decode("latin-1").split()[0].upper())


IDENTIFIERS = frozenset({"StudyID", "AccessionNumber", "PatientID"})
"""Numbers alone, which are not cleaned but replaced."""

CLINICAL = frozenset({"StudyDescription", "SeriesDescription", "ProtocolName"})

Row = tuple[str, str | list[str], str, str, bytes, tuple[str, ...]]
CHARACTER_SETS: list[Row] = [
    ("three groups", ["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "iso2022_jp", b"CT Yamada",
     ("yamada", "tarou", "山田", "太郎", "やまだ")),
    ("Korean", ["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞", "euc_kr", b"CT Hong Gildong", ("gildong", "吉洞")),
    ("GB18030", "GB18030", "Wang^XiaoDong=王^小东", "gb18030", "王小东 CT".encode("gb18030"), ("xiaodong", "小东")),
    ("UTF-8", "ISO_IR 192", "Müllerßon^Jürgen", "utf-8", "Müllerßon CT".encode(), ("müllerßon", "jürgen")),
    ("Latin-1", "ISO_IR 100", "Müllersøn^Jürgen", "latin-1", b"M\xfcllers\xf8n CT", ("müllersøn", "jürgen")),
    ("Cyrillic, UTF-8", "ISO_IR 144", "Люксембург^Петр", "utf-8", "Люксембург".encode(), ("люксембург", "петр")),
    ("UTF-8, Latin-1 declared", "ISO_IR 100", "Müllerßon^Jürgen", "utf-8", "Müllerßon".encode(), ("müllerßon",)),
    ("Latin-1, UTF-8 declared", "ISO_IR 192", "Müllersøn^J", "latin-1", b"M\xfcllers\xf8n", ("müllersøn",)),
    ("GB18030, none declared", "", "王^小东", "gb18030", "王小东".encode("gb18030"), ("小东",)),
    ("escapes, none declared", "ISO_IR 100", "山田^太郎", "iso2022_jp", "山田太郎".encode("iso2022_jp"), ("山田",)),
]  # fmt: skip


@pytest.mark.parametrize("options", OPTION_SETS)
@pytest.mark.parametrize("row", CHARACTER_SETS, ids=lambda row: row[0])
def test_names_in_every_character_set(
    row: tuple[str, str | list[str], str, str, bytes, tuple[str, ...]], options: str
) -> None:
    _, term, name, codec, description, tokens = row
    object_ = in_character_set(term, {"PatientName": name.encode(codec)}, description)
    object_.canaries = {token: (token,) for token in tokens}
    assert set(residue(object_, object_.content)) == set(tokens)
    assert residue(object_, deidentified(object_.content, OPTION_SETS[options]).content) == []


@pytest.fixture(scope="session")
def errors(need: Callable[..., str]) -> Callable[[bytes, Path], int]:
    """Return a function that counts the errors that dciodvfy finds in a file."""
    beside_python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    program = shutil.which("dciodvfy", path=beside_python) or need("dciodvfy")

    def _errors(content: bytes, folder: Path) -> int:
        file = folder / "made.dcm"
        file.write_bytes(content)
        said = subprocess.run([program, "-new", file], capture_output=True, text=True, errors="replace")
        return sum(line.startswith("Error") for line in (said.stdout + said.stderr).splitlines())

    return _errors


@pytest.mark.parametrize("options", OPTION_SETS)
@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - {"CT deflated"}))  # dciodvfy does not inflate
def test_no_worse_after_than_before(
    family: str, options: str, errors: Callable[[bytes, Path], int], tmp_path: Path
) -> None:
    safe = outcome(family, options)
    if isinstance(safe, SafeInstance):
        assert errors(safe.content, tmp_path) <= errors(planted(family).content, tmp_path)
