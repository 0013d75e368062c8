"""Documents that stand beside a resource (Binary), brought into it.

References
----------
HL7 FHIR R4 4.0.1, 2.24.0.8 Attachment, 2.43 Binary
"""

import base64
import codecs
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urljoin

from osler.errors import Malformed, OslerError, TooLarge, Transient, Unauthenticated
from osler.ingest.ehr.fhir_client import FHIR_JSON, FhirClient, Received
from osler.standards.fhir import Resource, loads

READABLE: Final = frozenset(
    {"text/plain", "text/html", "text/rtf", "application/rtf"}
    | {"text/xml", "application/xml", "application/hl7-cda+xml"}
)
"""Media types whose words can be cleaned; a document of another type would only be removed again, and is not read."""

_XML: Final = frozenset({"text/xml", "application/xml", "application/hl7-cda+xml"})
_JSON: Final = frozenset({FHIR_JSON, "application/json", "application/json+fhir"})
_LONGEST: Final = 8_000_000


class Documents:
    """Brings documents in, and counts those that stayed out.

    Parameters
    ----------
    client : FhirClient
    """

    def __init__(self, client: FhirClient) -> None:
        self._client = client
        self.read = 0
        self.left = Counter[str]()
        self.failed = Counter[str]()

    def bring_in(self, resource: Resource, into: Received) -> None:
        """Put the data of each attachment in place of its URL, as UTF-8.

        Raises
        ------
        Transient, Unauthenticated
            If the EHR does not answer, or takes our token no more.
        """
        for attachment in _attachments(resource):
            url, kind = attachment.get("url"), _kind(attachment.get("contentType"))
            if not isinstance(url, str) or attachment.get("data"):
                continue
            if kind not in READABLE:
                self.left["media-type"] += 1
                continue
            try:
                content = self._content(urljoin(f"{self._client.base}/", url), kind, into)
            except (Transient, Unauthenticated):
                raise
            except OslerError as error:
                self.failed[type(error).__name__] += 1
                continue
            for name in ("url", "size", "hash"):
                attachment.pop(name, None)
            attachment["data"] = base64.b64encode(content).decode()
            self.read += 1

    def _content(self, url: str, kind: str, into: Received) -> bytes:
        answer = self._client.get(url, into, accept=f"{FHIR_JSON}, {kind};q=0.5")
        content, told = answer.content, answer.content_type
        if answer.media_type in _JSON:
            binary = loads(content)
            content, told = _data(binary), str(binary.get("contentType"))
        if _kind(told) not in READABLE:
            raise Malformed("the document is of another media type than announced")
        if len(content) > _LONGEST:
            raise TooLarge("the document is too long")
        return content if kind in _XML else _as_utf8(content, told)


def _attachments(resource: Resource) -> Iterator[dict[str, Any]]:
    contents = resource.get("content")
    for content in contents if isinstance(contents, list) else []:
        attachment = content.get("attachment") if isinstance(content, dict) else None
        if isinstance(attachment, dict):
            yield attachment
    forms = resource.get("presentedForm")
    yield from (form for form in (forms if isinstance(forms, list) else []) if isinstance(form, dict))


def _kind(content_type: object) -> str:
    return content_type.partition(";")[0].strip().lower() if isinstance(content_type, str) else ""


def _data(binary: Resource) -> bytes:
    data = binary.get("data")
    if binary.get("resourceType") != "Binary" or not isinstance(data, str):
        raise Malformed("the EHR gives no Binary with data where a document should be")
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except ValueError:
        raise Malformed("the data of the document is not base64") from None


def _as_utf8(content: bytes, content_type: str) -> bytes:
    """Return a text as UTF-8; by what its media type says of its characters, else it is taken for UTF-8."""
    charset = content_type.lower().partition("charset=")[2].partition(";")[0].strip(" \"'") or "utf-8"
    try:
        return content.decode(codecs.lookup(charset).name).encode()
    except (LookupError, UnicodeError, AttributeError, TypeError):
        raise Malformed("the characters of the document are not what its media type says") from None
