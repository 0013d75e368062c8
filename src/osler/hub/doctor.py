"""What an engineer would look at first when something is wrong, looked at in order."""

import secrets
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pynetdicom import AE

from osler.config import Config, Destination, split_address
from osler.domain.states import JobState
from osler.draft.language_model.probe import Form
from osler.errors import OslerError
from osler.hub.cards import greet, start_of
from osler.hub.opening import master_key_file, open_stores
from osler.hub.people import policy_of
from osler.hub.scribe import language_model, speech_folder
from osler.publish.outbox import Outbox
from osler.registry.opening import open_registry
from osler.registry.port import chosen, split_reference
from osler.storage.opening import blob_folder, in_bucket
from osler.stores import Stores
from osler.tls import client_context, expiry
from osler.transcribe.extra import load
from osler.transcribe.models import SpeechModels

VERIFICATION = "1.2.840.10008.1.1"
_RENEW_DAYS = 30


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what to do about it."""

    name: str
    state: Literal["ok", "warn", "wrong"]
    words: str


def examine(config: Config, environ: Mapping[str, str]) -> Iterator[Check]:
    """Examine a data folder, this machine and the destinations. Each check is made when it is asked for."""
    yield Check("configuration", "ok", f"{len(config.values)} settings, {len(config.destinations)} destinations")
    yield _guarded("keys", lambda: _keys(config, environ))
    yield _guarded("disk", lambda: _disk(config))
    if config.text("tls.certificate"):
        yield _guarded("certificate", lambda: _certificate(config))
    yield _guarded("sign-in", lambda: _sign_in(config))
    yield from _ledger(config, environ)
    served: list[str] = []
    for name in config.items("models.enabled"):
        yield _guarded(f"model {name}", partial(_model, config, name, served))
    yield _guarded("waiting jobs", partial(_waiting, config, environ, served))
    yield _guarded("speech", lambda: _speech(config))
    if config.text("scribe.endpoint"):
        yield _guarded("language model", lambda: _language_model(config))
    for destination in config.destinations:
        yield _guarded(f"destination {destination.name}", partial(_destination, config, destination))


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except OslerError as error:
        return Check(name, "wrong", str(error))


def _keys(config: Config, environ: Mapping[str, str]) -> Check:
    if environ.get("OSLER_MASTER_KEY"):
        return Check("keys", "ok", "the master key comes from the environment")
    path = master_key_file(config.data_dir)
    if not path.is_file():
        return Check(
            "keys", "wrong", f"{path} is missing: bring it back from its backup, or make a new hub with osler init"
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Check("keys", "wrong", f"others may read {path}: chmod 600 it")
    return Check("keys", "ok", f"{path}; keep a copy apart from the backups of the data folder")


def _sign_in(config: Config) -> Check:
    policy, address = policy_of(config), urlsplit(config.base_url)
    if address.scheme != "https" and address.hostname not in ("127.0.0.1", "localhost", "::1"):
        return Check("sign-in", "warn", "passwords travel in clear: put https before it, and set http.base_url")
    roles = " ".join(sorted(policy.require_mfa)) or "no role (administrator at least is a good choice)"
    return Check("sign-in", "ok", f"session.require_mfa: {roles}")


def _certificate(config: Config) -> Check:
    client_context(config)  # the key fits, and the authorities can be read
    files = [config.text(name) for name in ("tls.certificate", "tls.authorities") if config.text(name)]
    for file in files:
        days = (expiry(Path(file)) - datetime.now(UTC)).days
        if days < _RENEW_DAYS:
            state: Literal["warn", "wrong"] = "wrong" if days < 0 else "warn"
            ends = "has ended" if days < 0 else f"ends in {days} days"
            return Check("certificate", state, f"{file} {ends}: renew it; a running hub reads the new one in a minute")
    if stat.S_IMODE(Path(config.text("tls.key")).stat().st_mode) & 0o077:
        return Check("certificate", "wrong", f"others may read {config.text('tls.key')}: chmod 600 it")
    doors = ", ".join(config.items("tls.doors")) or "no door"
    return Check("certificate", "ok", f"{files[0]} until {expiry(Path(files[0])):%Y-%m-%d}; TLS at {doors}")


def _disk(config: Config) -> Check:
    folder = config.data_dir if config.data_dir.is_dir() else Path(tempfile.gettempdir())
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    least_mb = config.integer("storage.min_free_mb")
    if free_mb < least_mb:
        return Check("disk", "wrong", f"{free_mb} MB free; nothing is taken below {least_mb} MB (storage.min_free_mb)")
    return Check("disk", "ok" if free_mb > 10 * least_mb else "warn", f"{free_mb} MB free")


def _ledger(config: Config, environ: Mapping[str, str]) -> Iterator[Check]:
    try:
        with open_stores(config, environ) as stores:
            yield Check("database", "ok", f"{stores.database.dialect}, schema current")
            yield _guarded("blobs", partial(_blobs, config, stores))
            report = stores.audit.verify()
            words = f"{report.entries} entries" if report.ok else f"{len(report.problems)} problems: osler audit verify"
            yield Check("audit chain", "ok" if report.ok else "wrong", words)
            dead = stores.queue.counts().get("dead", 0)
            yield Check(
                "queue", "warn" if dead else "ok", f"{dead} jobs wait for a person: osler queue list --state dead"
            )
            failed = sum(n for (_, state), n in Outbox(stores.database).counts().items() if state == "failed")
            yield Check("deliveries", "warn" if failed else "ok", f"{failed} wait for a person: osler outbox list")
    except OslerError as error:
        yield Check("database", "wrong", str(error))


def _blobs(config: Config, stores: Stores) -> Check:
    """Keep a blob that stands for nothing, read it and remove it."""
    content = secrets.token_bytes(32)
    ref = stores.identified.put(content)
    try:
        sound = stores.identified.get(ref) == content
    finally:
        stores.identified.delete(ref)
    place = config.text("storage.blobs") if in_bucket(config) else str(blob_folder(config))
    return Check("blobs", "ok" if sound else "wrong", f"{place} takes, gives and removes")


def _waiting(config: Config, environ: Mapping[str, str], served: list[str]) -> Check:
    """Look for jobs of a model, or of a version, that is not in use any more."""
    with open_stores(config, environ) as stores:
        waiting = {e.model for e in stores.queue.entries(states=(JobState.SCHEDULED,))}
    registry = open_registry(config)  # what it has of an enabled model is served as long as jobs wait for it
    names = {split_reference(name)[0] for name in config.items("models.enabled")}
    kept = {m for m in waiting if split_reference(m)[0] in names and chosen(registry, m) is not None}
    orphans = sorted(waiting - kept - set(served))
    if orphans:
        words = f"jobs wait for {', '.join(orphans)}, which models.enabled does not bring: enable it, or discard them"
        return Check("waiting jobs", "warn", words)
    return Check("waiting jobs", "ok", "every job has a model")


def _model(config: Config, name: str, served: list[str]) -> Check:
    hello = greet(start_of(config, name))
    served.append(str(hello.card.model_version))
    version = f"{hello.card.model_version}, loads in {hello.seconds:.1f} s"
    if hello.sandbox.missing:
        return Check(f"model {name}", "warn", f"{version}; the sandbox lacks {', '.join(hello.sandbox.missing)}")
    return Check(f"model {name}", "ok", f"{version}, sandboxed by {', '.join(hello.sandbox.applied)}")


def _speech(config: Config) -> Check:
    there = SpeechModels(speech_folder(config)).list()
    if not there:
        return Check("speech", "warn", "no speech model, so only transcripts are taken: osler scribe models add PATH")
    load("faster_whisper")
    return Check("speech", "ok", ", ".join(f"{one.model.name}@{one.model.version}" for one in there))


def _language_model(config: Config) -> Check:
    form = language_model(config).probe()
    held = form is Form.SCHEMA
    words = "answers and holds the model to a form" if held else "answers, but holds the model to no form: we check"
    return Check("language model", "ok" if held else "warn", f"{config.text('scribe.endpoint')} {words}")


def _destination(config: Config, destination: Destination) -> Check:
    name = f"destination {destination.name}"
    if destination.kind == "webhook":
        return Check(name, "ok", f"webhook {destination.url}; it is asked only when there is something to say")
    host, port = split_address(destination.address)
    if destination.kind in ("smtp", "hl7v2"):
        try:
            with socket.create_connection((host, port), timeout=5):
                return Check(name, "ok", f"{destination.address} answers")
        except OSError as error:
            return Check(name, "wrong", f"{destination.address} does not answer: {error.strerror or 'no connection'}")
    return Check(name, *_echo(config, destination, host, port))


def _echo(config: Config, destination: Destination, host: str, port: int) -> tuple[Literal["ok", "wrong"], str]:
    entity = AE(config.text("dimse.ae_title"))
    entity.add_requested_context(VERIFICATION)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = 5
    tls_args = (client_context(config), host) if destination.tls else None
    association = entity.associate(host, port, ae_title=destination.ae_title, tls_args=tls_args)
    if not association.is_established:
        how = "it rejects us: does it know our AE title?" if association.is_rejected else "nobody answers there"
        return "wrong", f"{destination.ae_title}@{destination.address}: {how}"
    status = association.send_c_echo()
    association.release()
    if getattr(status, "Status", None) == 0:
        return "ok", f"{destination.ae_title}@{destination.address} answers C-ECHO"
    return "wrong", f"{destination.ae_title}@{destination.address} does not answer C-ECHO with success"
