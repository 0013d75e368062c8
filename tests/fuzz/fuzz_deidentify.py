"""Mutated inputs with planted identifiers, for as long as you like: what crashes, what leaks, what takes too long.

    python tests/fuzz/fuzz_deidentify.py --seconds 3600
    python tests/fuzz/fuzz_deidentify.py --kind hl7 --seed 12345 --rounds 1

Each round has a seed of its own, which reproduces it. A crash is any exception outside of ``osler.errors``; a leak is a
planted identifier in the output, also inside base64; slow is more than ten seconds.
"""

import argparse
import base64
import copy
import io
import json
import random
import re
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from html import escape
from typing import Any, Final

import pydicom
from pydicom.dataset import Dataset

from osler.deidentify.dicom import deidentify_instance
from osler.deidentify.engine_text import engine_by
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.deidentify.fhir import FhirDeidentifier
from osler.deidentify.fhir.rules import rules
from osler.deidentify.hl7v2 import Hl7v2Deidentifier
from osler.deidentify.text import Deidentifier
from osler.deidentify.text.profiles import METHODS
from osler.errors import OslerError
from osler.standards.fhir import dumps, loads
from osler.standards.hl7v2 import parse, split_messages
from osler.testing.studies import image, part10

SLOW_S = 10.0
CANARIES = ("Quillfeather", "Marguerite", "8812734", "523-11-9087", "moquill@zephyrmail.example", "Larkspur Hollow")
PLANTED = (*CANARIES[:-1], "4417 Larkspur Hollow Rd")
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p8812734",
    "identifier": [{"system": "http://hospital.example.org/mrn", "value": "8812734"}, {"value": "523-11-9087"}],
    "name": [{"family": "Quillfeather", "given": ["Marguerite"]}],
    "telecom": [{"system": "email", "value": "moquill@zephyrmail.example"}],
    "birthDate": "1961-11-23",
    "address": [{"line": ["4417 Larkspur Hollow Rd"], "city": "Okmulgee", "state": "OK", "postalCode": "74447"}],
}
SENTENCES = (
    "Ms. Quillfeather (MRN 8812734) has LDL 182 mg/dL.",
    "SSN: 523-11-9087. Lives at 4417 Larkspur Hollow Rd.",
    "Marguerite Quillfeather writes from moquill@zephyrmail.example",
    "4 mm nodule in the right upper lobe, seen 11/23/2021",
)
NOISE = (
    "",
    " ",
    "\n",
    "\t",
    "|",
    "^",
    "~",
    "\\",
    "&",
    "<b>",
    "&amp;",
    " \u200b",
    " \u00e9 ",
    " \U0001f600 ",
    "[NAME-1]",
)
PID = (
    "PID|1||8812734^^^H^MR~523-11-9087^^^SSA^SS||Quillfeather^Marguerite||19611123|F|||4417 Larkspur Hollow Rd^^"
    "Okmulgee^OK^74447||^PRN^PH^moquill@zephyrmail.example"
)
SEGMENTS = (
    *("EVN", "PD1", "NK1", "PV1", "PV2", "MRG", "AL1", "DG1", "PR1", "ORC", "OBR", "OBX", "NTE", "SPM", "GT1", "IN1"),
    *("IN2", "RXA", "RXE", "RXR", "TXA", "FT1", "SCH", "AIS", "TQ1", "ZZZ"),
)
TYPES = ("NM", "SN", "ST", "TX", "FT", "CE", "CWE", "DT", "TS", "TM", "ED", "RP", "XPN", "CX", "")


GLUED: Final = ("8812734", "523-11-9087", "moquill@zephyrmail.example", "4417 Larkspur Hollow Rd")
CDA = (
    '<ClinicalDocument xmlns="urn:hl7-org:v3"><title>{0}</title><author><name>{0}</name></author><component>'
    "<structuredBody><component><section><text>{0}<content>{0}</content></text><entry><observation><value>{0}</value>"
    "</observation></entry></section></component></structuredBody></component></ClinicalDocument>"
)


def planted(draw: random.Random) -> str:
    """Return an identifier, by itself or in a sentence, with noise around it, or glued to letters."""
    if draw.random() < 0.1:
        return draw.choice(("x", "LDL", "é", "")) + draw.choice(GLUED) + draw.choice(("x", "mg", "é", ""))
    words = [draw.choice(NOISE), draw.choice((*PLANTED, *SENTENCES)), draw.choice(NOISE)]
    return " ".join(words)


def fuzz_text(draw: random.Random) -> tuple[str, str]:
    """De-identify a text."""
    pieces = [draw.choice((*SENTENCES, *NOISE, *(f"{c} " for c in PLANTED))) for _ in range(draw.randrange(1, 30))]
    engine = Deidentifier(method=draw.choice(METHODS), context=PATIENT) if draw.random() < 0.05 else TEXT_ENGINE
    text = draw.choice((" ", "\n", ". ")).join(pieces)
    return text, engine.deidentify(text).text


def fuzz_fhir(draw: random.Random) -> tuple[str, str]:
    """De-identify a mutated resource that knows its patient."""
    kind = draw.choice(sorted(rules().resources))
    resource = mutated(resource_of(kind, draw, 3), draw)
    if draw.random() < 0.3:
        entries = [
            {"fullUrl": f"urn:uuid:{draw.random()}", "resource": one} for one in (copy.deepcopy(PATIENT), resource)
        ]
        resource = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    source = json.dumps(resource)
    method = draw.choice(METHODS)
    deidentifier = FhirDeidentifier(EphemeralPseudonyms(), text_for=engine_by(method), method=method)
    return source, dumps(deidentifier.resource(loads(source), PATIENT))


def resource_of(kind: str, draw: random.Random, depth: int) -> Any:
    """Return a value of a type of R4 with identifiers planted in what can hold text."""
    known = rules()
    if kind in known.primitives:
        return primitive(kind, draw)
    made: dict[str, Any] = {"resourceType": kind} if kind in known.resources else {}
    elements = [item for item in known.types[kind].items() if item[1].action not in ("modifier", "refuse")]
    for name, element in draw.sample(elements, min(len(elements), draw.randrange(1, 9))):
        if element.type == "Resource":
            made[name] = [copy.deepcopy(PATIENT)] if name == "contained" else copy.deepcopy(PATIENT)
        elif depth:
            value = resource_of(element.type, draw, depth - 1)
            made[name] = [value] if draw.random() < 0.4 else value
        if draw.random() < 0.05:
            made[f"_{name}"] = {"id": planted(draw), "extension": [{"url": "http://x", "valueString": planted(draw)}]}
    return made


def primitive(kind: str, draw: random.Random) -> Any:
    """Return a value of a primitive type, often with an identifier in it."""
    if kind == "boolean":
        return True
    if kind in ("decimal", "integer", "positiveInt", "unsignedInt"):
        return draw.choice((1, 4.5, 8812734, 93))
    if kind in ("date", "dateTime", "instant"):
        return draw.choice(("1961-11-23", "2024", "2024-02", "2024-02-29T10:11:12.5-05:00"))
    if kind == "base64Binary":
        return base64.b64encode(document(draw).encode()).decode()
    if kind == "xhtml":
        return f'<div xmlns="http://www.w3.org/1999/xhtml" title="Quillfeather"><p>{planted(draw)}</p></div>'
    if kind in ("uri", "url", "canonical"):
        return draw.choice(("http://h.example/Patient/p8812734", "urn:uuid:8812734", planted(draw)))
    return draw.choice((planted(draw), "text/plain", "text/xml", "final", "http://loinc.org"))


def document(draw: random.Random) -> str:
    """Return a text, or a clinical document, with an identifier in it."""
    words = planted(draw)
    return CDA.format(escape(words)) if draw.random() < 0.3 else words


def mutated(value: Any, draw: random.Random) -> Any:
    """Return a tree in which some nodes have another shape."""
    if draw.random() < 0.03:
        return draw.choice((None, 7, "Quillfeather", [], {}, [value], {"Quillfeather": value}, True))
    if isinstance(value, dict):
        return {k: (v if k == "resourceType" else mutated(v, draw)) for k, v in value.items()}
    if isinstance(value, list):
        return [mutated(v, draw) for v in value]
    return value


def fuzz_hl7(draw: random.Random) -> tuple[str, str]:
    """De-identify a mutated message with the patient's PID."""
    charset, codec = draw.choice((("", "utf-8"), ("UNICODE UTF-8", "utf-8"), ("UNICODE UTF-16", "utf-16-le")))
    head = f"MSH|^~\\&|Quillfeather|H|X|Y|20240304||ORU^R01|8812734|P|2.5.1||||||{charset}"
    lines = [head, PID, *(segment(draw) for _ in range(draw.randrange(1, 12)))]
    source = draw.choice(("\r", "\n", "\r\n")).join(lines) + "\r"
    content = source.encode(codec)
    if draw.random() < 0.2:
        at = draw.randrange(len(head.encode(codec)), len(content))
        content = content[:at] + draw.randbytes(draw.randrange(1, 4)) + content[at:]
    method = draw.choice(METHODS)
    deidentifier = Hl7v2Deidentifier(EphemeralPseudonyms(), text_for=engine_by(method), method=method)
    made = [deidentifier.message(message) for message in split_messages(content)]
    return source, "".join(message.decode(parse(message).codec) for message in made)


def segment(draw: random.Random) -> str:
    """Return a segment of any kind with identifiers in any field."""
    name = draw.choice(SEGMENTS)
    marks = "^", "~", "&", "\\T\\ ", "\\.br\\", "\\X0A\\"
    fields = []
    for _ in range(draw.randrange(1, 40)):
        short = ("", "1", "F", "LN", "20240304", "8812734")
        parts = [planted(draw) if draw.random() < 0.4 else draw.choice(short)]
        parts += [planted(draw) for _ in range(draw.randrange(3))]
        # An escape character of the noise would open an escape that glues what follows to what stands before.
        parts = [part.replace("\n", " ").replace("\\", "").replace("|", "") for part in parts]
        fields.append(draw.choice(marks).join(parts))
    if name == "OBX" and len(fields) > 4:
        fields[1] = draw.choice(TYPES)
        if fields[1] == "ED":
            data = base64.b64encode(document(draw).encode()).decode()
            form = draw.choice(("TEXT^", "TEXT^RTF", "TEXT^HTML", "TEXT^XML", "application^pdf", "AP^"))
            fields[4] = f"Quillfeather^{form}^Base64^{data}"
    return "|".join([name, *fields])


def fuzz_dicom(draw: random.Random) -> tuple[str, str]:
    """De-identify an instance with identifiers in elements of any kind, some of its bytes changed."""
    dataset = image(draw.choice(("DX", "CR")))
    dataset.PatientName, dataset.PatientID = "Quillfeather^Marguerite", "8812734"
    tags = pydicom.datadict.keyword_dict
    keywords = [k for k, tag in tags.items() if tag >> 16 >= 8 and "UID" not in k and k != "Modality"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword in draw.sample(keywords, 30):
            plant(dataset, keyword, draw)
        content = bytearray(part10(dataset))
    for _ in range(draw.choice((0, 0, 1, 4))):
        content[draw.randrange(132, len(content))] = draw.randrange(256)
    safe = deidentify_instance(bytes(content), pseudonyms=EphemeralPseudonyms())
    header = safe.content if draw.random() < 0.5 else _without_pixels(safe.content)
    return f"DICOM, {len(content)} bytes", header.decode("latin-1")


def plant(dataset: Dataset, keyword: str, draw: random.Random) -> None:
    """Put an identifier into an element if its VR can hold text."""
    vr = pydicom.datadict.dictionary_VR(pydicom.datadict.tag_for_keyword(keyword) or 0)
    if vr in ("LO", "SH", "PN", "LT", "ST", "UT", "UC", "CS", "AE", "UR"):
        setattr(dataset, keyword, draw.choice(CANARIES)[:16])
    elif vr in ("DA", "DT"):
        setattr(dataset, keyword, "19611123")


def _without_pixels(content: bytes) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
    return repr(dataset).encode("utf-8", "replace")


KINDS: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "text": fuzz_text,
    "fhir": fuzz_fhir,
    "hl7": fuzz_hl7,
    "dicom": fuzz_dicom,
}
TEXT_ENGINE = Deidentifier(context=PATIENT)


def leaks(source: str, output: str) -> list[str]:
    """Return the planted identifiers that stand in an output or in base64 inside it."""
    shown = re.sub(r"2\.25\.[0-9]+", "", output)  # random digits: in a million rounds any number turns up in some UID
    shown += "".join(_decoded(output))
    return [canary for canary in CANARIES if canary.lower() in shown.lower()]


def _decoded(output: str) -> Iterator[str]:
    for match in re.finditer(r"[A-Za-z0-9+/]{16,}={0,2}", output):
        try:
            yield base64.b64decode(match[0]).decode("latin-1")
        except ValueError:
            continue


def one_round(kind: str, seed: int) -> tuple[str, str]:
    """Return what came of a round: its outcome, and where it crashed or what leaked."""
    began = time.perf_counter()
    try:
        source, output = KINDS[kind](random.Random(seed))
    except OslerError as refused:
        return "refused", type(refused).__name__
    except Exception as error:  # this is what the fuzzer is for
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return "crash", f"{type(error).__name__} at {frame.filename.rpartition('/osler/')[2]}:{frame.lineno}"
    found = leaks(source, output)
    if found:
        return "leak", ", ".join(found)
    took = time.perf_counter() - began
    return ("slow", f"{took:.1f} s") if took > SLOW_S else ("safe", "")


def main() -> int:
    """Run rounds until the time is over; report, and fail when anything crashed, leaked or was slow."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=60, help="for each kind")
    arguments.add_argument("--kind", choices=[*KINDS], action="append")
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    arguments.add_argument("--rounds", type=int, default=sys.maxsize)
    given = arguments.parse_args()
    failed = False
    for kind in given.kind or KINDS:
        counts: Counter[str] = Counter()
        seen: dict[tuple[str, str], int] = {}
        until = time.monotonic() + given.seconds
        for seed in range(given.seed, given.seed + given.rounds):
            outcome, detail = one_round(kind, seed)
            counts[outcome] += 1
            if outcome in ("crash", "leak", "slow"):
                seen.setdefault((outcome, detail), seed)
            if time.monotonic() > until:
                break
        faults = [{"outcome": o, "detail": d, "seed": s} for (o, d), s in seen.items()]
        failed = failed or bool(faults)
        sys.stdout.write(json.dumps({"kind": kind, "rounds": sum(counts.values()), **counts, "faults": faults}) + "\n")
        sys.stdout.flush()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
