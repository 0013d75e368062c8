"""Installed models are found without running them."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from osler.errors import ConfigError, IntegrityError, PluginError
from osler.registry.local import Registry
from osler.testing import FakeModel
from osler.testing.models import install

MODULE = """
import hashlib
from pathlib import Path
from osler.testing import FakeModel

def model():
    return FakeModel("weighty", code_file=Path(__file__).parent / "weights" / "net.onnx")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_models_are_listed_by_name_without_being_imported(folder):
    (folder / "explosive.py").write_text("raise SystemExit('imported')")
    install(folder, {"zebra": "explosive:model", "ant": "explosive:model"}, package="zoo")
    names = [handle.name for handle in Registry().list()]
    assert names == sorted(names)
    assert {"ant", "zebra"} <= set(names)
    handle = Registry().resolve("ant")
    assert (handle.distribution, handle.distribution_version) == ("zoo", "1.0")
    assert "explosive" not in sys.modules


def test_the_hubs_own_model_is_listed_like_a_strangers():
    assert "cxr-pneumonia-paediatric" in [handle.name for handle in Registry().list()]


def test_a_folder_besides_pythons_own_is_searched(tmp_path):
    install(tmp_path, {"elsewhere": "osler.testing.models:fake"})
    assert Registry([tmp_path]).resolve("elsewhere").name == "elsewhere"
    with pytest.raises(ConfigError, match="there is no model 'elsewhere'"):
        Registry().resolve("elsewhere")


@pytest.mark.parametrize(
    ("reference", "version"),
    [("fake", None), ("fake@champion", None), ("fake@1.0.0", "1.0.0"), ("fake@", None)],
)
def test_a_reference_is_a_name_with_a_version_or_the_champion(folder, reference, version):
    install(folder, {"fake": "osler.testing.models:fake"})
    handle = Registry().resolve(reference)
    assert handle.wanted_version == version
    assert handle.card.version == "1.0.0"


def test_a_version_that_is_not_installed(folder):
    install(folder, {"fake": "osler.testing.models:fake"})
    with pytest.raises(ConfigError, match=r"installed in version 1\.0\.0, not 2\.0\.0"):
        Registry().resolve("fake@2.0.0").open()


def test_two_packages_may_not_bring_the_same_name(folder):
    for package in ("one", "two"):
        install(folder, {"fake": "osler.testing.models:fake"}, package=package)
    with pytest.raises(ConfigError, match=r"brought by one and (by .+ and )?by two"):
        Registry().resolve("fake")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no_such_module:model", "cannot be imported: ModuleNotFoundError"),
        ("osler.testing.models:nothing", "cannot be imported: AttributeError"),
        ("osler.testing.models:FakeModel.card", "cannot be imported: TypeError"),
        ("os:getcwd", "does not make a model"),
        ("osler.testing.models:FakeModel", "whose card says fake"),
    ],
)
def test_an_entry_point_that_makes_no_model(folder, target, words):
    install(folder, {"other": target})
    with pytest.raises(PluginError) as raised:
        Registry().resolve("other").open()
    assert words in str(raised.value)


def test_weights_are_those_of_the_card_or_the_model_does_not_run(folder):
    package = folder / "weighty_model"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").write_text(MODULE)
    (package / "weights" / "labels.txt").write_text("opacity")
    weights = package / "weights" / "net.onnx"
    weights.write_bytes(b"weights")
    install(folder, {"weighty": "weighty_model:model"})
    handle = Registry().resolve("weighty")
    card = handle.card
    assert handle.verified(card) == weights
    weights.write_bytes(b"weightS")
    with pytest.raises(IntegrityError, match="are not those of its card"):
        handle.verified(card)


def test_a_model_of_plain_code_is_its_own_weights(folder):
    install(folder, {"fake": "osler.testing.models:fake"})
    handle = Registry().resolve("fake")
    assert handle.verified(FakeModel().card).name == "models.py"
    with pytest.raises(IntegrityError):
        handle.verified(replace(FakeModel().card, sha256="0" * 64))
