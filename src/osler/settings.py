"""The table of settings: what each is called, its default, and what it is for."""

from dataclasses import dataclass
from typing import Final

Value = str | int | float | bool | list[str]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: ``section.key`` in the file, ``OSLER_SECTION_KEY`` in the environment."""

    name: str
    default: Value
    help: str
    choices: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return "OSLER_" + self.name.replace(".", "_").upper()


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting("site.name", "Osler", "Name of the site, shown on reports and pages."),
    Setting("site.tenant", "default", "Whose data key seals the identified data."),
    Setting(
        "site.issuer",
        "",
        "Assigning authority (PID-3.4) of the record numbers that DICOM headers here carry without an issuer.",
    ),
    Setting("http.address", "127.0.0.1:8080", "HOST:PORT of FHIR, DICOMweb, health and metrics."),
    Setting("http.base_url", "", "Address under which others reach the HTTP side; empty: http://<http.address>."),
    Setting("http.max_body_mb", 1024, "Largest request body, MB."),
    Setting(
        "http.cors_origins",
        [],
        "Origins of browser apps that may call the HTTP side, as https://app.example; * is any.",
    ),
    Setting("fhir.max_resource_mb", 16, "Largest body of a FHIR request, MB."),
    Setting(
        "fhir.check_references",
        False,
        "Refuse references to resources that are not here, and deletions that leave such.",
    ),
    Setting("export.keep_hours", 24.0, "How long the files of a bulk export are kept, hours."),
    Setting("export.max_running", 2, "Bulk exports that run at a time."),
    Setting(
        "subscription.hosts",
        ["127.0.0.1", "::1", "localhost"],
        "Hosts that FHIR subscribers may be called at: names, addresses, networks. A name that stands for a private "
        "address needs its address or network here too.",
    ),
    Setting("subscription.max_attempts", 10, "Calls to a subscriber that fail before its subscription ends."),
    Setting(
        "cds.fhir_hosts",
        [],
        "Hosts of CDS clients' FHIR servers that may be asked: names, addresses, networks. A name that stands for a "
        "private address needs its address or network here too.",
    ),
    Setting("dimse.address", "127.0.0.1:11112", "HOST:PORT of the DICOM storage SCP."),
    Setting("dimse.ae_title", "OSLER", "Our AE title, as SCP and as SCU."),
    Setting(
        "dimse.accept", ["*@127.0.0.1"], "Who may associate: calling AE title @ address or network; * is any title."
    ),
    Setting("dimse.max_pdu_kb", 1024, "Largest PDU that we take, KB; a longer one ends the association."),
    Setting("dimse.max_instance_mb", 1024, "Largest instance that we take, MB."),
    Setting("dimse.max_associations", 32, "Associations at a time."),
    Setting("dimse.max_associations_per_peer", 32, "Associations at a time from one address."),
    Setting("dimse.idle_s", 60, "An association without traffic is ended after this time, seconds."),
    Setting("mllp.address", "", "HOST:PORT of the HL7 v2 listener; empty: none."),
    Setting("mllp.accept", ["127.0.0.1"], "Addresses and networks that may send HL7 v2 messages."),
    Setting("mllp.max_message_mb", 16, "Largest HL7 v2 message that we take, MB."),
    Setting(
        "tls.certificate", "", "PEM file of our certificate and its chain; shown to peers that ask for it as well."
    ),
    Setting("tls.key", "", "PEM file of its private key, without a passphrase, for our eyes only."),
    Setting("tls.authorities", "", "PEM file of the authorities that vouch for peers; empty: those of the system."),
    Setting("tls.doors", [], "Doors that speak TLS and nothing else: dimse, http, mllp."),
    Setting("tls.demand", [], "Those of them where a peer must show a certificate of tls.authorities."),
    Setting("study.quiet_s", 3.0, "A study is complete when nothing of it came for this time, seconds."),
    Setting("study.force_s", 900.0, "A study is complete at the latest this time after its first instance, seconds."),
    Setting(
        "deidentify.options", ["clean-descriptors", "clean-structured-content", "clean-graphics"], "Options of PS3.15."
    ),
    Setting("storage.database", "sqlite", "sqlite (a file in the data folder) or postgresql://user@host/database."),
    Setting("storage.blobs", "folder", "folder (in the data folder), the path of another, or s3://BUCKET/PREFIX."),
    Setting("storage.s3_endpoint", "", "URL of the S3 server; empty: Amazon's of the region."),
    Setting("storage.s3_region", "us-east-1", "Region of the bucket."),
    Setting("storage.s3_key_id", "", "Access key id; empty: the machine's own credentials (role or AWS_* variables)."),
    Setting("storage.s3_secret", "", "Secret access key."),
    Setting("storage.s3_secret_file", "", "File with mode 0600 that holds the secret, in place of storage.s3_secret."),
    Setting(
        "storage.s3_encryption",
        "",
        "Encryption to ask of the server besides our own.",
        choices=("", "AES256", "aws:kms"),
    ),
    Setting("storage.s3_kms_key", "", "Key that the server uses for aws:kms; empty: the bucket's."),
    Setting("storage.s3_ca_file", "", "Certificates (PEM) to trust for the S3 server; empty: the system's."),
    Setting("storage.s3_timeout_s", 30.0, "How long a request and its retries may take, seconds."),
    Setting("storage.min_free_mb", 512, "Nothing more is taken when the disk has less room than this, MB."),
    Setting("storage.busy_s", 30.0, "How long to wait for the database's lock, seconds."),
    Setting("storage.pool", 8, "PostgreSQL: connections that a process keeps; it may make as many again."),
    Setting("storage.statement_s", 60.0, "PostgreSQL: a statement that takes longer is ended, seconds; 0: never."),
    Setting("storage.idle_s", 300.0, "PostgreSQL: a transaction that idles longer is ended, seconds; 0: never."),
    Setting(
        "queue.url",
        "embedded",
        "embedded (workers look in the ledger), amqp://USER@HOST/VHOST or amqps://... (RabbitMQ), or "
        "kafka://HOST:PORT,HOST:PORT (Kafka).",
    ),
    Setting("queue.password_file", "", "File that holds the broker's password, in place of the URL."),
    Setting("queue.prefix", "osler", "How the names of queues, exchanges and topics on the broker begin."),
    Setting("queue.prefetch", 16, "References to jobs that a process takes from RabbitMQ before it needs them."),
    Setting(
        "queue.republish_s",
        15.0,
        "A job that waits for this time is looked for at the broker, and published again when it is lost, seconds.",
    ),
    Setting(
        "queue.max_waiting",
        0,
        "Studies and jobs that may wait: above it senders are asked to come again later (DIMSE A700, HTTP 503), but "
        "for urgent work and what belongs to a study that is arriving. 0: no limit.",
    ),
    Setting("queue.lease_s", 30.0, "A worker that gives no sign for this time loses its job, seconds."),
    Setting("queue.max_attempts", 4, "Attempts before a job is set aside for a person (dead letter)."),
    Setting("queue.backoff_s", 2.0, "Wait before the second attempt, seconds; doubles with each further one."),
    Setting("queue.ageing_s", 600.0, "A waiting job rises by one priority after each such time, seconds."),
    Setting(
        "queue.share_s",
        1.0,
        "The waiting jobs of one site (a spoke, a sender) take turns as if they had come so far apart, so that others' "
        "go between, seconds; about what a job takes all workers together. 0: in the order of arrival.",
    ),
    Setting(
        "worker.processes", 1, "Inference processes that osler serve starts; 0: none, osler worker runs elsewhere."
    ),
    Setting("worker.threads", 1, "Threads for each inference process."),
    Setting("worker.memory_mb", 4096, "Address space of an inference process, MB."),
    Setting("worker.tags", [], "What this host has, by the names that cards ask for under needs.tags."),
    Setting(
        "worker.devices",
        ["auto"],
        "Where models run: cpu, cuda:N, rocm:N; auto is every GPU that ONNX Runtime can use here, else cpu. "
        "worker.processes run on each.",
    ),
    Setting("worker.gpu_memory_mb", 0, "Memory of each GPU, MB; 0: ask its driver."),
    Setting(
        "worker.latency_aim_s",
        10.0,
        "Time within which what waits should be done: osler_workers_wanted says how many workers that takes, seconds.",
    ),
    Setting("worker.model_processes", [], "Most processes of a model on this host, MODEL = NUMBER; else the card's."),
    Setting("worker.timeouts_s", [], "Longest time for one case of a model, MODEL = SECONDS; else the card's."),
    Setting(
        "worker.batch_ms",
        250,
        "Longest that a batch may take, by what the last ones took, milliseconds: urgent work that comes meanwhile "
        "waits for it. 0: any time.",
    ),
    Setting(
        "worker.batch_wait_ms",
        0,
        "Longest that a job is held up for others to fill its batch, milliseconds; urgent ones are not.",
    ),
    Setting(
        "models.enabled",
        ["cxr-pneumonia-paediatric"],
        "Models that read each study: NAME (the champion, and beside it the challenger and the shadow that the "
        "registry has), NAME@ALIAS or NAME@VERSION.",
    ),
    Setting("models.folders", [], "Folders with models besides the installed packages."),
    Setting(
        "models.canary_percent",
        0.0,
        "Share of studies, by a hash of the study, whose results come from the challenger and not the champion, %.",
    ),
    Setting(
        "registry.url",
        "folder",
        "Where model artefacts are: folder (in the data folder), a path, or mlflow+http://..., mlflow+sqlite:///...",
    ),
    Setting("registry.trusted_keys", [], "Public keys that models may be signed with, ed25519:<base64>."),
    Setting("registry.allow_unsigned", False, "Take model artefacts that nobody signed."),
    Setting("registry.max_mb", 2048, "Largest model artefact, MB."),
    Setting("registry.look_s", 10.0, "How often a running hub looks whether other versions are in use, seconds."),
    Setting("registry.timeout_s", 5.0, "How long MLflow may take to answer, seconds."),
    Setting("promotion.locked_sets", [], "Hashes of the data sets that a promotion's figures may come from; else any."),
    Setting("promotion.max_auroc_loss", 0.01, "How far a new champion may stay behind the old one on the locked set."),
    Setting("promotion.min_agreement", 0.9, "Least agreement with the champion on live work, 0 to 1."),
    Setting("promotion.min_compared", 100, "Least number of live findings that the agreement is computed from."),
    Setting(
        "models.age_policy",
        "intended",
        "Ages to admit: intended (the card's), unknown (also when the age is not known), any (research).",
        choices=("intended", "unknown", "any"),
    ),
    Setting(
        "models.endpoint_hosts",
        [],
        "Hosts where models may run that run elsewhere, as HOST = REFERENCE: a name, address or network, and the "
        "agreement that covers it, which each disclosure names. A name that stands for a private address needs that "
        "too.",
    ),
    Setting("edge.hub", "", "https address of the hub that this site forwards its studies to; empty: none."),
    Setting("edge.client_id", "", "What the hub knows this site as: a client of scope osler/spoke."),
    Setting("edge.secret_file", "", "File with mode 0600 that holds this site's secret at the hub."),
    Setting("edge.max_spool_mb", 20_000, "Most that the files of studies for the hub may take, MB."),
    Setting("edge.retry_s", 5.0, "Wait before the hub is tried again, seconds; doubles up to ten minutes."),
    Setting("publish.secondary_capture", False, "Also send the heatmap over the image as a Secondary Capture."),
    Setting("publish.backoff_s", 5.0, "Wait before the second delivery attempt, seconds; doubles up to ten minutes."),
    Setting("publish.max_attempts", 50, "Delivery attempts before a person must look."),
    Setting("alert.escalate_s", 300.0, "An alert that nobody acknowledges goes out again after this time, seconds."),
    Setting("alert.max_escalations", 5, "How often an alert goes out again."),
    Setting("alert.allowed_hosts", ["127.0.0.1", "localhost"], "Hosts that alerts may be sent to."),
    Setting("drift.reference", 500, "The first cases of a model, site or scanner, which later ones are compared with."),
    Setting("drift.false_alarms_a_month", 0.5, "False alarms of drift that a model may raise in a month, on average."),
    Setting("audit.checkpoint_s", 10.0, "Time between signed checkpoints outside the database, seconds."),
    Setting("access.sign_in", False, "People at the terminal sign in (--as) for quarantine and identities."),
    Setting("access.break_glass_minutes", 60, "How long broken glass shows restricted records, minutes."),
    Setting("session.idle_minutes", 15, "A person who does nothing is signed out after this time, minutes."),
    Setting("session.absolute_hours", 8.0, "A person must sign in again after this time, hours."),
    Setting("session.max_failures", 5, "Failed sign-ins to an account before the next must wait, each time longer."),
    Setting(
        "session.require_mfa", [], "Roles whose people need a second factor; administrator at least is a good choice."
    ),
    Setting(
        "smart.jwks_hosts",
        ["127.0.0.1", "localhost"],
        "Hosts from which keys of clients (--jwks-uri) may be fetched: names, addresses, networks. A name that stands "
        "for a private address needs its address or network here too.",
    ),
    Setting("oidc.issuer", "", "Issuer of an OpenID Connect identity provider where people sign in; empty: none."),
    Setting("oidc.name", "your organisation's account", "What the sign-in page calls the identity provider."),
    Setting("oidc.client_id", "", "Our client id at the identity provider."),
    Setting("oidc.client_secret", "", "Our secret there; empty for a public client."),
    Setting("oidc.client_secret_file", "", "File that holds the secret, in place of oidc.client_secret."),
    Setting("oidc.scope", "openid profile", "Scopes that we ask of the identity provider."),
    Setting("oidc.name_claim", "preferred_username", "Claim of the id_token that holds the user name."),
    Setting("oidc.role_claim", "roles", "Claim of the id_token that holds the roles; a dot leads into an object."),
    Setting(
        "oidc.roles", [], "What the role claim says = a role here, the first that fits; none fits: nobody gets in."
    ),
    Setting("oidc.allowed_hosts", [], "Hosts that the identity provider's endpoints may have besides the issuer's."),
    Setting("otel.endpoint", "", "URL of an OTLP/HTTP collector for traces, as http://127.0.0.1:4318; empty: none."),
    Setting("log.level", "info", "Least severe line that is logged.", choices=("debug", "info", "warning", "error")),
    Setting(
        "log.format", "auto", "auto (text on a terminal, else JSON), text or json.", choices=("auto", "text", "json")
    ),
    Setting("scribe.speech_model", "", "Speech model, NAME or NAME@VERSION; empty: the one that was added last."),
    Setting("scribe.speech_models", "", "Folder of the speech models; empty: speech in the data folder."),
    Setting("scribe.language", "", "Language that is spoken, as en; empty: it is recognised in each recording."),
    Setting("scribe.template", "soap", "Kind of note that is written when nobody names one."),
    Setting("scribe.templates", "", "Folder with a site's own kinds of notes, one YAML file each."),
    Setting("scribe.max_audio_mb", 1024, "Largest recording of an encounter, MB."),
    Setting("scribe.max_part_mb", 16, "Largest part of a recording that comes in parts, MB."),
    Setting("scribe.max_audio_hours", 4.0, "Longest recording, hours."),
    Setting("scribe.keep_audio_hours", 72.0, "How long audio is kept after it has been transcribed, hours."),
    Setting(
        "scribe.keep_unfinished_audio_days",
        30.0,
        "How long audio of an encounter that nobody finished, or that failed, is kept after the last that was done "
        "with it, days.",
    ),
    Setting(
        "scribe.destinations",
        [],
        "Where signed notes go besides our own chart: names of [[destination]] (hl7v2) and of [[ehr]].",
    ),
    Setting(
        "scribe.endpoint",
        "",
        "URL of an OpenAI-compatible endpoint of a language model that writes drafts, as http://127.0.0.1:8000/v1; "
        "empty: the extractive writer does.",
    ),
    Setting(
        "scribe.endpoint_model",
        "",
        "Name of the model at the endpoint; empty: an Azure address's deployment, else the first listed.",
    ),
    Setting("scribe.endpoint_key", "", "Key of the endpoint."),
    Setting("scribe.endpoint_key_file", "", "File with mode 0600 that holds the key, in place of scribe.endpoint_key."),
    Setting(
        "scribe.endpoint_hosts",
        ["127.0.0.1", "::1", "localhost"],
        "Hosts that the endpoint may be at: names, addresses, networks. A name that stands for a private address needs "
        "its address or network here too.",
    ),
    Setting(
        "scribe.endpoint_timeout_s",
        120.0,
        "How long one part of a transcript (24,000 characters) may take at the endpoint with all its tries, seconds.",
    ),
)
