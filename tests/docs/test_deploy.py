"""What stands in deploy/ is well formed, names settings that exist, and keeps the promises of its comments."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest
import yaml

from osler.config import load
from osler.settings import SETTINGS

DEPLOY = Path(__file__).parents[2] / "deploy"
VARIABLES = {setting.variable for setting in SETTINGS} | {"OSLER_DATA_DIR", "OSLER_CONFIG", "OSLER_MASTER_KEY"}
MANIFESTS = sorted((DEPLOY / "kubernetes" / "base").glob("*.yaml"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def objects(kind: str = "") -> Iterator[dict[str, Any]]:
    for file in MANIFESTS:
        for one in yaml.safe_load_all(file.read_text()):
            if one["kind"] != "Kustomization" and kind in ("", one["kind"]):
                yield one


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    return found


def test_the_compose_file_is_one() -> None:
    def value(match: re.Match[str]) -> str:  # as compose puts in what .env says
        return (match[3] or "none") if match[2] == "-" else "secret"

    # It knows neither merge keys nor variables.
    text = re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", value, json.dumps(compose()))
    spec = compose_spec.PyCompose.from_json(text)
    spec.validate()
    assert set(spec.service_names()) == {"hub", "worker", "database", "broker", "mlflow", "pacs"}


@pytest.mark.parametrize("name", ["hub", "worker"])
def test_a_container_of_ours_may_do_little(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] is True
    assert service["user"] == "10001:10001"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_workers_meet_no_identified_zone() -> None:
    services = compose()["services"]
    assert services["worker"]["networks"] == ["deidentified"]
    assert compose()["networks"]["deidentified"]["internal"] is True
    assert services["worker"]["volumes"] == ["deidentified:/var/lib/osler/blobs/deidentified"]
    assert "OSLER_MASTER_KEY" not in services["worker"]["environment"]


def test_nothing_listens_beyond_loopback_and_every_image_is_pinned() -> None:
    for name, service in compose()["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert re.search(r":\D*\d+\.\d+|^\$\{OSLER_IMAGE", service["image"]), name


def test_every_variable_is_a_setting() -> None:
    used = {
        name
        for file in (*DEPLOY.rglob("*.yaml"), DEPLOY / "container" / "Containerfile", *UNITS)
        for name in re.findall(r"\bOSLER_[A-Z0-9_]+(?=[:=]| \()", file.read_text())
        if not re.search(rf"\$\{{{name}", file.read_text())
    }
    assert used > {"OSLER_STORAGE_DATABASE", "OSLER_QUEUE_URL"}
    assert used <= VARIABLES


@pytest.mark.parametrize("file", [f for f in MANIFESTS if f.name != "kustomization.yaml"], ids=lambda f: f.name)
def test_a_manifest_is_one(file: Path) -> None:
    for one in yaml.safe_load_all(file.read_text()):
        kubernetes_validate.validate(one, "1.32", strict=True)


def test_pods_are_restricted_and_the_namespace_demands_it() -> None:
    (namespace,) = objects("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    pods = [one["spec"]["template"]["spec"] for kind in ("StatefulSet", "Deployment") for one in objects(kind)]
    assert len(pods) == 2
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_nothing_may_talk_but_what_is_said() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in objects("NetworkPolicy")}
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    worker = policies["worker"]
    assert worker["ingress"] == []
    reached = [peer for rule in worker["egress"] for peer in rule["to"]]
    assert reached == [{"podSelector": {"matchLabels": {"osler.zone": "engines"}}}]


def test_a_worker_has_no_key_of_the_vault() -> None:
    (worker,) = objects("Deployment")
    pod = worker["spec"]["template"]["spec"]
    assert not [volume for volume in pod["volumes"] if "secret" in volume]
    assert [source["secretRef"]["name"] for source in pod["containers"][0]["envFrom"] if "secretRef" in source] == [
        "osler-worker"
    ]


@pytest.mark.parametrize("folder", ["compose", "kubernetes/base"])
def test_a_settings_file_is_read(folder: str, tmp_path: Path) -> None:
    file = DEPLOY / folder / "osler.toml"
    config = load({}, data_dir=tmp_path, file=file)
    for section, content in tomllib.loads(file.read_text()).items():
        if isinstance(content, dict):
            assert all(config.values[f"{section}.{key}"] == value for key, value in content.items())


def test_the_container_file_is_clean() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, DEPLOY / "container" / "Containerfile"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_a_unit(unit: Path, tmp_path: Path, need: Callable[..., str]) -> None:
    analyze = need("systemd-analyze")
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/osler/bin/osler", "/bin/true"))

    verified = subprocess.run([analyze, "verify", copy], capture_output=True, text=True, timeout=60)
    judged = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=30", copy], capture_output=True, text=True, timeout=60
    )

    assert not verified.stderr.strip()
    assert judged.returncode == 0, judged.stdout[-300:]
