"""Search against a model that reads every resource: dates, tokens, quantities, strings, and reach."""

import calendar
import contextlib
import functools
import itertools
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler.domain.reach import EVERYTHING, Part, Reach
from osler.errors import Malformed
from osler.standards import fhir
from osler.standards.fhir_query import parse_query
from osler.storage import Database
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.vault import KeyRing

FEW = settings(max_examples=12, suppress_health_check=list(HealthCheck))
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]
Resource = dict[str, Any]


class Site:
    """A fresh store with some resources in it."""

    def __init__(self, url: str, resources: list[Resource]) -> None:
        self.database = Database(url)
        keys = KeyRing.open(self.database, master_key=bytes(32), tenant="default")
        keyed: Any = {"sealer": keys.sealer("record"), "index": keys.index}
        store, self.search = ResourceStore(self.database, **keyed), ResourceSearch(self.database, **keyed)
        self.database.write(lambda connection: [store.put(connection, each) for each in resources])

    def ids(self, type_name: str, pairs: list[tuple[str, str]], reach: Reach = EVERYTHING, count: int = 7) -> list[str]:
        """Return the ids of all matches, page by page; no page but the last is short, and the total is right."""
        found: list[str] = []
        cursor: list[tuple[str, str]] = []
        while True:
            asked = [*pairs, ("_count", str(count)), ("_total", "accurate"), *cursor]
            page = self.search.search(parse_query(type_name, asked, now=0.0), lambda *_: reach)
            found += [match.id for match in page.matches]
            if not page.cursor:
                assert page.total == len(found)
                return found
            assert len(page.matches) == count
            cursor = [("_cursor", page.cursor)]


@pytest.fixture
def site(new_sqlite: Callable[[Path], str], tmp_path: Path) -> Iterator[Callable[[list[Resource]], Site]]:
    opened: list[Site] = []
    numbers = itertools.count()

    def create(resources: list[Resource]) -> Site:
        while opened:
            opened.pop().database.close()
        opened.append(Site(new_sqlite(tmp_path / f"{next(numbers)}.db"), resources))
        return opened[0]

    yield create
    while opened:
        opened.pop().database.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a site of which nothing is changed."""
    if request.param == "sqlite":
        url = request.getfixturevalue("new_sqlite")(tmp_path_factory.mktemp("shared") / "osler.db")
    else:
        url = request.getfixturevalue("new_postgresql")()
    patient = {"resourceType": "Patient", "id": "a", "name": [{"family": "Äx"}]}
    made = Site(url, [patient, *(observation(n, subject={"reference": "Patient/a"}) for n in range(3))])
    yield made
    made.database.close()


# ---------------------------------------------------------------------------------------------------------- dates


@st.composite
def dates(draw: st.DrawFn) -> str:
    """Write a date near others, to any precision, in any zone."""
    moment = datetime(2024, 2, 27, 22, 58, tzinfo=UTC) + timedelta(
        days=draw(st.integers(-2, 4)),
        minutes=draw(st.integers(0, 130)),
        milliseconds=draw(st.sampled_from([0, 1, 500])),
    )
    form = draw(st.sampled_from(["%Y", "%Y-%m", "%Y-%m-%d", "minute", "second", "fraction"]))
    if form.startswith("%"):
        return moment.strftime(form)
    hours = draw(st.integers(-11, 13))
    local = moment + timedelta(hours=hours)
    zone = f"{'-' if hours < 0 else '+'}{abs(hours):02}:00" if hours else "Z"
    text = local.strftime("%Y-%m-%dT%H:%M")
    if form == "second":
        text += local.strftime(":%S")
    elif form == "fraction":
        text += local.strftime(":%S.") + f"{local.microsecond // 1000:03}"
    return text + zone


def interval(text: str) -> tuple[datetime, datetime]:
    """Return first moment and first moment after, by the calendar."""
    if "T" not in text:
        parts = [int(part) for part in text.split("-")]
        low = datetime(*[*parts, 1, 1][:3], tzinfo=UTC)
        if len(parts) == 1:
            return low, datetime(parts[0] + 1, 1, 1, tzinfo=UTC)
        if len(parts) == 2:
            return low, low + timedelta(days=calendar.monthrange(*parts)[1])
        return low, low + timedelta(days=1)
    low = datetime.fromisoformat(text)
    clock = text[11:].replace("Z", "").split("+")[0].split("-")[0]
    step = {5: timedelta(minutes=1), 8: timedelta(seconds=1)}.get(len(clock), timedelta(milliseconds=1))
    return low, low + step


def span_of(resource: Resource) -> tuple[datetime, datetime] | None:
    if "effectiveDateTime" in resource:
        return interval(resource["effectiveDateTime"])
    if "effectivePeriod" in resource:
        period = resource["effectivePeriod"]
        low = interval(period["start"])[0] if "start" in period else datetime.min.replace(tzinfo=UTC)
        return low, interval(period["end"])[1] if "end" in period else datetime.max.replace(tzinfo=UTC)
    return None


def stands(prefix: str, span: tuple[datetime, datetime] | None, wanted: tuple[datetime, datetime]) -> bool:
    """R4 3.1.1.4.7, in its own words."""
    if span is None:
        return False
    within = wanted[0] <= span[0] and span[1] <= wanted[1]
    above, below = span[1] > wanted[1], span[0] < wanted[0]
    return {
        "": within,
        "eq": within,
        "ne": not within,
        "gt": above,
        "lt": below,
        "ge": above or within,
        "le": below or within,
        "sa": span[0] >= wanted[1],
        "eb": span[1] <= wanted[0],
    }[prefix]


@st.composite
def effective(draw: st.DrawFn) -> Resource:
    kind = draw(st.sampled_from(["none", "date", "date", "period", "start", "end"]))
    if kind == "none":
        return {}
    if kind == "date":
        return {"effectiveDateTime": draw(dates())}
    first, second = sorted([draw(dates()), draw(dates())], key=lambda text: interval(text)[0])
    period = {"period": {"start": first, "end": second}, "start": {"start": first}, "end": {"end": second}}[kind]
    return {"effectivePeriod": period}


def observation(number: int, **more: Any) -> Resource:
    return {"resourceType": "Observation", "id": f"o{number}", "status": "final", "code": {"text": "x"}} | more


@FEW
@given(
    st.lists(effective(), min_size=12, max_size=12),
    st.lists(st.tuples(st.sampled_from(PREFIXES), dates()), min_size=12),
)
def test_dates(site: Any, made: list[Resource], asked: list[tuple[str, str]]) -> None:
    resources = [observation(number, **each) for number, each in enumerate(made)]
    held = site(resources)

    for prefix, text in asked:
        wanted = {r["id"] for r in resources if stands(prefix, span_of(r), interval(text))}
        assert set(held.ids("Observation", [("date", prefix + text)])) == wanted, prefix + text
        both = [("date", prefix + text), ("date:missing", "false"), ("status", "final")]
        assert set(held.ids("Observation", both)) == wanted, "as a filter behind another condition"


# --------------------------------------------------------------------------------------------- numbers, quantities


@st.composite
def decimals(draw: st.DrawFn) -> str:
    digits = draw(st.sampled_from(["0", "1", "9", "10", "99", "100", "5.4", "5.40", "5.45", "5.35", "5.449", "0.930"]))
    sign = draw(st.sampled_from(["", "", "-"]))
    return sign + digits + draw(st.sampled_from(["", "", "e1", "E-3"]))


def allows(prefix: str, value: Decimal, text: str) -> bool:
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    mantissa = text.lower().partition("e")[0]
    if "e" in text.lower() and "." not in mantissa:
        exponent -= 1
    half = Decimal(5).scaleb(exponent - 1)
    within = number - half <= value < number + half
    return {
        "": within,
        "eq": within,
        "ne": not within,
        "gt": value > number,
        "lt": value < number,
        "ge": value >= number,
        "le": value <= number,
        "sa": value > number,
        "eb": value < number,
    }[prefix]


UNITS = st.sampled_from([{}, {"unit": "mg"}, {"unit": "milligram", "system": "urn:u", "code": "mg"}, {"code": "g"}])


@FEW
@given(
    st.lists(st.tuples(decimals(), UNITS), min_size=12, max_size=12),
    st.lists(
        st.tuples(st.sampled_from(PREFIXES), decimals(), st.sampled_from(["", "||mg", "|urn:u|mg", "||g"])), min_size=15
    ),
)
def test_quantities(site: Any, made: list[tuple[str, Resource]], asked: list[tuple[str, str, str]]) -> None:
    resources = [
        observation(number, valueQuantity={"value": fhir.FhirDecimal(text), **unit})
        for number, (text, unit) in enumerate(made)
    ]
    held = site(resources)

    def has_unit(quantity: Resource, unit: str) -> bool:
        _, system, code = ["", *unit.split("|")[1:]] if unit else ["", "", ""]
        if system:
            return (quantity.get("system"), quantity.get("code")) == (system, code)
        return not code or code in (quantity.get("code"), quantity.get("unit"))

    for prefix, text, unit in asked:
        wanted = {
            r["id"]
            for r in resources
            if allows(prefix, r["valueQuantity"]["value"], text) and has_unit(r["valueQuantity"], unit)
        }
        assert set(held.ids("Observation", [("value-quantity", prefix + text + unit)])) == wanted, prefix + text + unit


# ------------------------------------------------------------------------------------------------ tokens and reach


SYSTEMS = st.sampled_from(["", "urn:a", "urn:b"])
CODES = st.sampled_from(["x", "X", "y", "z|z"])


@st.composite
def codings(draw: st.DrawFn) -> list[Resource]:
    made = draw(st.lists(st.tuples(SYSTEMS, CODES), max_size=3))
    return [{"code": code} | ({"system": system} if system else {}) for system, code in made]


@st.composite
def tokens(draw: st.DrawFn) -> tuple[str, Callable[[list[Resource]], bool]]:
    """Draw a value to search for, and what it means."""
    system, code = draw(SYSTEMS), draw(CODES)
    escaped = code.replace("|", r"\|")

    def same(coding: Resource) -> bool:
        return bool(coding["code"].lower() == code.lower())

    forms: list[tuple[str, Callable[[Resource], bool]]] = [
        (escaped, same),
        (f"{system}|{escaped}", lambda c: same(c) and c.get("system", "") == system),
        *([(f"{system}|", lambda c: c.get("system") == system)] if system else []),
    ]
    text, holds = draw(st.sampled_from(forms))
    return text, lambda codings: any(map(holds, codings))


@st.composite
def reaches(draw: st.DrawFn) -> Reach:
    category = st.sampled_from([(), (("category", ("code", "x")),), (("category", ("system", "urn:a")),)])
    part = st.builds(Part, patient=st.sampled_from([None, "a", "b"]), tokens=category, restricted=st.booleans())
    return tuple(draw(st.lists(part, max_size=3)))


def within(reach: Reach, resource: Resource) -> bool:
    def holds(part: Part) -> bool:
        codings = resource.get("category", [{"coding": []}])[0]["coding"]
        codes = {("code", c["code"].lower()) for c in codings} | {("system", c.get("system")) for c in codings}
        return (
            part.patient in (None, resource["subject"]["reference"].removeprefix("Patient/"))
            and (part.restricted or "meta" not in resource)
            and all(form in codes for _, form in part.tokens)
        )

    return any(map(holds, reach))


@st.composite
def observations(draw: st.DrawFn, number: int) -> Resource:
    made = observation(number, subject={"reference": f"Patient/{draw(st.sampled_from('ab'))}"})
    if found := draw(codings()):
        made["category"] = [{"coding": found}]
    if draw(st.booleans()):
        made["meta"] = {"security": [{"system": CONFIDENTIALITY, "code": draw(st.sampled_from("RV"))}]}
    return made


@FEW
@given(st.data())
def test_tokens_within_reach(site: Any, data: st.DataObject) -> None:
    resources = [data.draw(observations(number)) for number in range(12)]
    held = site(resources)

    for _ in range(12):
        (text, holds), reach = data.draw(tokens()), data.draw(reaches())
        negated, patient = data.draw(st.booleans()), data.draw(st.sampled_from(["", "a", "b"]))
        pairs = [("category:not" if negated else "category", text), *([("patient", patient)] if patient else [])]
        wanted = {
            r["id"]
            for r in resources
            if holds(r.get("category", [{"coding": []}])[0]["coding"]) != negated
            and (not patient or r["subject"]["reference"] == f"Patient/{patient}")
            and within(reach, r)
        }
        found = held.ids("Observation", pairs, reach, count=data.draw(st.integers(1, 13)))
        assert len(found) == len(set(found))
        assert set(found) == wanted, (pairs, reach)


# ------------------------------------------------------------------------------- chains and what comes along


@st.composite
def people(draw: st.DrawFn) -> list[Resource]:
    made: list[Resource] = []
    for name in "abc":
        patient = {"resourceType": "Patient", "id": name, "gender": draw(st.sampled_from(["male", "female"]))}
        if draw(st.booleans()):
            patient["meta"] = {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}
        made.append(patient)
    return made


def may(reach: Reach, resource: Resource) -> bool:
    """Tell whether a resource without granular terms is within reach."""
    patient = resource["id"] if resource["resourceType"] == "Patient" else resource["subject"]["reference"][8:]
    return any(part.patient in (None, patient) and (part.restricted or "meta" not in resource) for part in reach)


PLAIN_REACHES = st.lists(
    st.builds(Part, patient=st.sampled_from([None, "a", "b"]), restricted=st.booleans()), max_size=2
).map(tuple)


@FEW
@given(people(), st.data())
def test_links_within_reach(site: Any, patients: list[Resource], data: st.DataObject) -> None:
    code = st.sampled_from(["x", "y"])
    observed = [
        observation(
            number,
            subject={"reference": f"Patient/{data.draw(st.sampled_from('abcd'))}"},
            code={"coding": [{"code": data.draw(code)}]},
            **({"meta": {"security": [{"code": "R"}]}} if data.draw(st.booleans()) else {}),
        )
        for number in range(10)
    ]
    held = site([*patients, *observed])
    for _ in range(8):
        reach = {"Patient": data.draw(PLAIN_REACHES), "Observation": data.draw(PLAIN_REACHES)}
        seen = {f"Patient/{p['id']}": p for p in patients if may(reach["Patient"], p)}
        found = [o for o in observed if may(reach["Observation"], o)]

        def along(type_name: str, *pairs: tuple[str, str], reach: Any = reach) -> tuple[set[str], set[str]]:
            page = held.search.search(parse_query(type_name, pairs, now=0.0), lambda t, _: reach[t])
            return {match.reference for match in page.matches}, {each.reference for each in page.included}

        gender, wanted = data.draw(st.sampled_from(["male", "female"])), data.draw(code)
        chained = {
            f"Observation/{o['id']}" for o in found if seen.get(o["subject"]["reference"], {}).get("gender") == gender
        }
        assert along("Observation", ("patient.gender", gender))[0] == chained
        pointing = {
            o["subject"]["reference"]
            for o in found
            if o["code"]["coding"][0]["code"] == wanted and o["subject"]["reference"] in seen
        }
        assert along("Patient", ("_has:Observation:patient:code", wanted))[0] == pointing
        matched, included = along("Observation", ("code", wanted), ("_include", "Observation:patient"))
        assert matched == {f"Observation/{o['id']}" for o in found if o["code"]["coding"][0]["code"] == wanted}
        assert included == {o["subject"]["reference"] for o in found if f"Observation/{o['id']}" in matched} & set(seen)
        matched, included = along("Patient", ("gender", gender), ("_revinclude", "Observation:subject"))
        assert matched == {name for name, patient in seen.items() if patient["gender"] == gender}
        assert included == {f"Observation/{o['id']}" for o in found if o["subject"]["reference"] in matched}


# -------------------------------------------------------------------------------------------------------- strings


WORDS = st.text(st.sampled_from("aAáÄßs lx-"), min_size=1, max_size=9).filter(lambda text: bool(text.strip()))


def plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in folded if not unicodedata.combining(c)).casefold().split())


@FEW
@given(st.lists(st.tuples(WORDS, WORDS), min_size=10, max_size=10), st.lists(WORDS, min_size=8))
def test_strings(site: Any, made: list[tuple[str, str]], asked: list[str]) -> None:
    resources = [
        {"resourceType": "Patient", "id": f"p{number}", "name": [{"family": family}, {"given": [given]}]}
        for number, (family, given) in enumerate(made)
    ]
    held = site(resources)

    def found(holds: Callable[[str], bool]) -> set[str]:
        return {f"p{number}" for number, names in enumerate(made) if any(map(holds, names))}

    for text in asked:
        wanted = plain(text)
        starts = found(lambda name, wanted=wanted: plain(name).startswith(wanted))
        assert set(held.ids("Patient", [("name", text)])) == starts
        contains = found(lambda name, wanted=wanted: wanted in plain(name))
        assert set(held.ids("Patient", [("name:contains", text)], count=3)) == contains
        assert set(held.ids("Patient", [("name:exact", text)])) == found(lambda name, text=text: name == text)


# ---------------------------------------------------------------------------------------------------------- order


def values_of(resource: Resource, name: str) -> list[Any]:
    """Return all that a parameter sorts a resource by; of a date of the type, always one."""
    codings = [(c["code"].lower(), c.get("system", "")) for c in resource["category"][0]["coding"]]
    value = resource.get("valueQuantity")
    span = span_of(resource)
    return {
        "_id": [resource["id"]],
        "date": [span[0] if span else datetime.min.replace(tzinfo=UTC)],
        "category": codings,
        "status": [(resource["status"], "")],
        "subject": [resource["subject"]["reference"]],
        "value-quantity": [value["value"]] if value else [],
        "value-string": [plain(resource["valueString"])] if "valueString" in resource else [],
    }[name]


def before(keys: list[tuple[str, bool]]) -> Callable[[Resource, Resource], int]:
    """Return a comparison by these keys, in the words of R4 3.1.1.5.1."""

    def compare(left: Resource, right: Resource) -> int:
        for name, descending in keys:
            mine, theirs = values_of(left, name), values_of(right, name)
            if not mine or not theirs:
                if bool(mine) != bool(theirs):
                    return -1 if mine else 1
                continue
            first, second = (max(mine), max(theirs)) if descending else (min(mine), min(theirs))
            if first != second:
                return -1 if (first > second if descending else first < second) else 1
        raise AssertionError("no two are equal")

    return compare


@st.composite
def sortable(draw: st.DrawFn, number: int) -> Resource:
    made = draw(observations(number)) | draw(effective())
    made.setdefault("category", [{"coding": draw(codings()) or [{"code": "x"}]}])
    kind = draw(st.sampled_from(["none", "quantity", "string"]))
    if kind == "quantity":
        made["valueQuantity"] = {"value": fhir.FhirDecimal(draw(decimals()))}
    elif kind == "string":
        made["valueString"] = draw(WORDS)
    return made | {"status": draw(st.sampled_from(["final", "amended"]))}


KEYS = ["_id", "date", "category", "status", "subject", "value-quantity", "value-string"]


@FEW
@given(st.data())
def test_order_within_reach(site: Any, data: st.DataObject) -> None:
    resources = [data.draw(sortable(number)) for number in range(12)]
    held = site(resources)

    for _ in range(8):
        keys = data.draw(st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), min_size=1, max_size=3))
        reach, status = data.draw(reaches()), data.draw(st.sampled_from(["", "final"]))
        sort = ",".join("-" * descending + name for name, descending in keys)
        pairs = [("_sort", sort), *([("status", status)] if status else [])]
        wanted = [r for r in resources if within(reach, r) and status in ("", r["status"])]
        wanted.sort(key=functools.cmp_to_key(before([*keys, ("_id", keys[-1][1])])))
        found = held.ids("Observation", pairs, reach, count=data.draw(st.integers(1, 13)))
        assert found == [r["id"] for r in wanted], (sort, reach)


# --------------------------------------------------------------------------------------------------- any search


NAMES = [
    *("_id", "_lastUpdated", "_count", "_sort", "_total", "_include", "_revinclude", "_summary", "_elements"),
    *("_cursor", "_profile", "code", "code:not", "code:missing", "date", "subject", "subject:Patient"),
    *("subject:identifier", "patient.name", "patient.name:contains", "value-quantity", "code-value-quantity"),
    *("component-code-value-quantity", "combo-code-value-concept", "value-string:contains", "value-string:exact"),
    "_has:Provenance:target:agent",
]
PIECES = ["718-7", "urn:a|x", "Patient/a", "5.4||mg", "2024-02", "ge", "|", "$", ",", "\\", "\x00", "Ä", "1e5", "x"]
VALUES = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(PIECES), max_size=6).map("".join))


@settings(FEW, max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), min_size=1, max_size=4))
def test_any_search_is_answered_or_refused(shared: Site, pairs: list[tuple[str, str]]) -> None:
    reach: Reach = (Part("a"), Part(tokens=(("category", ("code", "x")),), restricted=True))
    for access in (EVERYTHING, reach):
        with contextlib.suppress(Malformed):
            page = shared.search.search(parse_query("Observation", pairs, now=0.0), lambda *_, a=access: a)
            assert all(match.type == "Observation" for match in page.matches)
