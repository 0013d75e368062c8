"""What a chat endpoint answered: the JSON object in it, whatever a model puts around it, and which model it was."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from osler.errors import ContractViolation, ReplyRefused

_TAG: Final = r"(?:think|thinking|thought|reasoning)>"
_THOUGHT: Final = re.compile(rf"\A.*</{_TAG}", re.DOTALL | re.IGNORECASE)
_UNFINISHED: Final = re.compile(rf"<{_TAG}", re.IGNORECASE)
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")
_LONGEST_VERSION: Final = 120


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered.

    Parameters
    ----------
    content : str
        As the model wrote it.
    version : str
        Model and fingerprint as the server names them.
    """

    content: str
    version: str


def read_reply(body: bytes) -> Reply:
    """Read the body of a chat completion.

    Raises
    ------
    ContractViolation
        If it is no chat completion with one text; the message says what is wrong and quotes nothing.
    ReplyRefused
        If the model wants to call a tool: it was given none.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ContractViolation("the answer is not JSON") from None
    choices = document.get("choices") if isinstance(document, Mapping) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise ContractViolation("the answer has no choices")
    message = choices[0].get("message")
    if not isinstance(message, Mapping):
        raise ContractViolation("the answer has no message")
    if message.get("tool_calls") or message.get("function_call"):
        raise ReplyRefused("the language model answered with a call of a tool, and was given none")
    if message.get("refusal"):
        raise ContractViolation("the language model declined")
    content = message.get("content")
    if not isinstance(content, str) or not content.strip():
        raise ContractViolation("the answer's message is empty")
    if choices[0].get("finish_reason") == "length":
        raise ContractViolation("the reply was cut off: it must be shorter")
    return Reply(content, _version(document))


def _version(document: Mapping[str, Any]) -> str:
    named = (document.get("model"), document.get("system_fingerprint"))
    return _UNPRINTABLE.sub("", " ".join(one for one in named if isinstance(one, str)))[:_LONGEST_VERSION]


def object_in(content: str) -> Mapping[str, Any]:
    """Return the JSON object of a reply, without thoughts before it, fences around it and words after it.

    Raises
    ------
    ContractViolation
        If there is none.
    """
    said = _THOUGHT.sub("", content)
    start = said.find("{")
    if _UNFINISHED.search(said, 0, max(0, start)):
        raise ContractViolation("the reply ends before the thought does")
    try:
        value, _ = json.JSONDecoder(parse_constant=_no_constant).raw_decode(said, start) if start >= 0 else (None, 0)
    except (ValueError, RecursionError):
        raise ContractViolation("the reply is not a JSON object") from None
    if not isinstance(value, Mapping):
        raise ContractViolation("the reply is not a JSON object")
    return value


def _no_constant(_: str) -> None:
    raise ValueError
