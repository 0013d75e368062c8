"""``osler deid reveal``: the identities back into a text that goes to the chart."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from osler.cli import person
from osler.cli.caller import Caller, DataDir, Json, emit, progress_console
from osler.cli.person import As, PasswordStdin
from osler.deidentify.reversible import PLACEHOLDER, restore, split_reference
from osler.errors import Malformed
from osler.vault.documents import Documents


def reveal(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Text, UTF-8; else standard input.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit.")] = "for the chart",
    as_user: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Put what the vault keeps back in the places of the placeholders; ends with 3 when it does not know some.

    The text names its document in a line [DOCUMENT ...], as osler deid text --reversible wrote it. Surrogates, shifted
    dates and dates cut to the year do not lead back. Each call is audited before the answer.
    """
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        agent = person.admit(caller, stores, data_dir, name=as_user, from_stdin=password_stdin, roles=person.CARE)
        text, token = split_reference(_read(file))
        documents = Documents(stores.database, stores.keyring, stores.audit)
        originals = documents.reveal(token, PLACEHOLDER.findall(text), agent=agent, reason=reason)
    revealed = restore(text, originals)
    unknown = list(revealed.unknown)
    document = {"text": revealed.text, "document": token, "restored": revealed.restored, "unknown": unknown}
    emit(document, as_json, lambda console: typer.echo(revealed.text, nl=not revealed.text.endswith("\n")))
    if unknown:
        progress_console().print(f"not of this document: {' '.join(unknown)}", markup=False)
        raise typer.Exit(3)


def _read(file: Path | None) -> str:
    try:
        if file is None or str(file) == "-":
            return sys.stdin.read()  # after the password's line, when that came first
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Malformed("the text is not UTF-8") from None
