"""Write the reference pages that say what the code says: ``python docs/generate.py`` (a test checks that they are current)."""

import sys
from collections.abc import Iterator
from pathlib import Path

import typer.main
import yaml

from osler import errors
from osler.audit.event import EVENTS
from osler.cli import app
from osler.config import _DESTINATION_KEYS, _DESTINATION_NEEDS, SETTINGS

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py; do not edit. -->\n"


def settings() -> str:
    """Render the table of settings."""
    lines = [
        NOTE,
        "# Settings\n",
        "One TOML file (`osler.toml` in the data folder, or `--config FILE`), then `OSLER_*` variables, then the command line; the later",
        "wins. An unknown name or a wrong type stops the start with the line at fault. `osler config show` prints what is in force.\n",
        "Beside these, `OSLER_DATA_DIR` names the data folder, `OSLER_CONFIG` the file, and `OSLER_MASTER_KEY` may hold the master key",
        "(32 bytes, base64) instead of `keys/master.key`.\n",
        "| setting | variable | default | what it is |",
        "|---|---|---|---|",
    ]
    for s in SETTINGS:
        lines.append(f"| `{s.name}` | `{s.variable}` | `{s.default!r}` | {s.help} |")
    lines += [
        "",
        "## Destinations\n",
        "Each `[[destination]]` table says where results go.\n",
        "| kind | keys | required |",
        "|---|---|---|",
    ]
    for kind, keys in _DESTINATION_KEYS.items():
        needs = ("name", "kind", *_DESTINATION_NEEDS[kind])
        lines.append(
            f"| `{kind}` | {', '.join(f'`{k}`' for k in sorted(keys))} | {', '.join(f'`{k}`' for k in needs)} |"
        )
    lines.append(
        "\n`when` is `always` or `critical`; a DICOM destination gets every result unless it says `critical`, a pager only critical ones.\n"
    )
    return "\n".join(lines)


def commands() -> str:
    """Render every command with its options."""
    lines = [
        NOTE,
        "# Commands\n",
        "Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 partly done. With `--json` a command prints one JSON document on standard",
        "output and nothing else there; progress and logs go to standard error.\n",
    ]
    for path, command in sorted(_walk(typer.main.get_command(app), "osler")):
        lines.append(f"## `{path}`\n")
        lines.append((command.help or "").strip() + "\n")
        rows = [p for p in command.params if p.name != "help"]
        if rows:
            lines += ["| argument or option | what it is |", "|---|---|"]
            for p in rows:
                names = ", ".join(f"`{o}`" for o in p.opts) if p.param_type_name == "option" else f"`{p.name.upper()}`"
                lines.append(f"| {names} | {getattr(p, 'help', None) or ''} |")
            lines.append("")
    return "\n".join(lines)


def error_tree() -> str:
    """Render the error tree with its wire forms."""
    lines = [
        NOTE,
        "# Errors\n",
        "Every refusal is one of these, translated once at the edge where the sender is. No message quotes a value from the data.\n",
        "| error | what it says | retry | DIMSE status | HL7 ACK | HTTP | FHIR issue | exit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for depth, e in _tree(errors.OslerError, 0):
        said = (e.__doc__ or "").splitlines()[0]
        lines.append(
            f"| {'&nbsp;&nbsp;' * depth}`{e.__name__}` | {said} | {'yes' if e.retryable else 'no'} | {e.dimse_status:04X} "
            f"| {e.hl7_ack} | {e.http_status} | {e.issue_code} | {e.exit_code} |"
        )
    return "\n".join(lines) + "\n"


def audit_events() -> str:
    """Render the table of audit events."""
    lines = [
        NOTE,
        "# Audit events\n",
        "Each entry is a FHIR R4 AuditEvent in the form of IHE BALP. Patients appear under their pseudonyms.\n",
        "| event | action | code | when |",
        "|---|---|---|---|",
    ]
    for e in EVENTS.values() if hasattr(EVENTS, "values") else EVENTS:
        lines.append(f"| `{e.name}` | {e.action} | {e.code.value} {e.code.meaning} | {e.help} |")
    return "\n".join(lines) + "\n"


def model_card() -> str:
    """Render the card of the built-in chest model."""
    import osler.models.cxr

    card = yaml.safe_load((Path(osler.models.cxr.__file__).parent / "card.yaml").read_text(encoding="utf-8"))
    return f"{NOTE}\n# Model card: {card['name']} {card['version']}\n\n" + "\n".join(_outline(card, 2)) + "\n"


def _outline(value: object, level: int) -> Iterator[str]:
    assert isinstance(value, dict)
    for key, content in value.items():
        title = str(key).replace("_", " ")
        if isinstance(content, dict):
            yield f"\n{'#' * min(level, 5)} {title}\n"
            yield from _outline(content, level + 1)
        elif isinstance(content, list) and content and isinstance(content[0], dict):
            yield f"\n**{title}**\n"
            headings = list(dict.fromkeys(k for row in content for k in row))
            yield "| " + " | ".join(h.replace("_", " ") for h in headings) + " |"
            yield "|" + "---|" * len(headings)
            for row in content:
                yield "| " + " | ".join(_cell(row.get(h, "")) for h in headings) + " |"
            yield ""
        else:
            yield f"- **{title}**: {_cell(content)}"


def _cell(content: object) -> str:
    if isinstance(content, dict):
        return ", ".join(f"{k}: {_cell(v)}" for k, v in content.items())
    if isinstance(content, list):
        return ", ".join(_cell(c) for c in content)
    return " ".join(str(content).split())


def _walk(command, path: str):  # type: ignore[no-untyped-def]
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from _walk(child, f"{path} {name}")


def _tree(error: type[errors.OslerError], depth: int) -> Iterator[tuple[int, type[errors.OslerError]]]:
    yield depth, error
    for child in error.__subclasses__():
        if child.__module__ == "osler.errors":
            yield from _tree(child, depth + 1)


PAGES = {
    "settings.md": settings,
    "commands.md": commands,
    "errors.md": error_tree,
    "audit-events.md": audit_events,
    "model-card-cxr.md": model_card,
}

if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for name, render in PAGES.items():
        (REFERENCE / name).write_text(render(), encoding="utf-8")
        sys.stdout.write(f"{REFERENCE / name}\n")
