"""Kinds of notes as data: which sections a note has, in which order, under which LOINC code, and what goes where.

A file of a folder is one template, and its name is the template's name::

    title: SOAP note
    code: 11506-3                # LOINC, kind of document
    by-problem: false            # assessment and plan by problem; false when it is left out
    sections:
      - key: subjective          # name in addresses and in JSON
        title: Subjective
        code: 61150-9            # LOINC, section
        topics: [chief-complaint, history, ...]

Each topic of :class:`osler.domain.note.Topic` stands in exactly one section, so that nothing that was said is without
a place. A site's template of a shipped name takes its place.
"""

import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Final

import yaml

from osler.domain.note import SectionTemplate, Template, Topic
from osler.errors import ConfigError

TOPICS: Final = MappingProxyType({topic.name.lower().replace("_", "-"): topic for topic in Topic})
"""Topics as templates write them."""

_LARGEST: Final = 100_000
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
_LOINC = re.compile(r"\d{1,7}-\d")
_KEYS: Final = frozenset({"title", "code", "by-problem", "sections"})
_SECTION_KEYS: Final = frozenset({"key", "title", "code", "topics"})


def load_templates(folder: Path | None = None) -> Mapping[str, Template]:
    """Return the templates by name: those that are shipped, and those of a site's folder, which win.

    Parameters
    ----------
    folder : Path or None
        With ``*.yaml`` files; None for the shipped ones only.

    Raises
    ------
    ConfigError
        If the folder is not there, or a file in it is no template; the message names file and section.
    """
    sources: list[Traversable] = list(files("osler.draft").joinpath("templates").iterdir())
    if folder is not None:
        if not folder.is_dir():
            raise ConfigError(f"the folder of templates {folder} is not there")
        sources += sorted(folder.iterdir())
    found: dict[str, Template] = {}
    for source in sources:
        if source.name.endswith(".yaml"):
            template = _read(source)
            found[template.name] = template
    return MappingProxyType(dict(sorted(found.items())))


def _read(source: Traversable) -> Template:
    where = f"template {source.name}"
    name = source.name.removesuffix(".yaml")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{where}: the name of the file must be lower-case letters, digits and hyphens")
    try:
        data = source.read_bytes()
        if len(data) > _LARGEST:
            raise ConfigError(f"{where}: larger than {_LARGEST} bytes")
        content = yaml.safe_load(data.decode("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{where}: cannot be read as YAML ({type(error).__name__})") from error
    values = _mapping(content, _KEYS, where, optional=frozenset({"by-problem"}))
    by_problem = values.get("by-problem", False)
    if not isinstance(by_problem, bool):
        raise ConfigError(f"{where}: by-problem must be true or false")
    title, code = _text(values, "title", where), _loinc(values, where)
    return Template(name, title, code, _sections(values["sections"], where), by_problem)


def _sections(value: object, where: str) -> tuple[SectionTemplate, ...]:
    if not isinstance(value, list) or not value:
        raise ConfigError(f"{where}: sections must be a list with at least one section")
    sections = tuple(_section(entry, f"{where}, section {number}") for number, entry in enumerate(value, start=1))
    keys = [section.key for section in sections]
    topics = [topic for section in sections for topic in section.topics]
    for what, seen in (("key", keys), ("topic", [_written(topic) for topic in topics])):
        twice = sorted({entry for entry in seen if seen.count(entry) > 1})
        if twice:
            raise ConfigError(f"{where}: {what} stands in more than one section: {', '.join(twice)}")
    missing = [name for name, topic in TOPICS.items() if topic not in topics]
    if missing:
        raise ConfigError(f"{where}: no section has {', '.join(missing)}")
    return sections


def _section(value: object, where: str) -> SectionTemplate:
    values = _mapping(value, _SECTION_KEYS, where)
    key = _text(values, "key", where)
    if not _NAME.fullmatch(key):
        raise ConfigError(f"{where}: key must be lower-case letters, digits and hyphens")
    topics = values["topics"]
    if not isinstance(topics, list) or not topics:
        raise ConfigError(f"{where}: topics must be a list with at least one topic")
    unknown = [str(topic) for topic in topics if not isinstance(topic, str) or topic not in TOPICS]
    if unknown:
        raise ConfigError(f"{where}: no such topic: {', '.join(unknown)}; there are {', '.join(TOPICS)}")
    return SectionTemplate(key, _text(values, "title", where), _loinc(values, where), tuple(TOPICS[t] for t in topics))


def _mapping(
    value: object, keys: frozenset[str], where: str, *, optional: frozenset[str] = frozenset()
) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: must have {', '.join(sorted(keys))}")
    given = {str(key): entry for key, entry in value.items()}
    for problem, names in (("no such key", given.keys() - keys), ("missing", keys - optional - given.keys())):
        if names:
            raise ConfigError(f"{where}: {problem}: {', '.join(sorted(names))}")
    return given


def _text(values: Mapping[str, object], key: str, where: str) -> str:
    value = values[key]
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise ConfigError(f"{where}: {key} must be a text of at most 200 characters")
    return value.strip()


def _loinc(values: Mapping[str, object], where: str) -> str:
    code = _text(values, "code", where)
    number, _, check = code.partition("-")
    if not _LOINC.fullmatch(code) or int(check) != _mod_10(number):
        raise ConfigError(f"{where}: {code!r} is no LOINC code (its check digit does not fit)")
    return code


def _mod_10(number: str) -> int:
    """Return the check digit of a LOINC number (LOINC Users' Guide, appendix C: Mod 10)."""
    doubled = str(int(number[::-1][::2][::-1]) * 2)
    total = sum(map(int, doubled)) + sum(map(int, number[::-1][1::2]))
    return -total % 10


def _written(topic: Topic) -> str:
    return topic.name.lower().replace("_", "-")
