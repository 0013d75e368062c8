"""The plugin keeps the contract, and measures what its card says."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import yaml
from osler_exposure import ExposureModel

from osler.errors import Malformed
from osler.testing import check_plugin, studies


def test_it_keeps_the_contract():
    check_plugin(ExposureModel())


@pytest.mark.parametrize(
    ("share", "positive"), [(0.0, False), (0.02, False), (0.049, False), (0.051, True), (0.2, True), (1.0, True)]
)
@pytest.mark.parametrize("value", [0, 4095])
def test_it_is_positive_when_more_than_the_tolerated_share_of_the_middle_is_clipped(tmp_path, share, positive, value):
    pixels = np.full((200, 200), 2000, np.uint16)
    middle = np.full(100 * 100, 2000, np.uint16)
    middle[: round(share * middle.size)] = value
    pixels[50:150, 50:150] = middle.reshape(100, 100)
    study = studies.study(tmp_path, studies.image("DX", pixels=pixels))
    (case,) = ExposureModel().select(study).cases
    prediction = ExposureModel().predict(case)
    assert prediction.findings[0].positive is positive
    assert prediction.heatmap.mean() == pytest.approx(share / 4, abs=0.01)


def test_the_border_of_the_image_does_not_count(tmp_path):
    pixels = np.zeros((200, 200), np.uint16)
    pixels[50:150, 50:150] = 2000
    (case,) = ExposureModel().select(studies.study(tmp_path, studies.image(pixels=pixels))).cases
    assert not ExposureModel().predict(case).findings[0].positive


def test_signed_pixels_have_their_own_range(tmp_path):
    image = studies.image(pixels=np.full((8, 8), 0, np.uint16), PixelRepresentation=1)
    (case,) = ExposureModel().select(studies.study(tmp_path, image)).cases
    assert not ExposureModel().predict(case).findings[0].positive


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"Modality": "CT"}, "not a radiograph (CR or DX)"),
        ({"SamplesPerPixel": 3}, "not a greyscale image"),
        ({"BitsStored": None}, "not a greyscale image"),
    ],
)
def test_what_it_cannot_read_is_refused_with_the_reason(tmp_path, elements, reason):
    study = studies.study(tmp_path, studies.image(**elements))
    selection = ExposureModel().select(study)
    assert selection.cases == ()
    assert selection.refused == {study.instances[0].series_instance_uid: reason}


def test_a_cut_image_is_malformed(tmp_path):
    (case,) = ExposureModel().select(studies.study(tmp_path, studies.image(PixelData=b"\0" * 10))).cases
    with pytest.raises(Malformed):
        ExposureModel().predict(case)


def test_an_artefact_brings_another_rule_and_a_card_of_its_own(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "rule.json").write_text('{"tolerated_share": 0.3}', encoding="utf-8")
    card = asdict(replace(ExposureModel().card, version="1.1.0"))
    card |= {"outputs": list(card["outputs"]), "modalities": list(card["modalities"])}
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")
    model = ExposureModel.from_folder(tmp_path)
    assert (model.card.name, model.card.version) == ("exposure", "1.1.0")
    pixels = np.full((200, 200), 2000, np.uint16)
    pixels[50:70, 50:150] = 4095
    (case,) = model.select(studies.study(tmp_path, studies.image("DX", pixels=pixels))).cases
    assert not model.predict(case).findings[0].positive
    assert ExposureModel().predict(case).findings[0].positive
