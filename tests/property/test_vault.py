"""The vault is injective and stable; a sealed value opens in its place only, and only as it was sealed."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom.uid import UID

from osler.audit import Agent, AuditLog
from osler.domain.identifiers import Identity, PseudonymKind
from osler.errors import IntegrityError
from osler.storage import Database
from osler.storage.blobs import FolderBlobs
from osler.vault import KeyRing, Vault
from osler.vault.pseudonyms import normalised

MASTER = bytes(range(32))
AGENT = Agent("osler", "system")
PURPOSES = st.sampled_from(("blob", "vault", "record"))

# Few characters, so that values that differ by padding, case or issuer alone come up often.
values = st.text("aA1 \0é^\\", min_size=1, max_size=4).filter(lambda value: value.strip(" \0"))
identities = st.builds(
    Identity, kind=st.sampled_from(PseudonymKind), value=values | st.text(min_size=1).filter(str.strip),
    issuer=st.text("aA1 ", max_size=2),
).filter(lambda identity: normalised(identity).value)  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """One database that all examples share, so that pseudonyms of earlier examples must go on to hold."""

    url: str
    folder: Path
    keyring: KeyRing
    vault: Vault
    names: dict[tuple[str, str, str], str]

    @contextlib.contextmanager
    def restarted(self) -> Iterator[Vault]:
        """Open the vault as another process would."""
        database = Database(self.url)
        yield _open(database, self.folder)
        database.close()


def _open(database: Database, folder: Path) -> Vault:
    audit = AuditLog(
        database, signing_key=Ed25519PrivateKey.from_private_bytes(bytes(32)), checkpoints=folder / "checkpoints"
    )
    return Vault(database, KeyRing.open(database, master_key=MASTER, tenant="default"), audit)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, new_sqlite: Callable[[Path], str]) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("vault")
    database = Database(new_sqlite(folder / "osler.db"))
    vault = _open(database, folder)
    yield Bench(database.url, folder, KeyRing.open(database, master_key=MASTER, tenant="default"), vault, names={})
    database.close()


@given(asked=st.lists(identities, min_size=1, max_size=12), restart=st.booleans())
@settings(max_examples=60, deadline=None)
def test_one_identity_one_pseudonym_across_restarts(bench: Bench, asked: list[Identity], restart: bool) -> None:
    with bench.restarted() if restart else contextlib.nullcontext(bench.vault) as vault:
        given_names = vault.pseudonyms(asked)
        exact = [normalised(identity) for identity in asked]
        assert vault.reverse(given_names, agent=AGENT, reason="test") == exact
    for identity, name in zip(exact, given_names, strict=True):
        assert bench.names.setdefault((identity.kind, identity.issuer, identity.value), name) == name
    assert len(set(bench.names.values())) == len(bench.names)


@given(asked=st.lists(identities, min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_a_pseudonym_has_the_form_of_its_kind_and_tells_nothing(bench: Bench, asked: list[Identity]) -> None:
    for identity, name in zip(asked, bench.vault.pseudonyms(asked), strict=True):
        if identity.kind is PseudonymKind.UID:
            assert UID(name).is_valid
            assert name.startswith("2.25.")
        else:
            assert len(name) == 16
        assert name.isascii()
        assert len(identity.value.strip(" \0")) < 5 or identity.value not in name


@given(one=identities, other=identities)
@settings(max_examples=150, deadline=None)
def test_the_index_tells_identities_apart_and_nothing_else(bench: Bench, one: Identity, other: Identity) -> None:
    same = normalised(one) == normalised(other)
    assert (bench.vault.lookup(one) == bench.vault.lookup(other)) is same


@given(content=st.binary(max_size=200), aad=st.binary(max_size=40), purpose=PURPOSES, bit=st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_a_flipped_bit_of_a_sealed_value_is_found(
    bench: Bench, content: bytes, aad: bytes, purpose: str, bit: int
) -> None:
    sealer = bench.keyring.sealer(purpose)  # type: ignore[arg-type]
    sealed = sealer.seal(content, aad)
    assert sealer.open(sealed, aad) == content
    flipped = bytearray(sealed)
    flipped[bit // 8 % len(flipped)] ^= 1 << bit % 8
    with pytest.raises(IntegrityError):
        sealer.open(bytes(flipped), aad)
    with pytest.raises(IntegrityError):
        sealer.open(sealed[: bit % len(sealed)], aad)


@given(places=st.lists(st.tuples(PURPOSES, st.binary(max_size=8)), min_size=2, max_size=2, unique=True))
@settings(max_examples=100, deadline=None)
def test_sealed_values_that_changed_places_are_found(bench: Bench, places: list[tuple[str, bytes]]) -> None:
    sealed = [bench.keyring.sealer(purpose).seal(b"same", aad) for purpose, aad in places]  # type: ignore[arg-type]
    for (purpose, aad), other in zip(places, reversed(sealed), strict=True):
        with pytest.raises(IntegrityError):
            bench.keyring.sealer(purpose).open(other, aad)  # type: ignore[arg-type]


@given(content=st.binary(max_size=300), other=st.binary(max_size=300), bit=st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_a_blob_is_what_was_kept_or_an_error(bench: Bench, content: bytes, other: bytes, bit: int) -> None:
    assume(content != other)
    blobs = FolderBlobs(bench.folder / "blobs", sealer=bench.keyring.sealer("blob"), durable=False)
    ref, other_ref = blobs.put(content), blobs.put(other)
    assert blobs.get(ref) == content
    path, kept = blobs.path(ref), blobs.path(ref).read_bytes()
    flipped = bytearray(kept)
    flipped[bit // 8 % len(flipped)] ^= 1 << bit % 8
    for damaged in (bytes(flipped), blobs.path(other_ref).read_bytes(), kept[: bit % len(kept)], kept + kept):
        path.write_bytes(damaged)
        with pytest.raises(IntegrityError):
            blobs.get(ref)
    path.write_bytes(kept)


def test_what_is_random_does_not_repeat(bench: Bench) -> None:
    names = bench.vault.pseudonyms(
        [Identity(kind, f"value {n}") for kind, n in itertools.product(PseudonymKind, range(500))]
    )
    assert len(set(names)) == 1500
