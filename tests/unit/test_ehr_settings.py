"""``[[ehr]]`` in the configuration: what it means, and what stops the start."""

from pathlib import Path

import pytest

from osler.config import load
from osler.ehr_settings import may_be_asked
from osler.errors import ConfigError

START = "[study]\nquiet_s = 3\n[[ehr]]\nname = 'main'\n"
WHOLE = START + "fhir_base = 'https://ehr.example/fhir/'\nclient_id = 'us'\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "osler.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_ehr_is_read(tmp_path: Path) -> None:
    written(tmp_path, WHOLE + "secret = 's3cret'\nhosts = ['10.0.0.0/8']\nissuers = ['urn:a=b=HOSP', 'urn:c=']\n")
    (ehr,) = load({}, data_dir=tmp_path).ehrs
    assert (ehr.fhir_base, ehr.hosts) == ("https://ehr.example/fhir", ("10.0.0.0/8",))
    assert ehr.issuer_of == {"urn:a=b": "HOSP", "urn:c": ""}
    assert "s3cret" not in repr(ehr)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[ehr]\nname = 'x'\n", 1, "write [[ehr]]"),
        (START + "client_id = 'us'\n", 3, "an ehr needs 'fhir_base'"),
        (START + "fhir_base = 'http://ehr.example/'\nclient_id = 'us'\n", 5, "must be https"),
        (START + "fhir_base = 'https://u:p@ehr.example/'\nclient_id = 'us'\n", 5, "must be https"),
        (WHOLE + "colour = 'red'\n", 7, "unknown key 'colour'"),
        (WHOLE + "hosts = 'a'\n", 7, "hosts must be a list of strings"),
        (WHOLE + "hosts = [1]\n", 7, "hosts must be a list of strings"),
        (WHOLE + "redirect_port = true\n", 7, "redirect_port must be a whole number"),
        (WHOLE + "redirect_port = 70000\n", 7, "redirect_port is no port"),
        (WHOLE + "issuers = ['urn:x']\n", 7, "system=issuer"),
        (WHOLE + "secret = 'a'\nkey_file = 'b'\n", 3, "give one of"),
        (WHOLE + "[[ehr]]\nname = 'main'\nfhir_base = 'https://b'\nclient_id = 'c'\n", 7, "two EHRs are called 'main'"),
    ],
)
def test_a_mistake_names_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as stopped:
        load({}, data_dir=tmp_path)
    assert words in str(stopped.value)
    assert str(stopped.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://ehr.example/x?y=z", True),
        ("http://127.0.0.1:8080/", True),
        ("http://[::1]/", True),
        ("http://ehr.example/", False),
        ("https:///x", False),
        ("https://ehr.example:port/", False),
        ("https://ehr.example/#a", False),
        ("https://ehr.example/a b", False),
        ("https://ehr.example/\n", False),
        ("https://\u0435hr.example/", False),
        ("ftp://127.0.0.1/", False),
        ("", False),
    ],
)
def test_where_a_token_may_go(url: str, may: bool) -> None:
    assert may_be_asked(url) is may
