"""One flat table of settings, one TOML file, ``OSLER_*`` variables.

What is unknown or of the wrong type stops the start, with the line at fault.
"""

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from osler.ehr_settings import Ehr, read_ehrs
from osler.errors import ConfigError
from osler.settings import SETTINGS, Setting, Value

__all__ = [
    "DESTINATION_KEYS",
    "DESTINATION_NEEDS",
    "SETTINGS",
    "Config",
    "Destination",
    "Setting",
    "Value",
    "load",
    "split_address",
]

DestinationKind = Literal["dicom", "webhook", "smtp", "hl7v2"]


@dataclass(frozen=True, slots=True)
class Destination:
    """A ``[[destination]]``: where results go.

    Parameters
    ----------
    name : str
        Unique; the outbox and the metrics call it so.
    kind : {"dicom", "webhook", "smtp", "hl7v2"}
    address : str
        HOST:PORT for dicom, smtp and hl7v2.
    ae_title : str
        Called AE title, for dicom.
    url : str
        For webhook.
    secret : str
        HMAC-SHA-256 key of the webhook's signature.
    when : {"always", "critical", "privacy", "operations"}
        Which results go there; for ``privacy`` none, but alarms for the privacy officer (webhook, smtp), and for
        ``operations`` those for who runs the hub.
        Alerts (webhook, smtp) are for critical findings unless ``always`` is asked for.
    sender, recipients : str, tuple of str
        For smtp.
    application, facility : str
        The receiver's, for hl7v2 (MSH-5, MSH-6).
    tls : bool
        For dicom and hl7v2: speak TLS, and believe no peer without a certificate for its host.
    """

    name: str
    kind: DestinationKind
    address: str = ""
    ae_title: str = ""
    url: str = ""
    secret: str = field(default="", repr=False)
    when: Literal["always", "critical", "privacy", "operations"] = "always"
    sender: str = ""
    recipients: tuple[str, ...] = ()
    application: str = ""
    facility: str = ""
    tls: bool = False


ALERTING: Final = frozenset({"webhook", "smtp"})
"""Kinds of destination that get alerts; the others get results."""

DESTINATION_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "dicom": frozenset({"name", "kind", "address", "ae_title", "when", "tls"}),
    "webhook": frozenset({"name", "kind", "url", "secret", "when"}),
    "smtp": frozenset({"name", "kind", "address", "sender", "recipients", "when"}),
    "hl7v2": frozenset({"name", "kind", "address", "application", "facility", "when", "tls"}),
}
DESTINATION_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "dicom": ("address", "ae_title"),
    "webhook": ("url", "secret"),
    "smtp": ("address", "sender", "recipients"),
    "hl7v2": ("address",),
}


@dataclass(frozen=True, slots=True)
class Config:
    """The settings that are in force, and where each came from: ``FILE:LINE``, a variable, the command line."""

    data_dir: Path
    values: Mapping[str, Value]
    origins: Mapping[str, str]
    destinations: tuple[Destination, ...] = ()
    privacy_destinations: tuple[Destination, ...] = ()
    ehrs: tuple[Ehr, ...] = ()
    operations_destinations: tuple[Destination, ...] = ()

    def text(self, name: str) -> str:
        """Return a setting of type string."""
        return str(self.values[name])

    def integer(self, name: str) -> int:
        """Return a setting of type integer."""
        return int(self.values[name])  # type: ignore[arg-type]

    def number(self, name: str) -> float:
        """Return a setting of type number."""
        return float(self.values[name])  # type: ignore[arg-type]

    def flag(self, name: str) -> bool:
        """Return a setting of type boolean."""
        return bool(self.values[name])

    def items(self, name: str) -> list[str]:
        """Return a setting of type list."""
        return list(self.values[name])  # type: ignore[arg-type]

    @property
    def base_url(self) -> str:
        """Address of the HTTP side, without a slash at the end."""
        scheme = "https" if "http" in self.items("tls.doors") else "http"
        return (self.text("http.base_url") or f"{scheme}://{self.text('http.address')}").rstrip("/")


def load(
    environ: Mapping[str, str],
    *,
    data_dir: Path | None = None,
    file: Path | None = None,
    given: Mapping[str, Value] | None = None,
) -> Config:
    """Read the configuration: defaults, then the file, then the environment, then what the command line gave.

    Parameters
    ----------
    environ : mapping
        The environment; the only place where Osler reads it.
    data_dir : Path, optional
        Else ``OSLER_DATA_DIR``, else ``osler`` under ``XDG_DATA_HOME``.
    file : Path, optional
        Else ``OSLER_CONFIG``, else ``osler.toml`` in the data folder when it is there.
    given : mapping, optional
        Settings from the command line.

    Raises
    ------
    ConfigError
        If a name is unknown, a value has the wrong type, or a line cannot be read; the message names the line.
    """
    data_dir = data_dir or _default_data_dir(environ)
    named = file or (Path(environ["OSLER_CONFIG"]) if "OSLER_CONFIG" in environ else None)
    path = named or data_dir / "osler.toml"
    values: dict[str, Value] = {s.name: s.default for s in SETTINGS}
    origins = dict.fromkeys(values, "default")
    destinations: tuple[Destination, ...] = ()
    ehrs: tuple[Ehr, ...] = ()
    if path.is_file():
        from_file, lines, destinations, ehrs = _read_file(path)
        values |= from_file
        origins |= lines
    elif named is not None:
        raise ConfigError(f"{path}: there is no such configuration file")
    from_environ = _read_environ(environ)
    values |= from_environ
    origins |= {name: _BY_NAME[name].variable for name in from_environ}
    for name, value in (given or {}).items():
        values[name] = _checked(_BY_NAME[name], value, "command line")
        origins[name] = "command line"
    _check_meaning(values, origins, destinations)
    privacy, operations = (tuple(d for d in destinations if d.when == when) for when in _OFFICES)
    results = tuple(d for d in destinations if d.when not in _OFFICES)
    return Config(data_dir.absolute(), values, origins, results, privacy, ehrs, operations)


def split_address(address: str, where: str = "") -> tuple[str, int]:
    """Split ``HOST:PORT`` (``[::1]:104`` for IPv6); ``where`` begins the message of the error.

    Raises
    ------
    ConfigError
        If it has another form.
    """
    host, colon, port = address.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"{where}{address!r} is not HOST:PORT")
    return host, int(port)


_BY_NAME: Final[Mapping[str, Setting]] = {s.name: s for s in SETTINGS}
_TELLING: Final = ("webhook", "smtp")
_OFFICES: Final = ("privacy", "operations")
_RESERVED_VARIABLES: Final = frozenset({"OSLER_DATA_DIR", "OSLER_CONFIG", "OSLER_MASTER_KEY", "OSLER_REQUIRE_PEERS"})


def _default_data_dir(environ: Mapping[str, str]) -> Path:
    if environ.get("OSLER_DATA_DIR"):
        return Path(environ["OSLER_DATA_DIR"])
    base = environ.get("XDG_DATA_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".local" / "share")
    return Path(base) / "osler"


def _read_file(path: Path) -> tuple[dict[str, Value], dict[str, str], tuple[Destination, ...], tuple[Ehr, ...]]:
    try:
        source = path.read_text(encoding="utf-8")
        document = tomllib.loads(source)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: the file is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    lines = source.splitlines()
    values: dict[str, Value] = {}
    origins: dict[str, str] = {}
    for section, content in document.items():
        if section in ("destination", "ehr"):
            continue
        if not isinstance(content, dict):
            raise ConfigError(f"{_at(path, lines, '', section)}: unknown setting {section!r}")
        for key, value in content.items():
            name, where = f"{section}.{key}", _at(path, lines, section, key)
            if name not in _BY_NAME:
                raise ConfigError(f"{where}: unknown setting {name!r}{_suggestion(name)}")
            values[name], origins[name] = _checked(_BY_NAME[name], value, where), where
    starts = _starts(lines, "ehr")
    ehrs = read_ehrs(
        document.get("ehr", []),
        lambda index, key: f"{path}:{_line_of(lines, key, starts[index] if index < len(starts) else 0)}",
    )
    return values, origins, _read_destinations(document.get("destination", []), path, lines), ehrs


def _read_destinations(tables: Any, path: Path, lines: list[str]) -> tuple[Destination, ...]:
    if not isinstance(tables, list):
        raise ConfigError(f"{_at(path, lines, 'destination', '')}: write [[destination]], one table for each")
    starts = _starts(lines, "destination")
    found: list[Destination] = []
    for index, table in enumerate(tables):
        start = starts[index] if index < len(starts) else 0
        destination = _read_destination(table, path, lines, start)
        if any(d.name == destination.name for d in found):
            raise ConfigError(f"{path}:{max(start, 1)}: two destinations are called {destination.name!r}")
        found.append(destination)
    return tuple(found)


def _read_destination(table: Mapping[str, Any], path: Path, lines: list[str], start: int) -> Destination:
    where = f"{path}:{max(start, 1)}"
    kind = str(table.get("kind"))
    if kind not in DESTINATION_KEYS:
        raise ConfigError(f"{where}: destination kind must be one of {', '.join(DESTINATION_KEYS)}")
    for key, value in table.items():
        line = f"{path}:{_line_of(lines, key, start)}"
        if key not in DESTINATION_KEYS[kind]:
            raise ConfigError(f"{line}: unknown key {key!r} in a destination of kind {kind!r}")
        kinds: dict[str, tuple[type, str]] = {"recipients": (list, "a list of strings"), "tls": (bool, "true or false")}
        type_, words = kinds.get(key, (str, "a string"))
        if not isinstance(value, type_):
            raise ConfigError(f"{line}: {key} must be {words}")
    for key in ("name", *DESTINATION_NEEDS[kind]):
        if not table.get(key):
            raise ConfigError(f"{where}: a destination of kind {kind!r} needs {key!r}")
    if table.get("when", "always") not in ("always", "critical", *(_OFFICES if kind in _TELLING else ())):
        raise ConfigError(f"{where}: when must be always or critical, or privacy or operations for a webhook or smtp")
    _check_receiver(kind, table, f"{path}:{_line_of(lines, 'url' if kind == 'webhook' else 'address', start)}")
    default_when = "critical" if kind in ALERTING else "always"
    return Destination(**{"when": default_when, **table, "recipients": tuple(table.get("recipients", ()))})


def _read_environ(environ: Mapping[str, str]) -> dict[str, Value]:
    by_variable = {s.variable: s for s in SETTINGS}
    values: dict[str, Value] = {}
    for variable, raw in environ.items():
        if not variable.startswith("OSLER_") or variable.startswith("OSLER_TEST_") or variable in _RESERVED_VARIABLES:
            continue
        if variable not in by_variable:
            raise ConfigError(f"environment: unknown variable {variable}{_suggestion(variable)}")
        setting = by_variable[variable]
        values[setting.name] = _checked(setting, _parsed(setting, raw), f"environment {variable}")
    return values


def _parsed(setting: Setting, raw: str) -> Value:
    if isinstance(setting.default, bool):
        return {"true": True, "1": True, "false": False, "0": False}.get(raw.strip().lower(), raw)
    if isinstance(setting.default, list):
        return [part.strip() for part in raw.split(",") if part.strip()]
    if isinstance(setting.default, int | float):
        try:
            return int(raw) if isinstance(setting.default, int) else float(raw)
        except ValueError:
            return raw
    return raw


def _checked(setting: Setting, value: Any, where: str) -> Value:
    default = setting.default
    kind, fits = {
        bool: ("true or false", isinstance(value, bool)),
        int: ("a whole number", isinstance(value, int) and not isinstance(value, bool)),
        float: ("a number", isinstance(value, int | float) and not isinstance(value, bool)),
        str: ("a string", isinstance(value, str)),
        list: ("a list of strings", isinstance(value, list) and all(isinstance(v, str) for v in value)),
    }[type(default)]
    if not fits:
        raise ConfigError(f"{where}: {setting.name} must be {kind}")
    if setting.choices and value not in setting.choices:
        raise ConfigError(f"{where}: {setting.name} must be one of {', '.join(setting.choices)}")
    if isinstance(value, int | float) and not isinstance(value, bool) and not 0 <= value < math.inf:
        raise ConfigError(f"{where}: {setting.name} must {'not be negative' if value < 0 else 'be finite'}")
    return float(value) if isinstance(default, float) else value


def _check_receiver(kind: str, table: Mapping[str, Any], where: str) -> None:
    if kind != "webhook":
        split_address(table["address"], f"{where}: address ")
    elif not table["url"].startswith(("http://", "https://")) or not urlsplit(table["url"]).hostname:
        raise ConfigError(f"{where}: url must be http://HOST... or https://HOST...")


def _check_meaning(
    values: Mapping[str, Value], origins: Mapping[str, str], destinations: tuple[Destination, ...]
) -> None:
    def wrong(name: str, words: str) -> ConfigError:
        return ConfigError(f"{origins[name]}: {name} {words}")

    for name in ("http.address", "dimse.address", *(["mllp.address"] if values["mllp.address"] else [])):
        split_address(str(values[name]), f"{origins[name]}: {name} ")
    if not str(values["storage.database"]).startswith(("sqlite", "postgresql://")):
        raise wrong("storage.database", "must be sqlite or postgresql://...")
    if "://" in str(values["storage.blobs"]) and not str(values["storage.blobs"]).startswith("s3://"):
        raise wrong("storage.blobs", "must be folder, the path of a folder, or s3://BUCKET/PREFIX")
    if not 1 <= len(str(values["dimse.ae_title"]).strip()) <= 16:
        raise wrong("dimse.ae_title", "must have 1 to 16 characters")
    _check_tls(values, wrong)
    if not 0 <= float(values["models.canary_percent"]) <= 100:  # type: ignore[arg-type]
        raise wrong("models.canary_percent", "must be from 0 to 100")
    if float(values["registry.look_s"]) <= 0:  # type: ignore[arg-type]
        raise wrong("registry.look_s", "must be more than 0")
    for destination in destinations:
        host = urlsplit(destination.url).hostname or destination.address.rpartition(":")[0]
        if destination.kind in ALERTING and host not in values["alert.allowed_hosts"]:  # type: ignore[operator]
            raise wrong("alert.allowed_hosts", f"{host!r} of destination {destination.name!r} is not among them")


def _check_tls(values: Mapping[str, Value], wrong: Callable[[str, str], ConfigError]) -> None:
    doors, demand = list(values["tls.doors"]), list(values["tls.demand"])  # type: ignore[arg-type]
    if set(doors) - {"dimse", "http", "mllp"}:
        raise wrong("tls.doors", "must be some of dimse, http, mllp")
    if set(demand) - set(doors):
        raise wrong("tls.demand", "must be some of tls.doors")
    if demand and not values["tls.authorities"]:
        raise wrong("tls.demand", "needs tls.authorities: who vouches for the peers")
    for one, other in (("tls.certificate", "tls.key"), ("tls.key", "tls.certificate")):
        if values[one] and not values[other]:
            raise wrong(one, f"needs {other}")
    if doors and not values["tls.certificate"]:
        raise wrong("tls.doors", "needs tls.certificate and tls.key")


def _at(path: Path, lines: list[str], section: str, key: str) -> str:
    start = next((i for i, line in enumerate(lines, 1) if line.strip() == f"[{section}]"), 0)
    return f"{path}:{_line_of(lines, key, start)}"


def _starts(lines: list[str], tables: str) -> list[int]:
    return [i for i, line in enumerate(lines, 1) if line.strip().replace(" ", "") == f"[[{tables}]]"]


def _line_of(lines: list[str], key: str, start: int) -> int:
    for number, line in enumerate(lines[start:], start + 1):
        if line.split("=")[0].strip().rpartition(".")[2] == key:
            return number
    return max(start, 1)


def _suggestion(name: str) -> str:
    import difflib

    known = [s.variable if name.startswith("OSLER_") else s.name for s in SETTINGS]
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
