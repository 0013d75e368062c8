"""Drafts by a language model: parts of a transcript in, statements with their utterances out, a few tries each."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from osler.domain.note import Draft, DraftAuthor, Template, Topic
from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance
from osler.draft.language_model.assembling import assemble
from osler.draft.language_model.exchange import ChatClient
from osler.draft.language_model.probe import Form, probe, response_format
from osler.draft.language_model.prompt import rules_for, split, told, transcript_as_data
from osler.draft.language_model.reply import object_in, read_reply
from osler.draft.language_model.statements import Said, schema_of, statements_of
from osler.draft.port import Style
from osler.errors import ContractViolation, PluginTimeout, ReplyRefused

PART_CHARACTERS: Final = 24_000
"""Of the transcript in one question: about 6,000 tokens, which leaves a context of 16,000 room for rules and reply."""

TRIES: Final = 3
"""Of one part: the first, and two with the fault of the last told."""

NOT_ENFORCED: Final = "The endpoint does not hold the model to a form; each reply was checked here."

Outcome = TypeVar("Outcome")


class LanguageModelWriter:
    """Writes drafts with a model behind an OpenAI-compatible endpoint.

    Parameters
    ----------
    client : ChatClient
    part_characters : int
        Longest part of a transcript in one question.
    """

    def __init__(self, client: ChatClient, *, part_characters: int = PART_CHARACTERS) -> None:
        self._client = client
        self._most = part_characters
        self._form: Form | None = None

    def probe(self) -> Form:
        """Find out how replies are held to their form; asked once, at the start or before the first draft.

        Raises
        ------
        PeerUnavailable, PluginTimeout, ContractViolation, DeliveryRefused
            If the endpoint is away, too slow, no chat endpoint, or not allowed.
        """
        return asyncio.run(self._probed())

    def write(self, transcript: DeidentifiedTranscript, template: Template, style: Style) -> Draft:
        """Return a draft; whether its quotes are there is for the gate to say.

        Raises
        ------
        PeerUnavailable
            If the endpoint cannot be reached, or is busy for longer than its time.
        PluginTimeout
            If a part took longer than its time.
        ContractViolation
            If no reply kept to the form in :data:`TRIES` tries.
        ReplyRefused
            If the model wanted to call a tool.
        DeliveryRefused
            If the host is not allowed.
        """
        if not isinstance(transcript, DeidentifiedTranscript):
            raise ContractViolation("a language model is given a de-identified transcript and nothing else")
        return asyncio.run(self._written(transcript, template, style))

    async def _probed(self) -> Form:
        if self._form is not None:
            return self._form
        found = await self._in_time(probe(self._client))
        self._form = found[0]
        return found[0]

    async def _written(self, transcript: DeidentifiedTranscript, template: Template, style: Style) -> Draft:
        by_problem = template.by_problem if style.by_problem is None else style.by_problem
        topics = [topic for section in template.sections for topic in section.topics]
        parts = split([one for one in transcript.utterances if one.text.strip()], self._most)
        form = await self._probed() if parts else Form.SCHEMA
        model = await self._in_time(self._client.model()) if parts else self._client.endpoint.named
        schema = schema_of(topics, by_problem=by_problem)
        rules = rules_for(topics, style, by_problem=by_problem, schema=schema if form is Form.PROMPT else None)
        said: list[Said] = []
        versions: dict[str, None] = {}
        for number, part in enumerate(parts, 1):
            data = transcript_as_data(part, part=number, parts=len(parts))
            found, version = await self._in_time(
                self._part(part, topics, _question(model, rules, data, schema if form is Form.SCHEMA else None))
            )
            said += found
            versions[version] = None
        author = DraftAuthor("language-model", model, ", ".join(versions))
        warnings = (NOT_ENFORCED,) if form is Form.PROMPT else ()
        return Draft(template.name, assemble(said, template, transcript, by_problem=by_problem), author, warnings)

    async def _part(
        self, part: Sequence[DeidentifiedUtterance], topics: Sequence[Topic], question: Mapping[str, Any]
    ) -> tuple[list[Said], str]:
        """Ask until a reply keeps to the form; what the model wrote wrongly is not sent back, only its fault."""
        fault = ""
        for _ in range(TRIES):
            messages = [*question["messages"], *([{"role": "user", "content": told(fault)}] if fault else [])]
            body = await self._client.ask({**question, "messages": messages})
            try:
                reply = read_reply(body)
                return statements_of(object_in(reply.content), topics=topics, utterances=part), reply.version
            except ReplyRefused:
                raise
            except ContractViolation as violation:
                fault = str(violation)
        raise ContractViolation(f"the language model did not keep to the form in {TRIES} tries: {fault}")

    async def _in_time(self, doing: Coroutine[Any, Any, Outcome]) -> Outcome:
        try:
            async with asyncio.timeout(self._client.endpoint.timeout_s):
                return await doing
        except TimeoutError:
            raise PluginTimeout("the language model did not answer in its time") from None


def _question(model: str, rules: str, data: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the body of a question; with a schema where the server enforces one."""
    question: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "system", "content": rules}, {"role": "user", "content": data}],
        "temperature": 0,
        "stream": False,
    }
    return question if schema is None else {**question, "response_format": response_format("note", schema)}
