"""The chest X-ray model with its shipped weights, on the radiographs that come inside pydicom-data."""

import copy
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian

from osler.errors import ContractViolation, IntegrityError, Malformed, PluginError, UnsupportedKind
from osler.models.cxr import model
from osler.models.cxr.model import FOLDER, WEIGHTS, ChestRadiographModel, heatmap
from osler.plugins import BatchModel, Case, Instance, LoadContext, Study

MakeCase = Callable[[pydicom.Dataset], Case]


@pytest.fixture(scope="module")
def loaded() -> ChestRadiographModel:
    one = model()
    one.load(LoadContext(age_policy="any"))
    return one


@pytest.fixture
def case(tmp_path: Path) -> MakeCase:
    """Write a dataset and make a case of it."""

    def _case(dataset: pydicom.Dataset) -> Case:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return Case("1.2", (Instance("1.2.3", "1.2", path),))

    return _case


def bundled(name: str) -> pydicom.Dataset:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), f"{name} comes with pydicom-data"
    return pydicom.dcmread(path)


def plain(values: npt.NDArray[np.uint16], like: pydicom.Dataset) -> pydicom.Dataset:
    """The header of another image around these values, MONOCHROME2 and without a window."""
    dataset = copy.deepcopy(like)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    for keyword in ("WindowCenter", "WindowWidth"):
        delattr(dataset, keyword)
    dataset.PixelData = values.tobytes()
    return dataset


def test_the_entry_point_keeps_the_contract() -> None:
    one = model()
    assert isinstance(one, BatchModel)
    assert one.card.name == "cxr-pneumonia-paediatric"
    assert [(output.label, output.code.value, output.critical) for output in one.card.outputs] == [
        ("pneumonia", "233604007", True)
    ]


def test_the_weights_are_small_and_those_of_the_card() -> None:
    content = (FOLDER / "weights" / WEIGHTS).read_bytes()
    assert len(content) <= 25_000_000
    assert hashlib.sha256(content).hexdigest() == model().card.sha256


def test_changed_weights_are_not_loaded(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "card.yaml", tmp_path)
    (tmp_path / "weights").mkdir()
    content = bytearray((FOLDER / "weights" / WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "weights" / WEIGHTS).write_bytes(content)
    with pytest.raises(IntegrityError):
        ChestRadiographModel(tmp_path).load(LoadContext())


def test_nothing_is_predicted_before_loading(case: MakeCase) -> None:
    with pytest.raises(PluginError):
        model().predict(case(bundled("RG1_UNCI.dcm")))


def test_an_adult_chest_is_read_as_the_card_says(loaded: ChestRadiographModel, case: MakeCase) -> None:
    said = loaded.predict(case(bundled("RG1_UNCI.dcm")))
    output = loaded.card.outputs[0]
    assert [(f.label, f.code, f.threshold, f.critical) for f in said.findings] == [
        ("pneumonia", output.code, output.threshold, True)
    ]
    assert said.ood_score is not None
    assert said.heatmap is not None
    assert said.heatmap.ndim == 2
    assert 0 <= said.heatmap.min() <= said.heatmap.max() <= 1


def test_encoding_does_not_change_the_answer(loaded: ChestRadiographModel, case: MakeCase) -> None:
    source, compressed = bundled("RG1_UNCR.dcm"), bundled("RG1_J2KR.dcm")
    inverted = (2**15 - 1 - source.pixel_array).astype(np.uint16)
    doubled = np.kron(inverted, np.ones((2, 2), np.uint16))
    cases = [
        case(d)
        for d in (source, compressed, plain(inverted, source), plain(inverted * 2, source), plain(doubled, source))
    ]
    probabilities = [loaded.predict(one).findings[0].probability for one in cases]
    assert probabilities == pytest.approx([probabilities[0]] * 5, abs=0.01)
    assert probabilities[1] == pytest.approx(probabilities[0], abs=1e-6)


def test_a_batch_says_what_its_cases_say_alone(loaded: ChestRadiographModel, case: MakeCase) -> None:
    source = bundled("RG1_UNCI.dcm")
    upside = plain((2**15 - 1 - source.pixel_array[:, ::-1]).astype(np.uint16), source)
    cases = [case(source), case(upside)]
    together = loaded.predict_batch(cases)
    alone = [loaded.predict(one) for one in cases]
    assert loaded.predict_batch([]) == []
    for one, other in zip(together, alone, strict=True):
        assert one.findings[0].probability == pytest.approx(other.findings[0].probability, abs=1e-5)
        assert one.ood_score == pytest.approx(other.ood_score, rel=1e-4)
        assert one.heatmap == pytest.approx(other.heatmap, abs=1e-3)


NO_CHESTS: dict[str, Callable[[], npt.NDArray[np.uint16]]] = {
    "noise": lambda: np.random.default_rng(1).integers(0, 4096, (500, 400)).astype(np.uint16),
    "black": lambda: np.zeros((500, 400), np.uint16),
    "gradient": lambda: np.add.outer(np.arange(500), np.arange(400)).astype(np.uint16),
    "checks": lambda: np.kron(np.indices((8, 8)).sum(0) % 2, np.full((50, 50), 4000)).astype(np.uint16),
}


@pytest.mark.parametrize("name", NO_CHESTS)
def test_what_is_no_chest_has_no_finding(loaded: ChestRadiographModel, case: MakeCase, name: str) -> None:
    with pytest.raises(UnsupportedKind, match="does not look like a chest radiograph"):
        loaded.predict(case(plain(NO_CHESTS[name](), bundled("RG1_UNCI.dcm"))))


def test_a_leg_that_claims_to_be_a_chest_has_no_finding(loaded: ChestRadiographModel, case: MakeCase) -> None:
    leg = bundled("RG3_UNCI.dcm")
    leg.BodyPartExamined = "CHEST"
    with pytest.raises(UnsupportedKind):
        loaded.predict(case(leg))


def test_the_policy_on_age_is_that_of_the_site(case: MakeCase) -> None:
    one = case(bundled("RG1_UNCI.dcm"))
    study, answers = Study("1", one.instances), {}
    for policy in ("intended", "unknown", "any"):
        loaded = model()
        loaded.load(LoadContext(age_policy=policy))
        answers[policy] = len(loaded.select(study).cases)
    assert answers == {"intended": 0, "unknown": 1, "any": 1}


def test_damaged_files_are_refused(loaded: ChestRadiographModel, tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    source = Path(str(get_testdata_file("RG3_UNCI.dcm", download=False))).read_bytes()
    for content in (b"", b"SECRET" * 50, source[:2000], source[: len(source) // 2]):
        path.write_bytes(content)
        with pytest.raises(Malformed) as caught:
            loaded.predict(Case("1.2", (Instance("1.2.3", "1.2", path),)))
        assert "SECRET" not in str(caught.value)


def test_a_case_is_one_image(loaded: ChestRadiographModel, case: MakeCase) -> None:
    one = case(bundled("RG3_UNCI.dcm"))
    with pytest.raises(ContractViolation):
        loaded.predict(Case("1.2", one.instances * 2))


def test_heatmap_keeps_what_speaks_for_the_finding() -> None:
    assert heatmap(np.array([[-3, 2], [4, 0]], np.float32)).tolist() == [[0, 0.5], [1, 0]]
    assert heatmap(np.array([[-3, 0.5]], np.float32)).tolist() == [[0, 0.5]]
