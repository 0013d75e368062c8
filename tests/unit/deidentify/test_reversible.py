"""Placeholders lead back: exactly for the text itself, and sensibly for a note written from it."""

import pytest

from osler.audit import Agent, AuditLog
from osler.deidentify.reversible import originals_of, restore, split_reference, with_reference
from osler.deidentify.text import Deidentifier
from osler.errors import IntegrityError, Malformed, NotFound
from osler.storage import Database
from osler.storage.tables import document
from osler.vault import KeyRing
from osler.vault.documents import Documents

ANN = Agent("ann", "person")
NOTE = "Patient: Zqvex Brarnum, MRN 8675309. Mr. Brarnum called from 617-555-0134.\n[NAME-7] was here already.\n"


@pytest.fixture
def documents(database: Database, keyring: KeyRing, audit_log: AuditLog) -> Documents:
    return Documents(database, keyring, audit_log)


def made() -> tuple[str, dict[str, list[str]]]:
    result = Deidentifier(context={"name": [{"given": ["Zqvex"], "family": "Brarnum"}]}).deidentify(NOTE)
    return result.text, originals_of(NOTE, result)


def test_the_text_itself_comes_back_as_it_was(documents: Documents) -> None:
    text, originals = made()
    assert "Brarnum" not in text
    assert "8675309" not in text
    token = documents.keep(originals, agent=ANN)
    back, named = split_reference(with_reference(text, token))
    assert (back, named) == (text, token)
    found = documents.reveal(token, list(originals), agent=ANN, reason="chart")
    revealed = restore(back, found)
    assert revealed.text == NOTE
    assert revealed.unknown == ("[NAME-7]",)


def test_a_note_that_says_it_in_another_order_gets_the_fullest_form() -> None:
    originals = made()[1]
    name = next(k for k, v in originals.items() if "Zqvex Brarnum" in v)
    number = next(k for k, v in originals.items() if "8675309" in v)
    revealed = restore(f"{number}: {name} is well. {name} goes home. {name}, [DATE-9].", originals)
    assert revealed.text == "8675309: Zqvex Brarnum is well. Zqvex Brarnum goes home. Zqvex Brarnum, [DATE-9]."
    assert (revealed.restored, revealed.unknown) == (4, ("[DATE-9]",))


@pytest.mark.parametrize("original", ["[NAME-1]", "\\1", "[NAME-2]", "{0}", ""])
def test_an_original_is_never_read_as_a_placeholder_or_a_pattern(original: str) -> None:
    assert restore("[NAME-1] and [NAME-2]", {"[NAME-1]": [original], "[NAME-2]": ["Zq"]}).text == f"{original} and Zq"


@pytest.mark.parametrize(
    "text", ["no reference", "[DOCUMENT OSD-1]", f"[DOCUMENT OSD-{'A' * 20}] [DOCUMENT OSD-{'B' * 20}]"]
)
def test_without_its_reference_nothing_is_put_back(text: str) -> None:
    with pytest.raises(Malformed, match="reversible"):
        split_reference(text)


def test_what_is_kept_is_sealed_bound_to_its_token_and_every_question_is_on_record(
    documents: Documents, database: Database, audit_log: AuditLog
) -> None:
    one = documents.keep({"[NAME-1]": ["Zqvex"]}, agent=ANN)
    other = documents.keep({"[NAME-1]": ["Brarnum"]}, agent=ANN)
    with database.read() as connection:
        sealed = {row.token: bytes(row.sealed) for row in connection.execute(document.select())}
    assert b"Zqvex" not in sealed[one]
    database.write(lambda c: c.execute(document.update().where(document.c.token == one).values(sealed=sealed[other])))
    with pytest.raises(IntegrityError):
        documents.reveal(one, ["[NAME-1]"], agent=ANN, reason="chart")
    with pytest.raises(NotFound):
        documents.reveal("OSD-" + "A" * 20, ["[NAME-1]"], agent=ANN, reason="chart")
    assert documents.reveal(other, ["[MRN-1]"], agent=ANN, reason="chart") == {}
    asked = audit_log.search(event="originals-revealed")
    assert sorted(e.outcome for e in asked) == [0, 0, 4]
    assert {e.agent for e in asked} == {"ann"}
    assert "Brarnum" not in str([e.resource for e in audit_log.search(limit=100)])
