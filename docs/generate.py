"""Write the reference pages that say what the code says.

``python docs/generate.py``; a test checks that the pages are current.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer.main
import yaml

import osler.models.cxr
from osler import errors
from osler.audit import EVENTS
from osler.cli import build
from osler.config import DESTINATION_KEYS, DESTINATION_NEEDS, SETTINGS
from osler.deidentify import rules_table
from osler.deidentify.dicom.describing import describe
from osler.deidentify.dicom.options import Option
from osler.deidentify.text import en
from osler.ehr_settings import EHR_KEYS, EHR_NEEDS
from osler.metrics import METRICS
from osler.tracing import ATTRIBUTES

REFERENCE = Path(__file__).parent / "reference"

SETTINGS_TEXT = """\
One TOML file (`osler.toml` in the data folder, or `--config FILE`), then `OSLER_*` variables, then the command line;
the later wins. An unknown name or a wrong type stops the start with the line at fault. `osler config show` prints what
is in force, and where it came from.

Beside these, `OSLER_DATA_DIR` names the data folder, `OSLER_CONFIG` the file, and `OSLER_MASTER_KEY` may hold the
master key (32 bytes, base64) in place of `keys/master.key`.
"""

DESTINATIONS_TEXT = """\
Each `[[destination]]` table says where results go. `when` is `always` or `critical`: a PACS gets every result unless
it says `critical`, a pager or a mail box only critical ones unless it says `always`. A webhook or mail box that says
`privacy` gets no results, but the alarms for the privacy officer: who broke the glass. One that says `operations` gets
those for the people who run the hub: [drift](../how-to/watch-it.md).
"""

EHRS_TEXT = """\
Each `[[ehr]]` table names an EHR that `osler ehr connect` reads from ([how](../how-to/connect-an-ehr.md)).
"""

COMMANDS_TEXT = """\
Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 partly done. With `--json` a command prints one JSON document
on standard output and nothing else there; progress and logs go to standard error.
"""

ERRORS_TEXT = """\
Every refusal is one of these, translated once at the edge where the sender is. No message quotes a value from the data.
"""

METRICS_TEXT = """\
What `GET /metrics` shows to Prometheus. A counter is shown with `_total` at the end of its name, a histogram as
`_bucket`, `_sum` and `_count`. Counters and histograms are of one process; gauges of what stands in the ledger are the
same in every process of a hub, so take their `max` or `min` and not their sum.

Labels are names of steps, models, destinations, routes, states, classes of errors: never an identity, a pseudonym or a
UID. No label takes more than a hundred values; what comes after them is counted as `other`.
[Watch it](../how-to/watch-it.md) says what to look at, and has the dashboard and the alert rules.
"""

SPANS_TEXT = """\
With `otel.endpoint` each revision of a study is one trace, whatever processes it goes through: `ingest` (of each
instance; the first is the one that the others are under), `deidentify`, `queue`, `infer`, `record`, `publish` (of each
attempt). The trace id is made from the random id of the study's row; it travels with the job. A span of an attempt that
failed has the class of the error as `error.type`. What a span may say besides is
"""

TEXT_RULES_TEXT = """\
What finds identifiers in English text. A span names the rule that found it; where spans overlap, the highest score
names the whole. The rules' patterns are in `osler.deidentify.text.en`.
"""

STRUCTURED_RULES_TEXT = """\
What happens to each element and field. The first row that fits counts: the element of its owner, then the element of
any owner (`*`), then its type. What no row names is removed, and so is a segment without rows.
"""

PROFILE_TEXT = """\
Table E.1-1 of DICOM PS3.15 as Osler applies it to images, and what changes under each option of PS3.15 E.3.
`osler deid profile show --option NAME ...` prints it for the options that you choose together.
"""

AUDIT_TEXT = """\
Each entry is a FHIR R4 AuditEvent in the form of IHE BALP 1.1.3. Patients appear under their pseudonyms.
[Answer who saw a patient](../how-to/answer-who-saw-a-patient.md) says how to ask the log.

- **Profiles.** An entry names a profile of BALP in `meta.profile` when all that is mandatory there is in it: Read,
  Query, Create, Update and Delete, with a patient or without, for FHIR interactions of a client, alone or in a person's
  name, that went well; PrivacyDisclosure.Source for what went to another system. `network` of the hub is
  `http.base_url`.
- **Queries.** `entity.query` holds, in base64, type and names of the parameters that were searched by, never their
  values ([decision 22](../decisions/0022-what-the-log-says-of-a-search.md)). What the search found stands beside it,
  with an entry for each patient among it.
- **Refusals.** Each has an entry before its answer. When a peer whom nobody knows is refused more than 200 times at
  once, those of a second with the same route and reason make one entry, whose detail `count` says how many; an entry
  without it stands for one. Up to a hundred answers wait for it; at the token endpoint, on pages for people, and beyond
  that hundred, it follows within the second, and at the latest when the hub stops. A peer is an IPv4 address or an
  IPv6 network of 64 bits; of more than 4096 at once, the others are counted as one, `others`. So it is over MLLP.
"""


def page(title: str, *parts: str) -> str:
    """Put a page together."""
    return "\n".join(["<!-- Written by docs/generate.py; do not edit. -->", f"# {title}\n", *parts]).rstrip() + "\n"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def settings() -> str:
    """Render the settings."""
    rows = [[f"`{s.name}`", f"`{s.variable}`", f"`{s.default!r}`", s.help] for s in SETTINGS]
    kinds = [
        [f"`{kind}`", code(sorted(keys)), code(("name", "kind", *DESTINATION_NEEDS[kind]))]
        for kind, keys in DESTINATION_KEYS.items()
    ]
    return page(
        "Settings",
        SETTINGS_TEXT,
        table(["setting", "variable", "default", "what it is"], rows),
        "## Destinations\n",
        DESTINATIONS_TEXT,
        table(["kind", "keys", "required"], kinds),
        "## EHRs\n",
        EHRS_TEXT,
        table(["key", "what it is"], [[f"`{k}`", text] for k, (_, text) in EHR_KEYS.items()]),
        f"Required: {code(EHR_NEEDS)}.\n",
    )


def commands() -> str:
    """Render every command with its options."""
    parts = [COMMANDS_TEXT]
    for path, command in sorted(walk(typer.main.get_command(build()), "osler"), key=lambda found: found[0]):
        parts += [f"## `{path}`\n", (command.help or "").strip() + "\n"]
        rows = [
            [code(p.opts) if p.param_type_name == "option" else f"`{p.name.upper()}`", getattr(p, "help", None) or ""]
            for p in command.params
            if p.name != "help"
        ]
        if rows:
            parts.append(table(["argument or option", "what it is"], rows))
    return page("Commands", *parts)


def error_tree() -> str:
    """Render the error tree with its wire forms."""
    rows = [
        [
            "&nbsp;&nbsp;" * depth + f"`{e.__name__}`",
            (e.__doc__ or "").splitlines()[0],
            "yes" if e.retryable else "no",
            f"{e.dimse_status:04X}",
            e.hl7_ack,
            str(e.http_status),
            e.issue_code,
            str(e.exit_code),
        ]
        for depth, e in tree(errors.OslerError, 0)
    ]
    headings = ["error", "what it says", "retry", "DIMSE status", "HL7 ACK", "HTTP", "FHIR issue", "exit"]
    return page("Errors", ERRORS_TEXT, table(headings, rows))


def audit_events() -> str:
    """Render the audit events."""
    rows = [[f"`{e.name}`", e.action, " ".join((e.type[0], e.type[2])), e.help] for e in EVENTS.values()]
    return page("Audit events", AUDIT_TEXT, table(["event", "action", "type", "when"], rows))


def model_card() -> str:
    """Render the card of the built-in chest model."""
    card = yaml.safe_load((Path(osler.models.cxr.__file__).parent / "card.yaml").read_text(encoding="utf-8"))
    return page(f"Model card: {card['name']} {card['version']}", *outline(card, 2))


def text_rules() -> str:
    """Render the recognisers of English text and their rules."""
    recognisers = en.recognisers()
    rows = [
        [f"`{rule.category}`", f"`{rule.name}`", f"{rule.score:.2f}", code(rule.needs)]
        for recogniser in recognisers
        for rule in sorted(getattr(recogniser, "rules", ()), key=lambda rule: (rule.category, rule.name))
    ]
    others = [
        [f"`{type(r).__name__}`", (type(r).__doc__ or "").strip().splitlines()[0]]
        for r in recognisers
        if not hasattr(r, "rules")
    ]
    return page(
        "Rules for text",
        TEXT_RULES_TEXT,
        table(["category", "rule", "score", "only where the text has one of"], rows),
        "## Other recognisers\n",
        table(["recogniser", "what it does"], others),
    )


def structured_rules() -> str:
    """Render the rules for FHIR R4 and HL7 v2."""
    return page(
        "Rules for FHIR and HL7 v2",
        STRUCTURED_RULES_TEXT,
        "## FHIR elements\n",
        table(["element or type", "what happens"], [[f"`{e}`", what] for e, what in rules_table.fhir_rows()]),
        "## FHIR extensions that may go on\n",
        "\n".join(f"- `{url}`" for url in rules_table.fhir_extensions()) + "\n",
        "## HL7 v2 fields\n",
        table(["field", "what happens"], [[f"`{f}`", what] for f, what in rules_table.hl7v2_rows()]),
        "## ZIP areas told as 000\n",
        ", ".join(rules_table.zip_areas()) + "\n",
    )


def dicom_profile() -> str:
    """Render what the basic profile and its options do with each attribute of the table."""
    columns = [Option(name) for name in sorted(Option) if not name.startswith(("clean-pixel", "clean-recog"))]
    described = {option: describe(frozenset({option})) for option in columns}
    rows = []
    for place, basic in enumerate(describe()):
        changed = [
            f"`{option}`: {described[option][place].what}"
            for option in columns
            if described[option][place].what != basic.what
        ]
        rows.append([basic.tag, basic.name, basic.what, "<br>".join(changed)])
    return page(
        "DICOM confidentiality profile",
        PROFILE_TEXT,
        table(["tag", "attribute", "basic profile", "under an option"], rows),
    )


def outline(value: dict[str, Any], level: int) -> Iterator[str]:
    """Render nested mappings as headings, lists of mappings as tables, the rest as items."""
    for key, content in value.items():
        title = str(key).replace("_", " ")
        if isinstance(content, dict):
            yield f"\n{'#' * min(level, 5)} {title}\n"
            yield from outline(content, level + 1)
        elif isinstance(content, list) and content and isinstance(content[0], dict):
            headings = list(dict.fromkeys(k for row in content for k in row))
            rows = [[cell(row.get(h, "")) for h in headings] for row in content]
            yield f"\n**{title}**\n"
            yield table([h.replace("_", " ") for h in headings], rows)
        else:
            yield f"- **{title}**: {cell(content)}"


def cell(content: object) -> str:
    """Render a value on one line."""
    if isinstance(content, dict):
        return ", ".join(f"{k}: {cell(v)}" for k, v in content.items())
    if isinstance(content, list):
        return ", ".join(map(cell, content))
    return " ".join(str(content).split())


def code(words: Sequence[str]) -> str:
    """Render words as code, with commas."""
    return ", ".join(f"`{w}`" for w in words)


def walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield each command that is no group, with its words."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in children.items():
        yield from walk(child, f"{path} {name}")


def tree(error: type[errors.OslerError], depth: int) -> Iterator[tuple[int, type[errors.OslerError]]]:
    """Yield the classes of the error tree, each with its depth."""
    yield depth, error
    for child in error.__subclasses__():
        if child.__module__ == "osler.errors":
            yield from tree(child, depth + 1)


def metrics() -> str:
    """Render the metrics, and what traces say."""
    rows = [[f"`{m.name}`", m.kind, code(m.labels) if m.labels else "", m.help] for m in METRICS]
    return page(
        "Metrics and traces",
        METRICS_TEXT,
        table(["metric", "kind", "labels", "what it is"], rows),
        "## Traces\n",
        SPANS_TEXT.rstrip() + " " + code(sorted(f"osler.{name}" for name in ATTRIBUTES)) + ".\n",
    )


PAGES = {
    "metrics.md": metrics,
    "settings.md": settings,
    "commands.md": commands,
    "errors.md": error_tree,
    "audit-events.md": audit_events,
    "model-card-cxr.md": model_card,
    "text-rules.md": text_rules,
    "structured-rules.md": structured_rules,
    "dicom-profile.md": dicom_profile,
}

if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for name, render in PAGES.items():
        (REFERENCE / name).write_text(render(), encoding="utf-8")
        sys.stdout.write(f"{REFERENCE / name}\n")
