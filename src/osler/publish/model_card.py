"""A model's card as a FHIR DocumentReference, so that whoever sees a result can read what the model is for.

References
----------
HL7 AI Transparency on FHIR 1.0.0-ballot, AI Model-Card DocumentReference
"""

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

from osler.domain.findings import ModelVersion
from osler.plugins import Card
from osler.publish.ids import logical_id
from osler.standards.fhir import Resource

AI_TRANSPARENCY: Final = "http://hl7.org/fhir/uv/aitransparency"
"""Where the profiles, extensions and codes of AI Transparency on FHIR begin."""
_INPUTS: Final = f"{AI_TRANSPARENCY}/CodeSystem/AIinputsCS"


def model_card_id(model: ModelVersion) -> str:
    """Return the logical id of the DocumentReference of a model version's card."""
    return logical_id("DocumentReference", model.name, model.version, model.sha256)


def model_card(card: Card) -> Resource:
    """Build the DocumentReference that holds a card as Markdown."""
    text = markdown(card)
    return {
        "resourceType": "DocumentReference",
        "id": model_card_id(card.model_version),
        "meta": {"profile": [f"{AI_TRANSPARENCY}/StructureDefinition/AI-ModelCard"]},
        "status": "current",
        "type": {"coding": [{"system": _INPUTS, "code": "AIModelCard"}], "text": "AI model card"},
        "category": [{"coding": [{"system": _INPUTS, "code": "AIModelCardMarkdownFormat"}]}],
        "description": f"Model card of {card.name} {card.version}",
        "content": [
            {
                "attachment": {
                    "contentType": "text/markdown",
                    "data": base64.b64encode(text.encode()).decode("ascii"),
                    "title": f"{card.name} {card.version}",
                }
            }
        ],
    }


def markdown(card: Card) -> str:
    """Write a card as Markdown."""
    version = card.model_version
    lines = [f"# {card.name} {card.version}", ""]
    lines += [f"- Weights SHA-256: {version.sha256}", f"- Preprocessing: {version.preprocessing}"]
    lines += [f"- Licence of the weights: {card.licence}", f"- Modalities: {', '.join(card.modalities)}", ""]
    for title, prose in (("Intended use", card.intended_use), ("Limitations", card.limitations)):
        lines += [f"## {title}", "", prose.strip(), ""]
    for title, facts in (("Training data", card.training_data), ("Evaluation", card.evaluation)):
        if facts:
            lines += [f"## {title}", "", *_items(facts, 0), ""]
    return "\n".join(lines)


def _items(facts: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(facts, Mapping):
        for name, value in facts.items():
            if isinstance(value, Mapping | list | tuple):
                yield f"{indent}- {name}:"
                yield from _items(value, depth + 1)
            else:
                yield f"{indent}- {name}: {value}"
    else:
        for value in facts:
            if isinstance(value, Mapping | list | tuple):
                yield f"{indent}-"
                yield from _items(value, depth + 1)
            else:
                yield f"{indent}- {value}"
