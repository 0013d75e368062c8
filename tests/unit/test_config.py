"""The configuration: where a value comes from, and what stops the start."""

from pathlib import Path

import pytest

from osler.config import SETTINGS, load, split_address
from osler.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "osler.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_setting_has_its_default_when_nothing_is_given(tmp_path: Path) -> None:
    config = load({}, data_dir=tmp_path)
    assert config.values == {s.name: s.default for s in SETTINGS}
    assert set(config.origins.values()) == {"default"}


def test_file_then_environment_then_command_line(tmp_path: Path) -> None:
    path = written(tmp_path, "[study]\nquiet_s = 7\nforce_s = 70\n[queue]\nmax_attempts = 2\n")
    config = load(
        {"OSLER_STUDY_FORCE_S": "80", "OSLER_QUEUE_MAX_ATTEMPTS": "3"},
        data_dir=tmp_path,
        given={"queue.max_attempts": 4},
    )
    assert config.number("study.quiet_s") == 7.0
    assert config.origins["study.quiet_s"] == f"{path}:2"
    assert config.number("study.force_s") == 80.0
    assert config.integer("queue.max_attempts") == 4
    assert config.origins["queue.max_attempts"] == "command line"


def test_data_folder_by_argument_variable_or_xdg(tmp_path: Path) -> None:
    assert load({"OSLER_DATA_DIR": "/x"}, data_dir=tmp_path).data_dir == tmp_path
    assert load({"OSLER_DATA_DIR": str(tmp_path)}).data_dir == tmp_path
    assert load({"XDG_DATA_HOME": str(tmp_path)}).data_dir == tmp_path / "osler"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[study]\nquiet = 3\n", 2, "study.quiet_s"),
        ("\n[dimse]\nae_title = 7\n", 3, "must be a string"),
        ("[dimse]\naccept = '*@127.0.0.1'\n", 2, "list of strings"),
        ("[study]\nquiet_s = true\n", 2, "must be a number"),
        ("[queue]\nmax_attempts = 1.5\n", 2, "whole number"),
        ("[publish]\nsecondary_capture = 1\n", 2, "true or false"),
        ("[models]\nage_policy = 'all'\n", 2, "one of intended, unknown, any"),
        ("[study]\nquiet_s = -1\n", 2, "must not be negative"),
        ("[models]\ncanary_percent = 101.0\n", 2, "from 0 to 100"),
        ("[registry]\nlook_s = 0\n", 2, "more than 0"),
        ("[study]\nquiet_s = nan\n", 2, "must be finite"),
        ("dimse.ae_title = 'A'\ndimse.colour = 'red'\n", 2, "unknown setting"),
        ("[dimse]\naddress = 'nowhere'\n", 2, "dimse.address 'nowhere' is not HOST:PORT"),
        ("[dimse]\nae_title = 'LONGER THAN SIXTEEN'\n", 2, "1 to 16 characters"),
        ("[storage]\ndatabase = 'mysql://x'\n", 2, "must be sqlite or"),
        ("[storage]\nblobs = 'gs://bucket'\n", 2, "the path of a folder"),
        ("[[destination]]\nname = 'a'\nkind = 'dicom'\naddress = 'pacs'\nae_title = 'P'\n", 4, "not HOST:PORT"),
        ("[[destination]]\nname = 'a'\nkind = 'webhook'\nurl = 'ftp://x'\nsecret = 'y'\n", 4, "http://HOST"),
        (
            "[alert]\nallowed_hosts = []\n[[destination]]\nname='a'\nkind='webhook'\nurl='http://h/'\nsecret='y'\n",
            2,
            "'h' of destination 'a'",
        ),
        ("colour = 'red'\n", 1, "unknown setting"),
        ("[study\n", 1, "line 1"),
        ("[study]\nquiet_s = 1\n\n[[destination]]\nname = 'a'\nkind = 'fax'\n", 4, "kind must be one of"),
        ("[[destination]]\nname = 'a'\nkind = 'dicom'\naddress = '127.0.0.1:1'\n", 1, "needs 'ae_title'"),
        ("[[destination]]\nname = 'a'\nkind = 'webhook'\nurl = 'x'\nsecret = 'y'\nport = 3\n", 6, "unknown key 'port'"),
        ("[[destination]]\nname = 1\nkind = 'dicom'\naddress = '127.0.0.1:1'\nae_title = 'P'\n", 2, "must be a string"),
    ],
)
def test_a_mistake_in_the_file_names_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as stopped:
        load({}, data_dir=tmp_path)
    assert words in str(stopped.value)
    assert str(path) in str(stopped.value)
    assert f":{line}" in str(stopped.value) or f"line {line}" in str(stopped.value)


def test_two_destinations_of_one_name_stop_the_start(tmp_path: Path) -> None:
    one = "[[destination]]\nname = 'pacs'\nkind = 'dicom'\naddress = '127.0.0.1:104'\nae_title = 'P'\n"
    written(tmp_path, one + one)
    with pytest.raises(ConfigError, match=r":6: two destinations are called 'pacs'"):
        load({}, data_dir=tmp_path)


def test_destinations_are_read_with_their_defaults(tmp_path: Path) -> None:
    written(
        tmp_path,
        "[[destination]]\nname = 'pacs'\nkind = 'dicom'\naddress = '127.0.0.1:104'\nae_title = 'P'\n"
        "[[destination]]\nname = 'pager'\nkind = 'webhook'\nurl = 'http://127.0.0.1/a'\nsecret = 's3cret'\n",
    )
    pacs, pager = load({}, data_dir=tmp_path).destinations
    assert (pacs.when, pager.when) == ("always", "critical")
    assert "s3cret" not in repr(pager)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"OSLER_STUDY_QUIET": "3"}, "did you mean 'OSLER_STUDY_QUIET_S'"),
        ({"OSLER_STUDY_QUIET_S": "soon"}, "OSLER_STUDY_QUIET_S: study.quiet_s must be a number"),
        ({"OSLER_HTTP_ADDRESS": "8080"}, "not HOST:PORT"),
        ({"OSLER_STORAGE_DATABASE": "oracle://x"}, "storage.database must be"),
        ({"OSLER_DIMSE_AE_TITLE": "A" * 17}, "1 to 16 characters"),
        ({"OSLER_CONFIG": "/no/such/file.toml"}, "no such configuration file"),
    ],
)
def test_a_mistake_in_the_environment_is_named(tmp_path: Path, environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=r".") as stopped:
        load(environ, data_dir=tmp_path)
    assert words in str(stopped.value)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1:104", ("127.0.0.1", 104)), ("[::1]:8080", ("::1", 8080)), ("hub:0", ("hub", 0))],
)
def test_addresses(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address) == expected


@pytest.mark.parametrize("address", ["", "host", ":80", "host:", "host:x", "host:65536", "host:-1"])
def test_what_is_not_an_address(address: str) -> None:
    with pytest.raises(ConfigError):
        split_address(address)


def test_a_file_that_is_no_text_stops_the_start_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "osler.toml"
    path.write_bytes(b"[site]\nname = '\xe9'\n")
    with pytest.raises(ConfigError, match=r"osler\.toml:2: the file is not UTF-8"):
        load({}, data_dir=tmp_path)
