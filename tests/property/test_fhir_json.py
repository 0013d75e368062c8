"""Properties of the FHIR side: JSON keeps its numbers, a search agrees with a plain filter, pages are a partition."""

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from osler.domain.reach import EVERYTHING
from osler.errors import Malformed
from osler.standards import fhir
from osler.standards.fhir_query import parse_query
from osler.storage import Database
from osler.storage.resource_search import Page, ResourceSearch
from osler.storage.resources import ResourceStore
from osler.vault import KeyRing

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FEW = settings(QUICK, max_examples=15)

# ----------------------------------------------------------------------------------------------------- JSON

NUMBER = st.from_regex(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUE = st.recursive(
    st.one_of(st.booleans(), TEXT, NUMBER.map(fhir.FhirDecimal)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=15,
)


@QUICK
@given(st.dictionaries(TEXT, VALUE, max_size=5))
def test_a_resource_comes_back_with_the_very_text_of_its_numbers(resource: dict[str, Any]) -> None:
    text = fhir.dumps(resource)

    assert fhir.dumps(fhir.loads(text)) == text
    assert fhir.dumps(fhir.loads(text.encode())) == text


@QUICK
@given(NUMBER)
@example("1E-22")
@example("0.930")
@example("-0")
def test_a_number_keeps_its_text(number: str) -> None:
    assert fhir.dumps(fhir.loads(f'{{"a":[{number}]}}')) == f'{{"a":[{number}]}}'


@QUICK
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_any_bytes_are_read_or_refused(content: str | bytes) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(fhir.loads(content), dict)


@QUICK
@given(st.dictionaries(TEXT, VALUE, max_size=4), st.sampled_from(["Patient", "Observation", "Bundle"]))
def test_any_object_is_validated_without_an_error_of_ours(resource: dict[str, Any], type_name: str) -> None:
    issues = fhir.validate(resource | {"resourceType": type_name})

    assert all(issue.severity == "error" for issue in issues)


# --------------------------------------------------------------------------------------------------- search

PATIENTS, CODES, STATUSES = ["p1", "p2", "p3"], ["A", "b", "C"], ["final", "preliminary", "amended"]
STATUS_SYSTEM = "http://hl7.org/fhir/observation-status"
SYSTEMS = ["urn:x", "urn:y", ""]
DAYS = st.sampled_from(["2023-12-31", "2024-01-01", "2024-01-02", "2024-02-29"]).map(
    date.fromisoformat
)  # few: they meet


@st.composite
def partial_dates(draw: st.DrawFn) -> str:
    day = draw(DAYS).isoformat()
    clock = draw(st.sampled_from(["T00:00:00Z", "T23:59:59Z", "T12:30:00+02:00", "T00:00:00.500Z"]))
    return draw(st.sampled_from([day, day[:7], day[:4], day + clock]))


@st.composite
def observations(draw: st.DrawFn, number: int) -> dict[str, Any]:
    coding = [{"system": draw(st.sampled_from(SYSTEMS)), "code": draw(st.sampled_from(CODES))} for _ in range(2)]
    made: dict[str, Any] = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": draw(st.sampled_from(STATUSES)),
        "code": {"coding": [{k: v for k, v in c.items() if v} for c in coding]},
        "subject": {"reference": f"Patient/{draw(st.sampled_from(PATIENTS))}"},
    }
    kind = draw(st.sampled_from(["none", "dateTime", "period", "from", "until"]))
    if kind == "dateTime":
        made["effectiveDateTime"] = draw(partial_dates())
    elif kind != "none":
        ends = sorted(draw(st.lists(DAYS, min_size=2, max_size=2)))
        period = {"start": ends[0].isoformat(), "end": ends[1].isoformat()}
        period.pop({"from": "end", "until": "start"}.get(kind, ""), None)
        made["effectivePeriod"] = period
    return made


@st.composite
def queries(draw: st.DrawFn) -> list[tuple[str, str]]:
    prefix = st.sampled_from(["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"])
    parameter = st.one_of(
        st.tuples(st.just("patient"), st.sampled_from([*PATIENTS, "Patient/p1", "nobody"])),
        st.tuples(st.just("status"), st.sampled_from([*STATUSES, "final,amended", f"{STATUS_SYSTEM}|final"])),
        st.tuples(st.just("code"), st.builds("{}|{}".format, st.sampled_from(SYSTEMS), st.sampled_from(CODES))),
        st.tuples(st.just("code"), st.sampled_from([*CODES, "a", "A,B", "urn:x|", "urn:x|A,urn:y|c"])),
        st.tuples(st.just("_id"), st.sampled_from(["o1", "o2,o3,o4", "none"])),
        st.tuples(st.just("date"), st.builds(lambda p, d: p + d, prefix, partial_dates())),
        st.tuples(st.just("date"), st.builds(lambda d, e: f"{d},{e}", partial_dates(), partial_dates())),
    )
    return draw(st.lists(parameter, max_size=3))


def interval(text: str) -> tuple[datetime, datetime]:
    """Read a date by the calendar, not as the code under test does."""
    if len(text) == 4:
        return datetime(int(text), 1, 1, tzinfo=UTC), datetime(int(text) + 1, 1, 1, tzinfo=UTC)
    if len(text) == 7:
        year, month = int(text[:4]), int(text[5:])
        return datetime(year, month, 1, tzinfo=UTC), datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    if len(text) == 10:
        day = datetime.fromisoformat(text).replace(tzinfo=UTC)
        return day, day + timedelta(days=1)
    moment = datetime.fromisoformat(text)
    return moment, moment + (timedelta(milliseconds=1) if "." in text else timedelta(seconds=1))


def span(resource: dict[str, Any]) -> tuple[datetime, datetime] | None:
    if "effectiveDateTime" in resource:
        return interval(resource["effectiveDateTime"])
    period = resource.get("effectivePeriod")
    if period is None:
        return None
    low = interval(period["start"])[0] if "start" in period else datetime.min.replace(tzinfo=UTC)
    high = interval(period["end"])[1] if "end" in period else datetime.max.replace(tzinfo=UTC)
    return low, high


def date_holds(resource: dict[str, Any], text: str) -> bool:
    match = re.fullmatch(r"(eq|ne|gt|lt|ge|le|sa|eb)?(.*)", text)
    assert match
    has, (low, high) = span(resource), interval(match[2])
    if has is None:
        return False
    inside = low <= has[0] and has[1] <= high
    return {
        "eq": inside,
        "ne": not inside,
        "gt": has[1] > high,
        "lt": has[0] < low,
        "ge": has[1] > high or inside,
        "le": has[0] < low or inside,
        "sa": has[0] >= high,
        "eb": has[1] <= low,
    }[match[1] or "eq"]


def code_holds(resource: dict[str, Any], text: str) -> bool:
    system, bar, code = text.rpartition("|")
    return any(
        (not code or c["code"].lower() == code.lower()) and (not bar or c.get("system", "") == system)
        for c in resource["code"]["coding"]
    )


def holds(resource: dict[str, Any], name: str, value: str) -> bool:
    """Decide by reading the resource, as a person would."""
    check: Callable[[str], bool] = {
        "patient": lambda v: resource["subject"]["reference"] == f"Patient/{v.removeprefix('Patient/')}",
        "status": lambda v: resource["status"] == v.rpartition("|")[2],
        "code": lambda v: code_holds(resource, v),
        "_id": lambda v: resource["id"] == v,
        "date": lambda v: date_holds(resource, v),
    }[name]
    return any(check(part) for part in value.split(","))


Find = Callable[..., Page]
NewStore = Callable[[], tuple[Database, ResourceStore, Find]]


@pytest.fixture
def new_store(new_sqlite: Callable[[Path], str], tmp_path: Path) -> Iterator[NewStore]:
    opened: list[Database] = []
    numbers = itertools.count()

    def create() -> tuple[Database, ResourceStore, Find]:
        while opened:
            opened.pop().close()
        database = Database(new_sqlite(tmp_path / f"{next(numbers)}.db"))
        opened.append(database)
        keys = KeyRing.open(database, master_key=bytes(32), tenant="default")
        search = ResourceSearch(database, sealer=keys.sealer("record"), index=keys.index)

        def find(pairs: list[tuple[str, str]]) -> Page:
            return search.search(parse_query("Observation", pairs, now=0.0), lambda *_: EVERYTHING)

        return database, ResourceStore(database, sealer=keys.sealer("record"), index=keys.index), find

    yield create
    while opened:
        opened.pop().close()


def fill(database: Database, store: ResourceStore, resources: list[dict[str, Any]]) -> None:
    database.write(lambda connection: [store.put(connection, resource) for resource in resources])


@FEW
@given(st.data())
def test_a_search_finds_what_a_plain_filter_finds(new_store: Any, data: st.DataObject) -> None:
    database, store, find = new_store()
    content = [data.draw(observations(number)) for number in range(12)]
    fill(database, store, content)

    for pairs in data.draw(st.lists(queries(), min_size=10, max_size=10)):
        page = find(pairs)

        wanted = {r["id"] for r in content if all(holds(r, name, value) for name, value in pairs)}
        assert {m.id for m in page.matches} == wanted, pairs
        assert page.total == len(wanted)
        assert len(page.matches) == len(wanted)


def test_every_prefix_agrees_with_the_calendar_on_every_pair_of_dates(new_store: Any) -> None:
    database, store, find = new_store()
    dates = ["2023", "2024", "2023-12", "2024-01", "2024-02", "2023-12-31", "2024-01-01", "2024-02-29"]
    dates += ["2024-01-01T00:00:00Z", "2024-01-01T23:59:59Z", "2024-01-01T02:00:00+02:00", "2024-01-01T00:00:00.500Z"]
    effective: list[dict[str, Any]] = [{}, *({"effectiveDateTime": text} for text in dates)]
    effective += [{"effectivePeriod": {"start": text}} for text in dates[5:8]]
    effective += [{"effectivePeriod": {"end": text}} for text in dates[5:8]]
    effective += [{"effectivePeriod": {"start": a, "end": b}} for a, b in itertools.combinations(dates[5:8], 2)]
    plain = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    content = [plain | {"id": f"o{number}"} | changes for number, changes in enumerate(effective)]
    fill(database, store, content)

    for prefix, text in itertools.product(["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"], dates):
        page = find([("date", prefix + text)])

        assert {m.id for m in page.matches} == {r["id"] for r in content if date_holds(r, prefix + text)}, prefix + text


@FEW
@given(st.data())
def test_pages_give_each_match_once_while_others_are_written(new_store: Any, data: st.DataObject) -> None:
    database, store, find = new_store()
    first = [data.draw(observations(number)) for number in range(12)]
    later = [data.draw(observations(number)) for number in range(100, 120)]
    fill(database, store, first)
    pairs = data.draw(queries())
    count = data.draw(st.integers(1, 5))
    sort = data.draw(st.sampled_from(["", "date", "-date", "_lastUpdated", "-_lastUpdated"]))
    pairs += [("_count", str(count)), ("_sort", sort)]

    seen: list[str] = []
    cursor: list[tuple[str, str]] = []
    for _ in range(60):
        page = find([*pairs, *cursor])
        assert len(page.matches) <= count
        seen += [m.id for m in page.matches]
        if not page.cursor:
            break
        cursor = [("_cursor", page.cursor)]
        fill(database, store, [later.pop() for _ in range(min(len(later), data.draw(st.integers(0, 3))))])

    wanted = {r["id"] for r in first if all(holds(r, name, value) for name, value in pairs[:-2])}
    assert len(seen) == len(set(seen)), "none comes twice"
    assert wanted <= set(seen), "none is left out"


NAMES = ["date", "code", "patient", "_id", "_count", "_sort", "_cursor", "_id:not"]


@QUICK
@given(st.text(max_size=60), st.sampled_from(NAMES))
def test_any_value_of_a_parameter_is_understood_or_refused(value: str, name: str) -> None:
    said = ""
    try:
        parse_query("Observation", [(name, value)], now=0.0)
    except Malformed as error:
        said = str(error)

    assert len(value) < 8 or value not in said
