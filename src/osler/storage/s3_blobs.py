"""Blobs in a bucket that speaks S3: the same form and the same names as in a folder.

A blob is acknowledged when the bucket has it, so nothing waits on this machine's disk. The bucket is not trusted with
content: what is identified is sealed here, whatever the server encrypts besides, and each reading is checked.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from osler.errors import ConfigError, NotFound, OslerError, StorageBusy, StorageFull
from osler.storage.blob_port import Kept, Sealer, check_reference, is_reference
from osler.storage.frames import FRAME, content_of, kept_form

_PART: Final = 8 * 1024 * 1024
_FULL: Final = ("insufficientstorage", "quotaexceeded", "storagefull", "nospaceleft")
_QUICK_S: Final = 5.0
_MISSING: Final = "storage.blobs is in S3, and the program for that is not installed: pip install 'osler[s3]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """Where a bucket is and how to speak to it.

    Parameters
    ----------
    url : str
        ``s3://BUCKET/PREFIX``.
    endpoint : str
        URL of the server; empty: Amazon's of the region. http only when it says so.
    region : str
    key_id, secret : str
        Credentials; empty: those of the machine (its role, or the AWS variables).
    encryption : str
        Server-side encryption to ask for besides ours: empty, ``AES256`` or ``aws:kms``.
    kms_key : str
        Key of ``aws:kms``.
    ca_file : Path or None
        Certificates to trust in place of the system's.
    timeout_s : float
        One request, and all attempts together, seconds.
    """

    url: str
    endpoint: str = ""
    region: str = "us-east-1"
    key_id: str = ""
    secret: str = ""
    encryption: str = ""
    kms_key: str = ""
    ca_file: Path | None = None
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A blob that is in the bucket already."""

    ref: str

    def settle(self) -> None:
        """Return: it is durable."""


class S3Blobs:
    """See :class:`osler.storage.blob_port.Blobs`.

    Parameters
    ----------
    settings : S3Settings
    zone : str
        Folder under the prefix.
    sealer : Sealer, optional
        Encrypts what is kept. Without it the content is kept in clear and its hash is checked at each reading.

    Raises
    ------
    ConfigError
        If the URL, the endpoint or the certificates cannot be used, or obstore is not installed.
    """

    def __init__(self, settings: S3Settings, zone: str, *, sealer: Sealer | None = None) -> None:
        try:
            import obstore
        except ImportError:
            raise ConfigError(_MISSING) from None
        self._api = obstore
        self._sealer = sealer
        self._store = _open(settings, zone, timeout_s=settings.timeout_s, retries=8)
        # For questions that are asked while others wait: no answer is better than a late one.
        self._quick = _open(settings, zone, timeout_s=min(_QUICK_S, settings.timeout_s), retries=1)

    def put(self, content: bytes) -> str:
        """Keep a blob and return its reference once the bucket has it.

        The same content again is sent again, which costs no more than to read and check what is there, and mends it
        when it was damaged.

        Raises
        ------
        StorageFull, StorageBusy
            If the bucket does not take it, after retries.
        """
        ref = hashlib.sha256(content).hexdigest()
        self._upload(ref, kept_form(ref, content, self._sealer))
        return ref

    def stage(self, content: bytes) -> Uploaded:
        """Keep a blob. Unlike a folder it is not begun here and ended by ``settle``.

        A bucket fails more often than a disk, and then the ledger must not name a blob that is nowhere.

        Raises
        ------
        StorageFull, StorageBusy
            As ``put``.
        """
        return Uploaded(self.put(content))

    def get(self, ref: str) -> bytes:
        """Return a blob.

        Raises
        ------
        NotFound
            If there is none of that reference.
        IntegrityError
            If it is not what was kept.
        StorageBusy
            If the bucket does not answer.
        """
        return b"".join(self._content(ref))

    def link_to(self, ref: str, path: Path) -> None:
        """Give a worker its own read-only copy of a blob, checked on the way.

        Raises
        ------
        NotFound, IntegrityError, StorageBusy
            As ``get``; nothing is left at ``path``.
        """
        try:
            path.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.writelines(self._content(ref))
            except BaseException:
                path.unlink()
                raise
        except OSError as error:
            raise StorageBusy(f"a worker's copy of a blob cannot be written ({type(error).__name__})") from None

    def exists(self, ref: str) -> bool:
        """Tell whether a blob is there.

        Raises
        ------
        StorageBusy
            If the bucket does not answer soon.
        """
        key = _key(check_reference(ref))
        try:
            with self._translated():
                self._api.head(self._quick, key)
        except NotFound:
            return False
        return True

    def delete(self, ref: str) -> None:
        """Remove a blob; one that is not there is no error."""
        key = _key(check_reference(ref))
        with contextlib.suppress(NotFound), self._translated():
            self._api.delete(self._quick, key)

    def check_room(self) -> None:
        """Find out whether the bucket answers; only it knows how much room it has.

        Raises
        ------
        StorageBusy
            If it does not.
        """
        with self._translated():
            next(iter(self._api.list(self._quick, prefix="00", chunk_size=1)), None)

    def refs(self) -> Iterator[str]:
        """Yield the references of all blobs, in no order."""
        with self._translated():
            for page in self._api.list(self._store):
                for entry in page:
                    name = str(entry["path"]).rpartition("/")[2]
                    if is_reference(name):
                        yield name

    def kept(self, ref: str) -> Kept:
        """Return a blob as it is kept, unopened and unchecked.

        Raises
        ------
        NotFound, StorageBusy
            As ``get``.
        """
        with self._translated():
            found = self._api.get(self._store, _key(check_reference(ref)))
            return Kept(int(found.meta["size"]), self._chunks(found))

    def bring_back(self, ref: str, chunks: Iterable[bytes]) -> None:
        """Keep what ``kept`` gave.

        Raises
        ------
        StorageFull, StorageBusy
            As ``put``.
        """
        self._upload(check_reference(ref), chunks)

    def _upload(self, ref: str, chunks: Iterable[bytes]) -> None:
        held = bytearray()
        more = iter(chunks)
        for chunk in more:  # in one request when it is small
            held += chunk
            if len(held) > _PART:
                break
        with self._translated():
            if len(held) <= _PART:
                self._api.put(self._store, _key(ref), bytes(held), use_multipart=False)
            else:
                self._api.put(self._store, _key(ref), _parts(bytes(held), more), chunk_size=_PART, max_concurrency=4)

    def _content(self, ref: str) -> Iterator[bytes]:
        kept = self.kept(ref)
        yield from content_of(_Reader(kept.chunks), ref, size=kept.size, sealer=self._sealer)

    def _chunks(self, found: Any) -> Iterator[bytes]:
        with self._translated():
            for chunk in found.stream(min_chunk_size=FRAME):
                yield bytes(chunk)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the library's errors into ours, without its text: that quotes requests and answers."""
        try:
            yield
        except FileNotFoundError:  # the library's own class for a missing object is this
            raise NotFound("there is no such blob") from None
        except (self._api.exceptions.BaseError, OSError) as error:
            raise _translate(error) from None


class _Reader:
    """Chunks, read as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = bytearray()

    def read(self, size: int, /) -> bytes:
        while len(self._held) < size and (chunk := next(self._chunks, b"")):
            self._held += chunk
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken


def _parts(first: bytes, more: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from more


def _key(ref: str) -> str:
    return f"{ref[:2]}/{ref}"


def _open(settings: S3Settings, zone: str, *, timeout_s: float, retries: int) -> Any:
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    place = urlsplit(settings.url)
    if place.scheme != "s3" or not place.hostname:
        raise ConfigError("storage.blobs must be s3://BUCKET or s3://BUCKET/PREFIX")
    options: dict[str, Any] = {"region": settings.region, "checksum_algorithm": "SHA256"}
    client: dict[str, Any] = {"timeout": f"{timeout_s}s", "connect_timeout": f"{min(timeout_s, 5.0)}s"}
    if settings.endpoint:
        options |= {"endpoint": settings.endpoint, "virtual_hosted_style_request": False}
        client["allow_http"] = settings.endpoint.startswith("http://")
    if settings.key_id:
        options |= {"access_key_id": settings.key_id, "secret_access_key": settings.secret}
    if settings.encryption:
        options["server_side_encryption"] = settings.encryption
    if settings.kms_key:
        options["sse_kms_key_id"] = settings.kms_key
    try:
        if settings.ca_file is not None:
            client["root_certificate"] = settings.ca_file.read_bytes()
        return S3Store(
            place.hostname,
            prefix="/".join(part for part in (place.path.strip("/"), zone) if part),
            client_options=client,  # type: ignore[arg-type]
            retry_config={
                "max_retries": retries,
                "retry_timeout": timedelta(seconds=timeout_s),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=timeout_s / 4),
                    "base": 2,
                },
            },
            **options,
        )
    except (BaseError, OSError, ValueError) as error:
        raise ConfigError(f"the bucket of storage.blobs cannot be opened ({type(error).__name__})") from None


def _translate(error: BaseException) -> OslerError:
    said = "".join(str(error).lower().split())
    if any(word in said for word in _FULL):
        return StorageFull("the bucket is full")
    if type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError") or "signaturedoesnotmatch" in said:
        return StorageBusy("the bucket refused our credentials")
    return StorageBusy(f"the bucket did not answer in time ({type(error).__name__})")
