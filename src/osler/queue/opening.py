"""The queue that the settings name."""

from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from osler.config import Config
from osler.errors import ConfigError
from osler.queue.brokered import BrokeredQueue
from osler.queue.embedded import EmbeddedQueue
from osler.queue.ledger import Terms
from osler.queue.port import Queue
from osler.queue.transport import Transport
from osler.storage.database import Database

_SCHEMES = {"amqp": "rabbitmq", "amqps": "rabbitmq", "kafka": "kafka"}


def open_queue(config: Config, database: Database) -> Queue:
    """Open the queue of ``queue.url``; a broker is connected to when it is first needed.

    Raises
    ------
    ConfigError
        If the URL names no broker that is known here, or its client is not installed.
    """
    terms = Terms(
        lease_s=config.number("queue.lease_s"),
        max_attempts=config.integer("queue.max_attempts"),
        backoff_s=config.number("queue.backoff_s"),
        ageing_s=config.number("queue.ageing_s"),
        share_s=config.number("queue.share_s"),
    )
    url = config.text("queue.url")
    if url == "embedded":
        return EmbeddedQueue(database, **terms)
    transport = _open_transport(config, url)
    return BrokeredQueue(database, transport, republish_s=config.number("queue.republish_s"), **terms)


def _open_transport(config: Config, url: str) -> Transport:
    kind = _SCHEMES.get(urlsplit(url).scheme)
    prefix, prefetch = config.text("queue.prefix"), config.integer("queue.prefetch")
    try:
        if kind == "rabbitmq":
            from osler.queue.rabbitmq import RabbitTransport

            return RabbitTransport(_with_password(config, url), prefix=prefix, prefetch=prefetch)
        if kind == "kafka":
            from osler.queue.kafka import KafkaTransport

            return KafkaTransport(url, prefix=prefix, password=_password(config))
    except ImportError:
        raise ConfigError(f"queue.url needs the client of its broker: pip install 'osler[{kind}]'") from None
    raise ConfigError("queue.url must be embedded or begin with amqp://, amqps:// or kafka://")


def _password(config: Config) -> str:
    """Read ``queue.password_file``; empty when none is set."""
    name = config.text("queue.password_file")
    try:
        return Path(name).read_text(encoding="utf-8").strip() if name else ""
    except OSError as error:
        raise ConfigError(f"queue.password_file cannot be read: {error.strerror}") from None


def _with_password(config: Config, url: str) -> str:
    password = _password(config)
    if not password:
        return url
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:{quote(password, safe='')}@{host}"))
