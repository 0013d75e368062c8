"""JSON Patch, one row a rule of RFC 6902 (its appendix A, and the sections that the rows name)."""

import json

import pytest

from osler.errors import Malformed, Unprocessable
from osler.standards import fhir
from osler.standards.json_patch import MAX_OPERATIONS, apply_patch, parse_patch

APPLIED = [
    # rule, document, patch, result
    ("A.1 add a member", '{"foo":"bar"}', '[{"op":"add","path":"/baz","value":"qux"}]', '{"foo":"bar","baz":"qux"}'),
    ("A.2 add an item", '{"f":["a","c"]}', '[{"op":"add","path":"/f/1","value":"b"}]', '{"f":["a","b","c"]}'),
    ("A.3 remove a member", '{"a":1,"b":2}', '[{"op":"remove","path":"/a"}]', '{"b":2}'),
    ("A.4 remove an item", '{"f":["a","b","c"]}', '[{"op":"remove","path":"/f/1"}]', '{"f":["a","c"]}'),
    ("A.5 replace", '{"a":1,"b":2}', '[{"op":"replace","path":"/a","value":3}]', '{"a":3,"b":2}'),
    ("A.6 move", '{"a":{"b":1},"c":{}}', '[{"op":"move","from":"/a/b","path":"/c/d"}]', '{"a":{},"c":{"d":1}}'),
    ("A.7 move an item", '{"f":[1,2,3]}', '[{"op":"move","from":"/f/0","path":"/f/2"}]', '{"f":[2,3,1]}'),
    ("A.8 test holds", '{"a":[1,"x"]}', '[{"op":"test","path":"/a/1","value":"x"}]', '{"a":[1,"x"]}'),
    ("A.10 add a nested object", '{"a":1}', '[{"op":"add","path":"/b","value":{"c":{}}}]', '{"a":1,"b":{"c":{}}}'),
    ("A.11 ignore other members", '{"a":1}', '[{"op":"add","path":"/b","value":2,"xyz":3}]', '{"a":1,"b":2}'),
    ("A.14 ~ escapes", '{"/":9,"~1":10}', '[{"op":"test","path":"/~01","value":10}]', '{"/":9,"~1":10}'),
    ("A.16 add an array at the end", '{"f":["a"]}', '[{"op":"add","path":"/f/-","value":["b"]}]', '{"f":["a",["b"]]}'),
    ("4.1 add in place of a member", '{"a":1}', '[{"op":"add","path":"/a","value":2}]', '{"a":2}'),
    ("4.1 add the whole", '{"a":1}', '[{"op":"add","path":"","value":{"b":1}}]', '{"b":1}'),
    ("4.1 add at the length of an array", '{"f":[1]}', '[{"op":"add","path":"/f/1","value":2}]', '{"f":[1,2]}'),
    ("4.3 replace the whole", '{"a":1}', '[{"op":"replace","path":"","value":{}}]', "{}"),
    ("4.3 replace an item", '{"f":[1,2]}', '[{"op":"replace","path":"/f/1","value":3}]', '{"f":[1,3]}'),
    ("4.4 move to the same place", '{"a":1}', '[{"op":"move","from":"/a","path":"/a"}]', '{"a":1}'),
    ("4.5 copy", '{"a":[1]}', '[{"op":"copy","from":"/a","path":"/b"}]', '{"a":[1],"b":[1]}'),
    ("4.6 numbers by value", '{"a":1}', '[{"op":"test","path":"/a","value":1.0}]', '{"a":1}'),
    ("4.6 objects without order", '{"a":{"b":1,"c":2}}', '[{"op":"test","path":"/a","value":{"c":2,"b":1}}]',
     '{"a":{"b":1,"c":2}}'),
    ("5 one after the other", '{"a":1}', '[{"op":"add","path":"/b","value":1},{"op":"move","from":"/b","path":"/a"}]',
     '{"a":1}'),
    ("decimals keep their text", '{"a":1.00}', '[{"op":"add","path":"/b","value":0.930}]', '{"a":1.00,"b":0.930}'),
    ("an empty name is a name", '{"":1}', '[{"op":"replace","path":"/","value":2}]', '{"":2}'),
    ("no operations", '{"a":1}', "[]", '{"a":1}'),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "document", "patch", "result"), APPLIED, ids=[row[0] for row in APPLIED])
def test_applied(rule: str, document: str, patch: str, result: str) -> None:
    before = fhir.loads(document)

    assert fhir.dumps(apply_patch(before, parse_patch(patch))) == result, rule
    assert fhir.dumps(before) == document, "what is given stays as it is"


REFUSED = [
    # rule, document, patch
    ("A.9 test does not hold", '{"a":"x"}', '[{"op":"test","path":"/a","value":"y"}]'),
    ("A.12 no parent", '{"a":1}', '[{"op":"add","path":"/b/c","value":1}]'),
    ("A.15 a string is no number", '{"a":"10"}', '[{"op":"test","path":"/a","value":10}]'),
    ("4.6 true is not 1", '{"a":true}', '[{"op":"test","path":"/a","value":1}]'),
    ("4.6 false is not 0", '{"a":0}', '[{"op":"test","path":"/a","value":false}]'),
    ("4.6 arrays have an order", '{"a":[1,2]}', '[{"op":"test","path":"/a","value":[2,1]}]'),
    ("4.6 a member more", '{"a":{"b":1}}', '[{"op":"test","path":"/a","value":{}}]'),
    ("4.2 remove what is not there", '{"a":1}', '[{"op":"remove","path":"/b"}]'),
    ("4.2 remove the whole", '{"a":1}', '[{"op":"remove","path":""}]'),
    ("4.3 replace what is not there", '{"a":1}', '[{"op":"replace","path":"/b","value":1}]'),
    ("4.4 move what is not there", '{"a":1}', '[{"op":"move","from":"/b","path":"/c"}]'),
    ("4.4 move into itself", '{"a":{"b":1}}', '[{"op":"move","from":"/a","path":"/a/b"}]'),
    ("4.5 copy what is not there", '{"a":1}', '[{"op":"copy","from":"/b","path":"/c"}]'),
    ("4.1 beyond the end", '{"f":[1]}', '[{"op":"add","path":"/f/2","value":1}]'),
    ("6901 4 an index with a leading zero", '{"f":[1,2]}', '[{"op":"remove","path":"/f/01"}]'),
    ("6901 4 a negative index", '{"f":[1,2]}', '[{"op":"remove","path":"/f/-1"}]'),
    ("6901 4 - names nothing that is there", '{"f":[1]}', '[{"op":"remove","path":"/f/-"}]'),
    ("6901 4 into a string", '{"a":"x"}', '[{"op":"add","path":"/a/0","value":1}]'),
    ("not an object in the end", '{"a":1}', '[{"op":"replace","path":"","value":[]}]'),
    ("5 the second one fails", '{"a":1}', '[{"op":"remove","path":"/a"},{"op":"remove","path":"/a"}]'),
]


@pytest.mark.parametrize(("rule", "document", "patch"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(rule: str, document: str, patch: str) -> None:
    with pytest.raises(Unprocessable, match=r"operation [12] of the patch|leaves no object"):
        apply_patch(fhir.loads(document), parse_patch(patch))


MALFORMED = [
    ("not JSON", "[{"),
    ("an object", '{"op":"remove","path":"/a"}'),
    ("no operation", "[1]"),
    ("3 a member twice", '[{"op":"remove","path":"/a","op":"remove"}]'),
    ("two values", "[],[]"),
    ("another member", '[],"x":1'),
    ("no op", '[{"path":"/a"}]'),
    ("4 an unknown op", '[{"op":"merge","path":"/a","value":1}]'),
    ("an op that is no string", '[{"op":[],"path":"/a"}]'),
    ("no path", '[{"op":"remove"}]'),
    ("no from", '[{"op":"move","path":"/a"}]'),
    ("no value", '[{"op":"add","path":"/a"}]'),
    ("6901 3 a pointer without /", '[{"op":"remove","path":"a"}]'),
    ("6901 3 a bare ~", '[{"op":"remove","path":"/a~2"}]'),
    ("too many", json.dumps([{"op": "remove", "path": "/a"}] * (MAX_OPERATIONS + 1))),
]


@pytest.mark.parametrize(("rule", "patch"), MALFORMED, ids=[row[0] for row in MALFORMED])
def test_malformed(rule: str, patch: str) -> None:
    with pytest.raises(Malformed):
        parse_patch(patch)


def test_bytes_that_are_no_text_are_malformed() -> None:
    with pytest.raises(Malformed):
        parse_patch(b'[{"op":"add","path":"/\xff","value":1}]')


def test_copies_of_copies_end() -> None:
    wide = [{"op": "copy", "from": "/a", "path": "/a/-"}] * 400
    deep = [{"op": "copy", "from": "/a", "path": "/a/0/b"}] * 400

    for operations in (wide, deep):
        with pytest.raises(Unprocessable):
            apply_patch({"a": [{}, {}]}, operations)


def test_what_a_patch_puts_in_is_its_own() -> None:
    operations = parse_patch('[{"op":"add","path":"/a","value":[]},{"op":"copy","from":"/a","path":"/b"}]')

    first = apply_patch({}, operations)
    first["a"].append(1)

    assert first["b"] == []
    assert apply_patch({}, operations) == {"a": [], "b": []}
