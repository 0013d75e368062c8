"""An OpenAPI description of the HTTP side, made from the CapabilityStatement and the R4 definitions, for fuzzers."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fhir_examples import examples
from osler.api.people.sessions import SIGN_IN_PATH
from osler.api.people.steps import CODE_PATH
from osler.api.smart import paths
from osler.standards.fhir_definitions import Element, definitions

Schema = dict[str, Any]

FHIR: Final = "/fhir/R4"
FHIR_JSON: Final = "application/fhir+json"
STOW: Final = "text/plain"
"""In place of multipart/related, which fuzzers do not write: whoever serves must say what it is."""
FORM: Final = "application/x-www-form-urlencoded"
DEPTH: Final = 2
"""Levels of elements that are described; what is deeper has only what it must have."""
ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_DATES: Final = ("2020", "2020-02", "2020-02-29", "2020-02-29T23:59:59Z", "0001-01-01", "9999-12-31T23:59:59.999+14:00")
_TEXTS: Final[Mapping[str, tuple[Any, ...]]] = {
    "boolean": (True, False),
    "integer": (0, -1, 2**31 - 1, -(2**31)),
    "positiveInt": (1, 2**31 - 1),
    "unsignedInt": (0, 7),
    "decimal": (0, 1.5, -1e-22, 9.99e30),
    "date": ("2020", "2020-02", "2020-02-29", "0001-01-01", "9999-12-31"),
    "dateTime": _DATES,
    "instant": ("2020-02-29T23:59:59Z", "2020-02-29T23:59:60+14:00", "0001-01-01T00:00:00-12:00"),
    "time": ("00:00:00", "23:59:59.999"),
    "base64Binary": ("AAAA", "aGVsbG8="),
    "xhtml": ('<div xmlns="http://www.w3.org/1999/xhtml">a</div>', "<div><script>1</script></div>"),
    "uri": ("urn:a", "http://loinc.org", "urn:uuid:0b6b6d4e-9b8c-4e52-8b5f-1f0cf2a90b10"),
    "id": ("pat", "a.b-c", "x" * 64),
}
_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "token": ("a", "http://loinc.org|718-7", "|a", "a|", "|", "a|b|c", "true", "a,b\\,c", "a\\"),
    "reference": ("Patient/P1", "P1", f"http://127.0.0.1:8080{FHIR}/Patient/P1", "Patient/", "/", "A/1/_history/1"),
    "date": (*_DATES, "eq2020", "ne2020-02", "gt0001-01-01", "le9999", "sa2020-02-30", "ap2021", "0000-13"),
    "string": ("a", "Å", "%", "_", "a,b", "\\,", "'"),
    "number": ("1", "0.930", "1e-22", "gt1e400", "ap-0", "1e", "NaN"),
    "quantity": ("1.5", "lt5.4|http://unitsofmeasure.org|mg", "1||mg", "|", "1e99999|a|b"),
    "uri": ("urn:a", "http://a.example/b?c", "%"),
    "composite": ("a$b", "http://loinc.org|718-7$gt5", "$", "a$b$c"),
}
_MODIFIERS: Final[Mapping[str, tuple[str, ...]]] = {
    "token": ("missing", "not", "text", "in"),
    "reference": ("missing", "identifier", "Patient", "Patient._id", "Patient.name"),
    "date": ("missing",),
    "string": ("missing", "exact", "contains"),
    "number": ("missing",),
    "quantity": ("missing",),
    "uri": ("missing", "below"),
    "composite": ("missing",),
}
_RESULTS: Final[Mapping[str, tuple[str, ...]]] = {
    "_count": ("0", "1", "-1", "20", "1e9", "999999999999999999999"),
    "_sort": ("_id", "-_lastUpdated", "-date,_id", "nothing"),
    "_total": ("none", "accurate", "estimate"),
    "_summary": ("true", "false", "count", "text", "data"),
    "_elements": ("id", "status,subject", "a.b"),
    "_cursor": ("a", "AAAA", "eyJhIjogMX0"),
    "_format": ("json", "xml"),
    "_has:Observation:patient:code": ("718-7", "|"),
    "_has:Provenance:target:_id": ("a",),
    "unknown-parameter": ("a",),
}
_PREFER: Final = ("return=minimal", "return=OperationOutcome", "handling=strict", "handling=lenient", "a=;")


def openapi(statement: Mapping[str, Any], services: Mapping[str, str], *, app: str, csrf: str) -> Schema:
    """Describe what a server offers.

    Parameters
    ----------
    statement : CapabilityStatement
    services : mapping of str to str
        Hook by id of the CDS service.
    app : str
        ``client_id`` of an app that may ask for consent.
    csrf : str
        What the forms of the session carry that comes with the cases.
    """
    made: dict[str, Any] = {}
    for resource in statement["rest"][0]["resource"]:
        made |= dict(_resource_paths(resource))
    made |= _system_paths() | _oauth_paths(app, csrf) | _other_paths(services)
    return {"openapi": "3.0.3", "info": {"title": "Osler", "version": "1"}, "paths": made}


def _resource_paths(resource: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    name, codes = resource["type"], {each["code"] for each in resource["interaction"]}
    base, search = f"{FHIR}/{name}", list(_search_parameters(resource))
    body = _json(_resource_schema(name), FHIR_JSON, [e for e in examples() if e["resourceType"] == name])
    form = {p["name"]: p["schema"] for p in search}
    here, one = {"get": _operation(search)}, {"get": _operation([_ID, *_CONDITIONS])}
    if "create" in codes:
        held = [_header("if-none-exist", "_id=a", "identifier=a|b", "a", "")]
        here |= {"post": _operation([*_CONDITIONS, *held], body), "delete": _operation(search[:4])}
        here |= {"put": _operation(search[:4], body), "patch": _operation(search[:4], _patch())}
        one |= {"put": _operation([_ID, *_CONDITIONS], body), "patch": _operation([_ID, *_CONDITIONS], _patch())}
        one |= {"delete": _operation([_ID, *_CONDITIONS])}
    yield base, here
    yield f"{base}/{{id}}", one
    yield f"{base}/_search", {"post": _operation([], _form(form))}
    past = [_query(k, *v) for k, v in (("_count", ("1", "0", "-1")), ("_since", _DATES), ("_at", _DATES))]
    if "vread" in codes:
        yield f"{base}/_history", {"get": _operation(past)}
        yield f"{base}/{{id}}/_history", {"get": _operation([_ID, *past])}
        yield (
            f"{base}/{{id}}/_history/{{version}}",
            {"get": _operation([_ID, _path("version", "1", "0", "9" * 30, "a")])},
        )
    yield f"{base}/$validate", {"post": _operation([_query("mode", "create", "update", "a")], body)}
    yield f"{base}/{{id}}/$validate", {"get": _operation([_ID]), "post": _operation([_ID], body)}
    if name == "Patient":
        asked = [_query("_since", *_DATES), _query("_type", "Observation", "a,b", ""), _query("_count", "1", "0", "a")]
        asked += [_query("start", *_DATES), _query("end", *_DATES)]
        yield f"{base}/{{id}}/$everything", {"get": _operation([_ID, *asked])}


def _system_paths() -> dict[str, Any]:
    export = [_query("_since", *_DATES), _query("_type", "Patient", "a,", ""), _query("_outputFormat", "ndjson", "a")]
    export += [_query("_typeFilter", "Observation?code=a", "a?b", "?"), _header("prefer", "respond-async", "a")]
    entry = {
        "type": "object",
        "properties": {
            "fullUrl": _one_of("urn:uuid:0b6b6d4e-9b8c-4e52-8b5f-1f0cf2a90b10", "http://a.example/Patient/1"),
            "resource": {"anyOf": [_resource_schema(n, 1) for n in ("Patient", "Observation", "Provenance", "Group")]},
            "request": {
                "type": "object",
                "required": ["method", "url"],
                "properties": {
                    "method": _one_of("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"),
                    "url": _one_of(
                        "Patient", "Patient/P1", "Observation?patient=P1", "Patient/P1/_history", "metadata", "?"
                    ),
                    "ifMatch": _one_of('W/"1"', "a"),
                    "ifNoneExist": _one_of("_id=a", ""),
                    "ifNoneMatch": _one_of("*", 'W/"1"'),
                },
            },
        },
    }
    bundle = {
        "type": "object",
        "required": ["resourceType", "type"],
        "properties": {
            "resourceType": {"enum": ["Bundle"]},
            "type": _one_of("batch", "transaction", "history"),
            "entry": {"type": "array", "maxItems": 4, "items": entry},
        },
    }
    job = [_path("id", "a", "0b6b6d4e9b8c4e528b5f1f0cf2a90b10")]
    return {
        FHIR: {"post": _operation([_header("prefer", *_PREFER)], _json(bundle, FHIR_JSON))},
        f"{FHIR}/metadata": {"get": _operation([_query("_format", "json", "xml"), _query("mode", "full", "a")])},
        f"{FHIR}/$export": {"get": _operation(export)},
        f"{FHIR}/Patient/$export": {"get": _operation(export)},
        f"{FHIR}/Group/{{id}}/$export": {"get": _operation([_ID, *export])},
        f"{FHIR}/$export/{{id}}": {"get": _operation(job), "delete": _operation(job)},
        f"{FHIR}/$export/{{id}}/{{name}}": {"get": _operation([*job, _path("name", "Patient-1.ndjson", "a")])},
    }


def _oauth_paths(app: str, csrf: str) -> dict[str, Any]:
    proof = {
        "client_id": _one_of(app, "a"),
        "client_secret": _one_of("a"),
        "client_assertion_type": _one_of(ASSERTION),
        "client_assertion": _one_of("a.b.c", "e30.e30.AA", "eyJhbGciOiJub25lIn0.e30."),
    }
    token = {
        "grant_type": _one_of("authorization_code", "client_credentials", "refresh_token", "password"),
        "code": _one_of("a"),
        "redirect_uri": _one_of("http://127.0.0.1:9/app/callback"),
        "code_verifier": _one_of("a" * 43),
        "refresh_token": _one_of("a"),
        "scope": _one_of("system/*.rs", "patient/Observation.rs?category=a|b", "launch openid", ""),
    }
    asked = {
        "response_type": ("code", "token"),
        "client_id": (app, "a"),
        "redirect_uri": ("http://127.0.0.1:9/app/callback", "javascript:1", "a"),
        "scope": ("launch/patient patient/*.rs openid", "system/*.cruds", "patient/Observation.rs?category=%", ""),
        "state": ("a", "\u2603"),
        "aud": (f"http://127.0.0.1:8080{FHIR}", "a"),
        "launch": ("a",),
        "nonce": ("a",),
        "prompt": ("none", "login"),
        "code_challenge": ("a" * 43, "\u2603"),
        "code_challenge_method": ("S256", "plain"),
    }
    shown = [_query(name, *values) for name, values in asked.items()]
    posted = _form({name: _one_of(*values) for name, values in asked.items()})
    page = {"csrf": {"enum": [csrf]}, "request": _one_of("a"), "return_to": _one_of("/account", "//a.example", "\\a")}
    signing = page | {"username": _one_of("ann", "\u2603"), "password": _one_of("a", "\x00"), "code": _one_of("123456")}
    choosing = page | {"patient": _one_of("P1", "'"), "decision": _one_of("allow", "deny"), "scope": _one_of("openid")}
    back = [_query("return_to", "/account", "//a.example", "http://a.example", "\u2603")]
    made: dict[str, Any] = {
        paths.TOKEN: {"post": _operation([], _form(token | proof))},
        paths.INTROSPECT: {"post": _operation([], _form(proof | {"token": _one_of("a")}))},
        paths.REVOKE: {"post": _operation([], _form(proof | {"token": _one_of("a")}))},
        paths.USERINFO: {"get": _operation([])},
        paths.AUTHORIZE: {"get": _operation(shown), "post": _operation([], posted)},
        paths.PATIENT: {"post": _operation([], _form(choosing))},
        paths.CONSENT: {"post": _operation([], _form(choosing))},
        SIGN_IN_PATH: {"get": _operation(back), "post": _operation([], _form(signing))},
        CODE_PATH: {"get": _operation(back), "post": _operation([], _form(signing))},
    }
    for path in (paths.JWKS, paths.SMART_CONFIGURATION, paths.OPENID_CONFIGURATION):
        made[path] = {"get": _operation([])}
    return made


def _other_paths(services: Mapping[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"/cds-services": {"get": _operation([])}}
    for service, hook in services.items():
        asked = {
            "type": "object",
            "required": ["hook", "hookInstance", "context"],
            "properties": {
                "hook": {"enum": [hook]},
                "hookInstance": _one_of("0b6b6d4e-9b8c-4e52-8b5f-1f0cf2a90b10"),
                "fhirServer": _one_of("http://a.example/fhir", f"http://127.0.0.1:8080{FHIR}"),
                "fhirAuthorization": {"type": "object", "properties": {"access_token": {"type": "string"}}},
                "context": {
                    "type": "object",
                    "required": ["userId", "patientId"],
                    "properties": {
                        "userId": _one_of("Practitioner/ann"),
                        "patientId": _one_of("P1", "P9"),
                        "encounterId": _one_of("E1"),
                        "selections": {"type": "array", "items": _one_of("ServiceRequest/a")},
                        "draftOrders": _orders(),
                    },
                },
                "prefetch": {
                    "type": "object",
                    "properties": {"patient": _resource_schema("Patient", 1), "kidney": _results()},
                },
            },
        }
        told = {
            "type": "object",
            "properties": {
                "feedback": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "card": _one_of("0b6b6d4e-9b8c-4e52-8b5f-1f0cf2a90b10"),
                            "outcome": _one_of("accepted", "overridden"),
                            "acceptedSuggestions": {"type": "array", "items": {"type": "object"}},
                            "overrideReason": {"type": "object"},
                            "outcomeTimestamp": _one_of(*_DATES),
                        },
                    },
                }
            },
        }
        made[f"/cds-services/{service}"] = {"post": _operation([], _json(asked, "application/json"))}
        made[f"/cds-services/{service}/feedback"] = {"post": _operation([], _json(told, "application/json"))}
    whole = "--b\r\ncontent-type: application/dicom\r\n\r\nDICM\r\n--b--\r\n"
    parts = {STOW: {"schema": _one_of(whole, whole[:-6], "--b\r\n\r\n", "--b--")}}
    for path, where in (("/dicom-web/studies", []), ("/dicom-web/studies/{uid}", [_path("uid", "1.2.3", "a")])):
        made[path] = {"post": _operation(where, {"content": parts})}
    for path in ("/health/live", "/health/ready", "/metrics", "/oauth/style.css"):
        made[path] = {"get": _operation([])}
    return made


def _orders() -> Schema:
    order = {"type": "object", "properties": {"resource": _resource_schema("ServiceRequest", 1)}}
    return {"type": "object", "properties": {"entry": {"type": "array", "maxItems": 3, "items": order}}}


def _results() -> Schema:
    result = {"type": "object", "properties": {"resource": _resource_schema("Observation", 1)}}
    return {"type": "object", "properties": {"entry": {"type": "array", "maxItems": 3, "items": result}}}


def _search_parameters(resource: Mapping[str, Any]) -> Iterator[Schema]:
    seen = set()
    for parameter in resource["searchParam"]:
        name, kind = parameter["name"], parameter["type"]
        yield _query(name, *_VALUES[kind])
        if kind not in seen:
            seen.add(kind)
            for modifier in _MODIFIERS[kind]:
                yield _query(f"{name}:{modifier}", *(("true", "a") if modifier == "missing" else _VALUES[kind]))
    for name, values in _RESULTS.items():
        yield _query(name, *values)
    yield _query("_include", *resource.get("searchInclude", ())[:4], "*", "a:b")
    yield _query("_revinclude", *resource.get("searchRevInclude", ())[:4], "Provenance:target")


def _resource_schema(name: str, depth: int = DEPTH) -> Schema:
    schema = _object(name, depth)
    schema["properties"]["resourceType"] = {"enum": [name]}
    schema["required"] = [*schema.get("required", ()), "resourceType"]
    return schema


def _object(type_name: str, depth: int) -> Schema:
    known = definitions()
    elements = known.types.get(type_name, {})
    chosen = {element.choice: key for key, element in elements.items() if element.choice}
    made = {
        key: _element(element, depth - 1)
        for key, element in elements.items()
        if (depth > 0 or element.minimum)
        and element.type not in ("Extension", "Resource")
        and chosen.get(element.choice, key) == key
    }
    must = [key for key, element in elements.items() if element.minimum and not element.choice and key in made]
    return {"type": "object", "properties": made} | ({"required": must} if must else {})


def _element(element: Element, depth: int) -> Schema:
    if element.type in definitions().primitives:
        one = _primitive(element)
    elif element.type == "Reference":
        targets = sorted(element.targets or ("Patient",))
        written = (*(f"{target}/P1" for target in targets), "#a", "urn:uuid:0b6b6d4e-9b8c-4e52-8b5f-1f0cf2a90b10")
        one = {"type": "object", "properties": {"reference": _one_of(*written), "display": {"type": "string"}}}
    else:
        one = _object(element.type, depth)
    return one if element.maximum == 1 else {"type": "array", "minItems": 1, "maxItems": 2, "items": one}


def _primitive(element: Element) -> Schema:
    if element.codes:
        return {"enum": sorted(element.codes)}
    values = _TEXTS.get(element.type)
    if values is not None:
        return {"enum": list(values)}
    if element.type in ("url", "canonical", "oid", "uuid"):
        return {"enum": list(_TEXTS["uri"])}
    return {"type": "string", "minLength": 1}


def _one_of(*values: str) -> Schema:
    """Return what is mostly one of these, and else any text."""
    return {"anyOf": [{"enum": list(values)}, {"type": "string"}]}


def _query(name: str, *values: str) -> Schema:
    return {"name": name, "in": "query", "schema": _one_of(*values)}


def _header(name: str, *values: str) -> Schema:
    return {"name": name, "in": "header", "schema": _one_of(*values)}


def _path(name: str, *values: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": _one_of(*values)}


_ID: Final = _path("id", "P1", "o1", "pat", "d0", "none")
_CONDITIONS: Final = (
    _header("if-match", 'W/"1"', '"1"', "1", "*", 'W/"' + "9" * 30 + '"'),
    _header("if-none-match", 'W/"1"', "*", "a"),
    _header("if-modified-since", "Tue, 24 Nov 2026 00:00:00 GMT", "a", "Tue, 99 Nov 99999 00:00:00 GMT"),
    _header("prefer", *_PREFER),
    _query("_format", "json", "xml", "application/fhir+json"),
    _query("_summary", "true", "text", "a"),
    _query("_elements", "id", "a.b,"),
)


def _json(schema: Schema, kind: str, written: list[dict[str, Any]] | None = None) -> Schema:
    held = {"anyOf": [{"enum": written}, schema]} if written else schema
    return {"required": True, "content": {kind: {"schema": held}}}


def _form(fields: Mapping[str, Schema]) -> Schema:
    return {"content": {FORM: {"schema": {"type": "object", "properties": dict(fields)}}}}


def _patch() -> Schema:
    step = {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": _one_of("add", "remove", "replace", "move", "copy", "test"),
            "path": _one_of("/status", "/name/0/family", "/name/-", "/id", "/meta", "", "/~2", "/name/01"),
            "from": _one_of("/name/0", "/status", ""),
            "value": {},
        },
    }
    return _json({"type": "array", "maxItems": 4, "items": step}, "application/json-patch+json")


def _operation(parameters: list[Schema], body: Schema | None = None) -> Schema:
    made: Schema = {"parameters": parameters, "responses": {"default": {"description": "what it answers"}}}
    return made | ({} if body is None else {"requestBody": body})
