"""The vault: one pseudonym for each identity, and the way back, both on record."""

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydicom.uid import UID
from sqlalchemy import event, select, text, update

from osler.audit import Agent, AuditLog
from osler.domain.identifiers import Identity, PseudonymKind
from osler.errors import IntegrityError, Malformed, NotFound, StorageBusy
from osler.storage import Database
from osler.storage.tables import pseudonym
from osler.vault import KeyRing, Vault

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PHYSICIAN = Agent("dr-who", "person", "10.0.0.7")


def patient(value: str, issuer: str = "") -> Identity:
    return Identity(PseudonymKind.PATIENT, value, issuer)


def accession(value: str, issuer: str = "") -> Identity:
    return Identity(PseudonymKind.ACCESSION, value, issuer)


def uid(value: str) -> Identity:
    return Identity(PseudonymKind.UID, value)


def test_forms(vault: Vault) -> None:
    of_patient, of_accession, of_uid = vault.pseudonyms([patient("MRN1"), accession("A1"), uid("1.2.3")])
    assert re.fullmatch(r"OSL-[A-Z2-7]{12}", of_patient)
    assert re.fullmatch(r"OSA-[A-Z2-7]{12}", of_accession)
    assert re.fullmatch(r"2\.25\.[1-9][0-9]{0,38}", of_uid)
    assert UID(of_uid).is_valid


def test_one_identity_has_one_pseudonym(
    vault: Vault, database: Database, keyring: KeyRing, audit_log: AuditLog
) -> None:
    asked = [patient("MRN1", "HOSP"), uid("1.2.3"), patient("MRN1", "HOSP"), accession("MRN1", "HOSP")]
    first = vault.pseudonyms(asked)
    assert first[0] == first[2]
    assert len(set(first)) == 3
    assert vault.pseudonyms(asked) == first
    assert Vault(database, keyring, audit_log).pseudonyms(asked) == first


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (patient("MRN1 "), patient("MRN1")),
        (patient("  MRN1", " HOSP "), patient("MRN1", "HOSP")),
        (uid("1.2.3\0"), uid("1.2.3")),
        (Identity(PseudonymKind.UID, "1.2.3", "HOSP"), uid("1.2.3")),
    ],
)
def test_padding_does_not_count(vault: Vault, one: Identity, other: Identity) -> None:
    assert vault.lookup(one) == vault.lookup(other)
    assert vault.pseudonyms([one]) == vault.pseudonyms([other])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (patient("mrn1"), patient("MRN1")),
        (patient("1", "A"), patient("1", "B")),
        (patient("1", "A"), patient("1")),
        (patient("1", "23"), patient("12", "3")),
        (patient("1"), accession("1")),
        (patient("1.2.3"), uid("1.2.3")),
        (patient("0012"), patient("12")),
    ],
)
def test_what_is_not_the_same_stays_apart(vault: Vault, one: Identity, other: Identity) -> None:
    assert vault.lookup(one) != vault.lookup(other)
    assert len(set(vault.pseudonyms([one, other]))) == 2


@pytest.mark.parametrize("empty", [patient(""), patient("  ", "HOSP"), accession("\0"), uid("")])
def test_unknown_patients_do_not_become_one(vault: Vault, empty: Identity, database: Database) -> None:
    with pytest.raises(Malformed):
        vault.pseudonyms([uid("1.2.3"), empty])
    with database.read() as connection:
        assert connection.execute(select(pseudonym)).all() == []


def test_reveal_gives_the_identity_back(vault: Vault) -> None:
    identity = patient("MRN 1/ä^=", "HOSP")
    (name,) = vault.pseudonyms([identity])
    assert vault.reveal(name, agent=PHYSICIAN, reason="treatment") == identity


def test_reverse_keeps_the_order(vault: Vault) -> None:
    identities = [uid(f"1.2.{i}") for i in range(600)] + [patient("MRN1", "HOSP"), accession("A1")]
    names = vault.pseudonyms(identities)
    assert vault.reverse(names[::-1], agent=PHYSICIAN, reason="publish") == identities[::-1]
    assert vault.reverse([], agent=PHYSICIAN, reason="publish") == []


def test_look_ups_that_reach_the_database_are_on_record(vault: Vault, audit_log: AuditLog) -> None:
    names = vault.pseudonyms([patient("MRN1"), uid("1.2.3"), uid("1.2.4")])
    vault.pseudonyms([patient("MRN1"), uid("1.2.3")])  # from memory
    vault.pseudonyms([uid("1.2.4"), uid("1.2.5")])
    entries = audit_log.search()
    assert [entry.event for entry in entries] == ["pseudonym-created", "pseudonym-created"]
    assert [entry.patient for entry in entries] == [None, names[0]]
    assert [_detail(entry.resource) for entry in entries] == [
        {"count": "1", "created": "1"},
        {"count": "3", "created": "3"},
    ]


def test_a_look_up_by_another_process_is_on_record(
    vault: Vault, database: Database, keyring: KeyRing, audit_log: AuditLog
) -> None:
    vault.pseudonyms([patient("MRN1")])
    Vault(database, keyring, audit_log).pseudonyms([patient("MRN1")])
    assert [entry.event for entry in audit_log.search()] == ["pseudonym-looked-up", "pseudonym-created"]


def test_a_reveal_is_on_record_with_who_and_why(vault: Vault, audit_log: AuditLog) -> None:
    names = vault.pseudonyms([patient("MRN1"), patient("MRN2"), uid("1.2.3")])
    vault.reverse(names, agent=PHYSICIAN, reason="subject request")
    entries = audit_log.search(event="identity-revealed")
    assert {entry.patient for entry in entries} == set(names[:2])
    assert {entry.agent for entry in entries} == {"dr-who"}
    assert _detail(entries[0].resource) == {"reason": "subject request", "asked": "3", "found": "3"}


def test_asking_for_what_is_not_there_is_on_record_too(vault: Vault, audit_log: AuditLog) -> None:
    with pytest.raises(NotFound):
        vault.reveal("OSL-AAAAAAAAAAAA", agent=PHYSICIAN, reason="curiosity")
    (entry,) = audit_log.search(event="identity-revealed")
    assert entry.outcome == 4


@SQLITE
def test_no_identity_without_its_audit_entry(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url, busy_s=0.1)
    audit = AuditLog(database, signing_key=Ed25519PrivateKey.generate(), checkpoints=tmp_path / "checkpoints")
    vault = Vault(database, KeyRing.open(database, master_key=bytes(32), tenant="default"), audit)
    (name,) = vault.pseudonyms([patient("MRN1")])
    with database.engine.connect() as other:
        other.exec_driver_sql("COMMIT")
        other.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(StorageBusy):
            vault.reveal(name, agent=PHYSICIAN, reason="treatment")
        with pytest.raises(StorageBusy):
            vault.pseudonyms([patient("MRN2")])
        other.exec_driver_sql("ROLLBACK")
    assert vault.reveal(name, agent=PHYSICIAN, reason="treatment").value == "MRN1"
    database.close()


def test_an_audit_entry_that_cannot_be_written_stops_the_look_up(vault: Vault, database: Database) -> None:
    (name,) = vault.pseudonyms([patient("MRN1")])
    database.write(lambda c: c.execute(text("DROP TABLE audit_event")))
    with pytest.raises((IntegrityError, StorageBusy)):
        vault.reveal(name, agent=PHYSICIAN, reason="treatment")
    with pytest.raises((IntegrityError, StorageBusy)):
        vault.pseudonyms([patient("MRN2")])


@pytest.mark.parametrize("column", ["pseudonym", "sealed", "both", "lookup"])
def test_rows_that_were_exchanged_never_give_another_patient(
    vault: Vault, database: Database, keyring: KeyRing, audit_log: AuditLog, column: str
) -> None:
    names = vault.pseudonyms([patient("MRN1"), patient("MRN2")])
    with database.read() as connection:
        first, second = connection.execute(select(pseudonym).order_by(pseudonym.c.lookup)).all()

    def exchange(connection) -> None:  # type: ignore[no-untyped-def]
        def put(row, **values) -> None:  # type: ignore[no-untyped-def]
            connection.execute(update(pseudonym).where(pseudonym.c.lookup == row.lookup).values(**values))

        if column in ("pseudonym", "both"):
            put(first, pseudonym="aside")
            put(second, pseudonym=first.pseudonym)
            put(first, pseudonym=second.pseudonym)
        if column in ("sealed", "both"):
            put(first, sealed=second.sealed)
            put(second, sealed=first.sealed)
        if column == "lookup":
            put(first, lookup=b"aside")
            put(second, lookup=first.lookup)
            connection.execute(update(pseudonym).where(pseudonym.c.lookup == b"aside").values(lookup=second.lookup))

    database.write(exchange)
    with pytest.raises(IntegrityError):
        vault.reveal(names[0], agent=PHYSICIAN, reason="treatment")
    with pytest.raises(IntegrityError):
        Vault(database, keyring, audit_log).pseudonyms([patient("MRN1")])


@SQLITE
def test_a_random_pseudonym_that_is_taken_is_drawn_again(vault: Vault, database: Database) -> None:
    database.write(lambda c: c.execute(text("CREATE TABLE taken (n INTEGER)")))
    database.write(
        lambda c: c.execute(
            text(
                "CREATE TRIGGER collision BEFORE INSERT ON pseudonym WHEN (SELECT count(*) FROM taken) < 2 "
                "BEGIN INSERT INTO taken VALUES (1); SELECT RAISE(IGNORE); END"
            )
        )
    )
    identities = [uid(f"1.2.{i}") for i in range(5)]
    names = vault.pseudonyms(identities)
    assert len(set(names)) == 5
    assert vault.reverse(names, agent=PHYSICIAN, reason="test") == identities


def test_many_identities_take_one_transaction(vault: Vault, database: Database) -> None:
    commits: list[object] = []
    event.listen(database.engine, "commit", commits.append)
    names = vault.pseudonyms([uid(f"1.2.{i}") for i in range(3000)])
    assert len(set(names)) == 3000
    assert len(commits) == 1


def test_a_small_memory_forgets_and_asks_again(database: Database, keyring: KeyRing, audit_log: AuditLog) -> None:
    vault = Vault(database, keyring, audit_log, cache_size=2)
    names = [vault.pseudonyms([uid(f"1.2.{i}")])[0] for i in range(4)]
    assert [vault.pseudonyms([uid(f"1.2.{i}")])[0] for i in range(4)] == names
    assert len(audit_log.search()) == 8


@SQLITE
def test_identities_lie_nowhere_in_clear(tmp_path: Path, vault: Vault) -> None:
    canaries = ["CANARYMRN77", "CANARYISSUER", "1.2.840.99999.77"]
    names = vault.pseudonyms([patient(canaries[0], canaries[1]), uid(canaries[2])])
    vault.reverse(names, agent=PHYSICIAN, reason="test")
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert names[0].encode() in kept
    assert not [canary for canary in canaries if canary.encode() in kept]


def _detail(resource: dict) -> dict[str, str]:  # type: ignore[type-arg]
    return {d["type"]: d["valueString"] for entity in resource["entity"] for d in entity.get("detail", ())}
