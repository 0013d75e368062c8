"""``/scribe/``: pages on which a person records an encounter, reviews its note and signs it.

Unlike the other pages these need scripts: plain modules from our own address, which speak with ``/scribe/encounters``
and build what they show from text alone, never from markup.

::

    GET /scribe/                   encounters that changed last, and what needs a person
    GET /scribe/new[?patient=]     choose the patient (POST searches); kind of note and consent
    GET /scribe/record/{id}        record, or hand in a file or a transcript
    GET /scribe/review/{id}        transcript and draft side by side; sign
    GET /scribe/summary/{id}       for the patient; /scribe/letter/{id}: to a colleague
    GET /scribe/quality[.json]     what people changed of drafts, and what was measured of them
    GET /scribe/static/{name}      scripts and style
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final

import jinja2
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from osler.api.guard import Caller
from osler.api.people.door import Door, Fields
from osler.api.people.pages import STYLE_PATH
from osler.api.people.roles import CARING
from osler.api.people.service import People
from osler.api.people.sessions import SignedIn, sign_in_url
from osler.api.scribe.entrance import CONSOLE, NO_STORE, Entrance, Json, answer, reach_of
from osler.api.scribe.measured import HEIGHT, WIDTH, measured
from osler.api.services import Services
from osler.api.smart.choosing import Candidate, Choice
from osler.domain.encounter import ConsentMethod, Documented, EncounterState
from osler.draft.port import NAMES_OF_PATIENT, ORDERED_BY_PROBLEM
from osler.errors import NotFound
from osler.scribe.desk import SOON_S, ScribeDesk
from osler.scribe.evaluations import kept
from osler.scribe.handouts import letter_of, summary_of
from osler.scribe.papers import Paper
from osler.scribe.quality import MOST_NOTES, quality
from osler.scribe.retention import UNFINISHED, delete_at
from osler.standards.fhir import instant

ROOT: Final = "/scribe/"
_MOST_LISTED: Final = 50
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; media-src 'self' blob:; "
    "img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_PERMISSIONS: Final = "microphone=(self), camera=(), geolocation=()"
_KINDS: Final = {"js": "text/javascript", "css": "text/css"}
_NEEDS: Final = {
    EncounterState.OPEN: ("Recording", "Record, or hand in a file", "record"),
    EncounterState.RECORDED: ("Being transcribed", "", "review"),
    EncounterState.TRANSCRIBED: ("Being drafted", "", "review"),
    EncounterState.DRAFTED: ("Draft", "Review and sign", "review"),
    EncounterState.SIGNED: ("Signed", "", "review"),
    EncounterState.FAILED: ("Failed", "See why, and try again", "review"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One encounter as the list shows it.

    Parameters
    ----------
    id, patient, facts, template : str
    state : str
        Value of the EncounterState.
    status : str
        How far it has come, in words.
    needs : str
        What a person has to do; empty when nothing.
    page : str
        Where to go on: ``record`` or ``review``.
    changed : datetime
    audio : str
        That its audio was deleted, or soon is; empty for neither.
    """

    id: str
    patient: str
    facts: str
    template: str
    state: str
    status: str
    needs: str
    page: str
    changed: datetime
    audio: str


class ScribePages:
    """The pages of encounters.

    Parameters
    ----------
    services : Services
    people : People
    desk : ScribeDesk
    """

    def __init__(self, services: Services, people: People, desk: ScribeDesk) -> None:
        self._services = services
        self._people = people
        self._desk = desk
        self._entrance = Entrance(services, desk)
        root = people.pages.root
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("osler.api.scribe"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {
            "site": people.pages.site,
            "root": root,
            "style": root + STYLE_PATH,
            "static": f"{root}{ROOT}static",
        }

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        door = Door(self._services, self._people)
        return [
            Route(ROOT, door.get(self.list), methods=["GET"]),
            Route(ROOT + "new", door.get(self.new), methods=["GET"]),
            Route(ROOT + "new", door.post(self.search), methods=["POST"]),
            Route(ROOT + "record/{id}", door.get(self.record), methods=["GET"]),
            Route(ROOT + "review/{id}", door.get(self.review), methods=["GET"]),
            Route(ROOT + "summary/{id}", door.get(self.summary), methods=["GET"]),
            Route(ROOT + "letter/{id}", door.get(self.letter), methods=["GET"]),
            Route(ROOT + "quality", door.get(self.quality), methods=["GET"]),
            Route(ROOT + "quality.json", self._entrance.endpoint(self.figures), methods=["GET"]),
            Route(ROOT + "static/{name}", static, methods=["GET"]),
        ]

    def list(self, request: Request) -> Response:
        """Answer GET: encounters that changed last."""
        person = self._people.sessions.person(request)
        if person is None:
            return self._sign_in(request)
        caller = self._entrance.of_person(request, person)
        reach = reach_of(caller, "s")
        ending = {one.id: one for one in self._desk.ending()}
        newest = [one for one in self._desk.newest(limit=_MOST_LISTED) if one.id not in ending]
        seen = self._desk.listed(caller.agent, [*ending.values(), *newest], reach)
        named = self._choice(request, person).named({one.subject.patient for one in seen})
        rows = [self._row(one, named) for one in seen]
        soon = sum(one.id in ending for one in seen)
        return self._render("list", request, person=person, rows=rows, soon=soon, may_open=_may(caller, "c"))

    def new(self, request: Request) -> Response:
        """Answer GET: the search for the patient, or when one is chosen what the encounter is to be."""
        return self._opening(request, "")

    def search(self, request: Request, fields: Fields) -> Response:
        """Answer POST: patients of a name or number, which so stands in no address."""
        return self._opening(request, fields.get("q", "").strip()[:100])

    def _opening(self, request: Request, words: str) -> Response:
        person = self._people.sessions.person(request)
        if person is None:
            return self._sign_in(request)
        caller = self._entrance.of_person(request, person)
        caller.require("DocumentReference", "c")
        choice, wanted = self._choice(request, person), request.query_params.get("patient", "")
        chosen = choice.patient(wanted) if wanted else None
        if wanted and chosen is None:
            raise NotFound("there is no patient of that id whom you may see")
        number = any(letter.isdigit() for letter in words)
        found = [] if chosen else choice.patients(**{"identifier" if number else "name": words})
        return self._render(
            "new",
            request,
            person=person,
            words=words,
            found=found,
            chosen=chosen,
            templates=sorted(self._desk.templates.values(), key=lambda one: one.title),
            template=self._desk.template,
            methods=[method.value for method in ConsentMethod],
            called=NAMES_OF_PATIENT,
        )

    def record(self, request: Request) -> Response:
        """Answer GET: the page that records."""
        return self._of_encounter(request, "record", "c")

    def review(self, request: Request) -> Response:
        """Answer GET: transcript and draft."""
        return self._of_encounter(request, "review", "r")

    def quality(self, request: Request) -> Response:
        """Answer GET: what people changed of drafts, and what was measured of them."""
        person = self._people.sessions.person(request)
        if person is None:
            return self._sign_in(request)
        stores = self._desk.stores
        return self._render(
            "quality",
            request,
            person=person,
            most=MOST_NOTES,
            figures=quality(stores),
            measured=measured(kept(stores)),
            width=WIDTH,
            height=HEIGHT,
        )

    def figures(self, caller: Caller, _request: Request, _body: Json) -> Response:
        """Answer GET: the same as JSON, for who may search notes."""
        caller.require("DocumentReference", "s")
        stores = self._desk.stores
        reports = [{**one.report, "made_by": one.made_by, "made_at": instant(one.made_at)} for one in kept(stores)]
        return answer({"quality": [asdict(one) for one in quality(stores)], "evaluations": reports})

    def summary(self, request: Request) -> Response:
        """Answer GET: what the patient may read."""
        return self._handout(request, "Your visit", summary_of)

    def letter(self, request: Request) -> Response:
        """Answer GET: a letter of referral."""
        return self._handout(
            request, "Referral", lambda note: letter_of(note, to=request.query_params.get("to", "")[:100])
        )

    def _handout(self, request: Request, title: str, make: Callable[[Json], Json]) -> Response:
        person = self._people.sessions.person(request)
        if person is None:
            return self._sign_in(request)
        caller = self._entrance.of_person(request, person)
        held = self._entrance.open(caller, request.path_params["id"], "r")
        held, note = self._desk.reviewing.read(caller.agent, held.id, Paper.NOTE)
        patient = self._choice(request, person).named({held.subject.patient})
        return self._render(
            "handout",
            request,
            person=person,
            encounter=held,
            title=title,
            patient=patient.get(held.subject.patient, Candidate("", "Patient", "")),
            signed=held.state is EncounterState.SIGNED,
            made=make(note),
        )

    def _of_encounter(self, request: Request, page: str, right: str) -> Response:
        person = self._people.sessions.person(request)
        if person is None:
            return self._sign_in(request)
        caller = self._entrance.of_person(request, person)
        held = self._entrance.open(caller, request.path_params["id"], right)
        named = self._choice(request, person).named({held.subject.patient})
        template = self._desk.templates.get(held.template)
        return self._render(
            page,
            request,
            person=person,
            encounter=held,
            patient=named.get(held.subject.patient, Candidate("", "Patient", "")),
            kind=template.title if template else held.template,
            problem_sections=" ".join(s.key for s in template.sections if ORDERED_BY_PROBLEM & {*s.topics})
            if template
            else "",
            seal=self._seal(held),
            audio_words=self._audio_words(held),
            may_change=_may(caller, "u"),
            may_sign=person.role in CARING and _may(caller, "u"),
            again_at=self._again_at(person),
        )

    def _again_at(self, person: SignedIn) -> str:
        """Return the name of the identity provider at which a person signs in again; empty for our own password."""
        account = self._people.users.find(person.name)
        return self._people.external_name if account is not None and account.subject else ""

    def _row(self, held: Documented, named: dict[str, Candidate]) -> Row:
        status, needs, page = _NEEDS[held.state]
        if held.state is EncounterState.OPEN and held.consent is None:
            status, needs = "Opened", "Record the consent"
        elif held.state is EncounterState.OPEN and not held.audio_bytes:
            status = "Opened"
        elif held.paused:
            status = "Paused"
        elif held.state is EncounterState.RECORDED and held.progress_s:
            status = f"Being transcribed: {int(held.progress_s) // 60} min {int(held.progress_s) % 60} s so far"
        patient = named.get(held.subject.patient, Candidate("", "Patient", ""))
        template = self._desk.templates.get(held.template)
        return Row(
            held.id,
            patient.title,
            patient.detail,
            template.title if template else held.template,
            held.state.value,
            status,
            needs,
            page,
            datetime.fromtimestamp(held.updated_at, tz=UTC),
            self._audio_words(held),
        )

    def _audio_words(self, held: Documented) -> str:
        """Say that audio which nobody finished was deleted, or soon is; nothing else."""
        keep_s = self._desk.capture.limits.keep_unfinished_s
        ends, now = delete_at(held, keep_s), self._desk.capture.clock()
        if held.state not in UNFINISHED or held.consent is None:
            return ""
        if held.audio_deleted_at is not None:
            return f"The recording was deleted on {_day(held.audio_deleted_at)}: nobody had finished it."
        if ends is not None and ends - now <= SOON_S:
            return f"The recording is deleted on {_day(ends)} unless somebody goes on with it."
        return ""

    def _seal(self, held: Documented) -> str:
        """Return the key under which a browser keeps what has not arrived; it is kept nowhere there."""
        key = self._desk.stores.keyring.index("audio-in-browser", held.id)
        return base64.b64encode(key).decode()

    def _choice(self, request: Request, person: SignedIn) -> Choice:
        return Choice(self._services, request, person, CONSOLE, purpose="encounter")

    def _render(self, name: str, request: Request, /, **context: Any) -> Response:
        template = self._environment.get_template(f"{name}.html.j2")
        text = template.render(csrf=self._people.pages.csrf(request), **context)
        headers = NO_STORE | {"content-security-policy": _POLICY, "permissions-policy": _PERMISSIONS}
        return Response(text, 200, headers, "text/html")

    def _sign_in(self, request: Request) -> Response:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return self._people.pages.redirect(sign_in_url(path))


def static(request: Request) -> Response:
    """Answer ``GET /scribe/static/{name}``; a browser asks each time whether what it holds is current."""
    name = request.path_params["name"]
    kind = _KINDS.get(name.rpartition(".")[2])
    folder = resources.files(__package__).joinpath("static")
    if kind is None or name not in {one.name for one in folder.iterdir()}:
        raise NotFound("there is no such file")
    content = folder.joinpath(name).read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"cache-control": "no-cache", "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, 200, headers, kind)


def routes(services: Services, desk: ScribeDesk) -> Sequence[BaseRoute]:
    """Return the routes of the pages; none where only programs have access."""
    return ScribePages(services, services.people, desk).routes() if services.people else []


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, tz=UTC):%d %B %Y}"


def _may(caller: Caller, right: str) -> bool:
    return bool(caller.reach("DocumentReference", right))
