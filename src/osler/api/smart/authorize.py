"""``/oauth/authorize``: a person signs in, chooses a patient where one is needed, and allows what they want to allow.

Everything that was asked for goes along from page to page in the form, and is checked anew on each: the server keeps
nothing of it until the person has said yes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from osler.api.denials import denials_of
from osler.api.forms import Pairs, parse_pairs, read_form
from osler.api.guard import address_of, denied, write_down
from osler.api.people.door import Door, Fields, agent_of
from osler.api.people.roles import rights
from osler.api.people.service import People
from osler.api.people.sessions import SignedIn, sign_in_url
from osler.api.services import Services
from osler.api.smart import paths
from osler.api.smart.authorization import AuthorizationRequest, SentBack, address_back, read_request
from osler.api.smart.choosing import Candidate, Choice
from osler.api.smart.context import NOWHERE, LaunchContext
from osler.api.smart.grants import GrantStore, Permission
from osler.api.smart.launches import LaunchStore
from osler.api.smart.scope_words import IDENTITY, IMPLIED, LASTING, Line, lines_of
from osler.api.smart.scopes import Scope, in_words
from osler.audit import Agent, AuditRecord
from osler.errors import AccessDenied, OslerError, StorageBusy

_NO_ENCOUNTER: Final = "none"


class Stopped(AccessDenied):
    """It cannot go on, and the person is told so before the client is."""

    def __init__(self, error: str, words: str) -> None:
        super().__init__(words)
        self.error = error


@dataclass(frozen=True, slots=True)
class _Step:
    """One page's worth: who asks, who answers, and what the form says so far."""

    request: Request
    asked: AuthorizationRequest
    person: SignedIn
    choice: Choice
    form: Fields


class Authorize:
    """The steps of an authorization."""

    def __init__(self, services: Services, people: People, grants: GrantStore) -> None:
        self._services = services
        self._people = people
        self._grants = grants
        self._launches = LaunchStore(services.database)
        self._door = Door(services, people)

    def routes(self) -> list[Route]:
        """Return the routes."""
        door = self._door
        return [
            Route(paths.AUTHORIZE, door.get(self.show), methods=["GET"]),
            Route(paths.AUTHORIZE, self.show_posted, methods=["POST"]),
            Route(paths.PATIENT, door.post(self.choose, stale=self.again), methods=["POST"]),
            Route(paths.CONSENT, door.post(self.decide, stale=self.again), methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """Answer GET: on to the sign-in, or to the first question."""
        return self._stepwise(request, parse_pairs(request.url.query), {}, self._ask)

    async def show_posted(self, request: Request) -> Response:
        """Answer POST of the same parameters: on to GET, with which the browser sends the session's cookie."""
        form = await read_form(request)
        return await run_in_threadpool(self._people.pages.redirect, f"{paths.AUTHORIZE}?{urlencode(form)}")

    def again(self, request: Request, fields: Fields) -> Response:
        """Answer a form that has grown old: from the start."""
        return self._stepwise(request, list(fields.items()), {}, self._ask)

    def choose(self, request: Request, fields: Fields) -> Response:
        """Answer the choice of a patient or encounter."""
        return self._stepwise(request, list(fields.items()), fields, self._ask)

    def decide(self, request: Request, fields: Fields) -> Response:
        """Answer the consent."""
        return self._stepwise(request, list(fields.items()), fields, self._decide)

    def _stepwise(self, request: Request, pairs: Pairs, form: Fields, act: Callable[[_Step], Response]) -> Response:
        """Check what is asked for, and who is signed in, then act."""
        try:
            asked = read_request(self._services, pairs)
        except SentBack as fault:
            return self._send_back(request, fault)
        person = self._people.sessions.person(request)
        if person is None:
            return self._people.pages.redirect(sign_in_url(asked.path))
        if self._services.tokens.clock() - person.auth_time >= asked.max_age_s:
            return self._people.pages.redirect(f"{sign_in_url(asked.path)}&again=1")
        choice = Choice(self._services, request, person, asked.client.id)
        step = _Step(request, asked, person, choice, form)
        try:
            return act(step)
        except Stopped as stop:
            return self._stopped(step, stop)

    def _ask(self, step: _Step) -> Response:
        """Ask for what is still to be chosen, then for the consent."""
        offered = self._offered(step)
        context = self._context(step)
        return context if isinstance(context, Response) else self._consent(step, offered, context)

    def _offered(self, step: _Step) -> tuple[Scope, ...]:
        """Return the scopes that can give this person's apps anything."""
        offered = tuple(scope for scope in step.asked.scopes if not scope.context or _given(step.person, scope))
        if any(scope.context for scope in step.asked.scopes) and not any(scope.context for scope in offered):
            raise Stopped("access_denied", "Your role gives nothing of what the app asks for")
        return offered

    def _context(self, step: _Step) -> LaunchContext | Response:
        """Return the launch context, or the page that asks for what it lacks."""
        context = self._launched(step)
        if context.patient is not None:
            if step.choice.patient(context.patient) is None:
                raise Stopped("access_denied", "The app was started for a patient whom you may not see")
        elif step.asked.needs_patient:
            wanted = step.form.get("patient", "")
            searched = step.form.get("name", "").strip() or step.form.get("identifier", "").strip()
            if not wanted or (searched and "find" in step.form):
                return self._patients(step)
            if step.choice.patient(wanted) is None:
                return self._patients(step, wrong="Please choose one of these patients.")
            context = replace(context, patient=wanted)
        return self._with_encounter(step, context)

    def _launched(self, step: _Step) -> LaunchContext:
        asked = step.asked
        if asked.launch is None:
            return NOWHERE
        found = self._launches.find(
            asked.launch, client_id=asked.client.id, person=step.person.name, now=self._services.tokens.clock()
        )
        if found is None:
            raise Stopped("invalid_request", "This start of the app does not hold any more. Start it again")
        return found

    def _with_encounter(self, step: _Step, context: LaunchContext) -> LaunchContext | Response:
        if context.patient is None or context.encounter is not None or not step.asked.asks("launch/encounter"):
            return context
        found = step.choice.encounters(context.patient)
        wanted = step.form.get("encounter")
        if not found or wanted == _NO_ENCOUNTER:
            return context
        if wanted not in {candidate.id for candidate in found}:
            return self._encounters(step, context.patient, found)
        return replace(context, encounter=wanted)

    # ------------------------------------------------------------------------------------------------ pages

    def _patients(self, step: _Step, *, wrong: str = "") -> Response:
        name, identifier = step.form.get("name", "").strip(), step.form.get("identifier", "").strip()
        found = step.choice.patients(name=name, identifier=identifier)
        if not wrong and step.form and "find" not in step.form and "patient" not in step.form:
            wrong = "Please choose a patient."
        return self._page("patient", step, found=found, wanted_name=name, wanted_number=identifier, wrong=wrong)

    def _encounters(self, step: _Step, patient: str, found: list[Candidate]) -> Response:
        return self._page("encounter", step, patient=patient, found=found, none=_NO_ENCOUNTER)

    def _consent(self, step: _Step, offered: tuple[Scope, ...], context: LaunchContext) -> Response:
        groups: dict[str, list[tuple[int, Line]]] = {"The app may": [], "It learns": [], "How long": []}
        shown = [replace(scope, rights=_given(step.person, scope)) for scope in offered]
        for number, line in enumerate(lines_of(shown)):
            heading = "How long" if line.scope in LASTING else "It learns" if line.scope in IDENTITY else "The app may"
            groups[heading].append((number, line))
        return self._page(
            "consent",
            step,
            groups=groups,
            patient=step.choice.patient(context.patient) if context.patient else None,
            encounter=context.encounter if "encounter" in step.form else None,
        )

    def _page(self, name: str, step: _Step, **content: Any) -> Response:
        return self._people.pages.render(
            name,
            step.request,
            leads_to=(step.asked.redirect_uri,),
            app=step.asked.client.name,
            person=step.person.name,
            kept=step.asked.fields,
            **content,
        )

    def _stopped(self, step: _Step, stop: Stopped) -> Response:
        """Tell the person, with a link back: a browser may not follow a redirect out of our own forms here."""
        self._services.metrics.refused("oauth", stop.error)
        write_down(self._services.audit, _refusal(step, stop.error))
        back = self._back(step.asked, error=stop.error, error_description=str(stop))
        return self._page("stopped", step, status=400, words=str(stop), back=back)

    # ------------------------------------------------------------------------------------------------ answers

    def _decide(self, step: _Step) -> Response:
        if step.form.get("decision") == "deny":
            write_down(self._services.audit, _refusal(step, "access_denied"))
            words = "the person did not allow it"
            return _redirect(self._back(step.asked, error="access_denied", error_description=words))
        offered = self._offered(step)
        context = self._context(step)
        if isinstance(context, Response):
            return context
        ticked = {value for name, value in step.form.items() if name.startswith("allow_")}
        scopes = tuple(scope for scope in offered if scope.text in ticked or scope.text in IMPLIED)
        if not any(scope.text not in IMPLIED | LASTING for scope in scopes):
            write_down(self._services.audit, _refusal(step, "access_denied"))
            return _redirect(self._back(step.asked, error="access_denied", error_description="nothing was allowed"))
        return _redirect(self._back(step.asked, code=self._allow(step, scopes, context)))

    def _allow(self, step: _Step, scopes: tuple[Scope, ...], context: LaunchContext) -> str:
        """Keep the permission, use up the launch and write it down: all or nothing."""
        asked = step.asked
        permission = Permission(
            client_id=asked.client.id,
            redirect_uri=asked.redirect_uri,
            challenge=asked.challenge,
            nonce=asked.nonce,
            person=step.person,
            scopes=scopes,
            context=context,
        )
        record = AuditRecord(
            event="access-granted",
            agent=Agent(step.person.name, "person", address_of(step.request), via=asked.client.id),
            patient=context.patient,
            entities=(f"client:{asked.client.id}",),
            detail={"scope": in_words(scopes)},
        )

        def change(connection: Connection) -> str:
            if asked.launch is not None and not self._launches.use(connection, asked.launch):
                raise Stopped("invalid_request", "This start of the app was used already. Start it again")
            code = self._grants.allow(connection, permission, now=self._services.tokens.clock())
            self._services.audit.append(connection, record)
            return code

        try:
            return self._services.database.write(change)
        except Stopped:
            raise
        except (OslerError, OSError) as error:
            raise StorageBusy("it cannot be written down, so nothing is allowed") from error

    def _send_back(self, request: Request, fault: SentBack) -> Response:
        self._services.metrics.refused("oauth", fault.error)
        denials_of(request.app, self._services.audit).write_now(denied(request, fault.error))
        parameters = {"error": fault.error, "error_description": str(fault), "state": fault.state}
        return _redirect(address_back(fault.redirect_uri, parameters | {"iss": self._services.base_url}))

    def _back(self, asked: AuthorizationRequest, **parameters: str) -> str:
        return address_back(asked.redirect_uri, {**parameters, "state": asked.state, "iss": self._services.base_url})


def _given(person: SignedIn, scope: Scope) -> frozenset[str]:
    """Return the rights of a scope that the person's role gives to any type that it covers."""
    given = rights(person.role)
    return scope.rights & frozenset().union(*(given[name] for name in given if scope.covers(name)))


def _refusal(step: _Step, reason: str) -> AuditRecord:
    agent = agent_of(step.request, step.person.name)
    return AuditRecord(
        event="access-refused",
        agent=agent,
        outcome=4,
        entities=(f"client:{step.asked.client.id}",),
        detail={"reason": reason},
    )


def _redirect(address: str) -> Response:
    return RedirectResponse(address, 303, {"cache-control": "no-store"})
