"""``osler models evaluate|export``: measure a model on a labelled set, and make a light variant of it."""

import json
import time
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from osler.api.people.roles import Role
from osler.audit import AuditRecord
from osler.cli.caller import Caller, DataDir, Json, emit
from osler.cli.person import As, PasswordStdin, admit
from osler.errors import ConfigError
from osler.hub.cards import start_of
from osler.hub.evaluation import evaluate, open_dataset, read_dataset
from osler.hub.light_variant import Wish, export_light
from osler.registry.promotion import keep_evaluation
from osler.registry.signing import read_key

_MAKERS = frozenset({Role.ML_ENGINEER, Role.ADMINISTRATOR})


class Target(StrEnum):
    """What machine a variant is for."""

    EDGE = "edge"


Reference = Annotated[str, typer.Argument(metavar="NAME", help="NAME, NAME@VERSION or NAME@ALIAS.")]
AgePolicy = Annotated[str | None, typer.Option(help="Ages to admit: intended, unknown or any.")]


def add_commands(group: typer.Typer) -> None:
    """Add the commands to ``osler models``."""
    group.command("evaluate")(evaluate_model)
    group.command("export")(export)


def evaluate_model(
    ctx: typer.Context,
    model: Reference,
    dataset: Annotated[Path, typer.Option(help="Folder with labels.csv and the files that it names.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the figures go as well, as JSON: evidence to promote by.")
    ] = None,
    age_policy: AgePolicy = None,
    name: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Measure a model on a locked set: AUROC, sensitivity, specificity, calibration, and the hash of the set."""
    caller: Caller = ctx.obj
    config = caller.config(data_dir, given={"models.age_policy": age_policy} if age_policy else {})
    with caller.stores(data_dir) as stores:
        agent = admit(caller, stores, data_dir, name=name, from_stdin=password_stdin, roles=_MAKERS)
        start, locked = start_of(config, model), open_dataset(dataset)
        document = evaluate(start, locked, read_dataset(start, locked))
        content = json.dumps(document, indent=1).encode()
        made, now = sha256(content).hexdigest(), time.time()
        if out is not None:
            _write(out, content)
        stores.database.write(lambda c: keep_evaluation(c, made, document, by=agent.name, at=now))
        version = f"{document['model']['name']}@{document['model']['version']}"
        detail = {"model": version, "dataset": locked.sha256, "evaluation": made}
        stores.audit.record(AuditRecord("model-evaluated", agent=agent, detail=detail))
    emit(document, as_json, lambda console: _draw(console, document))


def export(
    ctx: typer.Context,
    model: Reference,
    dataset: Annotated[Path, typer.Option(help="Folder with labels.csv, to calibrate by and to measure on.")],
    out: Annotated[Path, typer.Option(help="Folder that is made.")],
    target: Annotated[Target, typer.Option(help="What machine it is for.")] = Target.EDGE,
    max_loss: Annotated[float, typer.Option(min=0.0, help="Largest loss of any figure that 8 bits may cost.")] = 0.01,
    sign_key: Annotated[Path | None, typer.Option(help="Private key that signs it; keygen makes one.")] = None,
    age_policy: AgePolicy = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a light variant: 8 bits where that is faster and as good, as measured; its card says what it loses."""
    caller: Caller = ctx.obj
    config = caller.config(data_dir, given={"models.age_policy": age_policy} if age_policy else {})
    key = None if sign_key is None else read_key(sign_key)
    report = export_light(config, Wish(model, open_dataset(dataset), max_loss, key), out)

    def draw(console: Console) -> None:
        light = report["int8"]
        console.print(f"{report['folder']}: version {report['version']}", markup=False)
        console.print(f"  8 bits: {light['times_as_fast']} times as fast, losses {light['losses']}", markup=False)
        console.print(f"  measured on {report['images']} images of the set {report['dataset']}", markup=False)

    emit({"target": target.value} | report, as_json, draw)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def _draw(console: Console, document: dict[str, Any]) -> None:
    model = document["model"]
    console.print(f"{model['name']}@{model['version']} on the set {document['dataset']['sha256']}", markup=False)
    console.print(f"  {document['read']} read, {document['refused']} refused, {document['images_per_second']} images/s")
    for row in document["labels"]:
        console.print(f"  {row['label']}: {row['positives']} of {row['images']}")
        for what in ("auroc", "sensitivity", "specificity"):
            value, interval = row[what]["value"], row[what]["interval_95"]
            bounds = f" ({interval[0]} to {interval[1]})" if interval else ""
            console.print(f"    {what}: {value}{bounds}", markup=False)
        console.print(f"    expected calibration error: {row['expected_calibration_error']}")
