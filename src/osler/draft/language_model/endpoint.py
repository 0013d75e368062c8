"""Where a language model is asked: one address, as vLLM, llama.cpp, Ollama, OpenAI and Azure want it."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

from osler.errors import ConfigError

_CHAT: Final = "/chat/completions"
_DEPLOYMENT: Final = re.compile(r"/openai/deployments/([^/]+)")


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """An OpenAI-compatible endpoint.

    Parameters
    ----------
    url : str
        Of the server (``http://127.0.0.1:8000``), of its version (``.../v1``), of an Azure deployment with its
        ``api-version`` (``.../openai/deployments/NAME?api-version=2024-10-21``), or of the operation itself.
    model : str
        Name that the server knows the model by; empty: Azure's deployment, elsewhere the first that the server lists.
    key : str
        Empty where none is wanted.
    timeout_s : float
        For one part of a transcript with all its tries, from looking up the host to the last byte.

    Raises
    ------
    ConfigError
        If the address is none.
    """

    url: str
    model: str
    key: str = ""
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        try:
            parts = urlsplit(self.url)
            _ = parts.port
        except ValueError:
            raise ConfigError("scribe.endpoint is no address") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment or "@" in parts.netloc:
            raise ConfigError("scribe.endpoint is no address")
        if not self.key.isascii() or not self.key.isprintable():
            raise ConfigError("scribe.endpoint_key has characters that no header takes")

    def __repr__(self) -> str:
        return f"Endpoint({self.named!r})"

    @property
    def named(self) -> str:
        """Name of the model as far as it is told; empty when the server must be asked."""
        deployment = _DEPLOYMENT.search(urlsplit(self.url).path)
        return self.model or (deployment[1] if deployment else "")

    @property
    def chat_url(self) -> str:
        """Address of the operation that completes a chat."""
        parts = urlsplit(self.url)
        path = parts.path.rstrip("/")
        if not path.endswith(_CHAT):
            versioned = path.endswith("/v1") or _DEPLOYMENT.search(path)
            path = f"{path}{_CHAT}" if versioned else f"{path}/v1{_CHAT}"
        return parts._replace(path=path).geturl()

    @property
    def models_url(self) -> str:
        """Address that lists the server's models."""
        parts = urlsplit(self.chat_url)
        return parts._replace(path=f"{parts.path.removesuffix(_CHAT)}/models").geturl()

    @property
    def headers(self) -> dict[str, str]:
        """What names the caller to the server: Azure, which asks for an ``api-version``, has a header of its own."""
        if not self.key:
            return {}
        azure = "api-version" in parse_qs(urlsplit(self.url).query)
        return {"api-key": self.key} if azure else {"authorization": f"Bearer {self.key}"}
