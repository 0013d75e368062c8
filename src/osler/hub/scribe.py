"""The documentation of encounters, put together from the settings: ear, writers, templates, deliveries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from osler.audit import HUB, AuditLog, AuditRecord
from osler.config import Config
from osler.domain.note import Draft, Template
from osler.domain.transcript import DeidentifiedTranscript
from osler.draft.extractive import ExtractiveWriter
from osler.draft.language_model.endpoint import Endpoint
from osler.draft.language_model.exchange import ChatClient
from osler.draft.language_model.writer import LanguageModelWriter
from osler.draft.port import Style, Writer
from osler.draft.templates import load_templates
from osler.errors import ConfigError
from osler.hub.ehr_delivery import EhrNotes
from osler.publish.hosts import AllowedHosts
from osler.scribe.capture import Capture, Limits
from osler.scribe.delivering import NoteDeliveries, Outside
from osler.scribe.desk import ScribeDesk
from osler.scribe.hearing import SpeechEar
from osler.scribe.retention import delete_due_audio
from osler.scribe.review import Reviewing
from osler.scribe.signing import Signing
from osler.scribe.steps import Means, Steps
from osler.storage import encounters, note_deliveries
from osler.storage.private_files import read_private
from osler.stores import Stores
from osler.tls import client_context
from osler.transcribe.audio import AudioLimits
from osler.transcribe.models import SpeechModels
from osler.transcribe.recognise import Recogniser
from osler.transcribe.transcriber import Options

log = structlog.get_logger(__name__)

_HOUR_S: Final = 3600.0
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Drafting:
    """What turns speech into notes."""

    ear: SpeechEar
    writers: Sequence[Writer]
    templates: Mapping[str, Template]


def speech_folder(config: Config) -> Path:
    """Return where the speech models are."""
    return Path(config.text("scribe.speech_models") or config.data_dir / "speech")


def drafting_of(config: Config, audit: AuditLog | None = None) -> Drafting:
    """Put together what the settings ask for. No model is loaded and nobody is asked yet.

    Parameters
    ----------
    config : Config
    audit : AuditLog, optional
        Told whenever a transcript goes to an endpoint.

    Raises
    ------
    ConfigError
        If a template, the endpoint or the default template's name is wrong.
    """
    templates = load_templates(Path(config.text("scribe.templates")) if config.text("scribe.templates") else None)
    if config.text("scribe.template") not in templates:
        raise ConfigError(f"scribe.template: the templates are {', '.join(sorted(templates))}")
    options = Options(
        limits=AudioLimits(max_seconds=config.number("scribe.max_audio_hours") * _HOUR_S),
        language=config.text("scribe.language") or None,
    )
    return Drafting(SpeechEar(lambda: _speech_model(config), options), _writers(config, audit), templates)


def _speech_model(config: Config) -> Recogniser:
    wanted, models = config.text("scribe.speech_model"), SpeechModels(speech_folder(config))
    if not wanted:
        there = models.list()
        if not there:
            raise ConfigError("there is no speech model: add one with osler scribe models add PATH")
        newest = max(there, key=lambda one: one.path.stat().st_mtime)
        wanted = f"{newest.model.name}@{newest.model.version}"
    return models.open(wanted)


def _writers(config: Config, audit: AuditLog | None) -> list[Writer]:
    extractive = ExtractiveWriter()
    if not config.text("scribe.endpoint"):
        return [extractive]
    return [OnRecord(language_model(config), audit), extractive]


def language_model(config: Config) -> LanguageModelWriter:
    """Return the writer behind ``scribe.endpoint``; nobody is asked yet.

    Raises
    ------
    ConfigError
        If the settings do not suffice.
    """
    key, file = config.text("scribe.endpoint_key"), config.text("scribe.endpoint_key_file")
    if file:
        key = read_private(Path(file)).decode("utf-8", "replace").strip()
    endpoint = Endpoint(
        config.text("scribe.endpoint"),
        config.text("scribe.endpoint_model"),
        key,
        config.number("scribe.endpoint_timeout_s"),
    )
    hosts = AllowedHosts(config.items("scribe.endpoint_hosts"), setting="scribe.endpoint_hosts")
    client = ChatClient(endpoint, hosts=hosts, tls=lambda: client_context(config))
    return LanguageModelWriter(client)


class OnRecord:
    """A writer outside, of which the audit knows each time that it is asked.

    Parameters
    ----------
    writer : Writer
    audit : AuditLog or None
        None for a command without a data folder.
    """

    def __init__(self, writer: Writer, audit: AuditLog | None) -> None:
        self._writer = writer
        self._audit = audit

    def write(self, transcript: DeidentifiedTranscript, template: Template, style: Style) -> Draft:
        """Put it on record, then ask."""
        if self._audit is not None:
            detail = {"utterances": len(transcript.utterances)}
            self._audit.record(AuditRecord("language-model-asked", agent=HUB, detail=detail))
        return self._writer.write(transcript, template, style)


class Scribe:
    """Everything that documents encounters in a running hub.

    Parameters
    ----------
    stores : Stores
    config : Config
    owner : str
        Of claims; different for each start.
    wake : callable
        Told the name of the loop that has new work.
    """

    def __init__(self, stores: Stores, config: Config, *, owner: str, wake: Callable[[str], None]) -> None:
        self._stores = stores
        drafting = drafting_of(config, stores.audit)
        keep_s = config.number("scribe.keep_audio_hours") * _HOUR_S
        means = Means(drafting.ear, drafting.writers, drafting.templates, keep_s)
        limits = Limits(
            audio_bytes=config.integer("scribe.max_audio_mb") * _MB,
            part_bytes=config.integer("scribe.max_part_mb") * _MB,
            keep_unfinished_s=keep_unfinished_s(config),
        )
        self._limits = limits
        self.ear = drafting.ear
        self.steps = Steps(stores, means, owner=owner)
        outside = _outside(config, stores)
        self.deliveries = NoteDeliveries(stores, outside, owner=owner)

        def work() -> None:
            wake("transcribe")
            wake("draft")

        self.desk = ScribeDesk(
            stores=stores,
            capture=Capture(stores, limits, wake=work),
            reviewing=Reviewing(stores, means, wake=work),
            signing=Signing(stores, ("", *config.items("scribe.destinations")), wake=lambda: wake("notes")),
            templates=drafting.templates,
            template=config.text("scribe.template"),
            ear=drafting.ear,
        )

    def release(self, owner_prefix: str) -> None:
        """Free what former lives of this process held."""
        self._stores.database.write(lambda c: encounters.release(c, owner_prefix))
        self._stores.database.write(lambda c: note_deliveries.release(c, owner_prefix))

    def loops(self) -> dict[str, tuple[Callable[[], bool], float, str]]:
        """Return the loops: step, longest wait between two looks in seconds, and role."""
        return {
            "transcribe": (self.steps.transcribe, 1.0, "scribe"),
            "draft": (self.steps.draft, 1.0, "scribe"),
            "audio": (self._delete_audio, 10.0, "scribe"),
            "notes": (self.deliveries.step, 1.0, "publisher"),
        }

    def _delete_audio(self) -> bool:
        return delete_due_audio(self._stores, keep_unfinished_s=self._limits.keep_unfinished_s)


def keep_unfinished_s(config: Config) -> float:
    """Return how long audio that nobody finished is kept, seconds.

    Raises
    ------
    ConfigError
        If it is no time at all.
    """
    days = config.number("scribe.keep_unfinished_audio_days")
    if not days > 0:
        raise ConfigError("scribe.keep_unfinished_audio_days: more than 0")
    return days * 24 * _HOUR_S


def _outside(config: Config, stores: Stores) -> Outside:
    names = config.items("scribe.destinations")
    receivers = {d.name: d for d in config.destinations if d.kind == "hl7v2" and d.name in names}
    ehrs = {ehr.name: EhrNotes(config, ehr, stores) for ehr in config.ehrs if ehr.name in names}
    for name in names:
        if name not in receivers and name not in ehrs:
            raise ConfigError(f"scribe.destinations: {name!r} is no [[destination]] of kind hl7v2 and no [[ehr]]")
    return Outside(
        receivers=receivers,
        ehrs=ehrs,
        base_url=config.base_url,
        site=config.text("site.name"),
        issuer=config.text("site.issuer"),
        tls=lambda destination: client_context(config) if destination.tls else None,
        backoff_s=config.number("publish.backoff_s"),
        max_attempts=config.integer("publish.max_attempts"),
    )
