"""MLflow as the registry: registered models, their versions and aliases, artefacts in its store.

MLflow numbers versions itself; ours is in the tag ``osler.version``, beside the hashes and the signer. The artefact
lies in ``artefact/`` of a run, with an ``MLmodel`` beside it that says MLflow what goes in and comes out. MLflow's
answers are believed in nothing: what comes from it is checked against the signed manifest like any other folder.

MLflow's client is asked by the hub at intervals and by commands, never while a study waits.
"""

import contextlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from osler.errors import ConfigError, Conflict, IntegrityError, NotFound, PeerUnavailable
from osler.registry.port import MANIFEST, Version

_EXPERIMENT: Final = "osler-models"
_ARTEFACT: Final = "artefact"
_MISSING: Final = "RESOURCE_DOES_NOT_EXIST"
_EXISTS: Final = "RESOURCE_ALREADY_EXISTS"
_PAGE: Final = 1000
_KINDS: Final = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64"}


class MlflowRegistry:
    """See :class:`osler.registry.port.ModelRegistry`.

    Parameters
    ----------
    uri : str
        ``http://...``, ``https://...`` of a tracking server, or ``sqlite:///...`` of a database.
    timeout_s : float
        How long it may take to answer, seconds.

    Raises
    ------
    ConfigError
        If MLflow's client is not installed.
    """

    def __init__(self, uri: str, *, timeout_s: float = 5.0) -> None:
        try:
            from mlflow import environment_variables
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise ConfigError("registry.url names MLflow: pip install 'osler[mlflow]'") from None
        limits: Any = environment_variables
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        limits.MLFLOW_HTTP_REQUEST_TIMEOUT.set(max(1, round(timeout_s)))
        limits.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(0)
        limits.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
        self._refusal = MlflowException
        with _answering():
            self._client: Any = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def register(self, version: Version, folder: Path) -> None:
        """Take in a checked artefact; see the port."""
        known = next((v for v in self.versions(version.name) if v.version == version.version), None)
        if known is not None:
            if known.sha256 != version.sha256:
                raise Conflict(f"{version} is registered with other content: give the new one a new version")
            return
        manifest = json.loads((folder / MANIFEST).read_bytes())
        with tempfile.TemporaryDirectory(prefix="osler-model-") as scratch, _answering():
            upload = Path(scratch, "model")
            shutil.copytree(folder, upload / _ARTEFACT)
            run = self._client.create_run(self._experiment(), run_name=str(version))
            described = _described(manifest, run.info.run_id)
            (upload / "MLmodel").write_text(yaml.safe_dump(described), encoding="utf-8")
            self._client.log_artifacts(run.info.run_id, str(upload), "model")
            self._client.set_terminated(run.info.run_id)
            self._ensure(version.name)
            tags = {
                "osler.version": version.version,
                "osler.sha256": version.sha256,
                "osler.signed_by": version.signed_by,
                "osler.runtime": manifest["runtime"],
                "osler.signature": json.dumps(manifest["networks"]),
                **{f"osler.file.{name}": sha256 for name, sha256 in manifest["files"].items()},
            }
            source = f"{run.info.artifact_uri}/model"
            self._client.create_model_version(version.name, source=source, run_id=run.info.run_id, tags=tags)

    def names(self) -> Sequence[str]:
        """Return the names; see the port."""
        with _answering():
            return sorted(model.name for model in self._client.search_registered_models(max_results=_PAGE))

    def versions(self, name: str) -> Sequence[Version]:
        """Return the versions; see the port."""
        return [version for _, version in self._rows(name)]

    def aliases(self, name: str) -> Mapping[str, str]:
        """Return the aliases; see the port."""
        rows = dict(self._rows(name))
        with _answering():
            try:
                found = self._client.get_registered_model(name).aliases
            except self._refusal as error:
                if _code(error) == _MISSING:
                    return {}
                raise
        return {alias: rows[str(n)].version for alias, n in found.items() if str(n) in rows}

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        """Set or take away an alias; see the port."""
        numbers = {v.version: number for number, v in self._rows(name)}
        if version is None:
            if alias in self.aliases(name):
                with _answering():
                    self._client.delete_registered_model_alias(name, alias)
        elif version in numbers:
            with _answering():
                self._client.set_registered_model_alias(name, alias, numbers[version])
        else:
            raise NotFound(f"the registry has no {name}@{version}")

    def fetch(self, version: Version, target: Path) -> None:
        """Copy the files; see the port."""
        number = next((n for n, v in self._rows(version.name) if v == version), None)
        if number is None:
            raise NotFound(f"the registry has no {version}")
        with tempfile.TemporaryDirectory(prefix="osler-model-") as scratch, _answering():
            run_id = self._client.get_model_version(version.name, number).run_id
            found = Path(self._client.download_artifacts(run_id, f"model/{_ARTEFACT}", scratch))
            if not found.resolve().is_relative_to(Path(scratch).resolve()):  # a store on this disk may hand out its own
                raise IntegrityError("MLflow gave files outside the folder that it was asked to fill")
            shutil.copytree(found, target, dirs_exist_ok=True, symlinks=True)

    def _rows(self, name: str) -> list[tuple[str, Version]]:
        """Return MLflow's number and our version of each; what has not our tags is somebody else's."""
        with _answering():
            found = self._client.search_model_versions(f"name='{name}'", max_results=_PAGE)
        ours = sorted((one for one in found if "osler.sha256" in one.tags), key=lambda one: int(one.version))
        return [
            (
                str(one.version),
                Version(name, one.tags["osler.version"], one.tags["osler.sha256"], one.tags.get("osler.signed_by", "")),
            )
            for one in ours
        ]

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(_EXPERIMENT)
        return str(found.experiment_id if found else self._client.create_experiment(_EXPERIMENT))

    def _ensure(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except self._refusal as error:
            if _code(error) != _EXISTS:
                raise


def _described(manifest: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    """Write what MLflow calls an MLmodel: the signature of the first network."""
    document: dict[str, Any] = {"run_id": run_id, "flavors": {"osler": {"data": _ARTEFACT}}}
    for network in list(manifest["networks"].values())[:1]:
        document["signature"] = {side: json.dumps([_tensor(t) for t in network[side]]) for side in network}
    return document


def _tensor(tensor: Mapping[str, Any]) -> dict[str, Any]:
    shape = [side if isinstance(side, int) else -1 for side in tensor["shape"]]
    kind = _KINDS.get(tensor["type"], "object")
    return {"name": tensor["name"], "type": "tensor", "tensor-spec": {"dtype": kind, "shape": shape}}


def _code(error: Exception) -> str:
    return str(getattr(error, "error_code", ""))


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Translate what MLflow's client raises, of its own and of the libraries under it, without its words."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise PeerUnavailable(f"MLflow does not answer, or not as asked ({_code(error) or 'no code'})") from None
    except OSError as error:
        raise PeerUnavailable(f"MLflow's files cannot be had ({type(error).__name__})") from None
