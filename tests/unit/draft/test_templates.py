"""Kinds of notes as data: what is shipped is whole, and a site's mistakes are named."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from osler.domain.note import Topic
from osler.draft.templates import TOPICS, load_templates
from osler.errors import ConfigError

SHIPPED = (
    "cardiology",
    "consult",
    "discharge",
    "emergency",
    "hp",
    "obstetrics",
    "orthopaedics",
    "paediatrics",
    "progress",
    "psychiatry",
    "soap",
)
DOCUMENT_TYPES = {
    "soap": "11506-3",
    "progress": "11506-3",
    "hp": "34117-2",
    "consult": "11488-4",
    "discharge": "18842-5",
}
MINE = {
    "title": "Mine",
    "code": "11506-3",
    "sections": [{"key": "all", "title": "All", "code": "10164-2", "topics": list(TOPICS)}],
}


def written(folder: Path, content: object, name: str = "mine.yaml") -> Path:
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (folder / name).write_text(text, "utf-8")
    return folder


def test_every_shipped_template_has_each_topic_once_and_keys_apart() -> None:
    templates = load_templates()
    assert tuple(templates) == SHIPPED
    for template in templates.values():
        topics = Counter(topic for section in template.sections for topic in section.topics)
        assert topics == Counter(Topic)
        assert len({section.key for section in template.sections}) == len(template.sections)


@pytest.mark.parametrize(("name", "code"), DOCUMENT_TYPES.items())
def test_document_types(name: str, code: str) -> None:
    assert load_templates()[name].code == code


def test_sections_of_a_history_and_physical_carry_their_loinc_codes() -> None:
    codes = {section.key: section.code for section in load_templates()["hp"].sections}
    assert codes == {
        "cc": "10154-3",
        "hpi": "10164-2",
        "pmh": "11348-0",
        "psh": "10167-5",
        "medications": "10160-0",
        "allergies": "48765-2",
        "immunizations": "11369-6",
        "social": "29762-2",
        "ros": "10187-3",
        "vitals": "8716-3",
        "exam": "29545-1",
        "results": "30954-2",
        "procedures": "47519-4",
        "assessment": "51848-0",
        "plan": "18776-5",
    }


def test_a_sites_template_stands_beside_the_shipped_and_wins_by_name(tmp_path: Path) -> None:
    written(tmp_path, MINE | {"by-problem": True})
    written(tmp_path, MINE | {"title": "Our SOAP"}, "soap.yaml")
    written(tmp_path, "not a template", "readme.txt")
    templates = load_templates(tmp_path)
    assert templates["mine"].by_problem
    assert templates["soap"].title == "Our SOAP"
    assert set(templates) == {*SHIPPED, "mine"}


SECTION = MINE["sections"][0]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("title: [", "mine.yaml: cannot be read as YAML"),
        ("- a\n- b", "mine.yaml: must have"),
        (MINE | {"colour": "red"}, "no such key: colour"),
        ({"title": "Mine", "code": "11506-3"}, "missing: sections"),
        (MINE | {"sections": []}, "at least one section"),
        (MINE | {"by-problem": "yes"}, "by-problem must be true or false"),
        (MINE | {"code": "11506-4"}, "'11506-4' is no LOINC code"),
        (MINE | {"sections": [SECTION | {"code": "HPI"}]}, "section 1: 'HPI' is no LOINC code"),
        (MINE | {"sections": [SECTION | {"topics": [*list(TOPICS), "weather"]}]}, "no such topic: weather"),
        (MINE | {"sections": [SECTION | {"topics": [["plan"]]}]}, "no such topic"),
        (MINE | {"sections": [SECTION | {"topics": list(TOPICS)[1:]}]}, "no section has chief-complaint"),
        (MINE | {"sections": [SECTION | {"topics": [*list(TOPICS), "plan"]}]}, "more than one section: plan"),
        (MINE | {"sections": [SECTION | {"key": "A B"}]}, "key must be lower-case"),
        (MINE | {"sections": [SECTION, SECTION]}, "key stands in more than one section: all"),
        (MINE | {"title": ""}, "title must be a text"),
        ("x" * 200_000, "larger than"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, content: object, says: str) -> None:
    with pytest.raises(ConfigError, match=r"template mine\.yaml") as raised:
        load_templates(written(tmp_path, content))
    assert says in str(raised.value)


def test_a_folder_that_is_not_there_and_a_bad_file_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not there"):
        load_templates(tmp_path / "none")
    with pytest.raises(ConfigError, match="name of the file"):
        load_templates(written(tmp_path, MINE, "My Note.yaml"))
