"""The speech models of this machine: one folder, ``NAME/VERSION`` inside; nothing is ever fetched from elsewhere."""

import hashlib
import json
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from osler.domain.transcript import SpeechModel
from osler.errors import ConfigError, IntegrityError
from osler.transcribe.recognise import FasterWhisper

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NEEDED: Final = ("model.bin", "config.json", "tokenizer.json")
_VOCABULARIES: Final = ("vocabulary.json", "vocabulary.txt")
_OPTIONAL: Final = ("preprocessor_config.json",)
_SPEC: Final = b"\x0c\x00WhisperSpec\x00"
_CARD: Final = "osler.json"
_CONVERT: Final = (
    "give the folder of a Whisper model in CTranslate2's form (model.bin, config.json, tokenizer.json and"
    " vocabulary.json or .txt), as ct2-transformers-converter --copy_files tokenizer.json makes it"
)


@dataclass(frozen=True, slots=True)
class Installed:
    """A speech model of the folder.

    Parameters
    ----------
    model : SpeechModel
    path : Path
        Its folder.
    size_bytes : int
        Of its weights.
    """

    model: SpeechModel
    path: Path
    size_bytes: int


class SpeechModels:
    """The folder of speech models.

    Parameters
    ----------
    folder : Path
        Made when the first model is added.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, path: Path, name: str | None = None, version: str | None = None) -> Installed:
        """Copy a model into the folder.

        Parameters
        ----------
        path : Path
            Folder of a Whisper model in CTranslate2's form.
        name, version : str, optional
            Otherwise the name of the folder, and the first digits of the hash of the weights.

        Raises
        ------
        ConfigError
            If it is not such a folder, the name cannot be used, or another model has that name and version.
        """
        check(path)
        sha256 = _sha256(path / "model.bin")
        model = SpeechModel(name or path.resolve().name, version or sha256[:12], sha256)
        for word in (model.name, model.version):
            if not _NAME.fullmatch(word):
                raise ConfigError("a speech model's name and version have letters, digits, dots, dashes: give --name")
        there = self.folder / model.name / model.version
        if there.exists():
            found = self._installed(there)
            if found.model.sha256 != sha256:
                raise ConfigError(f"another speech model is installed as {model.name} {model.version}: give a version")
            return found
        there.parent.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f".{secrets.token_hex(8)}"
        try:
            partial.mkdir()
            for file in (*_NEEDED, *_VOCABULARIES, *_OPTIONAL):
                if (path / file).is_file():
                    shutil.copyfile(path / file, partial / file)
            (partial / _CARD).write_text(json.dumps({"sha256": sha256}), encoding="utf-8")
            partial.rename(there)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return self._installed(there)

    def list(self) -> list[Installed]:
        """Return all models, by name and version."""
        cards = sorted(self.folder.glob(f"*/*/{_CARD}")) if self.folder.is_dir() else []
        return [self._installed(card.parent) for card in cards]

    def find(self, reference: str) -> Installed:
        """Find ``NAME``, when there is one version of it, or ``NAME@VERSION``, or what lies in a folder of its own.

        Raises
        ------
        ConfigError
            If there is none, or the name alone does not say which.
        """
        name, _, version = reference.partition("@")
        every = self.list()
        found = [one for one in every if one.model.name == name and version in ("", one.model.version)]
        folder = Path(reference)
        if not found and (folder / "model.bin").is_file():
            check(folder)
            sha256 = _sha256(folder / "model.bin")
            model = SpeechModel(folder.resolve().name, sha256[:12], sha256)
            return Installed(model, folder, (folder / "model.bin").stat().st_size)
        if not found:
            names = ", ".join(f"{one.model.name}@{one.model.version}" for one in every)
            known = f"installed: {names}" if names else "none is installed: osler scribe models add PATH"
            raise ConfigError(f"there is no speech model {reference!r}; {known}")
        if len(found) > 1:
            versions = ", ".join(one.model.version for one in found)
            raise ConfigError(f"speech model {name!r} is installed in several versions, say which: {versions}")
        return found[0]

    def open(self, reference: str, *, threads: int = 0) -> FasterWhisper:
        """Load a model.

        Parameters
        ----------
        reference : str
        threads : int
            For one recognition; 0 for what the library takes.

        Raises
        ------
        ConfigError
            If there is none, or the extra ``scribe`` is not installed.
        IntegrityError
            If its weights are not those that were added.
        """
        found = self.find(reference)
        if _sha256(found.path / "model.bin") != found.model.sha256:
            raise IntegrityError(f"the weights of speech model {found.model.name} are not those that were added")
        check(found.path)
        return FasterWhisper(found.path, found.model, threads=threads)

    def _installed(self, path: Path) -> Installed:
        try:
            sha256 = str(json.loads((path / _CARD).read_text(encoding="utf-8"))["sha256"])
            size = (path / "model.bin").stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            raise IntegrityError(f"speech model {path.parent.name} {path.name} is not whole: add it again") from None
        return Installed(SpeechModel(path.parent.name, path.name, sha256), path, size)


def check(path: Path) -> None:
    """Refuse a folder that is no Whisper model in CTranslate2's form.

    A tokenizer must be in it: without one, the library would look for it on the network.

    Raises
    ------
    ConfigError
        If it is not one; the message says what is.
    """
    missing = [file for file in _NEEDED if not (path / file).is_file()]
    if not any((path / file).is_file() for file in _VOCABULARIES):
        missing.append(_VOCABULARIES[0])
    if missing:
        raise ConfigError(f"this is no speech model, {', '.join(missing)} missing: {_CONVERT}")
    with (path / "model.bin").open("rb") as stream:
        if not stream.read(64)[4:].startswith(_SPEC):
            raise ConfigError(f"model.bin is not a Whisper model of CTranslate2: {_CONVERT}")
    try:
        json.loads((path / "tokenizer.json").read_text(encoding="utf-8"))
        json.loads((path / "config.json").read_text(encoding="utf-8"))
    except ValueError:
        raise ConfigError(f"config.json or tokenizer.json is no JSON: {_CONVERT}") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
