"""A browser of sorts: it keeps cookies, follows redirects within a site, reads forms and sends them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from urllib.parse import urljoin

import httpx


@dataclass
class Form:
    """A form of a page: where it goes, and its fields as they stand."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)


class _Reader(HTMLParser):
    """Collects what is to be asked of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").lower()))
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag in ("input", "button") and self.forms and given.get("name"):
            self._field(given, button=tag == "button")
        elif tag == "textarea" and self.forms:
            self._area = given["name"]
            self.forms[-1].fields[self._area] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.forms[-1].fields[self._area] += data
        self.text.append(data)

    def _field(self, given: dict[str, str], *, button: bool) -> None:
        form, name, value = self.forms[-1], given["name"], given.get("value", "")
        if button or given.get("type") in ("checkbox", "radio"):
            form.choices.setdefault(name, []).append(value)
            if "checked" in given:
                form.fields[name] = value
        else:
            form.fields[name] = value


class Browser:
    """Opens pages of one site and sends their forms.

    Parameters
    ----------
    base_url : str
    also : str
        HOST:PORT of other sites that it follows redirects to.
    """

    def __init__(self, base_url: str, *also: str) -> None:
        self.client = httpx.Client(base_url=base_url, timeout=10)
        self._hosts = {self.client.base_url.netloc.decode(), *also}
        self.response = httpx.Response(204)
        self._page = _Reader()

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    @property
    def forms(self) -> list[Form]:
        """The forms of the page."""
        return self._page.forms

    @property
    def links(self) -> list[str]:
        """The links of the page."""
        return self._page.links

    @property
    def text(self) -> str:
        """What a person reads on the page."""
        return " ".join(" ".join(self._page.text).split())

    @property
    def path(self) -> str:
        """Where it is, with the query."""
        return self.response.url.raw_path.decode()

    def open(self, path: str) -> httpx.Response:
        """Open a page, following redirects to the sites that it knows."""
        return self._follow(self.client.get(path))

    def submit(self, form: int = 0, **given: str | None) -> httpx.Response:
        """Send a form of the page with some fields filled anew; an underscore stands for ``-``, None leaves one out."""
        chosen = self._page.forms[form]
        fields = dict(chosen.fields)
        for name, value in given.items():
            key = name if name in fields or name in chosen.choices else name.replace("_", "-")
            if value is None:
                fields.pop(key, None)
            else:
                fields[key] = value
        target = urljoin(str(self.response.url), chosen.action)
        return self._follow(self.client.request(chosen.method, target, data=fields))

    def _follow(self, response: httpx.Response) -> httpx.Response:
        while response.is_redirect and response.has_redirect_location:
            target = urljoin(str(response.url), response.headers["location"])
            if httpx.URL(target).netloc.decode() not in self._hosts:
                break
            response = self.client.get(target)
        self.response, self._page = response, _Reader()
        if response.headers.get("content-type", "").startswith("text/html"):
            self._page.feed(response.text)
        return response
