"""Encounters over HTTP.

::

    POST /scribe/encounters                                  open: patient, consent {method, time}, template ...
    GET  /scribe/encounters[?status=&patient=]               those that changed last
    GET  /scribe/encounters/{id}                             how far it has come, and where the note went
    PUT | DELETE .../consent                                 record or withdraw the consent
    POST .../pause, .../resume, .../finish, .../retry
    POST .../audio                                           a whole file;  PUT .../audio/{take}/{number}: one part
    GET  .../audio[?start=&end=]                             which parts are here, or a clip to listen to (WAV)
    POST .../transcript                                      text, WebVTT or JSON in place of audio
    GET  .../transcript[.vtt], .../note[.txt], .../signed, .../document, .../note/document (FHIR)
    GET  .../summary, .../letter[?to=]                       for the patient; to a colleague
    PATCH | DELETE .../note/statements/{statement}           other words; out
    POST .../note/statements/{statement}/restore, .../note/sections/{key}/statements, .../note/sections/{key}/regenerate
    PUT  .../note/codes/{code}, .../note/orders/{order}, .../roles
    POST .../sign, .../sign/again                            with who signs shown once more

Changes of a note send its ETag in ``If-Match``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from osler.api.guard import Caller
from osler.api.scribe.audio import Audio
from osler.api.scribe.entrance import NO_STORE, Entrance, Json, answer, reach_of, revision_of
from osler.api.scribe.shapes import PATH, consent, encounter_json, style, wanted
from osler.api.scribe.signing import Signatures
from osler.api.services import Services
from osler.domain.encounter import Documented, EncounterState
from osler.domain.transcript import SpeakerRole
from osler.errors import Malformed
from osler.scribe.desk import ScribeDesk
from osler.scribe.handouts import letter_of, summary_of
from osler.scribe.note import as_text
from osler.scribe.papers import Paper
from osler.scribe.staging import OrderState
from osler.scribe.steps import style_of
from osler.standards import fhir
from osler.storage.note_deliveries import NoteDelivery
from osler.transcribe.formats import from_json, to_webvtt

_MOST_LISTED: Final = 200


class Encounters:
    """Endpoints of encounters."""

    def __init__(self, services: Services, desk: ScribeDesk) -> None:
        self._services = services
        self._desk = desk
        self._entrance = Entrance(services, desk)
        self._audio = Audio(self._entrance, desk)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        one = PATH + "/{id}"
        statement = one + "/note/statements/{statement}"
        section = one + "/note/sections/{key}"
        plain = self._entrance.endpoint
        table: list[tuple[str, str, Callable[..., Response], bool]] = [
            ("POST", PATH, self.create, True),
            ("GET", PATH, self.listed, False),
            ("GET", one, self.show, False),
            ("PUT", one + "/consent", self.consent, True),
            ("DELETE", one + "/consent", self.withdraw, False),
            ("POST", one + "/pause", self.pause, False),
            ("POST", one + "/resume", self.resume, False),
            ("POST", one + "/finish", self.finish, True),
            ("POST", one + "/retry", self.retry, False),
            ("GET", one + "/transcript", self.transcript, False),
            ("GET", one + "/transcript.vtt", self.webvtt, False),
            ("GET", one + "/note", self.note, False),
            ("GET", one + "/note.txt", self.note_text, False),
            ("GET", one + "/note/document", self.preliminary, False),
            ("GET", one + "/summary", self.summary, False),
            ("GET", one + "/letter", self.letter, False),
            ("GET", one + "/signed", self.signed, False),
            ("GET", one + "/document", self.document, False),
            ("PATCH", statement, self.edit, True),
            ("DELETE", statement, self.remove, False),
            ("POST", statement + "/restore", self.restore, False),
            ("POST", section + "/statements", self.add, True),
            ("POST", section + "/regenerate", self.regenerate, True),
            ("PUT", one + "/note/codes/{code}", self.code, True),
            ("PUT", one + "/note/orders/{order}", self.order, True),
            ("PUT", one + "/roles", self.roles, True),
            ("POST", one + "/deliveries/{delivery}/retry", self.retry_delivery, False),
        ]
        return [
            *(Route(path, plain(handler, body=body), methods=[method]) for method, path, handler, body in table),
            *self._audio.routes(),
            *Signatures(self._services, self._entrance, self._desk).routes(),
        ]

    # ------------------------------------------------------------------------------------------------ capture

    def create(self, caller: Caller, _request: Request, body: Json) -> Response:
        """Answer ``POST /scribe/encounters``."""
        reach_of(caller, "c")
        new = wanted(body, caller, self._desk, self._services.tokens.clock())
        self._entrance.check_patient(caller, new.subject.patient)
        held = self._desk.capture.create(caller.agent, new)
        return answer(self._json(held), 201, location=f"{self._services.base_url}{PATH}/{held.id}")

    def listed(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``GET /scribe/encounters``; the caller sees those of patients within its reach."""
        reach = reach_of(caller, "s")
        asked = request.query_params
        state = _state(asked.get("status"))
        patient = asked.get("patient", "").removeprefix("Patient/")
        if not patient and len(only := {part.patient for part in reach}) == 1:
            patient = only.pop() or ""
        found = self._desk.newest(state=state, patient=patient, limit=_MOST_LISTED)
        seen = self._desk.listed(caller.agent, found, reach)
        return answer({"encounters": [self._json(one) for one in seen]})

    def show(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``GET /scribe/encounters/{id}``."""
        self._open(caller, request, "r")
        held, sent, orders = self._desk.show(caller.agent, request.path_params["id"])
        return answer({**self._json(held, sent), "orders": orders}, revision=held.revision)

    def consent(self, caller: Caller, request: Request, body: Json) -> Response:
        """Answer ``PUT .../consent``."""
        encounter_id = self._open(caller, request, "c")
        given = consent(body, caller, self._services.tokens.clock())
        return answer(self._json(self._desk.capture.consent(caller.agent, encounter_id, given)))

    def withdraw(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``DELETE .../consent``: the audio is deleted at once."""
        encounter_id = self._open(caller, request, "c")
        return answer(self._json(self._desk.capture.consent(caller.agent, encounter_id, None)))

    def pause(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``POST .../pause``."""
        encounter_id = self._open(caller, request, "c")
        return answer(self._json(self._desk.capture.pause(caller.agent, encounter_id, paused=True)))

    def resume(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``POST .../resume``."""
        encounter_id = self._open(caller, request, "c")
        return answer(self._json(self._desk.capture.pause(caller.agent, encounter_id, paused=False)))

    def finish(self, caller: Caller, request: Request, body: Json) -> Response:
        """Answer ``POST .../finish``; ``takes`` may say how many parts each has: ``{"0": 12}``."""
        encounter_id = self._open(caller, request, "c")
        expected = _counts(body.get("takes", {}))
        return answer(self._json(self._desk.capture.finish(caller.agent, encounter_id, expected)), 202)

    def retry(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``POST .../retry``."""
        encounter_id = self._open(caller, request, "c")
        return answer(self._json(self._desk.capture.retry(caller.agent, encounter_id)), 202)

    # ------------------------------------------------------------------------------------------------- review

    def transcript(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``GET .../transcript``."""
        held, content = self._desk.reviewing.read(caller.agent, self._open(caller, request, "r"), Paper.TRANSCRIPT)
        return answer(content, revision=held.revision)

    def webvtt(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``GET .../transcript.vtt``."""
        _, content = self._desk.reviewing.text(caller.agent, self._open(caller, request, "r"), Paper.TRANSCRIPT)
        return PlainTextResponse(to_webvtt(from_json(content)), headers=NO_STORE, media_type="text/vtt")

    def note(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``GET .../note``."""
        held, content = self._desk.reviewing.read(caller.agent, self._open(caller, request, "r"), Paper.NOTE)
        return answer({"status": held.state.value, **content}, revision=held.revision)

    def note_text(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``GET .../note.txt``: what may be signed."""
        _, content = self._desk.reviewing.read(caller.agent, self._open(caller, request, "r"), Paper.NOTE)
        return PlainTextResponse(as_text(content), headers=NO_STORE)

    def summary(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``GET .../summary``: what may be signed, for the patient."""
        held, content = self._desk.reviewing.read(caller.agent, self._open(caller, request, "r"), Paper.NOTE)
        return answer({"status": held.state.value, **summary_of(content)}, revision=held.revision)

    def letter(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``GET .../letter``: a referral; ``?to=cardiology`` says to whom."""
        held, content = self._desk.reviewing.read(caller.agent, self._open(caller, request, "r"), Paper.NOTE)
        made = letter_of(content, to=request.query_params.get("to", "")[:100])
        return answer({"status": held.state.value, **made}, revision=held.revision)

    def signed(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``GET .../signed``."""
        held, content = self._desk.reviewing.read(caller.agent, self._open(caller, request, "r"), Paper.SIGNED)
        return answer(content, revision=held.revision)

    def document(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``GET .../document``: the signed note as a FHIR document Bundle."""
        made = self._desk.document(caller.agent, self._open(caller, request, "r"), self._services.base_url)
        return Response(fhir.dumps(made), headers=NO_STORE, media_type="application/fhir+json")

    def preliminary(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``GET .../note/document``: what may be signed, as a preliminary FHIR document Bundle."""
        made = self._desk.preliminary(caller.agent, self._open(caller, request, "r"), self._services.base_url)
        return Response(fhir.dumps(made), headers=NO_STORE, media_type="application/fhir+json")

    def edit(self, caller: Caller, request: Request, body: Json) -> Response:
        """Answer ``PATCH .../note/statements/{statement}``."""
        text = _text(body)
        return self._changed(caller, request, lambda agent, e, r, p: self._desk.reviewing.edit(agent, e, r, p, text))

    def remove(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``DELETE .../note/statements/{statement}``."""
        return self._changed(caller, request, self._desk.reviewing.remove)

    def restore(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``POST .../note/statements/{statement}/restore``."""
        return self._changed(caller, request, self._desk.reviewing.restore)

    def add(self, caller: Caller, request: Request, body: Json) -> Response:
        """Answer ``POST .../note/sections/{key}/statements``."""
        text, numbers = _text(body), body.get("utterances", [])
        if not isinstance(numbers, list) or not all(type(n) is int for n in numbers) or len(numbers) > 50:
            raise Malformed("utterances: a list of numbers of utterances")
        return self._changed(
            caller,
            request,
            lambda agent, e, r, key: self._desk.reviewing.add(agent, e, r, key, text, utterances=numbers),
            "key",
        )

    def regenerate(self, caller: Caller, request: Request, body: Json) -> Response:
        """Answer ``POST .../note/sections/{key}/regenerate``."""
        held = self._entrance.open(caller, request.path_params["id"], "u")
        asked = style(body, style_of(held))
        return self._changed(
            caller, request, lambda agent, e, r, key: self._desk.reviewing.regenerate(agent, e, r, key, asked), "key"
        )

    def code(self, caller: Caller, request: Request, body: Json) -> Response:
        """Answer ``PUT .../note/codes/{code}``."""
        accepted = body.get("accepted")
        if not isinstance(accepted, bool):
            raise Malformed("accepted: true or false")
        return self._changed(
            caller,
            request,
            lambda agent, e, r, code: self._desk.reviewing.code(agent, e, r, code, accepted=accepted),
            "code",
        )

    def order(self, caller: Caller, request: Request, body: Json) -> Response:
        """Answer ``PUT .../note/orders/{order}``: ``{"state": "kept"}``."""
        try:
            state = OrderState(str(body.get("state")))
        except ValueError:
            raise Malformed(f"state: one of {', '.join(OrderState)}") from None
        return self._changed(
            caller,
            request,
            lambda agent, e, r, order: self._desk.reviewing.order(agent, e, r, order, state=state),
            "order",
        )

    def roles(self, caller: Caller, request: Request, body: Json) -> Response:
        """Answer ``PUT .../roles``: ``{"S1": "clinician", "S2": "patient"}``; the note is drafted anew."""
        encounter_id = self._open(caller, request, "u")
        try:
            roles = {str(speaker): SpeakerRole(role) for speaker, role in body.items()}
        except ValueError:
            raise Malformed(f"a role is one of {', '.join(SpeakerRole)}") from None
        held = self._desk.reviewing.roles(caller.agent, encounter_id, revision_of(request), roles)
        return answer(self._json(held), 202)

    def retry_delivery(self, caller: Caller, request: Request, _body: Json) -> Response:
        """Answer ``POST .../deliveries/{delivery}/retry``."""
        encounter_id = self._open(caller, request, "u")
        self._desk.retry_delivery(caller.agent, encounter_id, request.path_params["delivery"])
        return answer({}, 202)

    def _json(self, held: Documented, deliveries: Sequence[NoteDelivery] = ()) -> Json:
        return encounter_json(held, self._desk.capture.limits.keep_unfinished_s, deliveries)

    def _changed(
        self, caller: Caller, request: Request, change: Callable[..., Json], part: str = "statement"
    ) -> Response:
        encounter_id, revision = self._open(caller, request, "u"), revision_of(request)
        note = change(caller.agent, encounter_id, revision, request.path_params[part])
        return answer(note, revision=revision + 1)

    def _open(self, caller: Caller, request: Request, right: str) -> str:
        return self._entrance.open(caller, request.path_params["id"], right).id


def routes(services: Services, desk: ScribeDesk) -> list[BaseRoute]:
    """Return the routes of encounters."""
    return Encounters(services, desk).routes()


def _state(given: str | None) -> EncounterState | None:
    try:
        return EncounterState(given) if given else None
    except ValueError:
        raise Malformed(f"status: one of {', '.join(EncounterState)}") from None


def _counts(given: object) -> dict[int, int]:
    if not isinstance(given, Mapping) or len(given) > 1000:
        raise Malformed('takes: how many parts each take has, as {"0": 12}')
    counts: dict[int, int] = {}
    for take, count in given.items():
        if not (
            isinstance(take, str) and take.isdecimal() and len(take) < 5 and type(count) is int and 0 <= count < 100_000
        ):
            raise Malformed('takes: how many parts each take has, as {"0": 12}')
        counts[int(take)] = count
    return counts


def _text(body: Mapping[str, Any]) -> str:
    text = body.get("text")
    if not isinstance(text, str):
        raise Malformed("text: the words of the statement")
    return text
