"""The routes of people's pages."""

from starlette.routing import Route

from osler.api.people.account import Account
from osler.api.people.enrolment import Enrolment
from osler.api.people.external import External
from osler.api.people.glass_pages import GlassPages
from osler.api.people.pages import STYLE_PATH, style
from osler.api.people.sign_in import SignIn
from osler.api.services import Services


def routes(services: Services) -> list[Route]:
    """Return them; none where only programs have access."""
    people = services.people
    if people is None:
        return []
    return [
        Route(STYLE_PATH, style),
        *SignIn(services, people).routes(),
        *Account(services, people).routes(),
        *Enrolment(services, people).routes(),
        *GlassPages(services, people).routes(),
        *(External(services, people, people.provider).routes() if people.provider else ()),
    ]
