"""Accounts, passwords and roles."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from osler.api.people.accounts import Accounts
from osler.api.people.passwords import Passwords, check_password
from osler.api.people.roles import CARING, Role, rights
from osler.api.people.second_factor import SecondFactors
from osler.api.people.store import UserStore
from osler.audit import HUB, AuditLog
from osler.errors import ConfigError, InputRejected, NotFound, Transient
from osler.standards import fhir
from osler.storage import Database
from osler.storage.resources import ResourceStore
from osler.storage.tables import user
from osler.vault import KeyRing

PASSWORD = "three quiet green lamps"


def test_people_are_added_verified_and_shut_out(database: Database) -> None:
    users = UserStore(database)
    users.add("ada", Role.RADIOLOGIST, PASSWORD)

    person = users.verify("ada", PASSWORD)
    assert person is not None
    assert person.role is Role.RADIOLOGIST
    assert users.find("ada") == person
    assert users.verify("ada", "another") is None
    assert users.verify("bob", PASSWORD) is None
    assert users.find("bob") is None
    with pytest.raises(ConfigError, match="already"):
        users.add("ada", Role.CLINICIAN, "x")
    with database.read() as connection:
        held = connection.execute(select(user.c.password_hash)).scalar_one()
    assert held.startswith("$argon2id$")

    users.disable("ada")

    assert users.verify("ada", PASSWORD) is None
    assert users.find("ada") is None
    assert [p.disabled for p in users.list()] == [True]
    for change in (users.disable, lambda n: users.set_password(n, "x"), lambda n: users.set_role(n, Role.CLINICIAN)):
        with pytest.raises(NotFound):
            change("bob")


def test_a_person_of_an_identity_provider_has_no_password(database: Database) -> None:
    users = UserStore(database)
    users.add("ext", Role.CLINICIAN, None, subject="https://idp.example 42")

    for guess in ("", "x", "None"):
        assert users.verify("ext", guess) is None
    found = users.find_subject("https://idp.example 42")
    assert found is not None
    assert found.name == "ext"
    assert users.find_subject("https://idp.example 4") is None
    with pytest.raises(ConfigError, match="already"):
        users.add("other", Role.CLINICIAN, None, subject="https://idp.example 42")


@pytest.mark.parametrize("name", ["", " ann", "ann ", "a\nb", "a\0", "x" * 65])
def test_what_cannot_be_a_name(tmp_path: Path, new_sqlite: Any, name: str) -> None:
    database = Database(new_sqlite(tmp_path / "osler.db"))
    with pytest.raises(ConfigError, match="a name has"):
        UserStore(database).add(name, Role.CLINICIAN, PASSWORD)
    database.close()


def test_an_account_comes_with_its_practitioner_and_its_record_or_not_at_all(
    database: Database, keyring: KeyRing, audit_log: AuditLog
) -> None:
    resources = ResourceStore(database, sealer=keyring.sealer("record"), index=keyring.index)
    accounts = Accounts(UserStore(database), resources.put, audit_log)

    made = accounts.add("Dr. Ann", Role.CLINICIAN, PASSWORD, by=HUB)
    given = accounts.add("bob", Role.RADIOLOGIST, PASSWORD, by=HUB, fhir_user="Practitioner/7")

    assert made.fhir_user is not None
    kind, _, logical_id = made.fhir_user.partition("/")
    assert kind == "Practitioner"
    practitioner = fhir.loads(resources.read("Practitioner", logical_id).text)
    assert practitioner["name"] == [{"text": "Dr. Ann"}]
    assert practitioner["identifier"] == [{"system": "urn:osler:person", "value": "Dr. Ann"}]
    assert given.fhir_user == "Practitioner/7"
    with pytest.raises(ConfigError):
        accounts.add("bob", Role.RADIOLOGIST, PASSWORD, by=HUB)
    entries = audit_log.search(event="user-added")
    assert len(entries) == 2
    assert made.fhir_user in str(entries[1].resource)


def test_letters_that_look_the_same_are_the_same(database: Database) -> None:
    users = UserStore(database)
    users.add("zoë", Role.CLINICIAN, "Ångström crème brûlée")
    import unicodedata

    assert users.verify("zoë", unicodedata.normalize("NFD", "Ångström crème brûlée"))
    assert users.verify("zoë", "Angstrom creme brulee") is None


def test_nothing_kept_takes_the_work_of_something_kept() -> None:
    passwords = Passwords()
    held = passwords.hash(PASSWORD)

    def seconds(what: str) -> float:
        started = time.process_time()
        for _ in range(3):
            assert not passwords.match(what, "wrong")
        return time.process_time() - started

    assert 0.3 < seconds("") / seconds(held) < 3
    assert passwords.match(held, PASSWORD)
    assert not passwords.match("", "")
    assert not passwords.match(held, "\ud800")


def test_a_flood_of_sign_ins_does_not_take_all_threads() -> None:
    passwords = Passwords()
    held = passwords.hash(PASSWORD)
    answers: list[bool | str] = []

    def check() -> None:
        try:
            answers.append(passwords.match(held, PASSWORD))
        except Transient:
            answers.append("later")

    threads = [threading.Thread(target=check) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) == {True, "later"}
    assert answers.count(True) >= 16


@pytest.mark.parametrize(
    "password", [PASSWORD, "correct horse battery", "Zwölf Boxkämpfer", "x7#kQ9!vB2$m", "日本語の長い合い言葉だよ"]
)
def test_a_password_that_will_do(password: str) -> None:
    check_password("ann", password)


@pytest.mark.parametrize(
    "password",
    ["", "short", "seven c", "password1234", "PASSWORD1234", "123456789012", "abababababab", "Ann20261234"],
)
def test_a_password_that_will_not_do(password: str) -> None:
    with pytest.raises(InputRejected) as refused:
        check_password("ann", password)
    if password:
        assert password not in str(refused.value)


# ------------------------------------------------------------------------------------------------ roles


@pytest.mark.parametrize(
    ("role", "type_name", "letters"),
    [
        (Role.CLINICIAN, "Patient", "rs"),
        (Role.CLINICIAN, "Observation", "crus"),
        (Role.CLINICIAN, "MedicationRequest", "crus"),
        (Role.CLINICIAN, "DiagnosticReport", "rs"),
        (Role.CLINICIAN, "AuditEvent", ""),
        (Role.CLINICIAN, "Subscription", ""),
        (Role.RADIOLOGIST, "DiagnosticReport", "crus"),
        (Role.RADIOLOGIST, "RiskAssessment", "crus"),
        (Role.RADIOLOGIST, "MedicationRequest", "rs"),
        (Role.RADIOLOGIST, "ServiceRequest", "rus"),
        (Role.PRIVACY_OFFICER, "AuditEvent", "rs"),
        (Role.PRIVACY_OFFICER, "Patient", "rs"),
        (Role.PRIVACY_OFFICER, "Observation", ""),
        (Role.ADMINISTRATOR, "Practitioner", "crus"),
        (Role.ADMINISTRATOR, "Subscription", "cruds"),
        (Role.ADMINISTRATOR, "Patient", ""),
        (Role.ADMINISTRATOR, "AuditEvent", ""),
        (Role.ML_ENGINEER, "Device", "rs"),
        (Role.ML_ENGINEER, "Observation", ""),
        (Role.ML_ENGINEER, "Patient", ""),
    ],
)
def test_what_a_role_gives(role: Role, type_name: str, letters: str) -> None:
    assert rights(role).get(type_name, frozenset()) == frozenset(letters)


def test_what_holds_for_all_roles() -> None:
    for role in Role:
        given = rights(role)
        assert given
        assert "*" not in given
        for type_name, letters in given.items():
            assert letters
            assert letters <= set("cruds")
            assert "d" not in letters or type_name == "Subscription"
        writes = {t for t, letters in given.items() if letters & set("cud")}
        assert "AuditEvent" not in writes
        assert "Patient" not in writes
        if role not in CARING:
            assert not given.keys() & {"Observation", "DiagnosticReport", "DocumentReference", "Condition"}
        with pytest.raises(TypeError):
            given["Patient"] = frozenset("d")  # type: ignore[index]


# ------------------------------------------------------------------------------------------------ codes


@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_the_vectors_of_rfc_6238(at: int, code: str) -> None:
    from osler.api.people.second_factor import _step_of

    secret = b"12345678901234567890"
    assert _step_of(secret, code, float(at)) == at // 30
    assert _step_of(secret, code, float(at) + 90) is None


def test_a_sealed_secret_is_bound_to_its_person(database: Database, keyring: KeyRing) -> None:
    import base64

    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    from osler.errors import IntegrityError

    users, now = UserStore(database), 1_800_000_000.0
    users.add("ann", Role.CLINICIAN, PASSWORD)
    users.add("eve", Role.CLINICIAN, PASSWORD)
    factors = SecondFactors(database, sealer=keyring.sealer("record"), site="St. Mary: East", clock=lambda: now)
    offer = factors.offer("ann")
    secret = base64.b32decode(offer.secret.replace(" ", ""))
    code = TOTP(secret, 6, SHA1(), 30).generate(int(now)).decode()
    assert offer.uri.startswith("otpauth://totp/St.%20Mary%3A%20East:ann?secret=")
    assert factors.offer("ann", offer.ticket).secret == offer.secret
    assert factors.offer("eve", offer.ticket).secret != offer.secret
    with pytest.raises(InputRejected):
        database.write(lambda c: factors.enrol(c, "eve", offer.ticket, code))

    database.write(lambda c: factors.enrol(c, "ann", offer.ticket, code))
    with database.read() as connection:
        sealed = connection.execute(select(user.c.totp_sealed).where(user.c.name == "ann")).scalar_one()
    database.write(lambda c: c.execute(user.update().where(user.c.name == "eve").values(totp_sealed=sealed)))

    with pytest.raises(IntegrityError):
        database.write(lambda c: factors.check(c, "eve", code))
    with pytest.raises(NotFound):
        factors.state("bob")
