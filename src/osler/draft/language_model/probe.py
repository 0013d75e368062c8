"""Whether a server keeps to a schema: some take one and ignore it without a word, so it is tried."""

import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from osler.draft.language_model.exchange import ChatClient, NotTaken
from osler.draft.language_model.reply import Reply, object_in, read_reply
from osler.errors import ContractViolation

_QUESTION: Final = "Say hello."


class Form(StrEnum):
    """How the form of a reply is brought about."""

    SCHEMA = "schema"
    """The server holds the model to a JSON schema."""

    PROMPT = "prompt"
    """The form is asked for in words."""


def response_format(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the member of a question that asks for a strict schema."""
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": dict(schema)}}


async def probe(client: ChatClient) -> tuple[Form, str]:
    """Find out whether the endpoint enforces a schema, with a question that holds nothing of anybody.

    The schema wants words that the question does not have: only a server that enforces it makes the model say them.

    Returns
    -------
    form : Form
    version : str
        Of the model, as the server says.

    Raises
    ------
    PeerUnavailable, ContractViolation, DeliveryRefused
        As :meth:`ChatClient.ask`; ContractViolation too when there is no chat completion in the answer.
    """
    word = f"w{secrets.token_hex(4)}"
    schema = {
        "type": "object",
        "properties": {"word": {"type": "string", "enum": [word]}},
        "required": ["word"],
        "additionalProperties": False,
    }
    question = {
        "model": await client.model(),
        "messages": [{"role": "user", "content": _QUESTION}],
        "temperature": 0,
        "stream": False,
    }
    try:
        reply = read_reply(await client.ask({**question, "response_format": response_format("probe", schema)}))
    except NotTaken:
        return Form.PROMPT, read_reply(await client.ask(question)).version
    return (Form.SCHEMA if _keeps(reply, word) else Form.PROMPT), reply.version


def _keeps(reply: Reply, word: str) -> bool:
    try:
        return dict(object_in(reply.content)) == {"word": word}
    except ContractViolation:
        return False
